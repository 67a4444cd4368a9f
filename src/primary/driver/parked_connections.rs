//! The connections of one listener that wait for their clients, and the task that waits for those.

use std::{
    cell::RefCell,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    time::Instant,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
    task::{AbortHandle, spawn_local, yield_now},
};

use super::{super::core::parked::ParkedId, context::Context};
use crate::{
    protocol::ListenerId,
    sys::{readiness_set::ReadinessSet, watched},
};

/// Connections whose clients have sent something that go to workers before other tasks get a turn.
const READY_A_TURN: usize = 64;

/// What watches the parked connections of a listener. It takes a descriptor only while there are any.
#[derive(Default)]
pub(crate) struct ParkedConnections {
    watch: RefCell<Option<Watch>>,
}

struct Watch {
    set: Rc<ReadinessSet>,
    count: usize,
    /// The task, once there is one.
    task: Option<AbortHandle>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl ParkedConnections {
    /// Adds one. Returns false if the kernel has no descriptor or no memory for that.
    pub(super) fn add(&self, id: ParkedId, connection: &OwnedFd) -> bool {
        let mut watch = self.watch.borrow_mut();
        let set = match &*watch {
            Some(watch) => Ok(Rc::clone(&watch.set)),
            None => ReadinessSet::new().map(Rc::new),
        };
        let Ok(set) = set else { return false };
        if set.add(connection.as_fd(), id).is_err() {
            return false;
        }
        watch.get_or_insert_with(|| Watch { set, count: 0, task: None }).count += 1;
        true
    }

    /// Removes one.
    pub(super) fn remove(&self, connection: &OwnedFd) {
        let mut watch = self.watch.borrow_mut();
        if let Some(open) = watch.as_mut() {
            open.set.remove(connection.as_fd());
            open.count -= 1;
            if open.count == 0 {
                *watch = None;
            }
        }
    }

    /// The set, if no task waits on it yet.
    fn unattended(&self) -> Option<Rc<ReadinessSet>> {
        let watch = self.watch.borrow();
        watch.as_ref().filter(|it| it.task.is_none()).map(|it| Rc::clone(&it.set))
    }

    fn set_task(&self, task: AbortHandle) {
        if let Some(watch) = self.watch.borrow_mut().as_mut() {
            watch.task = Some(task);
        }
    }
}

/// Starts the task that waits for the clients of a listener's parked connections, if there are any and no
/// task waits yet.
pub(super) fn attend(context: &Rc<Context>, listener: ListenerId) {
    let found = context.decide(|core| {
        let acceptors = &core.distribution(listener)?.acceptors;
        let parked = Rc::clone(&acceptors.parked);
        Some((parked.unattended()?, parked, Rc::clone(&acceptors.room)))
    });
    if let Some((set, parked, room)) = found {
        let task = spawn_local(wait_for_clients(Rc::clone(context), listener, set, room));
        parked.set_task(task.abort_handle());
    }
}

/// Until the task is aborted: gives connections to workers as their clients send something, as far as
/// workers have room for them. The others stay ready meanwhile.
async fn wait_for_clients(
    context: Rc<Context>,
    listener: ListenerId,
    set: Rc<ReadinessSet>,
    room: Rc<Notify>,
) {
    let watched = watch(set).await;
    let may_unpark = || context.ask(|core| core.may_unpark(listener));
    loop {
        while !may_unpark() {
            room.notified().await;
        }
        // It fails only when the runtime ends.
        let Ok(mut ready) = watched.readable().await else { return };
        let mut is_empty = true;
        for id in watched.get_ref().ready::<READY_A_TURN>() {
            is_empty = false;
            // One that finds no room is named again.
            if may_unpark() {
                context.decide(|core| core.parked_ready(listener, id, Instant::now()));
            }
        }
        if is_empty {
            ready.clear_ready();
        }
        drop(ready);
        yield_now().await;
    }
}

/// Waits on the set, as soon as the kernel has memory for that.
async fn watch(set: Rc<ReadinessSet>) -> AsyncFd<Rc<ReadinessSet>> {
    let mut unwatched = set;
    loop {
        match watched::watch(unwatched, Interest::READABLE) {
            Ok(watched) => return watched,
            Err((set, _)) => unwatched = set,
        }
        tokio::time::sleep(crate::sys::failure::SHORTAGE_PAUSE).await;
    }
}
