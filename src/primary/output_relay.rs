//! The output of supervised workers: a thread copies it to this process's, if wanted with a prefix at each line, and
//! keeps the last of what came by stderr for error reports.
//!
//! A pipe is read until the last process that writes there has closed it, even if that outlives the worker:
//! closed earlier, a background process of the worker's would get `EPIPE`, which it does not with a stderr
//! that it inherits from this process. Such a pipe costs a descriptor, and only as long as that process runs.

mod lines;

use std::{
    io::{self, IsTerminal},
    mem::take,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use self::lines::{Lines, Page};

use crate::{
    error::{Error, Result},
    sys::pipe::{is_same_file, output_pipe, read_all, wait_readable, wake, wake_pipe, write_all},
};

/// How many bytes are kept of what a worker has written.
const KEPT: usize = 4096;

/// Copies what workers write to their stdout and stderr to this process's. Its thread is started with the first
/// worker, and ends when this is dropped, all [`StderrTail`]s are, and the last pipe has ended.
#[derive(Default)]
pub struct OutputRelay {
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
    new: Vec<(Arc<Pipe>, Way)>,
    /// Told when all that was in the pipes is written.
    flushes: Vec<SyncSender<()>>,
}

/// Where the output of a worker goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The stdout of this process.
    Stdout,
    /// The stderr of this process.
    Stderr,
}

/// What each line of a worker begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The worker's slot.
    pub slot: u32,
    /// Whether it has a color if the target is a terminal.
    pub may_have_color: bool,
}

/// Where the output of a worker goes, and how.
#[derive(Debug, Clone, Copy)]
struct Way {
    target: Target,
    prefix: Option<Prefix>,
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

impl OutputRelay {
    /// The stdout or the stderr of a new worker.
    ///
    /// # Errors
    /// When the process can have no more descriptors, or threads.
    pub(super) fn open(
        &self,
        target: Target,
        prefix: Option<Prefix>,
    ) -> Result<(OwnedFd, StderrTail)> {
        self.thread()?.open(Way { target, prefix })
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
        let started = Thread::start(io::stdout(), io::stderr())?;
        Ok(Arc::clone(thread.insert(started)))
    }
}

impl Thread {
    fn start(
        stdout: impl AsFd + Send + 'static,
        stderr: impl AsFd + Send + 'static,
    ) -> Result<Arc<Self>> {
        let (woken, waker) = wake_pipe().map_err(Error::system(NEW_PIPE))?;
        let orders = Arc::<Mutex<Orders>>::default();
        let its_orders = Arc::clone(&orders);
        let run = move || {
            let outputs = Outputs::new(stdout.as_fd(), stderr.as_fd());
            run(&woken, &its_orders, outputs);
        };
        thread::Builder::new()
            .name("rs-cluster-out".into())
            .stack_size(STACK)
            .spawn(run)
            .map_err(Error::system("pthread_create"))?;
        Ok(Arc::new(Self { orders, waker }))
    }

