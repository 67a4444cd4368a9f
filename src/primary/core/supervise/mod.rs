//! Supervision: what the engine does about workers that do not do what they should.
//!
//! - [`beat`]: whether a worker's event loop turns; [`looks`]: the looks at all workers, and what follows;
//!   [`watched`]: what is known from them.

pub(crate) mod beat;
pub(crate) mod looks;
pub(crate) mod watched;
