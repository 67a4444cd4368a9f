//! The task that waits for the clients of a listener's parked connections.

use std::{rc::Rc, time::Instant};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
    task::{spawn_local, yield_now},
    time::sleep,
};

use super::context::Context;
use crate::{
    protocol::ListenerId,
    sys::{failure::SHORTAGE_PAUSE, readiness_set::ReadinessSet, watched},
};

/// Connections whose clients have sent something that go to workers before other tasks get a turn.
const READY_A_TURN: usize = 64;

/// Starts the task, if connections are parked and no task waits for their clients yet.
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
        sleep(SHORTAGE_PAUSE).await;
    }
}
