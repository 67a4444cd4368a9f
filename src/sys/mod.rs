//! System calls, by `nix` and `libc`, and the C functions of the Node executable. The only module with
//! `unsafe`, and the only one that differs by platform.
//!
//! - [`failure`]: what a failed call means (`call`),
//! - [`lane`]: socket pairs, and descriptors passed through them (`transfer`, `message`), [`ring`]:
//!   shared memory,
//! - `descriptor`: operations on any descriptor, `inherit`: descriptors that this process was started
//!   with,
//! - [`reserve`]: a spare descriptor for when the process has no other; [`free_descriptors`]: whether it has another,
//! - [`listen`]: addresses bound, and connections accepted (`address`, `accept`, `socket_file`), [`adopt`]: sockets
//!   that were bound elsewhere,
//!   [`socket`]: the type of a descriptor, [`operator_socket`]: where operators ask,
//! - [`spawn`] and [`exit`]: how a child process begins and ends (`program`, `wait`), [`load`]: whether
//!   it runs, [`Orphans`]: those that other processes have left,
//!   `usage`: what it takes, [`unread`]: what it has not read,
//! - [`pipe`]: the output of children, copied,
//! - [`Notifier`]: datagrams for a service manager,
//! - [`thread`]: whether a thread of this process waits,
//! - [`watched`]: what the engine waits on, [`readiness_set`]: many descriptors as one,
//! - `linux`, `macos`: what differs. Callers of this module see no difference,
//! - `node`: libuv's polls and timers, Node-API's callback scope, and functions for JavaScript.
//!
//! Every descriptor is close-on-exec from the start; on macOS right after it was made, and a process
//! that is started meanwhile does not get it.

mod accept;
mod address;
pub mod adopt;
mod call;
mod descriptor;
pub mod exit;
pub mod failure;
pub mod free_descriptors;
mod inherit;
#[cfg(any(test, feature = "inject"))]
pub mod inject;
pub mod lane;
pub mod listen;
pub mod load;
mod message;
#[cfg(feature = "binding")]
pub mod node;
mod notify;
pub mod operator_socket;
pub mod pipe;
mod process_load;
mod program;
pub mod readiness_set;
pub mod reserve;
pub mod ring;
pub mod socket;
mod socket_file;
pub mod spawn;
pub mod thread;
mod transfer;
pub mod unread;
mod usage;
mod wait;
pub mod watched;

#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(target_os = "macos", path = "macos/mod.rs")]
mod platform;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!("rs-cluster's engine needs Linux or macOS: what they have is in src/sys/linux");

pub use self::{
    descriptor::{descriptor_limit, duplicate, duplicate_above, scarce_descriptors},
    exit::{exit_now, signal_name},
    failure::{errno, errno_name},
    inherit::{close_inherited, duplicate_inherited, inherit},
    notify::{Notifier, Sent},
    platform::BatchScheduling,
    platform::orphans::{Orphans, become_subreaper, orphans_run},
    usage::{cpu_time_of, memory_of, thread_time},
};
