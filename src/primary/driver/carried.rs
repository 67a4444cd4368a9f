//! What one primary counts and another goes on with.

use super::super::{
    core::stats::{self, Counters},
    operator::{board::Board, carried},
};
use crate::protocol::upgrade::Counted;

/// What another primary has been told of what this one counts.
#[derive(Debug, Default)]
pub(super) struct Carrier {
    connections: stats::Carrier,
    events: carried::Carrier,
}

impl Carrier {
    /// What has been counted since the last call.
    pub(super) fn carried(&mut self, counters: &Counters, board: &Board) -> Vec<Counted> {
        let mut carried = counters.carried(&mut self.connections);
        carried.extend(board.carried(&mut self.events));
        carried
    }
}

/// Goes on with what another primary has counted.
pub(super) fn add(counters: &Counters, board: &Board, counted: &Counted) {
    counters.add_carried(counted);
    board.add_carried(counted);
}
