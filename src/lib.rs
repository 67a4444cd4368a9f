//! The engine of `rs-cluster`: Node's `cluster`, with the work taken out of JavaScript.
//!
//! # Data flow
//!
//! Three lanes connect the primary with each worker, made by [`fork`](primary::fork::fork): Unix socket
//! pairs, one of them together with shared memory:
//!
//! ```text
//!             primary                                             worker
//!   JavaScript      engine thread                               JavaScript
//!       |                 |                                          |
//!       |<=== IPC channel: messages, both ways =====================>|
//!       |     (shared memory, and a stream that wakes the reader)    |
//!       | Command         |<== control socket: ToPrimary, ToWorker =>|
//!       |---------------->|=== hand-off queue: connections =========>|
//!       |<----------------|<-- a duplicate of its receiving end -----|
//!         Event
//! ```
//!
//! The main idea: **the hand-off queue is a queue of the kernel.** One packet is one connection, which
//! belongs to the process that receives it first, so it is served once without any acknowledgement. The
//! primary keeps a duplicate of the receiving end. So it sees how many connections wait there, and takes
//! back those that a dead, leaving or stuck worker has not taken.
//!
//! # Reading order
//!
//! 1. [`protocol`]: what the lanes carry. [`scheduler`]: who gets the next connection. Pure rules.
//! 2. [`sys`]: the system calls, and the few C functions of Node.
//! 3. [`ipc`]: one end of an IPC channel.
//! 4. [`primary`]: its `core` decides, pure rules again; its `driver` is the thread that carries them out.
//!    [`worker`]: the other end.
//! 5. `binding`: all that JavaScript sees.
//!
//! # Invariants
//!
//! Each is checked by what stands in brackets.
//!
//! 1. Only `binding` names napi; the core builds and is tested without it
//!    (`cargo test --no-default-features`, `tests/architecture.rs`).
//! 2. Only [`sys`] contains `unsafe`, and every block says why it is sound (`unsafe_code` is denied,
//!    `clippy::undocumented_unsafe_blocks`, `tests/architecture.rs`).
//! 3. [`protocol`], [`scheduler`] and the core of [`primary`] do no I/O and read no clock
//!    (`tests/architecture.rs`). So the core is tested in memory: no connection is lost or served twice,
//!    whatever workers do (`src/primary/core/simulation`).
//! 4. Whether a worker may get a connection is one state machine, which one file changes
//!    (`src/primary/core/availability.rs`, `tests/architecture.rs`).
//! 5. Modules depend one way: `binding` → [`primary`], [`worker`] → [`ipc`] → [`protocol`],
//!    [`scheduler`], [`sys`] (`tests/architecture.rs`). [`sys`] knows of [`protocol`] only the
//!    addresses it binds, and the sizes of packets and counters. No files import each other, also not
//!    through others (`tests/architecture.rs`).
//! 6. One thread owns the engine's state, so it has no locks: [`primary::Command`]s go down,
//!    [`primary::Event`]s come up (the state is `!Send`). What it counts, other threads read
//!    ([`primary::stats`]), and wait for nothing (`tests/engine/hostile.rs`).
//! 7. A descriptor is an [`OwnedFd`](std::os::fd::OwnedFd) until JavaScript takes it, and
//!    close-on-exec from birth (`__test__/environment/inheritance.spec.js`,
//!    `__test__/lifecycle/cleanup.spec.js`).
//! 8. Nothing here blocks the JavaScript thread, unless its process is about to end, and no panic crosses
//!    into C: no `unwrap`, `expect` or `panic!` outside tests (clippy), and callbacks are contained
//!    (`sys::node`).
//! 9. State belongs to an instance, not to the process: several environments may load the addon
//!    (`__test__/environment/several-instances.spec.js`).
//!
//! 10. A program's slots are kept filled by rules that are pure, too, and need no JavaScript
//!     (`src/primary/core/supervise`, whose simulation plays programs that fail in every way).
//!
//! # What is absent
//!
//! No JavaScript decides where a connection goes. No timer runs while nothing waits. Nothing is decided
//! here that JavaScript can decide as Node does: settings, error classes and the order of events are in
//! `lib/`.

pub mod error;
pub mod ipc;
pub mod primary;
pub mod protocol;
pub mod scheduler;
#[expect(unsafe_code, reason = "system calls and C functions; see the second invariant")]
pub mod sys;
pub mod worker;

#[cfg(feature = "binding")]
mod binding;
