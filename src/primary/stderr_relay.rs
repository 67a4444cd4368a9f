//! The stderr of supervised workers: a thread copies it to this process's stderr, and keeps the last of it
//! for error reports.
//!
//! A pipe is read until the last process that writes there has closed it, even if that outlives the worker:
//! closed earlier, a background process of the worker's would get `EPIPE`, which it does not with a stderr
//! that it inherits from this process. Such a pipe costs a descriptor, and only as long as that process runs.

use std::{
    io,
    mem::take,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use crate::{
    error::{Error, Result},
    sys::pipe::{output_pipe, read_all, wait_readable, wake, wake_pipe, write_all},
};

/// How many bytes are kept of what a worker has written.
const KEPT: usize = 4096;

/// Copies what workers write to their stderr to this process's. Its thread is started with the first
/// worker, and ends when this is dropped, all [`StderrTail`]s are, and the last pipe has ended.
#[derive(Default)]
pub struct StderrRelay {
    thread: Mutex<Option<Arc<Thread>>>,
}

/// What others have of the thread.
struct Thread {
    orders: Arc<Mutex<Orders>>,
    waker: OwnedFd,
}

/// What the thread is to do when it wakes.
#[derive(Default)]
struct Orders {
    new: Vec<Arc<Pipe>>,
    /// Told when all that was in the pipes is written.
    flushes: Vec<SyncSender<()>>,
}

/// What one worker writes.
struct Pipe {
    reader: OwnedFd,
    text: Mutex<Text>,
}

#[derive(Default)]
struct Text {
    /// The last of what was read.
    kept: Vec<u8>,
    /// What was read, and is not written yet.
    unwritten: Vec<u8>,
    has_ended: bool,
}

/// The last 4 KiB that a worker has written to its stderr.
#[derive(Clone)]
pub struct StderrTail {
    pipe: Arc<Pipe>,
    thread: Arc<Thread>,
}

impl StderrTail {
    /// The last of what was written until now. Does not wait for the terminal.
    pub fn read(&self) -> Vec<u8> {
        let text = self.pipe.fill();
        let kept = text.kept.clone();
        let is_written = text.unwritten.is_empty();
        drop(text);
        if !is_written {
            wake(&self.thread.waker);
        }
        kept
    }
}

impl StderrRelay {
    /// The stderr of a new worker.
    ///
    /// # Errors
    /// When the process can have no more descriptors, or threads.
    pub(super) fn open(&self) -> Result<(OwnedFd, StderrTail)> {
        self.thread()?.open()
    }

    /// Waits until all that is in the pipes now is written, but no longer than `timeout`. Returns whether it
    /// is.
    pub fn flush(&self, timeout: Duration) -> bool {
        let thread = lock(&self.thread).clone();
        thread.is_none_or(|thread| thread.flush(timeout))
    }

    fn thread(&self) -> Result<Arc<Thread>> {
        let mut thread = lock(&self.thread);
        if let Some(thread) = &*thread {
            return Ok(Arc::clone(thread));
        }
        let started = Thread::start(io::stderr())?;
        Ok(Arc::clone(thread.insert(started)))
    }
}

impl Thread {
    fn start(target: impl AsFd + Send + 'static) -> Result<Arc<Self>> {
        let (woken, waker) = wake_pipe().map_err(Error::system(NEW_PIPE))?;
        let orders = Arc::<Mutex<Orders>>::default();
        let its_orders = Arc::clone(&orders);
        let run = move || run(&woken, &its_orders, &target);
        thread::Builder::new()
            .name("rs-cluster-err".into())
            .stack_size(STACK)
            .spawn(run)
            .map_err(Error::system("pthread_create"))?;
        Ok(Arc::new(Self { orders, waker }))
    }

    fn open(self: Arc<Self>) -> Result<(OwnedFd, StderrTail)> {
        let (reader, writer) = output_pipe().map_err(Error::system(NEW_PIPE))?;
        let pipe = Arc::new(Pipe { reader, text: Mutex::default() });
        lock(&self.orders).new.push(Arc::clone(&pipe));
        wake(&self.waker);
        Ok((writer, StderrTail { pipe, thread: self }))
    }

    fn flush(&self, timeout: Duration) -> bool {
        let (done, is_done) = sync_channel(1);
        lock(&self.orders).flushes.push(done);
        wake(&self.waker);
        is_done.recv_timeout(timeout).is_ok()
    }
}

impl Pipe {
    /// Reads what is there.
    fn fill(&self) -> MutexGuard<'_, Text> {
        let mut text = lock(&self.text);
        if !text.has_ended {
            let before = text.unwritten.len();
            text.has_ended = read_all(&self.reader, &mut text.unwritten);
            text.keep_from(before);
        }
        text
    }
}

impl Text {
    /// Keeps the last of what was read beyond the first `before` bytes.
    fn keep_from(&mut self, before: usize) {
        let read = &self.unwritten[before..];
        let last = &read[read.len().saturating_sub(KEPT)..];
        let surplus = (self.kept.len() + last.len()).saturating_sub(KEPT);
        self.kept.drain(..surplus);
        self.kept.extend_from_slice(last);
    }
}

/// The system call that makes a pipe.
const NEW_PIPE: &str = "pipe";

/// Enough for the thread.
const STACK: usize = 128 * 1024;

/// The thread, from beginning to end.
fn run(woken: &OwnedFd, orders: &Mutex<Orders>, target: &impl AsFd) {
    let mut pipes: Vec<Arc<Pipe>> = Vec::new();
    let mut is_closing = false;
    while !(is_closing && pipes.is_empty()) {
        let readers = pipes.iter().map(|pipe| pipe.reader.as_fd());
        let waker = (!is_closing).then(|| woken.as_fd());
        let mut ready = wait_readable(&readers.chain(waker).collect::<Vec<_>>()).into_iter();
        let mut are_readable: Vec<_> = ready.by_ref().take(pipes.len()).collect();
        let mut flushes = Vec::new();
        if ready.next() == Some(true) {
            is_closing = read_all(woken, &mut Vec::new());
            let orders = take(&mut *lock(orders));
            pipes.extend(orders.new);
            flushes = orders.flushes;
            // Something may be unwritten that another thread has read.
            are_readable = vec![true; pipes.len()];
        }
        let mut are_readable = are_readable.into_iter();
        pipes.retain(|pipe| !are_readable.next().unwrap_or(false) || relay(pipe, target));
        for done in flushes {
            // The caller may have ceased to wait.
            let _ = done.try_send(());
        }
    }
}

/// Copies what is in the pipe. Returns whether more may come.
fn relay(pipe: &Pipe, target: &impl AsFd) -> bool {
    let mut text = pipe.fill();
    let unwritten = take(&mut text.unwritten);
    let has_ended = text.has_ended;
    drop(text);
    write_all(target, &unwritten);
    !has_ended
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No thread panics while it holds a lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
