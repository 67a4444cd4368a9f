//! Descriptors that the service manager has given to this process (`LISTEN_FDS`).

use std::{io, os::fd::RawFd};

use super::{Inherited, InheritedListener, Source, is_queue_name, is_store_name};
use crate::sys::{
    adopt::{check, query_of},
    duplicate_inherited, errno_name,
    listen::socket_address,
};

/// A descriptor that the service manager has given to this process.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its number.
    pub fd: RawFd,
    /// Its name.
    pub name: String,
}

impl Inherited {
    /// Adopts a descriptor. Its number becomes close-on-exec and stays open, because programs may know it.
    ///
    /// # Errors
    /// Why it can't be adopted; completes the sentence after "it".
    pub fn activate(&mut self, Given { fd, name }: Given) -> Result<(), String> {
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(libc::EBADF) => "is not open".to_owned(),
            errno => format!("can't be duplicated: {}", errno_name(errno.unwrap_or(libc::EIO))),
        };
        let socket = duplicate_inherited(fd).map_err(failed)?;
        if is_store_name(&name) {
            self.queues.add_number(fd, socket.try_clone().map_err(failed)?);
        }
        if is_queue_name(&name) {
            self.queues.add(name, socket);
            return Ok(());
        }
        check(&socket)?;
        let query = query_of(&socket);
        let address = socket_address(&socket).ok().flatten();
        let source = if is_store_name(&name) {
            Source::Stored { name }
        } else {
            Source::Activated { name, fd: Some(fd), is_wanted: false }
        };
        self.add(InheritedListener { source, query, address, data: None, sockets: vec![socket] });
        Ok(())
    }
}
