//! What the rules of supervision see as their driver: workers are started by recipes, and the program hears
//! what happened.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, PoisonError},
};

use super::super::{
    core::supervise::{
        operation::RecipeId,
        report::{Outcome, Rejection, Report, SlotNumber},
        status::Status,
    },
    forker::{Forker, Recipe, StderrTail},
    messages::{Board, Emit, Event, Published},
};
use super::systemd::Systemd;
use crate::protocol::WorkerId;

/// Of how many workers that have ended the last of their stderr is kept: an operation that fails with one of
/// them may go on for a while.
const REMEMBERED: usize = 16;

/// The recipes, and the workers that were started by them.
pub(super) struct Supervision {
    /// Until no worker is started any more.
    forker: Option<Forker>,
    recipes: HashMap<RecipeId, Arc<Recipe>>,
    last_recipe: RecipeId,
    pids: HashMap<WorkerId, i32>,
    tails: HashMap<WorkerId, StderrTail>,
    /// What workers wrote last that have ended, the latest at the end.
    last_words: VecDeque<(WorkerId, String)>,
    /// Who tells the service manager, if there is one.
    pub(super) systemd: Option<Systemd>,
}

impl Supervision {
    pub(super) fn new(forker: Forker, systemd: Option<Systemd>) -> Self {
        Self {
            forker: Some(forker),
            recipes: HashMap::new(),
            last_recipe: 0,
            pids: HashMap::new(),
            tails: HashMap::new(),
            last_words: VecDeque::new(),
            systemd,
        }
    }

    pub(super) fn add_recipe(&mut self, recipe: Arc<Recipe>) -> RecipeId {
        self.last_recipe = self.last_recipe.wrapping_add(1);
        self.recipes.insert(self.last_recipe, recipe);
        self.last_recipe
    }

    pub(super) fn forget_recipe(&mut self, recipe: RecipeId) {
        self.recipes.remove(&recipe);
    }

    pub(super) fn start_worker(&self, id: WorkerId, slot: SlotNumber, recipe: RecipeId) {
        if let Some((forker, recipe)) = self.forker.as_ref().zip(self.recipes.get(&recipe)) {
            forker.fork(id, slot, Arc::clone(recipe));
        }
    }

    /// No worker is started any more, so the thread that starts them ends.
    pub(super) fn end(&mut self) {
        self.forker = None;
    }

    /// The worker's process runs.
    pub(super) fn add_worker(&mut self, id: WorkerId, pid: i32, tail: Option<StderrTail>) {
        self.pids.insert(id, pid);
        self.tails.extend(tail.map(|tail| (id, tail)));
    }

    /// The worker's process has ended.
    pub(super) fn remove_worker(&mut self, id: WorkerId) {
        self.pids.remove(&id);
        if let Some(tail) = self.tails.remove(&id) {
            self.last_words.push_back((id, text(&tail)));
            if self.last_words.len() > REMEMBERED {
                self.last_words.pop_front();
            }
        }
    }

    pub(super) fn publish(&mut self, status: Status, board: &Board) {
        if let Some(systemd) = &mut self.systemd {
            systemd.observe(&status);
        }
        let published = Published { status, pids: self.pids.clone() };
        *board.lock().unwrap_or_else(PoisonError::into_inner) = Some(published);
    }

    pub(super) fn report(&mut self, report: Report, emit: &Emit) {
        if let Some(systemd) = &mut self.systemd {
            systemd.hear(&report);
        }
        let stderr = rejection(&report).and_then(|it| it.worker).and_then(|id| self.stderr(id));
        emit(Event::Report { report, stderr });
    }

    /// What the worker wrote last.
    fn stderr(&self, id: WorkerId) -> Option<String> {
        let ended = self.last_words.iter().rev().find(|(worker, _)| *worker == id);
        ended.map(|(_, text)| text.clone()).or_else(|| self.tails.get(&id).map(text))
    }
}

fn text(tail: &StderrTail) -> String {
    String::from_utf8_lossy(&tail.read()).into_owned()
}

fn rejection(report: &Report) -> Option<&Rejection> {
    match report {
        Report::Failed(rejection) | Report::Answer(_, Outcome::Rejected(rejection)) => {
            Some(rejection)
        }
        _ => None,
    }
}
