//! What operators ask over HTTP, answered on the engine's thread: so it works while all JavaScript is stuck.
//!
//! - [`server`]: connections, and the limits on them; [`clients`]: how many; [`pace`]: how much time they may
//!   take; [`shared`]: answers for several; [`answer`]: what they get,
//! - [`admin`]: the admin endpoint, where everything can be read; [`control`]: the control socket, where things
//!   can be changed.

mod admin;
mod answer;
mod clients;
mod control;
mod describe;
mod pace;
mod server;
mod shared;

use std::rc::Rc;

use tokio::{
    io::{Interest, unix::AsyncFd},
    task::{AbortHandle, spawn_local},
};

use self::{
    admin::{Admin, Reports},
    control::Control,
    server::Kind,
};
use super::{
    super::operator::sockets::{AdminSocket, OperatorSockets},
    context::Context,
    supervision::OperatorSocket,
};
use crate::{
    protocol::upgrade::OperatorKind,
    sys::{listen::Bound, watched::watch},
};

/// Begins to answer operators of a program that is supervised, until that ends.
pub(super) fn open(context: &Rc<Context>, sockets: OperatorSockets) {
    let (servers, operators) = start(context, sockets);
    if let Some(supervision) = &mut *context.supervision.borrow_mut() {
        supervision.servers = servers;
        supervision.operators = operators;
    }
}

fn start(
    context: &Rc<Context>,
    sockets: OperatorSockets,
) -> (Vec<AbortHandle>, Vec<OperatorSocket>) {
    let OperatorSockets { control, admin, .. } = sockets;
    let reports = Rc::new(Reports::default());
    let (mut tasks, mut operators) = (Vec::new(), Vec::new());
    let mut keep = |kind, address, listening: &AsyncFd<Rc<Bound>>| {
        let bound = Rc::downgrade(listening.get_ref());
        operators.push(OperatorSocket { kind, address, bound });
    };
    if let Some((listening, path)) = control.and_then(|(bound, path)| Some((watched(bound)?, path)))
    {
        keep(OperatorKind::Control, path, &listening);
        let routes = Rc::new(Control::new(Rc::clone(context), Rc::clone(&reports)));
        tasks.push(spawn_local(server::serve(listening, Kind::Unix, routes)).abort_handle());
    }
    if let Some(admin) = admin {
        let (bound, kind, is_local, address) = match admin {
            AdminSocket::Path(bound, path) => (bound, Kind::Unix, false, path),
            AdminSocket::Tcp(bound, address) => {
                (bound, Kind::Tcp, address.ip().is_loopback(), address.to_string())
            }
        };
        if let Some(listening) = watched(bound) {
            keep(OperatorKind::Admin, address, &listening);
            let routes = Rc::new(Admin::new(Rc::clone(context), reports, is_local));
            tasks.push(spawn_local(server::serve(listening, kind, routes)).abort_handle());
        }
    }
    (tasks, operators)
}

/// Without memory for another watch, operators find a socket that does not answer.
fn watched(bound: Bound) -> Option<AsyncFd<Rc<Bound>>> {
    watch(Rc::new(bound), Interest::READABLE).ok()
}
