//! Processes that this one has inherited, because it is process 1, or a subreaper.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use nix::sys::prctl::set_child_subreaper;

use super::children::children_of;
use crate::sys::wait::{first_ended, waitid};

/// How many processes are being started: they have no [`Kept`] yet.
static STARTING: AtomicUsize = AtomicUsize::new(0);

/// The children that something else reaps.
static KEPT: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// A process is being started, until this is dropped.
pub(in crate::sys) struct Starting(());

impl Starting {
    pub(in crate::sys) fn begin() -> Self {
        STARTING.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        STARTING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Keeps a child from being taken for an orphan.
#[derive(Debug)]
pub(in crate::sys) struct Kept(i32);

impl Kept {
    pub(in crate::sys) fn new(pid: i32) -> Self {
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
        Self(pid)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = kept.iter().position(|pid| *pid == self.0) {
            kept.swap_remove(index);
        }
    }
}

fn is_kept(pid: i32) -> bool {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).contains(&pid)
}

/// Makes this process inherit the descendants whose parents end, as process 1 does. Returns whether it does.
pub fn become_subreaper() -> bool {
    set_child_subreaper(true).is_ok()
}

/// Whether children run that something else has started, as far as the kernel lists them.
pub fn orphans_run() -> bool {
    let runs = |pid: &i32| !is_kept(*pid) && !has_ended(*pid);
    children().is_some_and(|pids| pids.iter().any(runs))
}

/// Reaps children that have ended, and that nothing else in this process reaps.
#[derive(Debug, Default)]
pub struct Orphans {
    /// Those that had ended at the last look. What libuv has started it reaps in less time than from one look to the
    /// next.
    ended: BTreeSet<i32>,
}

impl Orphans {
    /// Looks at the children, and reaps those that had ended at the last look already. Returns their ids. Costs one
    /// system call while no child has ended.
    pub fn reap(&mut self) -> Vec<i32> {
        self.reap_among(|_| true)
    }

    fn reap_among(&mut self, may_be: impl Fn(i32) -> bool) -> Vec<i32> {
        let before = std::mem::take(&mut self.ended);
        if STARTING.load(Ordering::SeqCst) > 0 {
            return Vec::new();
        }
        // Without children there is nothing to reap.
        let Ok(Some(first)) = first_ended() else { return Vec::new() };
        let strangers = children().unwrap_or_else(|| vec![first]).into_iter();
        let strangers = strangers.filter(|pid| may_be(*pid) && !is_kept(*pid) && has_ended(*pid));
        let (due, new): (Vec<_>, Vec<_>) = strangers.partition(|pid| before.contains(pid));
        self.ended.extend(new);
        let reap = |pid: &i32| matches!(waitid(libc::P_PID, *pid, libc::WNOHANG), Ok(Some(_)));
        due.into_iter().filter(reap).collect()
    }
}

fn has_ended(pid: i32) -> bool {
    matches!(waitid(libc::P_PID, pid, libc::WNOHANG | libc::WNOWAIT), Ok(Some(_)))
}

/// The ids of all children; `None` where the kernel does not list them.
fn children() -> Option<Vec<i32>> {
    children_of("self")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::sys::exit::Process;

    fn ended() -> i32 {
        let pid = Command::new("true").spawn().unwrap().id().cast_signed();
        while !has_ended(pid) {
            std::thread::yield_now();
        }
        pid
    }

    #[test]
    fn only_a_process_that_nothing_keeps_is_reaped_and_not_at_the_first_look() {
        let stranger = ended();
        let worker = Process::watch(ended()).unwrap();
        let running = Command::new("sleep").arg("60").spawn().unwrap().id().cast_signed();
        // Other tests have children at the same time, and start some, which postpones a look.
        let mine = [stranger, worker.pid(), running];
        let mut orphans = Orphans::default();
        let mut reaped = Vec::new();
        while reaped.is_empty() {
            let was_seen = orphans.ended.contains(&stranger);
            reaped = orphans.reap_among(|pid| mine.contains(&pid));
            assert!(was_seen || reaped.is_empty());
        }
        assert_eq!(reaped, [stranger]);
        assert!(!has_ended(stranger));
        assert!(has_ended(worker.pid()));
        Process::watch(running).unwrap().end();
    }
}
