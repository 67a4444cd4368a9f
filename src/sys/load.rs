//! What the kernel's scheduler knows of a process.

use std::{fs, time::Duration};

/// How long the main thread of a process has been ready to run, but has waited for a processor.
///
/// `None` where the kernel does not tell: it has no `/proc`, or keeps no such count.
pub fn waited_for_processor(pid: i32) -> Option<Duration> {
    // Time run, time waited, both in nanoseconds, and a count of turns.
    let counts = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    counts.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_has_a_count_and_a_missing_one_has_none() {
        let count = || waited_for_processor(std::process::id().cast_signed());
        let first = count().unwrap();
        assert!(count().unwrap() >= first);
        assert_eq!(waited_for_processor(-1), None);
    }
}
