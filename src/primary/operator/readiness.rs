//! Whether the program serves.

use super::super::core::supervise::{
    report::State,
    status::{SlotState, Status},
};
use crate::protocol::WorkerId;

/// Whether a worker is ready whose event loop turns, and the supervisor does not stop.
///
/// # Errors
/// Why not.
pub(super) fn readiness(
    status: &Status,
    is_stuck: impl Fn(WorkerId) -> bool,
) -> Result<(), &'static str> {
    match status.state {
        State::Stopping => return Err("stopping"),
        State::Stopped => return Err("stopped"),
        State::Failed => return Err("failed"),
        State::Starting | State::Ready | State::Reloading | State::Upgrading => {}
    }
    let ready = status.slots.iter().filter(|slot| slot.state == SlotState::Ready);
    let ready: Vec<_> = ready.filter_map(|slot| slot.worker).collect();
    if ready.iter().any(|worker| !is_stuck(*worker)) {
        return Ok(());
    }
    Err(match (ready.is_empty(), status.state) {
        (true, State::Starting) => "starting",
        (true, _) => "no worker is ready",
        (false, _) => "all workers are stalled",
    })
}
