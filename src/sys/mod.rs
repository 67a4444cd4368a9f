//! System calls and the C functions of the Node executable. The only module with `unsafe`, and the
//! only one that may differ by platform.
//!
//! - [`failure`]: what a failed call means,
//! - [`lane`]: socket pairs, and descriptors passed through them (`message`), [`ring`]: shared memory,
//! - `descriptor`: what any descriptor can be asked and told,
//! - [`reserve`]: what to do without descriptors,
//! - [`listen`]: addresses bound and connections accepted, `socket_file`: the files of some, [`socket`]: what a descriptor really is,
//! - [`spawn`] and [`exit`]: a child process begins and ends (`wait`), [`load`]: whether it gets to run,
//! - [`thread`]: whether a thread of ours waits,
//! - [`watched`]: what the engine waits on,
//! - `linux`, `macos`: where these differ. Callers of this module see no difference,
//! - `node`: libuv's polls and timers, Node-API's callback scope, and functions for JavaScript.
//!
//! Every descriptor is close-on-exec from birth; on macOS as soon as it is there, and a process that is
//! started meanwhile does not get it.

mod accept;
mod address;
mod call;
mod descriptor;
pub mod exit;
pub mod failure;
mod inherit;
#[cfg(any(test, feature = "inject"))]
pub mod inject;
pub mod lane;
pub mod listen;
pub mod load;
mod message;
#[cfg(feature = "binding")]
pub mod node;
mod process_load;
mod program;
pub mod reserve;
pub mod ring;
pub mod socket;
mod socket_file;
pub mod spawn;
pub mod thread;
mod transfer;
mod wait;
pub mod watched;

#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(target_os = "macos", path = "macos/mod.rs")]
mod platform;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!("rs-cluster's engine needs Linux or macOS: what they have is in src/sys/linux");

pub use self::{
    descriptor::{descriptor_limit, duplicate, duplicate_above, scarce_descriptors},
    exit::exit_now,
    failure::errno,
    inherit::inherit,
    platform::use_batch_scheduling,
};
