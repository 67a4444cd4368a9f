//! Whether a worker may get a connection: the only place where that is known.
//!
//! A worker is in one state of each of five independent kinds, which [`Change`]s move:
//!
//! | kind            | states, the good one first          | moved by                                        |
//! |-----------------|-------------------------------------|-------------------------------------------------|
//! | [`Service`]     | `Active`, `Paused`, `Withdrawn`      | the primary; `Withdrawn` is final                |
//! | [`Admission`]   | `Admitted`, `Withheld`              | supervision, while a worker is not ready yet    |
//! | [`Descriptors`] | `Free`, `Exhausted`                 | the worker's reports                            |
//! | [`EventLoop`]   | `Turning`, `Probed`, `Stalled`      | probes, their answers, the stall detector       |
//! | [`Queue`]       | `HasRoom`, `Full`, `Lost`           | hand-overs and the driver; `Lost` is final      |
//!
//! Together they make its [`Standing`]. Each state but the final ones ends by an event that is certain to
//! come, or by the death of the worker: `resume()`, an admission, a report, the answer to the probe that `Stalled`
//! implies, room in a queue that the worker empties. The driver withdraws a worker whose queue is lost.
//!
//! What follows from a change is in [`members`](super::members), which is the only caller of
//! [`Availability::apply`].

/// What happens to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// `worker.pause()`.
    Paused,
    /// `worker.resume()`.
    Resumed,
    /// It disconnects, has broken the protocol, or its process has ended.
    Withdrawn,
    /// It is not ready yet.
    Withheld,
    /// It is ready.
    Admitted,
    /// It has no descriptor for another connection.
    Exhausted,
    /// It has some again.
    Recovered,
    /// It has been asked whether its event loop turns.
    Probed,
    /// It has taken nothing for so long that it is believed to be stuck, and has been asked.
    Stalled,
    /// It has answered.
    Answered,
    /// Its hand-off queue took no further connection.
    QueueFull,
    /// Its hand-off queue has room.
    QueueHasRoom,
    /// Its hand-off queue is of no use any more.
    QueueLost,
}

/// What the primary wants of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Active,
    /// It gets nothing until it is resumed, and keeps its place in every rotation.
    Paused,
    /// It leaves, for good.
    Withdrawn,
}

/// Whether supervision lets the worker have connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    Admitted,
    /// It is not ready yet.
    Withheld,
}

/// Whether the worker has a descriptor for another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Descriptors {
    Free,
    Exhausted,
}

/// Whether the worker's event loop turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventLoop {
    /// As far as is known.
    Turning,
    /// A probe is unanswered, which says nothing yet.
    Probed,
    /// A probe is unanswered, and the worker has been seen stuck: it gets nothing until it answers.
    Stalled,
}

/// Whether the worker's hand-off queue takes connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Queue {
    HasRoom,
    Full,
    Lost,
}

/// Whether a worker may get a connection, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may.
    Available,
    /// As soon as its queue has room. It serves, so the engine does not accept in its place.
    Full,
    /// Not before what keeps it from serving is over. The engine accepts from its own sockets meanwhile.
    Unavailable,
    /// Never again.
    Left,
}

/// A change of the standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transition {
    /// The standing before.
    pub(crate) from: Standing,
    /// The standing after, which may be the same.
    pub(crate) to: Standing,
}

impl Transition {
    /// Whether the worker begins to serve, or ceases to.
    pub(crate) fn changes_service(self) -> bool {
        self.from.serves() != self.to.serves()
    }

    /// Whether the worker may get a connection, and might not before.
    pub(crate) fn makes_available(self) -> bool {
        self.from != Standing::Available && self.to == Standing::Available
    }
}

impl Standing {
    /// Whether the worker serves, however full its queue.
    pub(crate) fn serves(self) -> bool {
        matches!(self, Self::Available | Self::Full)
    }
}

/// The state of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Availability {
    service: Service,
    admission: Admission,
    descriptors: Descriptors,
    event_loop: EventLoop,
    queue: Queue,
}

impl Default for Availability {
    fn default() -> Self {
        Self {
            service: Service::Active,
            admission: Admission::Admitted,
            descriptors: Descriptors::Free,
            event_loop: EventLoop::Turning,
            queue: Queue::HasRoom,
        }
    }
}

