//! One primary follows another, as far as whatever watches the service is concerned.
//!
//! That knows the first process: the system knows process 1, a simple supervisor its child. Unless a service manager can
//! be told of another one, the first primary stays when a successor has taken its place: as the [parent](super::parent)
//! of all later primaries.

use std::{cell::RefCell, io, os::fd::OwnedFd, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    task::spawn_local,
    time::{Instant, sleep},
};

use super::{
    super::{
        core::supervise::report::{Ended, Report},
        messages::Event,
    },
    context::Context,
    orphans::reap_orphans,
    parent::{Parent, Watched, when_ended},
    systemd::Systemd,
};
use crate::sys::{become_subreaper, exit::Exit, orphans_run};

/// How long processes that a primary has left may take to end.
const LEFT_PATIENCE: Duration = Duration::from_secs(2);

/// How often to look at these.
const INTERVAL: Duration = Duration::from_millis(20);

/// Whether this process stays when a successor takes its place.
pub(super) fn stays(context: &Context) -> bool {
    !context.primaries.borrow().has_parent() && !can_leave(context)
}

/// Whether what watches this process can be told of another. Process 1 can't be another one.
fn can_leave(context: &Context) -> bool {
    systemd(context).is_some() && std::process::id() != 1
}

fn systemd(context: &Context) -> Option<Rc<RefCell<Systemd>>> {
    context.supervision.borrow().as_ref().and_then(|it| it.systemd.clone())
}

/// The lane that the successor gets, if there is a parent, or this process is to become the parent.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub(super) fn lane_for_successor(context: &Context) -> io::Result<Option<OwnedFd>> {
    let stays = stays(context);
    context.primaries.borrow_mut().lane_for_next(stays)
}

/// The successor has failed: this process goes on as the primary.
pub(super) fn keep_place(context: &Context) {
    context.primaries.borrow_mut().withdraw_lane();
}

/// The successor serves. Tells the service manager or the parent of it, or becomes the parent itself.
pub(super) fn give_place(context: &Rc<Context>, successor: &Watched) {
    let pid = successor.get_ref().pid();
    let is_main = can_leave(context) && !context.primaries.borrow().has_parent();
    if let Some(store) = &*context.store.borrow() {
        store.hand_over();
    }
    if let Some(systemd) = systemd(context) {
        systemd.borrow_mut().hand_over(is_main.then_some(pid.unsigned_abs()));
    }
    let lane = context.primaries.borrow_mut().announce(successor.get_ref());
    let successor = Rc::clone(successor);
    match lane {
        None => {
            // This process may end together with it, before it sees that. What inherits it then is to learn how it has
            // ended.
            successor.get_ref().leave();
            drop(spawn_local(watch_successor(Rc::clone(context), successor)));
        }
        Some(lane) => {
            // Where that is not possible, later primaries are watched nevertheless.
            let inherits = become_subreaper();
            context.log().write(format_args!("stays as the parent, which inherits: {inherits}"));
            if !context.run.borrow().reaps_orphans {
                drop(spawn_local(reap_orphans(Rc::clone(context))));
            }
            drop(spawn_local(be_parent(Rc::clone(context), successor, lane)));
        }
    }
}

/// This process is the primary now, and speaks for the service.
pub(super) fn take_place(context: &Context) {
    context.primaries.borrow().announce_self();
    if let Some(systemd) = systemd(context) {
        systemd.borrow_mut().speak();
    }
}

/// Reports how the successor ends, while another process is the parent of all, or none.
async fn watch_successor(context: Rc<Context>, watched: Watched) {
    when_ended(&watched).await;
    let successor = Arc::clone(watched.get_ref());
    let exit = successor.status().ok().flatten();
    let primaries = context.primaries.borrow();
    primaries.announce_end(successor.pid(), exit);
    // Otherwise a service manager inherits it when this process ends, and only then learns how its main process has ended.
    if primaries.has_parent() {
        successor.reap();
    }
    drop(primaries);
    report(&context, exit);
}

/// Looks after all later primaries, until the last one has ended.
async fn be_parent(context: Rc<Context>, first: Watched, lane: OwnedFd) {
    let recipients = context.primaries.borrow().recipients();
    let (parent, heard) = Parent::new(first, lane, recipients, context.log());
    let exit = parent.run(heard).await;
    left_behind_ends().await;
    report(&context, exit);
}

/// Waits for the ends of the processes that the last primary has left, its workers above all: where the service is
/// started again at once, its addresses are free then. Some may be meant to run on.
async fn left_behind_ends() {
    let deadline = Instant::now() + LEFT_PATIENCE;
    while orphans_run() && Instant::now() < deadline {
        sleep(INTERVAL).await;
    }
}

fn report(context: &Context, exit: Option<Exit>) {
    let how = match exit {
        Some(Exit::Code(code)) => Ended::Code(code),
        Some(Exit::Signal(signal)) => Ended::Signal(signal),
        None => Ended::Unknown,
    };
    context.log().write(format_args!("the successor has ended: {how:?}"));
    context.emit(Event::Report { report: Report::SuccessorExited(how), stderr: None });
}
