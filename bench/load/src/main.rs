//! `rs-cluster-load LOAD`: opens connections to a server on 127.0.0.1 as [`Load`] says, in JSON, and
//! prints the results as a line of JSON.
//!
//! The program has one thread, which does as little as possible, because it shares the machine with
//! the servers.

#![forbid(unsafe_code)]

mod connection;
mod load;
mod report;
mod run;
mod timer;

use std::{env, io, process::ExitCode};

use load::Load;

fn main() -> ExitCode {
    match parse().and_then(|load| run::run(&load)) {
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

fn parse() -> io::Result<Load> {
    let argument = env::args().nth(1).unwrap_or_default();
    Ok(serde_json::from_str(&argument)?)
}
