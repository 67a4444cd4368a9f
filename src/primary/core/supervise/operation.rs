//! What the supervisor is asked to do, one thing at a time.

use std::time::Instant;

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
            | Self::Restart { token, .. } => Some(*token),
            Self::Recycle { .. } => None,
        }
    }
}
