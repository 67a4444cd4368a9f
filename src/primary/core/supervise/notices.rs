//! What a service manager (systemd) is told of supervision, and when.

use std::{
    fmt::Write,
    mem::take,
    time::{Duration, Instant},
};

use super::{
    options::SuperviseOptions,
    report::{Cause, Ended, Outcome, Rejection, Report, State},
    status::{SlotState, Status},
};

/// What is told. `sd_notify(3)` says what each means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    Ready,
    Reloading,
    Stopping,
    Watchdog,
    /// A line for people.
    Status(String),
    /// The service manager is to wait for so long.
    Extend(Duration),
    /// This process is the service from now on.
    MainPid(u32),
}

/// Whether this process speaks for the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// Another primary still does.
    NotYet,
    Now,
    /// Another primary does, which the service manager is told if that is possible.
    NoMore,
}

/// For how long the service manager is asked to wait, at most.
const STEP: Duration = Duration::from_secs(30);

/// How often it is asked.
const RENEWAL: Duration = Duration::from_secs(10);

/// How long it is to wait when our own time is over, because of what happens then.
const MARGIN: Duration = Duration::from_secs(5);

/// What the service manager is told, and has been told.
pub(crate) struct Notices {
    ready_timeout: Duration,
    min_uptime: Duration,
    drain_timeout: Duration,
    kill_timeout: Duration,
    /// How often it is told that the engine turns, and when it is next.
    watchdog: Option<(Duration, Instant)>,
    extension: Option<Extension>,
    /// Whether it is known when all is over.
    is_ending: bool,
    state: State,
    speaks: Speaks,
    /// Whether the first workers have been ready.
    is_ready: bool,
    /// Changes that it has not been told, in their order.
    changes: Vec<Notice>,
    /// A reload has ended since.
    has_reloaded: bool,
    /// Why the last reload failed.
    failure: Option<String>,
    counts: Counts,
    /// The line that it was told last.
    told: String,
}

/// The time that it is asked for.
struct Extension {
    /// It has to be enough until then.
    until: Instant,
    /// When to ask next.
    next: Instant,
}

#[derive(Default)]
struct Counts {
    slots: usize,
    ready: usize,
    /// Ready workers of another generation than the committed one.
    new: usize,
    left: usize,
    generation: u32,
    is_held: bool,
}

impl Notices {
    /// `watchdog`: how long the service manager waits for a sign that the engine turns. `speaks`: whether this process
    /// is the service; if not, nothing is told before [`speak`](Self::speak).
    pub(crate) fn new(
        options: &SuperviseOptions,
        watchdog: Option<Duration>,
        speaks: bool,
        now: Instant,
    ) -> Self {
        let mut notices = Self {
            ready_timeout: options.ready_timeout,
            min_uptime: options.min_uptime,
            drain_timeout: options.drain_timeout,
            kill_timeout: options.kill_timeout,
            watchdog: watchdog.map(|it| ((it / 2).max(Duration::from_millis(1)), now)),
            extension: None,
            is_ending: false,
            state: State::Starting,
            speaks: if speaks { Speaks::Now } else { Speaks::NotYet },
            is_ready: false,
            changes: Vec::new(),
            has_reloaded: false,
            failure: None,
            counts: Counts { slots: options.workers as usize, ..Counts::default() },
            told: String::new(),
        };
        notices.extend_until(now + options.ready_timeout, now);
        notices
    }

