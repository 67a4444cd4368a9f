//! What a successor is told first: a version of the protocol, and all that it needs to get ready.

use std::{io, os::fd::OwnedFd};

use super::{
    super::{
        super::core::{successor::Offer, supervise::report::Cause},
        succession,
    },
    Peer, unexpected,
};
use crate::{
    protocol::upgrade::{self, Listener, ToPredecessor, ToSuccessor},
    sys::adopt::are_same,
};

impl Peer<'_> {
    /// Agrees on a version of the protocol.
    pub(super) async fn greet(&self) -> Result<(), Cause> {
        let (oldest, newest) = match self.next().await? {
            ToPredecessor::Hello { oldest, newest, version, node } => {
                let log = self.context.log();
                log.write(format_args!("the successor is of version {version}, Node {node}"));
                (oldest, newest)
            }
            other => return Err(unexpected(&other, "a hello")),
        };
        let Some(protocol) = upgrade::common(oldest, newest) else {
            let reason = format!(
                "the new primary speaks the versions {oldest} to {newest} of the protocol between primaries, this \
                 one {} to {}",
                upgrade::OLDEST,
                upgrade::NEWEST
            );
            self.successor.send(&ToSuccessor::Refused { reason: reason.clone() }, None);
            return Err(Cause::NoCommonVersion(reason));
        };
        let supervision = self.context.supervision.borrow();
        let node = supervision.as_ref().map(|it| it.identity.node.clone()).unwrap_or_default();
        drop(supervision);
        let welcome = ToSuccessor::Welcome {
            protocol,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node,
            pid: std::process::id(),
            generation: self.context.ask(|core| core.latest_generation()),
        };
        self.successor.send(&welcome, None);
        Ok(())
    }

    /// Sends all that a successor needs to get ready.
    pub(super) fn offer(&self) -> Result<(), Cause> {
        let copied = |error: std::io::Error| {
            Cause::Fork("fcntl", error.raw_os_error().unwrap_or(libc::EMFILE))
        };
        let mut offered = Vec::new();
        for offer in self.context.decide(|core| core.offer()) {
            let Offer { listener, query, address, data, has_file, is_unserved, sockets } = offer;
            // A file that is there may be another's.
            let has_file = has_file && sockets.iter().any(|it| it.has_file());
            let is_activated = sockets.iter().any(|it| it.is_activated());
            let sockets: Result<Vec<_>, _> = sockets.iter().map(|it| it.copy()).collect();
            let sockets = sockets.map_err(copied)?;
            let message = ToSuccessor::Listener(Listener {
                listener,
                query,
                address,
                data,
                has_file,
                is_activated,
                is_unserved,
                sockets: u32::try_from(sockets.len()).unwrap_or(u32::MAX),
            });
            self.successor.send(&message, None);
            if is_activated {
                offered.extend(sockets.iter().filter_map(|it| it.try_clone().ok()));
            }
            for socket in sockets {
                self.successor.send(&ToSuccessor::Socket { listener }, Some(socket));
            }
        }
        self.offer_unserved(&offered).map_err(copied)?;
        if let Some(supervision) = &*self.context.supervision.borrow() {
            for (kind, address, socket) in supervision.operator_sockets() {
                let socket = socket.socket.try_clone().map_err(copied)?;
                self.successor.send(&ToSuccessor::Operator { kind, address }, Some(socket));
            }
        }
        let parent = succession::lane_for_successor(self.context).map_err(copied)?;
        if let Some(lane) = parent {
            self.successor.send(&ToSuccessor::Parent, Some(lane));
        }
        let keys = self.context.ticket_keys();
        if !keys.is_empty() {
            self.successor.send(&ToSuccessor::TicketKeys { keys }, None);
        }
        self.successor.begin_to_count();
        self.send_counted();
        self.successor.send(&ToSuccessor::Offered, None);
        Ok(())
    }

    /// Sends the sockets of the service manager that no worker serves here: one of the next primary may.
    fn offer_unserved(&self, offered: &[OwnedFd]) -> io::Result<()> {
        for unserved in self.context.inherited.borrow().activated() {
            let Some(query) = unserved.query.clone() else { continue };
            let is_new = |socket: &&OwnedFd| !offered.iter().any(|it| are_same(it, socket));
            for socket in unserved.sockets.iter().filter(is_new) {
                let listener = self.context.decide(|core| core.next_listener());
                let message = ToSuccessor::Listener(Listener {
                    listener,
                    query: query.clone(),
                    address: unserved.address.clone(),
                    data: None,
                    has_file: false,
                    is_activated: true,
                    is_unserved: true,
                    sockets: 1,
                });
                self.successor.send(&message, None);
                let socket = socket.try_clone()?;
                self.successor.send(&ToSuccessor::Socket { listener }, Some(socket));
            }
        }
        Ok(())
    }
}
