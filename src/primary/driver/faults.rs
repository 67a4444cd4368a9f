use std::time::Instant;

use super::{context::Context, lanes::WorkerLanes};
use crate::{
    error::Error,
    protocol::WorkerId,
    sys::lane::{self, Lane},
};

/// A worker broke the protocol, can't begin, or has a lane that fails: it gets nothing more, and its
/// primary hears of it.
pub(super) fn fault(context: &Context, id: WorkerId, error: Error, lanes: &WorkerLanes) {
    // The worker learns of it too, and stops filling the control socket. Where that fails, it learns of it
    // by the IPC channel.
    let _ = lane::shutdown(&lanes.control, Lane::Control);
    // A descriptor that came with it is closed.
    context.reserve.borrow_mut().refill();
    let now = Instant::now();
    context.decide(|core| core.withdraw(id, now));
    context.report(id, error);
    // It may go on for as long as it likes, but not in its slot.
    context.decide(|core| core.supervise(now, |it| it.faults(id, now)));
}
