use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{IntoRawFd, OwnedFd},
    sync::Arc,
};

use napi_derive::napi;

use super::ipc_channel::IpcChannel;
use crate::sys::{errno, exit::Process};

/// The process of a worker.
#[napi]
pub struct WorkerProcess {
    pid: i32,
    process: RefCell<Option<Arc<Process>>>,
    channel: Cell<Option<IpcChannel>>,
    pipes: RefCell<Vec<Option<OwnedFd>>>,
}

impl WorkerProcess {
    /// `pipes` are this process's ends of the child's pipes, by the child's numbers.
    pub(super) fn new(
        process: Arc<Process>,
        channel: IpcChannel,
        pipes: Vec<Option<OwnedFd>>,
    ) -> Self {
        let pid = process.pid();
        let (process, pipes) = (RefCell::new(Some(process)), RefCell::new(pipes));
        Self { pid, process, channel: Cell::new(Some(channel)), pipes }
    }
}

#[napi]
impl WorkerProcess {
    /// The process id.
    #[napi(getter)]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The primary's end of the IPC channel, which the caller owns from now on; null after the first
    /// call.
    #[napi]
    pub fn take_channel(&self) -> Option<IpcChannel> {
        self.channel.take()
    }

    /// This process's end of the pipe at the child's descriptor `number`, which the caller owns from
    /// now on; -1 if there is none.
    #[napi]
    pub fn take_pipe(&self, number: u32) -> i32 {
        let mut pipes = self.pipes.borrow_mut();
        let pipe = pipes.get_mut(number as usize).and_then(Option::take);
        pipe.map_or(-1, IntoRawFd::into_raw_fd)
    }

    /// Sends a signal; 0 only checks that the process exists. Returns 0 or a negated errno.
    #[napi]
    pub fn kill(&self, signal: i32) -> i32 {
        let sent = match self.process.borrow().as_ref() {
            Some(process) => process.signal(signal),
            None => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        };
        sent.map_or_else(|error| errno(&error), |()| 0)
    }

    /// Reaps the process, which has ended.
    #[napi]
    pub fn reap(&self) {
        if let Some(process) = self.process.take() {
            process.reap();
        }
    }
}
