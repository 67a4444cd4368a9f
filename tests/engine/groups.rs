//! Workers that lead process groups.

use std::io::{BufRead, BufReader, PipeReader};

use rs_cluster::primary::{
    DrainOptions,
    recipe::{Outputs, Recipe, Started},
};

use super::{shell::shell, *};

impl Primary {
    /// A worker that leads a process group, whose process runs this program of the shell; and its output.
    fn leader(&self, id: WorkerId, script: &str) -> (Started, BufReader<PipeReader>) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let recipe = Recipe {
            stdio: vec![-2, writer.as_raw_fd(), 2, -1],
            queue_timeout: self.queue_timeout,
            keeps_stderr: false,
            ..shell(script)
        };
        (recipe.start(id, None, Outputs::default()).expect("a worker"), BufReader::new(reader))
    }
}

fn line(output: &mut BufReader<PipeReader>) -> String {
    if output.buffer().is_empty() {
        wait_readable(output.get_ref().as_fd());
    }
    let mut line = String::new();
    output.read_line(&mut line).expect("a pipe");
    line
}

#[test]
fn the_rest_of_a_group_is_killed_before_the_exit_is_reported() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let (started, mut output) =
        primary.leader(1, "(trap '' TERM; echo ready; exec sleep 60) & exec sleep 60");
    let process = Arc::clone(&started.forked.adopted.process);
    primary.command(Command::Adopt(started.forked.adopted));
    assert_eq!(line(&mut output), "ready\n");
    // To the leader alone.
    process.signal(libc::SIGTERM).expect("a running process");
    primary.expect_exit(1, Exit::Signal(libc::SIGTERM));
    process.signal(0).expect("a zombie, for JavaScript to reap");
    assert_eq!(line(&mut output), "", "its child has ended");
}

#[test]
fn the_signals_of_a_drain_go_to_the_group() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let child = "(trap 'echo terminated; kill $!' TERM; sleep 60 & echo ready; wait)";
    let (started, mut output) = primary.leader(1, &format!("trap '' TERM; {child} & wait"));
    primary.command(Command::Adopt(started.forked.adopted));
    assert_eq!(line(&mut output), "ready\n");
    let (timeout, kill_timeout) = (Duration::ZERO, DEADLINE);
    let options =
        DrainOptions { timeout, kill_timeout, reason: None, hands_over: false, keeps_queue: false };
    primary.engine.drain(1, options).expect("a running engine");
    assert_eq!(line(&mut output), "terminated\n");
    primary.expect_exit(1, Exit::Code(0));
}
