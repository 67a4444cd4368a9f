//! The connections of operators to one socket, of which there are only so many.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::AbortHandle, time::timeout};

/// How long a connection waits for room: clients that are busy give way to it once they have their answers.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long it takes until the others are looked at again.
const TURN: Duration = Duration::from_millis(1);

/// One connection.
pub(super) struct Client {
    /// Whether no request has come.
    is_new: Cell<bool>,
    /// When its last request came, or else itself.
    active: Cell<Instant>,
    /// How many of its requests are being answered.
    answering: Cell<u32>,
    /// Told when it has got an answer.
    answered: Rc<Notify>,
}

impl Client {
    /// Since when it has been silent; `None` while it waits for an answer.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        (self.answering.get() == 0).then(|| self.active.get())
    }

    /// Since when it may have to give way to another one, if it may.
    fn spare_since(&self, grace: Duration) -> Option<Instant> {
        let since = self.silent_since()?;
        (!self.is_new.get() || since.elapsed() >= grace).then_some(since)
    }

    /// A request has come; until the guard is dropped it is being answered.
    pub(super) fn begin(self: &Rc<Self>) -> Answering {
        self.is_new.set(false);
        self.answering.set(self.answering.get() + 1);
        Answering(Rc::clone(self))
    }
}

/// A request is being answered.
pub(super) struct Answering(Rc<Client>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.set(self.0.answering.get().saturating_sub(1));
        self.0.active.set(Instant::now());
        self.0.answered.notify_one();
    }
}

/// All that are connected.
pub(super) struct Clients {
    /// How long a client may take for its first request before it may have to give way.
    grace: Duration,
    connected: RefCell<Vec<(Rc<Client>, AbortHandle)>>,
    answered: Rc<Notify>,
}

impl Clients {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, connected: RefCell::default(), answered: Rc::default() }
    }

    /// Makes room for one more, if need be by closing the connection that has been silent for the longest
    /// time. Returns whether there is room: not if all wait for answers for long.
    pub(super) async fn room(&self, limit: usize) -> bool {
        let begun = Instant::now();
        while !self.has_room(limit) {
            if begun.elapsed() >= PATIENCE {
                return false;
            }
            // One that has got its answer gives way, before it asks again. Or requests that have come are
            // read first, even if this thread has not run for long.
            let has_answered = timeout(TURN, self.answered.notified()).await.is_ok();
            self.close_silent(has_answered);
        }
        true
    }

    fn has_room(&self, limit: usize) -> bool {
        let mut connected = self.connected.borrow_mut();
        connected.retain(|(_, task)| !task.is_finished());
        connected.len() < limit
    }

    /// Closes the connection that has been silent for the longest time, with `answered` of those that have had an
    /// answer.
    fn close_silent(&self, answered: bool) {
        let mut connected = self.connected.borrow_mut();
        let spare = connected.iter().enumerate();
        let spare = spare.filter(|(_, (client, _))| !(answered && client.is_new.get()));
        let spare =
            spare.filter_map(|(index, (client, _))| Some((client.spare_since(self.grace)?, index)));
        if let Some((_, index)) = spare.min() {
            let (_, task) = connected.swap_remove(index);
            task.abort();
        }
    }

    /// One more, which is to be added.
    pub(super) fn client(&self) -> Rc<Client> {
        Rc::new(Client {
            is_new: Cell::new(true),
            active: Cell::new(Instant::now()),
            answering: Cell::new(0),
            answered: Rc::clone(&self.answered),
        })
    }

    pub(super) fn add(&self, client: Rc<Client>, task: AbortHandle) {
        self.connected.borrow_mut().push((client, task));
    }
}
