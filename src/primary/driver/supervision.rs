//! What the rules of supervision see as their driver: workers are started by recipes, and the program hears
//! what happened.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use tokio::task::AbortHandle;

use super::systemd::Systemd;
use super::{
    super::{
        core::supervise::{
            operation::RecipeId,
            options::SuperviseOptions,
            report::{Outcome, Rejection, Report, SlotNumber},
            status::Status,
        },
        forker::{Forker, Recipe, StderrTail},
        messages::{Emit, Event},
        operator::{board::Board, identity::Identity},
        primary_recipe::PrimaryRecipe,
    },
    asks::Asks,
    reading::now,
};
use crate::{
    protocol::{WorkerId, upgrade::OperatorKind},
    sys::listen::Bound,
};

/// Of how many workers that have ended the last of their stderr is kept: an operation that fails with one of
/// them may go on for a while.
const REMEMBERED: usize = 16;

/// What the program has given as options, and operators may need.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) max_surge: u32,
    pub(super) drain_timeout: Duration,
    pub(super) shutdown_delay: Duration,
}

impl From<&SuperviseOptions> for Limits {
    fn from(options: &SuperviseOptions) -> Self {
        Self {
            max_surge: options.max_surge,
            drain_timeout: options.drain_timeout,
            shutdown_delay: options.shutdown_delay,
        }
    }
}

/// A socket on which operators ask, as long as it is open.
pub(super) struct OperatorSocket {
    pub(super) kind: OperatorKind,
    /// A path, or `address:port`.
    pub(super) address: String,
    pub(super) bound: Weak<Bound>,
}

/// The recipes, and the workers that were started by them.
pub(super) struct Supervision {
    /// Which primary this is.
    pub(super) identity: Arc<Identity>,
    pub(super) limits: Limits,
    /// What operators wait for.
    pub(super) asks: Asks,
    /// What answers operators.
    pub(super) servers: Vec<AbortHandle>,
    /// The sockets that they listen on.
    pub(super) operators: Vec<OperatorSocket>,
    /// Until no worker is started any more.
    forker: Option<Forker>,
    recipes: HashMap<RecipeId, Arc<Recipe>>,
    last_recipe: RecipeId,
    pids: HashMap<WorkerId, i32>,
    tails: HashMap<WorkerId, StderrTail>,
    /// What workers wrote last that have ended, the latest at the end.
    last_words: VecDeque<(WorkerId, String)>,
    /// Who tells the service manager, if there is one.
    pub(super) systemd: Option<Rc<RefCell<Systemd>>>,
}

impl Supervision {
    pub(super) fn new(forker: Forker, identity: Arc<Identity>) -> Self {
        Self {
            identity,
            limits: Limits::default(),
            asks: Asks::default(),
            servers: Vec::new(),
            operators: Vec::new(),
            forker: Some(forker),
            recipes: HashMap::new(),
            last_recipe: 0,
            pids: HashMap::new(),
            tails: HashMap::new(),
            last_words: VecDeque::new(),
            systemd: None,
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

    /// Starts the primary that is to take over.
    pub(super) fn start_primary(&self, recipe: Arc<PrimaryRecipe>) {
        if let Some(forker) = &self.forker {
            forker.start_primary(recipe);
        }
    }

    /// The sockets on which operators ask.
    pub(super) fn operator_sockets(
        &self,
    ) -> impl Iterator<Item = (OperatorKind, String, Rc<Bound>)> {
        let open = |it: &OperatorSocket| Some((it.kind, it.address.clone(), it.bound.upgrade()?));
        self.operators.iter().filter_map(open)
    }

    /// Another primary answers operators from now on, at the same sockets. Connections that they have get their
    /// answers.
    pub(super) fn hand_over_operators(&mut self) {
        for socket in self.operators.drain(..) {
            if let Some(bound) = socket.bound.upgrade() {
                bound.disown();
            }
        }
        self.close_operators();
    }

    fn close_operators(&mut self) {
        for server in self.servers.drain(..) {
            server.abort();
        }
    }

    /// No worker is started any more, so the thread that starts them ends, and operators find no sockets.
    /// Connections that they have get their answers.
    pub(super) fn end(&mut self) {
        self.forker = None;
        self.close_operators();
    }

    /// The worker's process runs.
    pub(super) fn add_worker(&mut self, id: WorkerId, pid: i32, tail: Option<StderrTail>) {
        self.pids.insert(id, pid);
        self.tails.extend(tail.map(|tail| (id, tail)));
    }

    /// The worker's process has ended. Returns its number.
    pub(super) fn remove_worker(&mut self, id: WorkerId) -> Option<i32> {
        let pid = self.pids.remove(&id);
        if let Some(tail) = self.tails.remove(&id) {
            self.last_words.push_back((id, text(&tail)));
            if self.last_words.len() > REMEMBERED {
                self.last_words.pop_front();
            }
        }
        pid
    }

    /// The rules know something else than before.
    pub(super) fn observe(&self, status: &Status) {
        if let Some(systemd) = &self.systemd {
            systemd.borrow_mut().observe(status);
        }
    }

    pub(super) fn report(&mut self, report: Report, emit: &Emit, board: &Board) {
        if let Some(systemd) = &self.systemd {
            systemd.borrow_mut().hear(&report);
        }
        let stderr = rejection(&report).and_then(|it| it.worker).and_then(|id| self.stderr(id));
        board.report(&report, stderr.as_deref(), now());
        if let Report::Answer(token, outcome) = &report
            && self.asks.answer(*token, (outcome.clone(), stderr.clone()))
        {
            return;
        }
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
        Report::Failed(rejection)
        | Report::StandbyFailed(rejection)
        | Report::Answer(_, Outcome::Rejected(rejection)) => Some(rejection),
        _ => None,
    }
}
