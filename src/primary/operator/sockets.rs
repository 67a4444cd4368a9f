//! The sockets on which operators ask.

use std::{io, net::SocketAddr};

use super::super::inherit::takeover::OfferedOperator;
use crate::{
    protocol::upgrade::OperatorKind,
    sys::{
        listen::{Bound, Keeper},
        operator_socket::{Claim, claim_path, listen_tcp},
    },
};

/// The sockets that are bound before supervision begins.
#[derive(Debug, Default)]
pub struct OperatorSockets {
    /// The control socket, with its path.
    pub(in crate::primary) control: Option<(Bound, String)>,
    /// The admin endpoint.
    pub(in crate::primary) admin: Option<AdminSocket>,
    /// What the primary before this one offers, and has not been taken.
    offered: Vec<OfferedOperator>,
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
        let offered = self.take_path(OperatorKind::Control, path);
        self.control = Some((offered.map_or_else(|| claim(path, true), Ok)?, path.to_owned()));
        Ok(())
    }

    /// Binds a path for the admin endpoint.
    ///
    /// # Errors
    /// Why the path can't be had.
    pub fn listen_admin_path(&mut self, path: &str) -> Result<(), Refusal> {
        let offered = self.take_path(OperatorKind::Admin, path);
        let bound = offered.map_or_else(|| claim(path, false), Ok)?;
        self.admin = Some(AdminSocket::Path(bound, path.to_owned()));
        Ok(())
    }

    /// Binds a TCP address for the admin endpoint.
    ///
    /// # Errors
    /// Why the address can't be had.
    pub fn listen_admin(&mut self, address: SocketAddr) -> Result<(), Refusal> {
        let offered = self.take_tcp(address);
        let bound = offered.map_or_else(|| listen_tcp(address).map_err(Refusal::System), Ok);
        let (bound, address) = bound?;
        self.admin = Some(AdminSocket::Tcp(bound, address));
        Ok(())
    }

    /// The primary before this one has these sockets. Those at the same places are used, instead of others.
    pub(in crate::primary) fn offer(&mut self, offered: Vec<OfferedOperator>) {
        self.offered = offered;
    }

    /// This primary takes the place of the one before it: the files of its sockets are its own. What it has not
    /// taken of the other one's is closed.
    pub(in crate::primary) fn own(&mut self) {
        for it in self.offered.drain(..) {
            let file = it.address.starts_with('/').then_some(it.address);
            // It closes here, and its file goes.
            if let Ok(bound) = Bound::adopt(it.socket, Some(Keeper::OtherPrimary { file }), None) {
                bound.own();
            }
        }
        if let Some((bound, _)) = &self.control {
            bound.own();
        }
        match &self.admin {
            Some(AdminSocket::Path(bound, _) | AdminSocket::Tcp(bound, _)) => bound.own(),
            None => {}
        }
    }

    /// What is offered at this path.
    fn take_path(&mut self, kind: OperatorKind, path: &str) -> Option<Bound> {
        let file = Some(path.to_owned());
        self.take(|it| it.kind == kind && it.address == path, file).map(|(bound, _)| bound)
    }

    /// What is offered at this address. Where the system is to choose the port, it is what it has chosen before.
    fn take_tcp(&mut self, address: SocketAddr) -> Option<(Bound, SocketAddr)> {
        let is_it = |offered: SocketAddr| {
            offered == address || address.port() == 0 && offered.ip() == address.ip()
        };
        let is_there = |it: &OfferedOperator| {
            it.kind == OperatorKind::Admin && it.address.parse().is_ok_and(is_it)
        };
        let (bound, address) = self.take(is_there, None)?;
        Some((bound, address.parse().ok()?))
    }

    fn take(
        &mut self,
        is_it: impl Fn(&OfferedOperator) -> bool,
        file: Option<String>,
    ) -> Option<(Bound, String)> {
        let at = self.offered.iter().position(is_it)?;
        let OfferedOperator { address, socket, .. } = self.offered.swap_remove(at);
        let keeper = Some(Keeper::OtherPrimary { file });
        Some((Bound::adopt(socket, keeper, None).ok()?, address))
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
