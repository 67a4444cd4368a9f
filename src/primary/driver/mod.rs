//! The driver of the [core](super::core): the engine's thread, the tasks on it that wait for lanes, sockets,
//! processes and deadlines, and the system calls that carry out what the core decides.
//!
//! - here: the thread and its loop over commands; [`context`]: what its tasks share,
//! - [`worker_task`]: one worker; [`requests`]: what workers ask for; [`bind`]: addresses;
//!   [`rehearsal`]: what stands for them,
//! - [`acceptor`]: one listening socket; [`pace`]: how fast connections come; [`parked_task`]: connections that wait
//!   for their clients; [`timers`]: the deadlines of the core,
//! - [`engine_driver`], [`lanes`], [`watchdog_lane`], [`listening_socket`], [`parked_connections`]: what the core sees as its driver,
//! - [`supervised`]: how supervision begins; [`orders`]: what the program wants of it; [`supervision`]: what the core sees of it,
//! - [`successor`]: the process that is to take over; [`successor_task`]: how it does,
//! - [`http`]: what operators ask; [`asks`]: until it is done; [`observe`]: what they are told; [`reading`]:
//!   the clocks, and what processes use,
//! - [`predecessor`]: the primary whose place this one takes; [`carried`]: counts that go on,
//! - [`systemd`]: what the service manager is told; [`fd_store`]: what it stores; [`orphans`]: what process 1 has to
//!   reap,
//! - [`succession`]: one primary follows another, as the service manager sees it; [`primaries`]: what a primary has of
//!   the others; [`parent`]: the process that stays,
//! - [`ticket_keys`]: which workers have the keys of TLS session tickets,
//! - [`faults`]: the end of a worker that breaks the protocol; [`accept_guard`]: the end of an `accept` that
//!   waits; [`debug_log`]: `NODE_DEBUG=cluster`.

mod accept_guard;
mod acceptor;
mod asks;
mod bind;
mod carried;
mod context;
mod debug_log;
mod engine_driver;
mod faults;
mod fd_store;
mod http;
mod lanes;
mod listening_socket;
mod observe;
mod orders;
mod orphans;
mod pace;
mod parent;
mod parked_connections;
mod parked_task;
mod predecessor;
mod primaries;
pub(super) mod reading;
mod rehearsal;
mod requests;
mod succession;
mod successor;
mod successor_task;
mod supervised;
mod supervision;
mod systemd;
mod ticket_keys;
mod timers;
mod watchdog_lane;
mod worker_task;

use std::{rc::Rc, sync::Arc, time::Instant};

use tokio::{
    runtime::Runtime,
    sync::mpsc::{self, UnboundedReceiver, unbounded_channel},
    task::{LocalSet, spawn_local},
};

use self::{
    bind::replace_lost,
    context::{Context, all_read},
    orders::carry_out,
    successor_task::end_now,
    supervised::{answer_operators, begin, forked},
    timers::run_timers,
    worker_task::{Attending, adopt, leave},
};
use super::{
    core::stats::Counters,
    messages::{Command, Emit, Event, Settings},
    operator::board::SharedBoard,
};
use crate::sys::reserve::Reserve;

/// What the thread of an engine has from its start.
pub(super) struct Equipment {
    pub(super) settings: Settings,
    pub(super) emit: Emit,
    pub(super) reserve: Reserve,
    pub(super) counters: Arc<Counters>,
    /// Where the state of supervision is shown.
    pub(super) board: SharedBoard,
}

/// The engine's thread, from beginning to end: until the [`Engine`](super::Engine) is dropped, and the last of
/// its workers has ended.
pub(super) fn run(
    runtime: &Runtime,
    mut commands: UnboundedReceiver<Command>,
    equipment: Equipment,
) {
    let Equipment { settings, emit, reserve, counters, board } = equipment;
    let (lost_sockets, lost) = unbounded_channel();
    let context = Rc::new(Context::new(settings, emit, reserve, counters, board, lost_sockets));
    LocalSet::new().block_on(runtime, async {
        spawn_local(run_timers(Rc::clone(&context)));
        spawn_local(replace_lost(Rc::clone(&context), lost));
        // Each worker's task holds a sender.
        let (attending, mut all_ended) = mpsc::channel(1);
        while let Some(command) = commands.recv().await {
            match command {
                // Commands about it come later.
                Command::Adopt(adopted) => adopt(&context, adopted, attending.clone()).await,
                // What a worker has returned before it leaves goes to others, or waits for the next one.
                Command::Withdraw(worker) => {
                    all_read().await;
                    context.decide(|core| core.withdraw(worker, Instant::now()));
                }
                Command::Leave(worker) => {
                    all_read().await;
                    drop(spawn_local(leave(Rc::clone(&context), worker)));
                }
                Command::Drain { worker, options, done } => {
                    context.decide(|core| core.drain(worker, options, Instant::now()));
                    // The caller may have ceased to wait.
                    let _ = done.try_send(());
                }
                Command::Pause(worker) => {
                    context.decide(|core| core.pause(worker, Instant::now()));
                }
                Command::Resume(worker) => {
                    context.decide(|core| core.resume(worker, Instant::now()));
                }
                Command::Supervise(supervise) => begin(&context, *supervise),
                Command::Forked(worker, started) => {
                    forked(&context, worker, started, attending.clone()).await;
                }
                Command::SuccessorStarted(started) => successor_task::started(&context, started),
                Command::Supervision(order) => carry_out(&context, order),
                Command::Operator(order) => answer_operators(&context, order),
                Command::TakeOverFailed(reason, done) => {
                    predecessor::give_up(&context, &reason);
                    // The caller may have ceased to wait.
                    let _ = done.try_send(());
                }
                Command::SignalSuccessor(signal) => context.primaries.borrow().signal(signal),
                Command::EndOthers(done) => {
                    context.succession.borrow_mut().abandon();
                    context.primaries.borrow().end_earlier();
                    // The caller may have ceased to wait.
                    let _ = done.try_send(());
                }
                Command::Barrier(token) => {
                    context.decide(|core| core.close_unserved_all());
                    context.emit(Event::Passed(token));
                }
            }
        }
        // This process ends without a stop, so the service manager gives what it stores to the next one.
        context.leave_stored();
        context.succession.borrow_mut().abandon();
        // The workers' lanes have to stay open, as long as this process is there: see `Watchdog`. And
        // without JavaScript no other code reaps them.
        context.decide(|core| {
            core.end_supervision();
            core.withdraw_all(Instant::now());
        });
        *context.supervision.borrow_mut() = None;
        drop(attending);
        let _: Option<Attending> = all_ended.recv().await;
        let abandoned =
            context.succession.borrow().successor().filter(|it| it.is_abandoned()).cloned();
        if let Some(successor) = abandoned {
            end_now(&successor.process);
        }
    });
}
