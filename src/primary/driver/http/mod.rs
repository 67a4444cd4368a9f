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
};
use crate::sys::{listen::Bound, watched::watch};

/// Begins to answer operators of a program that is supervised, until that ends.
pub(super) fn open(context: &Rc<Context>, sockets: OperatorSockets) {
    let servers = start(context, sockets);
    if let Some(supervision) = &mut *context.supervision.borrow_mut() {
        supervision.servers = servers;
    }
}

fn start(context: &Rc<Context>, sockets: OperatorSockets) -> Vec<AbortHandle> {
    let OperatorSockets { control, admin, .. } = sockets;
    let reports = Rc::new(Reports::default());
    let mut tasks = Vec::new();
    if let Some(listening) = control.and_then(|(bound, _)| watched(bound)) {
        let routes = Rc::new(Control::new(Rc::clone(context), Rc::clone(&reports)));
        tasks.push(spawn_local(server::serve(listening, Kind::Unix, routes)).abort_handle());
    }
    if let Some(admin) = admin {
        let (bound, kind, is_local) = match admin {
            AdminSocket::Path(bound, _) => (bound, Kind::Unix, false),
            AdminSocket::Tcp(bound, address) => (bound, Kind::Tcp, address.ip().is_loopback()),
        };
        if let Some(listening) = watched(bound) {
            let routes = Rc::new(Admin::new(Rc::clone(context), reports, is_local));
            tasks.push(spawn_local(server::serve(listening, kind, routes)).abort_handle());
        }
    }
    tasks
}

/// Without memory for another watch, operators find a socket that does not answer.
fn watched(bound: Bound) -> Option<AsyncFd<Rc<Bound>>> {
    watch(Rc::new(bound), Interest::READABLE).ok()
}
