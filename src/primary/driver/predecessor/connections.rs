//! Connections that the predecessor has accepted, and sends to this primary.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::Interest,
    task::spawn_local,
    time::{sleep, timeout_at},
};

use super::{
    super::{
        super::core::{
            driver::{Connection, Forwarded, Received},
            parking::Left,
        },
        context::Context,
        parked_task::attend,
    },
    Kind, Predecessor,
};
use crate::{
    protocol::ListenerId,
    sys::{scarce_descriptors, watched},
};

/// How soon a connection that no worker could take is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// How long a connection that was ended here stays open for its client to read the end.
const LINGER: Duration = Duration::from_secs(1);

impl Predecessor {
    /// A connection has come. What can't go to its listener now is tried again for a while.
    pub(super) fn receive(
        self: &Rc<Self>,
        context: &Rc<Context>,
        listener: ListenerId,
        connection: OwnedFd,
        kind: Kind,
    ) {
        let refused = self.put(context, listener, connection, kind);
        // The descriptor may be free again.
        context.reserve.borrow_mut().refill();
        if let Some(connection) = refused {
            let (this, context) = (Rc::clone(self), Rc::clone(context));
            drop(spawn_local(async move {
                this.put_later(&context, listener, connection, kind).await;
            }));
        }
    }

    /// Gives a connection to the listener of its address. Returns it where there is none, or no worker that takes it.
    fn put(
        &self,
        context: &Rc<Context>,
        listener: ListenerId,
        connection: OwnedFd,
        kind: Kind,
    ) -> Option<OwnedFd> {
        let Some(target) = self.listener_for(context, listener) else { return Some(connection) };
        let connection = pass_on(context, Some(target), connection, kind)?;
        let now = Instant::now();
        let distributes = context.ask(|core| core.distributes(target));
        match kind {
            Kind::New { prefers_http } if distributes => {
                context.decide(|core| {
                    core.inherit_connection(target, connection, prefers_http, now);
                });
                None
            }
            Kind::Idle(until) if distributes => {
                let has_room = connection.as_raw_fd() < scarce_descriptors();
                let time = until.map(|until| until.saturating_duration_since(now));
                let left = Left { time, timeout: self.queue_timeout };
                context.decide(|core| core.keep_parked(target, connection, left, has_room, now));
                attend(context, target);
                None
            }
            Kind::New { prefers_http } => {
                context.decide(|core| core.hand_to_sharer(target, connection, prefers_http, now))
            }
            // Workers take connections only when their clients have sent something.
            Kind::Idle(_) if connection.received() == Received::Nothing => Some(connection),
            Kind::Idle(_) => {
                context.decide(|core| core.hand_to_sharer(target, connection, true, now))
            }
        }
    }

    /// Tries again until no worker is to be expected any more, or the client goes.
    async fn put_later(
        &self,
        context: &Rc<Context>,
        listener: ListenerId,
        connection: OwnedFd,
        kind: Kind,
    ) {
        let deadline = Instant::now() + self.queue_timeout;
        let mut refused = connection;
        let mut target = None;
        loop {
            sleep(RETRY).await;
            let mut end = Some(deadline);
            let current = self.listener_for(context, listener);
            // Nothing tells again that another primary serves.
            if let Kind::Idle(until) = kind
                && current.is_some_and(|it| !context.ask(|core| core.is_handed_over(it)))
            {
                end = until;
                refused = until_readable(context, refused, until).await;
            }
            target = current.or(target);
            match pass_on(context, target, refused, kind) {
                None => return,
                Some(again) => refused = again,
            }
            if refused.received() == Received::End {
                break;
            }
            match self.put(context, listener, refused, kind) {
                None => return,
                Some(again) => refused = again,
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
        }
        refused.end();
        sleep(LINGER).await;
        drop(refused);
        context.reserve.borrow_mut().refill();
    }
}

/// Sends a connection of this listener to the primary that has taken the place of this one, if that serves it. Returns
/// it otherwise.
fn pass_on(
    context: &Context,
    target: Option<ListenerId>,
    connection: OwnedFd,
    kind: Kind,
) -> Option<OwnedFd> {
    let Some(target) = target.filter(|it| context.ask(|core| core.is_handed_over(*it))) else {
        return Some(connection);
    };
    let succession = context.succession.borrow();
    let Some(successor) = succession.successor() else { return Some(connection) };
    let how = match kind {
        Kind::New { prefers_http } => Forwarded::New { prefers_http },
        Kind::Idle(until) => Forwarded::Idle {
            left: until.map(|until| until.saturating_duration_since(Instant::now())),
        },
    };
    successor.forward(target, connection, how);
    None
}

/// Waits until the client of a connection has sent something, or gone, or the time is over, or another primary serves.
async fn until_readable(context: &Context, connection: OwnedFd, until: Option<Instant>) -> OwnedFd {
    let watched = match watched::watch(connection, Interest::READABLE) {
        Ok(watched) => watched,
        Err((connection, _)) => return connection,
    };
    let readable = async {
        // It fails only when the runtime ends.
        let _ = watched.readable().await;
    };
    let in_time = async {
        match until {
            None => readable.await,
            // Either way it is looked at.
            Some(until) => _ = timeout_at(until.into(), readable).await,
        }
    };
    tokio::select! {
        () = in_time => {}
        () = context.handing_over.notified() => {}
    }
    watched.into_inner()
}
