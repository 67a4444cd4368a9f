//! `rs-cluster-load connections LOAD` opens connections to a server on 127.0.0.1 as [`connections::Load`]
//! says, in JSON, and prints the results as a line of JSON.
//!
//! `rs-cluster-load kept KEPT` opens connections as [`kept::Kept`] says, in JSON, and keeps them open: see
//! [`kept`].
//!
//! `rs-cluster-load traffic PLAN` sends requests of many shapes at once as [`traffic::Plan`] says, in
//! JSON, obeys the commands on stdin, and prints what failed as a line of JSON: see [`traffic`].

#![forbid(unsafe_code)]

mod connections;
mod kept;
mod traffic;

use std::{env, io, process::ExitCode};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

fn main() -> ExitCode {
    match run() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<String> {
    let mut arguments = env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let argument = arguments.next().unwrap_or_default();
    allow_descriptors()?;
    match mode.as_str() {
        "connections" => connections::run(&serde_json::from_str(&argument)?),
        "kept" => kept::run(&serde_json::from_str(&argument)?),
        "traffic" => traffic::run(serde_json::from_str(&argument)?),
        _ => Err(io::Error::other(
            "usage: rs-cluster-load connections LOAD | kept KEPT | traffic PLAN",
        )),
    }
}

/// Raises the limit of descriptors, because thousands of connections may wait for a server that stalls.
fn allow_descriptors() -> nix::Result<()> {
    let (_, maximum) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, maximum, maximum)
}
