//! The commands on stdin.

use std::{io, thread};

use tokio::sync::mpsc;

/// What the program is told while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Burst,
    Status,
    Stop,
}

pub(crate) type Receiver = mpsc::UnboundedReceiver<Command>;

/// Reads commands in a thread of its own. The end of stdin is the command to stop if `end_stops`.
pub(crate) fn read(end_stops: bool) -> Receiver {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            let command = match line.trim() {
                "burst" => Command::Burst,
                "status" => Command::Status,
                "stop" => Command::Stop,
                other => {
                    eprintln!("not a command: {other:?}");
                    continue;
                }
            };
            if sender.send(command).is_err() {
                return;
            }
        }
        if end_stops {
            // It fails if the program ends anyway.
            let _ = sender.send(Command::Stop);
            return;
        }
        // The channel must not close, which would end the run.
        loop {
            thread::park();
        }
    });
    receiver
}
