//! The engine of `rs-cluster`: Node's `cluster`, with the work taken out of JavaScript.
pub mod channel;
pub mod error;
#[forbid(unsafe_code)]
pub mod primary;
#[forbid(unsafe_code)]
pub mod protocol;
#[forbid(unsafe_code)]
pub mod scheduler;
#[expect(unsafe_code, reason = "system calls")]
pub mod sys;
#[forbid(unsafe_code)]
pub mod worker;

#[cfg(feature = "binding")]
mod binding;
