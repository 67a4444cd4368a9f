//! What it takes to start the primary that is to take over.

use std::{
    ffi::CString,
    fmt::Display,
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

use super::stdio::Stdio;
use crate::{
    error::{Error, Result},
    sys::{exit::Process, lane, spawn},
};

/// The variable that tells the successor the number of its end of the lane between the two primaries.
pub const LANE_VARIABLE: &str = "RS_CLUSTER_UPGRADE";

/// The lane comes after the standard streams at least.
const FIRST: usize = 3;

/// What it takes to start the primary that is to take over.
#[derive(Debug)]
pub struct PrimaryRecipe {
    /// Path of the executable.
    pub file: CString,
    /// All arguments, the first being the program's own name.
    pub args: Vec<CString>,
    /// The environment, as `NAME=value`. [`LANE_VARIABLE`] is added, or replaced.
    pub env: Vec<CString>,
    /// The directory to start in; this process's if `None`.
    pub cwd: Option<CString>,
    /// The child's descriptors, by number: see [`Stdio::open`]. A pipe has no other end.
    pub stdio: Vec<i32>,
}

/// A primary that was started. Whoever drops it unused has to end its process.
#[derive(Debug)]
pub struct StartedPrimary {
    /// Its process, which leads a process group.
    pub process: Arc<Process>,
    /// Our end of the lane between the two primaries.
    pub lane: OwnedFd,
}

impl PrimaryRecipe {
    /// Starts the primary.
    ///
    /// # Errors
    /// That of the system call that failed. Nothing is left open or running then.
    pub fn start(&self) -> Result<StartedPrimary> {
        let (ours, theirs) = lane::packet_pair().map_err(Error::system("socketpair"))?;
        let Stdio { mut descriptors, kept_open, .. } = Stdio::open(&self.stdio)?;
        let number = descriptors.len().max(FIRST);
        descriptors.resize(number, None);
        descriptors.push(Some(theirs.as_raw_fd()));
        let program = spawn::Program {
            file: self.file.clone(),
            args: self.args.clone(),
            env: self.env(number),
            cwd: self.cwd.clone(),
            descriptors,
            uid: None,
            gid: None,
            own_group: true,
        };
        let process = Arc::new(spawn::spawn(&program)?);
        drop(kept_open);
        Ok(StartedPrimary { process, lane: ours })
    }

    fn env(&self, number: impl Display) -> Vec<CString> {
        let begin = format!("{LANE_VARIABLE}=");
        let is_it = |given: &&CString| !given.as_bytes().starts_with(begin.as_bytes());
        let mut env: Vec<_> = self.env.iter().filter(is_it).cloned().collect();
        // Text without null bytes.
        env.extend(CString::new(format!("{begin}{number}")));
        env
    }
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsFd, time::Duration};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;
    use crate::protocol::control::MAX_PACKET;

    fn c(text: &str) -> CString {
        CString::new(text).unwrap()
    }

    #[test]
    fn a_primary_finds_its_end_of_the_lane_by_the_variable() {
        let script = format!("printf \"${LANE_VARIABLE}\" >&\"${LANE_VARIABLE}\"");
        let recipe = PrimaryRecipe {
            file: c("/bin/sh"),
            args: vec![c("sh"), c("-c"), c(&script)],
            env: vec![c("PATH=/usr/bin:/bin"), c(&format!("{LANE_VARIABLE}=99"))],
            cwd: None,
            stdio: vec![-2, 1, 2, -1, -1],
        };
        let StartedPrimary { process, lane } = recipe.start().unwrap();
        let within = PollTimeout::try_from(Duration::from_secs(20)).unwrap();
        assert_eq!(poll(&mut [PollFd::new(lane.as_fd(), PollFlags::POLLIN)], within), Ok(1));
        let packet = lane::receive_whole_packet(&lane, MAX_PACKET).unwrap();
        assert_eq!(packet.bytes, b"5");
        process.end();
    }
}