    /// When to [`take`](Self::take) notices, unless something changes before.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        if self.speaks != Speaks::Now {
            return None;
        }
        let watchdog = self.watchdog.map(|(_, next)| next);
        let extension = self.extension.as_ref().map(|it| it.next);
        [watchdog, extension].into_iter().flatten().min()
    }

    /// This process is the service now. The service manager is told the state anew.
    pub(crate) fn speak(&mut self, now: Instant) {
        if self.speaks == Speaks::NotYet {
            self.speaks = Speaks::Now;
            self.changes = self.state_anew().into_iter().collect();
            if let Some((_, next)) = &mut self.watchdog {
                *next = now;
            }
        }
    }

    fn state_anew(&self) -> Option<Notice> {
        match self.state {
            State::Stopping | State::Stopped => Some(Notice::Stopping),
            State::Reloading if self.is_ready => Some(Notice::Reloading),
            _ => self.is_ready.then_some(Notice::Ready),
        }
    }

    /// Another process is the service now: `pid`, if that can be told. That is the last notice.
    pub(crate) fn hand_over(&mut self, pid: Option<u32>) {
        self.speaks = Speaks::NoMore;
        self.changes = pid.map(Notice::MainPid).into_iter().collect();
    }

    /// This is the status now.
    pub(crate) fn observe(&mut self, status: &Status, now: Instant) {
        let is_ready = |state| state == SlotState::Ready;
        let ready = status.slots.iter().filter(|slot| is_ready(slot.state));
        self.counts = Counts {
            slots: status.slots.len(),
            ready: ready.clone().count(),
            new: ready.filter(|slot| slot.generation != Some(status.generation)).count(),
            left: status.leaving.len()
                + status.slots.iter().filter(|slot| slot.worker.is_some()).count(),
            generation: status.generation,
            is_held: status.is_held,
        };
        self.is_ending = status.stops_by.is_some();
        if let Some(by) = status.stops_by {
            self.extend_until(by, now);
        }
    }

    /// This has happened.
    pub(crate) fn hear(&mut self, report: &Report, now: Instant) {
        match report {
            Report::Ready => {
                self.is_ready = true;
                self.changes.push(Notice::Ready);
                if matches!(self.state, State::Starting | State::Ready) {
                    self.extension = None;
                }
            }
            Report::State(state) => self.enter(*state, now),
            Report::Replaced { .. } if self.state == State::Reloading => {
                self.extend_until(now + self.ready_timeout + self.min_uptime, now);
            }
            Report::Reloaded { .. } => {
                self.failure = None;
                // The next one has begun already.
                if self.state == State::Reloading && self.is_ready {
                    self.changes.extend([Notice::Ready, Notice::Reloading]);
                }
            }
            Report::Answer(_, Outcome::Rejected(rejection)) if self.has_reloaded => {
                self.failure = Some(describe(rejection));
            }
            _ => {}
        }
    }

    /// A reload has failed before the engine was asked for it.
    pub(crate) fn refuse_reload(&mut self, reason: String) {
        if self.is_ready && self.state == State::Ready {
            self.changes.extend([Notice::Reloading, Notice::Ready]);
        }
        self.failure = Some(reason);
    }

    fn enter(&mut self, state: State, now: Instant) {
        let before = std::mem::replace(&mut self.state, state);
        match state {
            State::Reloading => {
                self.extend_until(now + self.ready_timeout + self.min_uptime, now);
                if self.is_ready {
                    self.changes.push(Notice::Reloading);
                }
            }
            State::Stopping => {
                self.changes.push(Notice::Stopping);
                // Until the status tells exactly.
                if !self.is_ending {
                    self.extend_until(now + self.drain_timeout + self.kill_timeout, now);
                }
            }
            State::Stopped => {
                self.extend_until(now + self.kill_timeout, now);
                // What happens after that is up to the program.
                if let Some(extension) = &mut self.extension {
                    extension.next = now;
                }
            }
            State::Upgrading => {}
            State::Starting | State::Ready | State::Failed => {
                if before == State::Reloading {
                    self.has_reloaded = true;
                    if self.is_ready {
                        self.changes.push(Notice::Ready);
                    }
                }
                if self.is_ready || state == State::Failed {
                    self.extension = None;
                }
            }
        }
    }

    fn extend_until(&mut self, until: Instant, now: Instant) {
        let next = self.extension.as_ref().map_or(now, |it| it.next);
        self.extension = Some(Extension { until, next });
    }

    /// Takes what is to be told now, message by message.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<Vec<Notice>> {
        match self.speaks {
            Speaks::NotYet => return Vec::new(),
            Speaks::Now => {}
            Speaks::NoMore => {
                let last = take(&mut self.changes);
                return last.into_iter().filter(is_last).map(|it| vec![it]).collect();
            }
        }
        let mut messages: Vec<_> = take(&mut self.changes).into_iter().map(|it| vec![it]).collect();
        self.has_reloaded = false;
        let mut rest = Vec::new();
        let line = self.line();
        if line != self.told {
            self.told.clone_from(&line);
            rest.push(Notice::Status(line));
        }
        rest.extend(self.take_extension(now).map(Notice::Extend));
        if let Some((interval, next)) = &mut self.watchdog
            && *next <= now
        {
            *next = now + *interval;
            rest.push(Notice::Watchdog);
        }
        match messages.last_mut() {
            Some(last) => last.append(&mut rest),
            None if !rest.is_empty() => messages.push(rest),
            None => {}
        }
        messages
    }

    fn take_extension(&mut self, now: Instant) -> Option<Duration> {
        let extension = self.extension.as_mut().filter(|it| it.next <= now)?;
        let left = extension.until.saturating_duration_since(now);
        extension.next = now + RENEWAL;
        if left <= RENEWAL {
            self.extension = None;
        }
        Some(left.min(STEP) + MARGIN)
    }

    /// A line for people.
    fn line(&self) -> String {
        let Counts { slots, ready, new, left, generation, is_held } = &self.counts;
        let mut line = match self.state {
            State::Starting => format!("starting: {ready} of {slots} workers ready"),
            State::Ready if ready == slots => {
                format!("{} ready, generation {generation}", workers(*slots))
            }
            State::Ready => format!("{ready} of {slots} workers ready, generation {generation}"),
            State::Reloading => format!("reloading: {new} of {slots} workers replaced"),
            State::Upgrading => String::from("upgrading: another primary starts"),
            State::Stopping => format!("stopping: {} left", workers(*left)),
            State::Failed => String::from("failed: all workers have failed too often"),
            State::Stopped => String::from("stopped"),
        };
        if *is_held {
            line.push_str(", held");
        }
        if let (Some(failure), State::Starting | State::Ready) = (&self.failure, self.state) {
            // A line of a message can't have another in it.
            let failure = failure.lines().next().unwrap_or_default();
            // Writing to a string does not fail.
            let _ = write!(line, "; reload failed: {failure}");
        }
        line
    }
}

