//! What the kernel's scheduler knows of a process.

use std::{fs, time::Duration};

/// How the main thread of a process gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The time it has run.
    pub ran: Duration,
    /// Whether it runs, or would if it had a processor.
    pub runnable: bool,
}

/// How the main thread of a process gets on now.
///
/// `None` where the kernel does not tell: it has no `/proc`, or keeps no such counts.
pub fn load_of(pid: i32) -> Option<Load> {
    // The time run in nanoseconds comes first. The time waited, next to it, is of no use: a wait
    // is added when it ends.
    let counts = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let ran = counts.split_ascii_whitespace().next()?.parse().map(Duration::from_nanos).ok()?;
    // The state stands behind the name, which is in parentheses and may hold some itself.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let runnable = stat.rsplit_once(") ")?.1.starts_with('R');
    Some(Load { ran, runnable })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_spins_is_runnable_and_one_that_sleeps_is_not() {
        let load = |command: &mut Command, wanted: fn(&Load) -> bool| {
            let mut child = command.spawn().unwrap();
            let pid = child.id().cast_signed();
            let found = (0..1_000_000).find_map(|_| load_of(pid).filter(wanted));
            child.kill().unwrap();
            child.wait().unwrap();
            found.is_some()
        };
        let spinning = &mut Command::new("sh");
        assert!(load(spinning.args(["-c", "while :; do :; done"]), |load| {
            load.runnable && load.ran > Duration::from_millis(20)
        }));
        assert!(load(Command::new("sleep").arg("60"), |load| !load.runnable));
        assert_eq!(load_of(-1), None);
    }
}
