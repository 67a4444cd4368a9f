//! What the program and operators want of supervision.

use std::time::Instant;

use super::{super::messages::Order, context::Context};

/// Does what is wanted.
pub(super) fn carry_out(context: &Context, order: Order) {
    let now = Instant::now();
    context.decide(|core| {
        core.supervise(now, |supervisor| match order {
            Order::Reload(token, recipe) => {
                if let Some(supervision) = &mut *context.supervision.borrow_mut() {
                    supervisor.reload(token, supervision.add_recipe(recipe));
                }
            }
            Order::Scale(token, workers) => supervisor.scale(token, workers),
            Order::Restart(token, slot_or_id) => supervisor.restart(token, slot_or_id),
            Order::Upgrade(token, recipe, timeout) => {
                if supervisor.upgrade(token, now) {
                    context.succession.borrow_mut().plan(recipe, now + timeout);
                }
            }
            Order::Hold => supervisor.hold(),
            Order::Release => supervisor.release(),
            Order::Stop { token, delay, timeout } => supervisor.stop(token, delay, timeout, now),
            Order::Leaves(worker, done) => {
                supervisor.leaves(worker);
                // The caller may have ceased to wait.
                let _ = done.try_send(());
            }
        });
    });
}
