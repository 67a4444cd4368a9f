//! The connections of operators to one socket, of which there are only so many.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Instant,
};

use tokio::task::AbortHandle;

/// One connection.
pub(super) struct Client {
    /// When its last request came, or else itself.
    active: Cell<Instant>,
    /// How many of its requests are being answered.
    answering: Cell<u32>,
}

impl Client {
    /// Since when it has been silent; `None` while it waits for an answer.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        (self.answering.get() == 0).then(|| self.active.get())
    }

    /// A request has come; until the guard is dropped it is being answered.
    pub(super) fn begin(self: &Rc<Self>) -> Answering {
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
    }
}

/// All that are connected.
#[derive(Default)]
pub(super) struct Clients {
    connected: RefCell<Vec<(Rc<Client>, AbortHandle)>>,
}

impl Clients {
    /// Makes room for one more, if need be by closing the connection that has been silent for the longest
    /// time. Returns whether there is room.
    pub(super) fn make_room(&self, limit: usize) -> bool {
        let mut connected = self.connected.borrow_mut();
        connected.retain(|(_, task)| !task.is_finished());
        if connected.len() < limit {
            return true;
        }
        let silent = connected.iter().enumerate();
        let silent =
            silent.filter_map(|(index, (client, _))| Some((client.silent_since()?, index)));
        let Some((_, index)) = silent.min() else {
            return false;
        };
        let (_, task) = connected.swap_remove(index);
        task.abort();
        true
    }

    pub(super) fn add(&self, client: Rc<Client>, task: AbortHandle) {
        self.connected.borrow_mut().push((client, task));
    }
}

impl Default for Client {
    fn default() -> Self {
        Self { active: Cell::new(Instant::now()), answering: Cell::new(0) }
    }
}
