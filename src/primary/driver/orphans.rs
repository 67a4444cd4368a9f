//! Reaps processes whose parents have ended, where this process inherits them.

use std::{rc::Rc, time::Duration};

use tokio::time::sleep;

use super::context::Context;
use crate::sys::Orphans;

/// How often to look, and for how long at most a process stays a zombie twice.
const INTERVAL: Duration = Duration::from_secs(1);

/// Looks for them as long as this thread runs.
pub(super) async fn reap_orphans(context: Rc<Context>) {
    let mut orphans = Orphans::default();
    loop {
        sleep(INTERVAL).await;
        for pid in orphans.reap() {
            context
                .log()
                .write(format_args!("process {pid} was left by its parent, and is reaped"));
        }
    }
}
