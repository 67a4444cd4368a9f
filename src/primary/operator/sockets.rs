//! The sockets on which operators ask.

use std::{io, net::SocketAddr};

use crate::sys::{
    listen::Bound,
    operator_socket::{Claim, claim_path, listen_tcp},
};

/// The sockets that are bound before supervision begins.
#[derive(Debug, Default)]
pub struct OperatorSockets {
    /// The control socket, with its path.
    pub(in crate::primary) control: Option<(Bound, String)>,
    /// The admin endpoint.
    pub(in crate::primary) admin: Option<AdminSocket>,
}

/// Where the admin endpoint listens.
#[derive(Debug)]
pub(in crate::primary) enum AdminSocket {
    Path(Bound, String),
    Tcp(Bound, SocketAddr),
}

/// Why a socket can't be bound.
#[derive(Debug)]
pub enum Refusal {
    /// A process listens there: its pid, where the system tells.
    InUse(Option<i32>),
    /// Something else than a socket has the path.
    Occupied,
    /// A system call has failed.
    System(io::Error),
}

impl OperatorSockets {
    /// Binds the control socket.
    ///
    /// # Errors
    /// Why the path can't be had.
    pub fn listen_control(&mut self, path: &str) -> Result<(), Refusal> {
        self.control = Some((claim(path, true)?, path.to_owned()));
        Ok(())
    }

    /// Binds a path for the admin endpoint.
    ///
    /// # Errors
    /// Why the path can't be had.
    pub fn listen_admin_path(&mut self, path: &str) -> Result<(), Refusal> {
        self.admin = Some(AdminSocket::Path(claim(path, false)?, path.to_owned()));
        Ok(())
    }

    /// Binds a TCP address for the admin endpoint.
    ///
    /// # Errors
    /// Why the address can't be had.
    pub fn listen_admin(&mut self, address: SocketAddr) -> Result<(), Refusal> {
        let (bound, address) = listen_tcp(address).map_err(Refusal::System)?;
        self.admin = Some(AdminSocket::Tcp(bound, address));
        Ok(())
    }

    /// The path of the control socket.
    pub fn control_path(&self) -> Option<String> {
        self.control.as_ref().map(|(_, path)| path.clone())
    }

    /// The address of the admin endpoint.
    pub fn admin_address(&self) -> Option<String> {
        self.admin.as_ref().map(|admin| match admin {
            AdminSocket::Path(_, path) => path.clone(),
            AdminSocket::Tcp(_, address) => address.to_string(),
        })
    }
}

fn claim(path: &str, is_private: bool) -> Result<Bound, Refusal> {
    match claim_path(path, is_private) {
        Ok(Claim::Bound(bound)) => Ok(bound),
        Ok(Claim::InUse(pid)) => Err(Refusal::InUse(pid)),
        Ok(Claim::Occupied) => Err(Refusal::Occupied),
        Err(error) => Err(Refusal::System(error)),
    }
}
