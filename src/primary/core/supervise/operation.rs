//! What the supervisor is asked to do, one thing at a time.

use std::time::{Duration, Instant};

use super::report::{Generation, Rejection, SlotNumber, Token};

/// By which the driver knows the recipe of a generation.
pub(crate) type RecipeId = u32;

/// What is asked for.
#[derive(Debug)]
pub(super) enum Request {
    Reload { token: Token, recipe: RecipeId },
    Scale { token: Token, workers: u32 },
    Restart { token: Token, slot_or_id: u32 },
}

/// What is under way.
#[derive(Debug)]
pub(super) enum Operation {
    Reload(Reload),
    /// These slots are new; there were so many before.
    Scale {
        token: Token,
        slots: Vec<SlotNumber>,
        before: u32,
    },
    Restart {
        token: Token,
        slot: SlotNumber,
    },
    /// The worker of this slot has reached a limit.
    Recycle {
        slot: SlotNumber,
    },
    Upgrade(Upgrade),
}

/// A reload.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) token: Token,
    pub(super) generation: Generation,
    pub(super) began: Instant,
    pub(super) phase: ReloadPhase,
}

/// How far a reload has come.
#[derive(Debug)]
pub(super) enum ReloadPhase {
    /// This slot has, or gets, the first worker of the new generation.
    Canary(SlotNumber),
    /// All slots get workers of the new generation.
    Rolling,
    /// A worker of the new generation has failed: all slots get workers of the old one.
    RollingBack(Rejection),
}

/// Another primary is to take over.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) token: Token,
    pub(super) began: Instant,
    pub(super) phase: UpgradePhase,
}

/// How far an upgrade has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UpgradePhase {
    /// The successor starts, and gets ready. Nothing is taken from this primary.
    Preparing,
    /// It has been told to serve, and this primary accepts nothing meanwhile.
    Committing,
}

/// Whether another primary has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Succession {
    /// None has.
    None,
    /// One has, and gets all that still comes.
    HandingOver,
    /// All workers have ended; the last that the successor gets is on its way.
    Ending,
    /// It has everything.
    Done,
}

/// A stop that was asked for while it was not known whether the successor serves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deferred {
    pub(super) at: Instant,
    pub(super) timeout: Duration,
}

impl Request {
    pub(super) fn token(&self) -> Token {
        match self {
            Self::Reload { token, .. }
            | Self::Scale { token, .. }
            | Self::Restart { token, .. } => *token,
        }
    }
}

impl Operation {
    /// For the answer to the program, which waits for all but the replacement of a worker that has reached a limit.
    pub(super) fn token(&self) -> Option<Token> {
        match self {
            Self::Reload(Reload { token, .. })
            | Self::Scale { token, .. }
            | Self::Restart { token, .. }
            | Self::Upgrade(Upgrade { token, .. }) => Some(*token),
            Self::Recycle { .. } => None,
        }
    }
}
