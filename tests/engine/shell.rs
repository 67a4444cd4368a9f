//! Workers that are programs of the shell.

use std::ffi::CString;

use rs_cluster::primary::{fork::LaneNumbers, recipe::Recipe};

use super::DEADLINE;

/// Workers that run this program, and lead process groups. Their control socket is descriptor 4.
pub(super) fn shell(script: &str) -> Recipe {
    let c = |text: &str| CString::new(text).expect("a text");
    Recipe {
        file: c("/bin/sh"),
        args: vec![c("sh"), c("-c"), c(script)],
        env: vec![c("PATH=/usr/bin:/bin")],
        cwd: None,
        uid: None,
        gid: None,
        stdio: vec![-2, 1, 2, -1],
        numbers: LaneNumbers { ipc: 3, control: 4, hand_off: 5, memory: 6, watchdog: None },
        queue_timeout: DEADLINE,
        own_group: true,
        keeps_stderr: true,
        prefix: None,
        inspect: None,
        slot_env: Vec::new(),
    }
}