/// Whether this is told although another process is the service.
fn is_last(notice: &Notice) -> bool {
    matches!(notice, Notice::MainPid(_))
}

fn workers(count: usize) -> String {
    format!("{count} worker{}", if count == 1 { "" } else { "s" })
}

fn describe(Rejection { cause, worker, slot, .. }: &Rejection) -> String {
    let who = worker.map_or_else(|| String::from("a worker"), |id| format!("worker {id}"));
    let place = slot.map_or_else(String::new, |slot| format!(" in slot {slot}"));
    match cause {
        Cause::Exited(Ended::Code(code)) => format!("{who}{place} exited with code {code}"),
        Cause::Exited(Ended::Signal(signal)) => format!("{who}{place} ended by signal {signal}"),
        Cause::Exited(Ended::Unknown) => format!("{who}{place} ended"),
        Cause::TimedOut(_) => format!("{who}{place} was not ready in time"),
        Cause::Fork(call, errno) => format!("no worker can be started: {call}, errno {errno}"),
        Cause::Hung => format!("{who}{place} was blocked for too long"),
        Cause::Memory => format!("{who}{place} took too much memory"),
        Cause::Fault => format!("{who}{place} broke the protocol"),
        Cause::Predecessor(message) => message.clone(),
        Cause::Stopping => String::from("the supervisor stops"),
        Cause::NoSuchWorker => String::from("there is no such worker"),
        Cause::Busy => String::from("another operation is under way"),
        Cause::Upgraded => String::from("another primary has taken over"),
        Cause::NoCommonVersion(reason) | Cause::GaveUp(reason) | Cause::BrokeProtocol(reason) => {
            reason.clone()
        }
    }
}

#[cfg(test)]
mod tests;
