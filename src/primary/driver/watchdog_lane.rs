//! The engine's end of a watchdog lane.

use std::{cell::Cell, future::pending, os::fd::OwnedFd};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
    time::sleep,
};

use crate::{
    protocol::watchdog::{LONGEST_STACK, REQUEST},
    sys::{
        failure::{Failure, SHORTAGE_PAUSE},
        lane,
        watched::when_ready,
    },
};

/// Where a worker tells its JavaScript stack, if it has such a lane. At most one request is unanswered, and
/// nothing is read but its answer.
pub(super) struct WatchdogLane {
    lane: Option<AsyncFd<OwnedFd>>,
    state: Cell<State>,
    asked: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Asked,
    /// There is nothing to ask any more.
    Ended,
}

impl WatchdogLane {
    pub(super) fn new(lane: Option<AsyncFd<OwnedFd>>) -> Self {
        let state = if lane.is_some() { State::Idle } else { State::Ended };
        Self { lane, state: Cell::new(state), asked: Notify::new() }
    }

    /// Asks for the stack, unless it has been asked for. Returns whether an answer may come.
    pub(super) fn ask(&self) -> bool {
        if let (State::Idle, Some(lane)) = (self.state.get(), &self.lane) {
            // The lane is empty, so only a shortage or its end prevents this.
            match lane::send_packet(lane, REQUEST, None) {
                Ok(()) => self.state.set(State::Asked),
                Err(Failure::WouldBlock | Failure::Shortage(_)) => {}
                Err(Failure::Gone | Failure::Fault(_)) => self.state.set(State::Ended),
            }
            self.asked.notify_one();
        }
        self.state.get() == State::Asked
    }

    /// Waits for the answer to a request: the stack, if there is one. May be dropped at any time.
    pub(super) async fn answer(&self) -> Option<String> {
        while self.state.get() != State::Asked {
            self.asked.notified().await;
        }
        let Some(lane) = &self.lane else { return pending().await };
        let receive = |lane: &OwnedFd| lane::receive_whole_packet(lane, LONGEST_STACK);
        let packet = loop {
            match when_ready(lane, Interest::READABLE, receive).await {
                Err(Failure::Shortage(_)) => sleep(SHORTAGE_PAUSE).await,
                received => break received,
            }
        };
        match packet {
            Ok(packet) if !packet.is_end => {
                self.state.set(State::Idle);
                let stack = String::from_utf8_lossy(&packet.bytes).into_owned();
                Some(stack).filter(|stack| !stack.is_empty())
            }
            // The worker ends, or has shut down the lane.
            _ => {
                self.state.set(State::Ended);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{runtime::Builder, time::timeout};

    use super::*;
    use crate::{sys::watched::watch, worker::Watchdog};

    const SOON: Duration = Duration::from_secs(20);

    /// Runs `test` on a runtime with one end of a lane, and the other.
    fn with_lane(test: impl AsyncFnOnce(WatchdogLane, OwnedFd)) {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = lane::packet_pair().unwrap();
            let lane = watch(ours, Interest::READABLE).unwrap();
            test(WatchdogLane::new(Some(lane)), theirs).await;
        });
    }

    #[test]
    fn a_watchdog_tells_the_stack_each_time_that_it_is_asked() {
        with_lane(async |lane, theirs| {
            let stack = "at f (a.js:1:2)\n".repeat(2000);
            let watchdog = Watchdog::serve(theirs, move |_| Some(stack.clone())).unwrap();
            for _ in 0..3 {
                assert!(lane.ask());
                let answer = timeout(SOON, lane.answer()).await.unwrap().unwrap();
                assert_eq!(answer.len(), LONGEST_STACK);
            }
            watchdog.disarm();
        });
    }

    #[test]
    fn a_worker_without_a_stack_answers_too() {
        with_lane(async |lane, theirs| {
            let watchdog = Watchdog::serve(theirs, |_| None).unwrap();
            for _ in 0..2 {
                assert!(lane.ask());
                assert_eq!(timeout(SOON, lane.answer()).await.unwrap(), None);
            }
            watchdog.disarm();
        });
    }

    #[test]
    fn one_request_at_most_is_unanswered() {
        with_lane(async |lane, theirs| {
            assert!(lane.ask() && lane.ask());
            assert!(lane::receive_whole_packet(&theirs, 1).is_ok());
            assert!(matches!(lane::receive_whole_packet(&theirs, 1), Err(Failure::WouldBlock)));
            // What comes unasked is not read.
            for stack in ["first", "second"] {
                lane::send_packet(&theirs, stack.as_bytes(), None).unwrap();
            }
            assert_eq!(lane.answer().await.as_deref(), Some("first"));
            assert!(timeout(Duration::from_millis(50), lane.answer()).await.is_err());
        });
    }

    #[test]
    fn a_worker_that_ends_is_not_asked_again() {
        with_lane(async |lane, theirs| {
            assert!(lane.ask());
            drop(theirs);
            assert_eq!(timeout(SOON, lane.answer()).await.unwrap(), None);
            assert!(!lane.ask());
        });
        assert!(!WatchdogLane::new(None).ask());
    }
}
