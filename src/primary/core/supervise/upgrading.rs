//! The primary itself is replaced: another one, its successor, starts beside it and gets ready. Until the successor
//! serves, this primary can go on as if nothing had happened; from then on all of its workers leave.

use std::time::{Duration, Instant};

use super::{
    operation::{Deferred, Operation, Succession, Upgrade, UpgradePhase},
    report::{Cause, FailedPhase, Outcome, Reason, Rejection, Report, State, Token},
    supervisor::{Effect, Standby, Stopping, Supervisor},
};

impl Supervisor {
    /// Replaces this primary by another one. Returns whether that has begun; if not, the answer says why.
    pub(crate) fn upgrade(&mut self, token: Token, now: Instant) -> bool {
        if let Some(cause) = self.reason_against_upgrade() {
            self.answer(token, Outcome::Rejected(refusal(cause)));
            return false;
        }
        let phase = UpgradePhase::Preparing;
        self.operation = Some(Operation::Upgrade(Upgrade { token, began: now, phase }));
        self.effects.push_back(Effect::StartSuccessor);
        true
    }

    fn reason_against_upgrade(&self) -> Option<Cause> {
        let is_busy =
            self.operation.is_some() || !self.requests.is_empty() || self.standby != Standby::Over;
        match self.stopping {
            Stopping::No if is_busy || self.state() == State::Failed => Some(Cause::Busy),
            Stopping::No => None,
            _ => Some(self.reason_to_refuse()),
        }
    }

    /// Why nothing can be asked for any more.
    pub(super) fn reason_to_refuse(&self) -> Cause {
        if self.has_successor() { Cause::Upgraded } else { Cause::Stopping }
    }

    /// Whether another primary has taken over.
    pub(super) fn has_successor(&self) -> bool {
        self.succession != Succession::None
    }

    /// The generation that the successor is told of. Its own is the next.
    pub(crate) fn latest_generation(&self) -> u32 {
        self.latest
    }

    /// The workers of the successor are ready and well.
    pub(crate) fn successor_ready(&mut self) {
        if let Some(Operation::Upgrade(upgrade)) = &mut self.operation
            && upgrade.phase == UpgradePhase::Preparing
        {
            upgrade.phase = UpgradePhase::Committing;
            self.effects.push_back(Effect::CommitSuccessor);
        }
    }

    /// The successor, a process with this number, accepts connections: there is no way back. `stays` says that this
    /// process goes on as its parent.
    pub(crate) fn successor_serves(&mut self, pid: u32, stays: bool, now: Instant) {
        let Some(Operation::Upgrade(upgrade)) =
            self.operation.take_if(|it| matches!(it, Operation::Upgrade(_)))
        else {
            return;
        };
        self.succession = Succession::HandingOver;
        while let Some(request) = self.requests.pop_front() {
            self.refuse(&request);
        }
        let (generation, time) = (self.latest.saturating_add(1), now.duration_since(upgrade.began));
        let report = Report::Upgraded { pid, generation, time, stays };
        self.effects.extend([Effect::Report(report), Effect::HandOver]);
        self.answer(upgrade.token, Outcome::Upgraded { pid, generation, time });
        let stop = self.deferred.take();
        if stop.is_some() {
            self.effects.push_back(Effect::StopSuccessor);
        }
        let timeout = self.options.drain_timeout;
        let timeout = stop.map_or(timeout, |stop| stop.timeout.min(timeout));
        self.drain_all(timeout, now);
    }

    /// The successor does not serve, and is gone.
    pub(crate) fn successor_failed(&mut self, rejection: Rejection, now: Instant) {
        let Some(Operation::Upgrade(upgrade)) =
            self.operation.take_if(|it| matches!(it, Operation::Upgrade(_)))
        else {
            return;
        };
        self.answer(upgrade.token, Outcome::Rejected(rejection));
        if let Some(Deferred { at, timeout }) = self.deferred.take() {
            self.announce_stop(at, timeout);
            self.stop_in_time(now);
        }
    }

    /// A stop is asked for while the successor is about to serve, or is gone: which of both is known soon. Says
    /// whether the stop has to wait for that.
    pub(super) fn defer_stop(&mut self, at: Instant, timeout: Duration) -> bool {
        let is_committing = matches!(
            self.operation,
            Some(Operation::Upgrade(Upgrade { phase: UpgradePhase::Committing, .. }))
        );
        if is_committing {
            let stop = self.deferred.get_or_insert(Deferred { at, timeout });
            stop.at = stop.at.min(at);
            stop.timeout = stop.timeout.min(timeout);
        }
        is_committing
    }

    /// All workers have ended. Says whether the successor has all that it is to get.
    pub(super) fn is_succession_over(&mut self) -> bool {
        if self.succession == Succession::HandingOver {
            self.succession = Succession::Ending;
            self.effects.push_back(Effect::EndHandOver);
        }
        self.succession != Succession::Ending
    }

    /// The successor has all that it is to get, or is gone.
    pub(crate) fn handed_over(&mut self) {
        if self.has_successor() {
            self.succession = Succession::Done;
        }
    }

    /// Why workers leave when all of them do.
    pub(super) fn reason_to_leave(&self) -> Reason {
        if self.has_successor() { Reason::Upgrade } else { Reason::Stop }
    }
}

fn refusal(cause: Cause) -> Rejection {
    Rejection { cause, phase: FailedPhase::Start, worker: None, slot: None }
}