impl Availability {
    /// Makes a change. `None` where it changes nothing.
    pub(crate) fn apply(&mut self, change: Change) -> Option<Transition> {
        let before = *self;
        match change {
            Change::Withdrawn => self.service = Service::Withdrawn,
            Change::Paused if self.service == Service::Active => self.service = Service::Paused,
            Change::Resumed if self.service == Service::Paused => self.service = Service::Active,
            Change::Withheld => self.admission = Admission::Withheld,
            Change::Admitted => self.admission = Admission::Admitted,
            Change::Exhausted => self.descriptors = Descriptors::Exhausted,
            Change::Recovered => self.descriptors = Descriptors::Free,
            Change::Probed if self.event_loop == EventLoop::Turning => {
                self.event_loop = EventLoop::Probed;
            }
            Change::Stalled => self.event_loop = EventLoop::Stalled,
            Change::Answered => self.event_loop = EventLoop::Turning,
            Change::QueueFull if self.queue == Queue::HasRoom => self.queue = Queue::Full,
            Change::QueueHasRoom if self.queue == Queue::Full => self.queue = Queue::HasRoom,
            Change::QueueLost => self.queue = Queue::Lost,
            Change::Paused
            | Change::Resumed
            | Change::Probed
            | Change::QueueFull
            | Change::QueueHasRoom => {}
        }
        let transition = Transition { from: before.standing(), to: self.standing() };
        (before != *self).then_some(transition)
    }

    /// Whether the worker may get a connection.
    pub(crate) fn standing(&self) -> Standing {
        if self.service == Service::Withdrawn {
            Standing::Left
        } else if self.service == Service::Paused
            || self.admission == Admission::Withheld
            || self.descriptors == Descriptors::Exhausted
            || self.event_loop == EventLoop::Stalled
            || self.queue == Queue::Lost
        {
            Standing::Unavailable
        } else if self.queue == Queue::HasRoom {
            Standing::Available
        } else {
            Standing::Full
        }
    }

    /// Whether the primary wants the worker to get connections, whatever else keeps it from that.
    pub(crate) fn is_paused(&self) -> bool {
        self.service == Service::Paused
    }

    /// Whether the worker is not ready yet.
    pub(crate) fn is_withheld(&self) -> bool {
        self.admission == Admission::Withheld
    }

    /// Whether the worker leaves, or has left.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.service == Service::Withdrawn
    }

    /// Whether the worker is believed to have no descriptors.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.descriptors == Descriptors::Exhausted
    }

    /// Whether the worker gets nothing because its event loop is blocked.
    pub(crate) fn is_stalled(&self) -> bool {
        self.event_loop == EventLoop::Stalled
    }

    /// Whether a probe is unanswered.
    pub(crate) fn is_probed(&self) -> bool {
        self.event_loop != EventLoop::Turning
    }

    /// Whether a probe may show that the worker is free. The queue of one that is `Full` for want of
    /// memory may be empty.
    pub(crate) fn may_be_free(&self) -> bool {
        self.event_loop == EventLoop::Turning && self.standing().serves()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHANGES: [Change; 13] = [
        Change::Withheld,
        Change::Admitted,
        Change::Paused,
        Change::Resumed,
        Change::Withdrawn,
        Change::Exhausted,
        Change::Recovered,
        Change::Probed,
        Change::Stalled,
        Change::Answered,
        Change::QueueFull,
        Change::QueueHasRoom,
        Change::QueueLost,
    ];

    /// The ends of all states that end.
    const ENDS: [Change; 5] = [
        Change::Resumed,
        Change::Admitted,
        Change::Recovered,
        Change::Answered,
        Change::QueueHasRoom,
    ];

    proptest! {
        #[test]
        fn a_worker_is_available_again_when_every_reason_has_ended_and_never_after_a_final_one(
            changes in prop::collection::vec(prop::sample::select(&CHANGES[..]), 0..20),
            ends in Just(ENDS.to_vec()).prop_shuffle(),
        ) {
            let mut availability = Availability::default();
            for change in &changes {
                let before = availability.standing();
                let transition = availability.apply(*change);
                let from = transition.map_or(before, |transition| transition.from);
                let to = transition.map_or(before, |transition| transition.to);
                prop_assert_eq!((from, to), (before, availability.standing()));
                prop_assert_eq!(availability.apply(*change), None, "once is enough");
            }
            for end in ends {
                availability.apply(end);
            }
            let expected = if changes.contains(&Change::Withdrawn) {
                Standing::Left
            } else if changes.contains(&Change::QueueLost) {
                Standing::Unavailable
            } else {
                Standing::Available
            };
            prop_assert_eq!(availability.standing(), expected);
        }
    }

    #[test]
    fn one_reason_that_ends_does_not_end_another() {
        let mut availability = Availability::default();
        let reasons = [
            Change::Paused,
            Change::Withheld,
            Change::Exhausted,
            Change::Stalled,
            Change::QueueFull,
        ];
        for change in reasons {
            availability.apply(change);
        }
        for end in &ENDS[..4] {
            assert_eq!(availability.standing(), Standing::Unavailable);
            assert!(!availability.apply(*end).unwrap().makes_available());
        }
        assert_eq!(availability.standing(), Standing::Full);
        assert!(availability.apply(Change::QueueHasRoom).unwrap().makes_available());
    }
}
