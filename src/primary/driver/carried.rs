//! What one primary counts and another goes on with.

use super::{
    super::{core::stats, operator::carried},
    context::Context,
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
    pub(super) fn carried(&mut self, context: &Context) -> Vec<Counted> {
        let mut carried = context.counters.carried(&mut self.connections);
        carried.extend(context.board.carried(&mut self.events));
        carried
    }
}

/// Goes on with what another primary has counted.
pub(super) fn add(context: &Context, counted: &Counted) {
    context.counters.add_carried(counted);
    context.board.add_carried(counted);
}