    fn open(self: Arc<Self>, way: Way) -> Result<(OwnedFd, StderrTail)> {
        let (reader, writer) = output_pipe().map_err(Error::system(NEW_PIPE))?;
        let pipe = Arc::new(Pipe { reader, text: Mutex::default() });
        lock(&self.orders).new.push((Arc::clone(&pipe), way));
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
fn run(woken: &OwnedFd, orders: &Mutex<Orders>, mut outputs: Outputs<'_>) {
    let mut relayed: Vec<Relayed> = Vec::new();
    let mut is_closing = false;
    while !(is_closing && relayed.is_empty()) {
        let readers = relayed.iter().map(|it| it.pipe.reader.as_fd());
        let waker = (!is_closing).then(|| woken.as_fd());
        let all: Vec<_> = readers.chain(waker).collect();
        let deadline = relayed.iter().filter_map(Relayed::deadline).min();
        // What comes in time is in the pipe before this thread looks, however late it runs again afterwards.
        let now = Instant::now();
        let timeout = deadline.map(|it| it.saturating_duration_since(now));
        let mut ready = wait_readable(&all, timeout).into_iter();
        let mut are_readable: Vec<_> = ready.by_ref().take(relayed.len()).collect();
        let mut flushes = Vec::new();
        if ready.next() == Some(true) {
            is_closing = read_all(woken, &mut Vec::new());
            let orders = take(&mut *lock(orders));
            relayed.extend(orders.new.into_iter().map(|(pipe, way)| outputs.relayed(pipe, way)));
            flushes = orders.flushes;
            // Something may be unwritten that another thread has read.
            are_readable = vec![true; relayed.len()];
        }
        // What waits too long is written, but not while more is in the pipe: the rest of its line may have come while
        // this thread waited for the target.
        for (it, is_readable) in relayed.iter_mut().zip(&are_readable) {
            if !is_readable && it.deadline().is_some_and(|deadline| deadline <= now) {
                it.flush(&mut outputs);
            }
        }
        let mut are_readable = are_readable.into_iter();
        relayed.retain_mut(|it| !are_readable.next().unwrap_or(false) || it.relay(&mut outputs));
        if !flushes.is_empty() {
            relayed.iter_mut().for_each(|it| it.flush(&mut outputs));
        }
        for done in flushes {
            // The caller may have ceased to wait.
            let _ = done.try_send(());
        }
    }
}

/// The outputs of this process.
struct Outputs<'a> {
    stdout: BorrowedFd<'a>,
    stderr: BorrowedFd<'a>,
    pages: [Page; 2],
    /// Whether both are the same file, such as a terminal.
    are_same: bool,
    /// How many pipes there have been.
    count: usize,
}

impl<'a> Outputs<'a> {
    fn new(stdout: BorrowedFd<'a>, stderr: BorrowedFd<'a>) -> Self {
        let are_same = is_same_file(stdout, stderr);
        Self { stdout, stderr, pages: Default::default(), are_same, count: 0 }
    }

    fn relayed(&mut self, pipe: Arc<Pipe>, Way { target, prefix }: Way) -> Relayed {
        let source = self.count;
        self.count = self.count.wrapping_add(1);
        let lines = prefix.map(|Prefix { slot, may_have_color }| {
            let is_colored = may_have_color && self.descriptor(target).is_terminal();
            Lines::new(source, slot, is_colored)
        });
        Relayed { pipe, target, lines }
    }

    fn descriptor(&self, target: Target) -> BorrowedFd<'a> {
        match target {
            Target::Stdout => self.stdout,
            Target::Stderr => self.stderr,
        }
    }

    fn page(&mut self, target: Target) -> &mut Page {
        let [first, second] = &mut self.pages;
        if target == Target::Stderr && !self.are_same { second } else { first }
    }

    fn write(&self, target: Target, bytes: &[u8]) {
        write_all(self.descriptor(target), bytes);
    }
}

/// A pipe, and where what comes from there goes.
struct Relayed {
    pipe: Arc<Pipe>,
    target: Target,
    /// If its lines get a prefix.
    lines: Option<Lines>,
}

impl Relayed {
    /// Copies what is in the pipe. Returns whether more may come.
    fn relay(&mut self, outputs: &mut Outputs<'_>) -> bool {
        let mut text = self.pipe.fill();
        let unwritten = take(&mut text.unwritten);
        let has_ended = text.has_ended;
        drop(text);
        match &mut self.lines {
            None => outputs.write(self.target, &unwritten),
            Some(lines) => {
                let page = outputs.page(self.target);
                let mut written = lines.push(&unwritten, page, Instant::now());
                if has_ended {
                    written.append(&mut lines.end(page));
                }
                outputs.write(self.target, &written);
            }
        }
        !has_ended
    }

    /// When to [`flush`](Self::flush).
    fn deadline(&self) -> Option<Instant> {
        self.lines.as_ref()?.deadline()
    }

    /// Writes what has come of a line that has not ended.
    fn flush(&mut self, outputs: &mut Outputs<'_>) {
        if let Some(lines) = &mut self.lines {
            let written = lines.flush(outputs.page(self.target));
            outputs.write(self.target, &written);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No thread panics while it holds a lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
