//! What the old primary offers, message by message.

use std::os::fd::OwnedFd;

use super::{OfferedOperator, Offering, Predecessor, TakeoverError, name_of, unexpected};
use crate::{
    protocol::{
        ListenerId,
        upgrade::{Listener, ToSuccessor},
    },
    sys::{
        lane::{self, Kind},
        socket::{Nature, nature},
    },
};

impl Offering {
    pub(super) fn new(predecessor: Predecessor) -> Self {
        let (listeners, places, operators, ticket_keys, counted, parent) = Default::default();
        Self { predecessor, listeners, places, operators, ticket_keys, counted, parent }
    }

    /// Adds what a message brings. Returns whether that was all.
    pub(super) fn add(
        &mut self,
        message: ToSuccessor,
        descriptor: Option<OwnedFd>,
    ) -> Result<bool, TakeoverError> {
        let name = name_of(&message);
        let brings_one = matches!(
            message,
            ToSuccessor::Socket { .. } | ToSuccessor::Operator { .. } | ToSuccessor::Parent
        );
        if brings_one != descriptor.is_some() {
            let which = if brings_one { "without its" } else { "with a" };
            return Err(unexpected(format!("{name} {which} descriptor")));
        }
        match (message, descriptor) {
            (ToSuccessor::Listener(listener), _) => self.add_listener(listener)?,
            (ToSuccessor::Socket { listener }, Some(socket)) => {
                self.add_socket(listener, socket)?;
            }
            (ToSuccessor::Operator { kind, address }, Some(socket)) => {
                if !matches!(
                    nature(&socket),
                    Some(Nature::Tcp { listening: true } | Nature::Pipe { listening: true })
                ) {
                    return Err(unexpected(format!("{name} that does not listen")));
                }
                self.operators.push(OfferedOperator { kind, address, socket });
            }
            (ToSuccessor::Parent, Some(lane)) => {
                let is_lane = lane.try_clone().and_then(|lane| lane::check(lane, Kind::Packets));
                if is_lane.is_err() {
                    return Err(unexpected("something else for a parent's lane"));
                }
                self.parent = Some(lane);
            }
            (ToSuccessor::TicketKeys { keys }, _) => self.ticket_keys = keys,
            (ToSuccessor::Counted(counted), _) => self.counted.push(counted),
            (ToSuccessor::Offered, _) => {
                let lacks =
                    |(it, sockets): &&(Listener, Vec<_>)| sockets.len() < it.sockets as usize;
                return match self.listeners.iter().find(lacks) {
                    Some((it, _)) => {
                        Err(unexpected(format!("too few sockets of {:?}", it.query.target)))
                    }
                    None => Ok(true),
                };
            }
            (ToSuccessor::Refused { reason }, _) => return Err(TakeoverError::Refused(reason)),
            _ => return Err(unexpected(format!("{name} before everything was offered"))),
        }
        Ok(false)
    }

    fn add_listener(&mut self, listener: Listener) -> Result<(), TakeoverError> {
        if self.places.insert(listener.listener, self.listeners.len()).is_some() {
            return Err(unexpected(format!("listener {} twice", listener.listener)));
        }
        self.listeners.push((listener, Vec::new()));
        Ok(())
    }

    fn add_socket(&mut self, id: ListenerId, socket: OwnedFd) -> Result<(), TakeoverError> {
        let place = self.places.get(&id).and_then(|place| self.listeners.get_mut(*place));
        let Some((listener, sockets)) = place else {
            return Err(unexpected(format!("a socket of listener {id}, which there is not")));
        };
        if sockets.len() >= listener.sockets as usize {
            return Err(unexpected(format!("too many sockets of listener {id}")));
        }
        let has_datagrams = listener.query.target.has_datagrams();
        let is_it = match nature(&socket) {
            Some(Nature::Udp) => has_datagrams,
            // One that workers share may not listen yet.
            Some(Nature::Tcp { .. } | Nature::Pipe { .. }) => !has_datagrams,
            Some(Nature::Fifo) | None => false,
        };
        if !is_it {
            return Err(unexpected(format!("something else for a socket of listener {id}")));
        }
        sockets.push(socket);
        Ok(())
    }
}
