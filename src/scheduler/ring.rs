use crate::protocol::WorkerId;

/// Workers in turn.
#[derive(Debug, Default)]
pub(super) struct Ring {
    members: Vec<WorkerId>,
    /// Index into `members` of the worker whose turn it is.
    turn: usize,
}

impl Ring {
    pub(super) fn members(&self) -> &[WorkerId] {
        &self.members
    }

    pub(super) fn join(&mut self, worker: WorkerId) {
        // Behind everybody who is already waiting for a turn: just before the current one.
        self.members.insert(self.turn, worker);
        self.turn = (self.turn + 1) % self.members.len();
    }

    pub(super) fn leave(&mut self, worker: WorkerId) -> bool {
        let Some(index) = self.members.iter().position(|&member| member == worker) else {
            return false;
        };
        self.members.remove(index);
        if index < self.turn {
            self.turn -= 1;
        }
        if self.turn == self.members.len() {
            self.turn = 0;
        }
        true
    }

    /// Takes the member with the least load, in turn among equals; `None` is no load at all, but
    /// means that it can't be taken.
    ///
    /// The one whose turn it is is asked first, and nobody after one without any load: the usual
    /// decision among idle members asks one, however many there are.
    pub(super) fn take_least(
        &mut self,
        load: impl Fn(WorkerId) -> Option<usize>,
    ) -> Option<WorkerId> {
        let count = self.members.len();
        let mut best: Option<(usize, usize)> = None;
        for offset in 0..count {
            let index = (self.turn + offset) % count;
            let Some(load) = load(self.members[index]) else {
                continue;
            };
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, index));
            }
            if load == 0 {
                break;
            }
        }
        let (_, index) = best?;
        self.turn = (index + 1) % count;
        Some(self.members[index])
    }
}
