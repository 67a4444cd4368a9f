use std::{rc::Rc, time::Instant};

use tokio::time::sleep_until;

use super::context::Context;

/// Has the core do what is due, when it is due. While nothing is, no timer runs.
pub(super) async fn run_timers(context: Rc<Context>) {
    loop {
        let next = context.ask(|core| core.next_deadline());
        context.awaited.set(next);
        match next {
            None => context.sooner.notified().await,
            Some(next) => tokio::select! {
                () = sleep_until(next.into()) => {
                    context.decide(|core| core.expire(Instant::now()));
                }
                () = context.sooner.notified() => {}
            },
        }
    }
}
