//! What operators have asked for, until it is done.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::super::{
    core::supervise::report::{Outcome, Token},
    messages::Reply,
};

/// The tokens of the program do not have this bit, and those of operators do.
const OPERATOR: Token = 1 << 31;

/// What an operation came to, and what the worker that failed wrote last.
pub(super) type Answered = (Outcome, Option<String>);

/// What operators wait for.
#[derive(Default)]
pub(super) struct Asks {
    last: Token,
    /// Operations that the engine carries out.
    operations: HashMap<Token, oneshot::Sender<Answered>>,
    /// What the program is asked for.
    program: HashMap<Token, AskedOfProgram>,
    /// How many slots there are to be when the operations with these tokens are done, in their order.
    scales: Vec<(Token, u32)>,
}

struct AskedOfProgram {
    /// Until the program begins.
    taken: Option<oneshot::Sender<()>>,
    replied: oneshot::Sender<Reply>,
}

/// What the program is asked for, as the operator sees it.
pub(super) struct OfProgram {
    pub(super) token: Token,
    pub(super) taken: oneshot::Receiver<()>,
    pub(super) replied: oneshot::Receiver<Reply>,
}

impl Asks {
    /// A token for an operation of the engine, and its outcome.
    pub(super) fn operation(&mut self) -> (Token, oneshot::Receiver<Answered>) {
        let (done, outcome) = oneshot::channel();
        let token = self.next();
        self.operations.insert(token, done);
        (token, outcome)
    }

    /// As [`operation`](Self::operation), for one that changes how many slots there are.
    pub(super) fn scale(&mut self, workers: u32) -> (Token, oneshot::Receiver<Answered>) {
        let (token, outcome) = self.operation();
        self.scales.push((token, workers));
        (token, outcome)
    }

    /// How many slots there are to be in the end, if that is being changed.
    pub(super) fn workers(&self) -> Option<u32> {
        self.scales.last().map(|(_, workers)| *workers)
    }

    /// Something that only the program can do.
    pub(super) fn of_program(&mut self) -> OfProgram {
        let ((is_taken, taken), (reply, replied)) = (oneshot::channel(), oneshot::channel());
        let token = self.next();
        self.program.insert(token, AskedOfProgram { taken: Some(is_taken), replied: reply });
        OfProgram { token, taken, replied }
    }

    /// The operator no longer waits for what the program has not begun with.
    pub(super) fn withdraw(&mut self, token: Token) {
        self.program.remove(&token);
    }

    /// The program begins. Returns whether the operator still waits.
    pub(super) fn take(&mut self, token: Token) -> bool {
        let taken = self.program.get_mut(&token).and_then(|it| it.taken.take());
        let is_awaited = taken.is_some_and(|taken| taken.send(()).is_ok());
        if !is_awaited {
            self.withdraw(token);
        }
        is_awaited
    }

    /// The program has done what it was asked for.
    pub(super) fn reply(&mut self, token: Token, reply: Reply) {
        if let Some(asked) = self.program.remove(&token) {
            // The operator may have gone.
            let _ = asked.replied.send(reply);
        }
    }

    /// An operation has ended. Returns whether an operator has asked for it.
    pub(super) fn answer(&mut self, token: Token, answered: Answered) -> bool {
        if token & OPERATOR == 0 {
            return false;
        }
        self.scales.retain(|(scale, _)| *scale != token);
        if let Some(done) = self.operations.remove(&token) {
            // The operator may have gone.
            let _ = done.send(answered);
        }
        true
    }

    fn next(&mut self) -> Token {
        self.last = (self.last + 1) % OPERATOR;
        OPERATOR | self.last
    }
}
