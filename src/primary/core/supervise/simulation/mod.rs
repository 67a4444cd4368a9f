//! The rules with processes in memory, which do what programs do, at simulated times. Whatever happens: never
//! more workers start and serve than may, never fewer serve than when an operation began unless they died, no
//! slot is lost, and every operation ends.

mod cases;
mod standby;
mod upgrades;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{
    member::{Address, Phase},
    operation::{Operation, RecipeId},
    options::{ReadyWhen, RestartLimit, SuperviseOptions},
    report::{Cause, Ended, FailedPhase, Outcome, Reason, Rejection, Report, State, Token},
    supervisor::{Effect, Supervisor},
};
use crate::{
    protocol::{
        WorkerId,
        control::{Query, Target},
    },
    scheduler::simulation::Random,
};

/// What a version of the program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Good,
    ExitsAtStart,
    NeverReady,
    /// So many milliseconds after it is ready.
    DiesReady(u64),
    /// It takes too much memory before it is ready.
    EatsMemory,
    CannotBeForked,
}

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    Reload(Program),
    Scale(u32),
    Restart(u32),
    Upgrade(Fate),
    Hold,
    Release,
    /// The worker at this place among those that run, of any kind, dies, hangs, or is ended by the program.
    Die(usize),
    Hang(usize),
    Leave(usize),
    /// It takes too much memory.
    Grow(usize),
    Wait(u64),
}

/// What becomes of a primary that is to take over, after so many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Serves(u64),
    FailsEarly(u64),
    /// When it has been told to serve.
    FailsLate(u64),
}

/// What comes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Coming {
    Forked,
    Listens,
    Dies,
    Grows,
    SuccessorReady,
    SuccessorServes,
    SuccessorFails,
    HasEverything,
}

/// In the place of a worker.
const SUCCESSOR: WorkerId = 0;

#[derive(Debug)]
struct Process {
    program: Program,
    is_forked: bool,
    is_leaving: bool,
    is_ready: bool,
}

struct World {
    supervisor: Supervisor,
    now: Instant,
    random: Random,
    programs: HashMap<RecipeId, Program>,
    processes: BTreeMap<WorkerId, Process>,
    coming: BTreeSet<(Instant, WorkerId, Coming)>,
    answers: HashMap<Token, Outcome>,
    tokens: u32,
    /// As few may serve as long as the operation goes on.
    floor: usize,
    /// The operation that was under way, by its own words.
    before: Option<String>,
    is_flushing: bool,
    /// Workers that get no connections.
    withheld: BTreeSet<WorkerId>,
    /// Whether the workers of a primary that stands by are well.
    is_prepared: bool,
    fate: Fate,
    /// Whether the successor's process runs.
    has_successor: bool,
    reports: Vec<Report>,
}

pub(super) fn options(
    workers: u32,
    max_surge: u32,
    max_restarts: Option<RestartLimit>,
) -> SuperviseOptions {
    let seconds = Duration::from_secs;
    SuperviseOptions {
        workers,
        ready_when: ReadyWhen::Listening,
        ready_timeout: seconds(60),
        min_uptime: seconds(1),
        max_surge,
        drain_timeout: seconds(30),
        shutdown_delay: Duration::ZERO,
        kill_timeout: seconds(5),
        hands_over: true,
        max_generations: 3,
        restart_delay: Duration::from_millis(100),
        max_restart_delay: seconds(15),
        max_restarts,
        hung_timeout: None,
        blocked_timeout: None,
        max_memory: Some(1000),
        max_age: Some(seconds(3600)),
        max_requests: None,
        jitter: 0.1,
        seed: 1,
    }
}

/// Ids of workers, from 1 on.
fn next_ids() -> Box<dyn FnMut() -> WorkerId> {
    let mut ids = 0;
    Box::new(move || {
        ids += 1;
        ids
    })
}

impl World {
    fn new(options: SuperviseOptions, seed: u64) -> Self {
        Self::with(Program::Good, options, seed)
    }

    fn with(program: Program, options: SuperviseOptions, seed: u64) -> Self {
        Self::of(Supervisor::new(options, 0, next_ids()), program, seed)
    }

    fn of(supervisor: Supervisor, program: Program, seed: u64) -> Self {
        let mut world = Self {
            supervisor,
            now: Instant::now(),
            random: Random::seeded(seed),
            programs: HashMap::from([(0, program)]),
            processes: BTreeMap::new(),
            coming: BTreeSet::new(),
            answers: HashMap::new(),
            tokens: 0,
            floor: 0,
            before: None,
            is_flushing: false,
            withheld: BTreeSet::new(),
            is_prepared: false,
            fate: Fate::Serves(0),
            has_successor: false,
            reports: Vec::new(),
        };
        world.tell(|_, _| {});
        world
    }

    /// Tells the supervisor something, and checks all that is always true.
    fn tell(&mut self, tell: impl FnOnce(&mut Supervisor, Instant)) {
        tell(&mut self.supervisor, self.now);
        self.supervisor.settle(self.now);
        while let Some(effect) = self.supervisor.take_effect() {
            self.carry_out(effect);
        }
        self.check();
        if std::mem::take(&mut self.is_flushing) {
            self.tell(Supervisor::flushed);
        }
    }

    fn after(&mut self, milliseconds: u64) -> Instant {
        self.now + Duration::from_millis(milliseconds + self.random.below(5) as u64)
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Start { worker, recipe, is_withheld, .. } => {
                self.withheld.extend(is_withheld.then_some(worker));
                let program = self.programs[&recipe];
                let process =
                    Process { program, is_forked: false, is_leaving: false, is_ready: false };
                assert!(self.processes.insert(worker, process).is_none(), "a new id");
                let at = self.after(1);
                self.coming.insert((at, worker, Coming::Forked));
            }
            Effect::Drain { worker, .. } => self.leave(worker, 50),
            Effect::Kill(worker) => self.leave(worker, 0),
            Effect::Forget(recipe) => _ = self.programs.remove(&recipe).unwrap(),
            Effect::Report(Report::Answer(token, outcome)) => {
                assert!(self.answers.insert(token, outcome).is_none(), "answered twice");
            }
            Effect::Report(report) => self.reports.push(report),
            Effect::Withhold(_) | Effect::Flush => self.is_flushing = true,
            Effect::Prepared => self.is_prepared = true,
            Effect::Admit(worker) => _ = self.withheld.remove(&worker),
            Effect::DrainOthers { .. } | Effect::HandOver => {}
            Effect::StartSuccessor => {
                assert!(!std::mem::replace(&mut self.has_successor, true), "one at a time");
                let (after, what) = match self.fate {
                    Fate::FailsEarly(after) => (after, Coming::SuccessorFails),
                    Fate::Serves(after) | Fate::FailsLate(after) => (after, Coming::SuccessorReady),
                };
                self.expect(after, what);
            }
            Effect::CommitSuccessor => self.expect(
                3,
                match self.fate {
                    Fate::Serves(_) => Coming::SuccessorServes,
                    _ => Coming::SuccessorFails,
                },
            ),
            Effect::AbandonSuccessor => {
                assert!(std::mem::take(&mut self.has_successor));
                self.coming.retain(|(_, worker, _)| *worker != SUCCESSOR);
            }
            Effect::EndHandOver => self.expect(20, Coming::HasEverything),
            Effect::StopSuccessor => self.has_successor = false,
        }
    }

    fn expect(&mut self, milliseconds: u64, what: Coming) {
        let at = self.after(milliseconds);
        self.coming.insert((at, SUCCESSOR, what));
    }

    fn leave(&mut self, worker: WorkerId, milliseconds: u64) {
        let at = self.after(milliseconds);
        if let Some(process) = self.processes.get_mut(&worker) {
            assert!(process.is_forked, "there is something to end");
            process.is_leaving = true;
            self.coming.insert((at, worker, Coming::Dies));
        }
    }

    /// How many serve.
    fn serving(&self) -> usize {
        self.supervisor.members.values().filter(|it| it.ready_since().is_some()).count()
    }

    fn check(&mut self) {
        let Supervisor { slots, members, options, operation, .. } = &self.supervisor;
        let limit = slots.len() + options.max_surge as usize;
        assert!(self.supervisor.counted() <= limit, "too many start and serve");
        assert!(slots.keys().copied().eq(0..slots.len() as u32), "slots are numbered");
        let mut placed = BTreeSet::new();
        for (number, slot) in slots {
            for worker in [slot.serving, slot.coming].into_iter().flatten() {
                assert!(placed.insert(worker), "in two places");
                assert_eq!(members[&worker].slot, *number);
                assert!(members[&worker].counts());
            }
            assert!(slot.serving.is_none_or(|it| members[&it].ready_since().is_some()));
        }
        let counted: BTreeSet<_> =
            members.iter().filter(|(_, it)| it.counts()).map(|(&id, _)| id).collect();
        assert_eq!(placed, counted, "no slot is lost");
        for (worker, member) in members {
            assert!(self.processes.contains_key(worker), "{worker} is no process: {member:?}");
        }
        let serving = self.serving();
        let name = operation.as_ref().map(|it| match it {
            Operation::Recycle { slot } => format!("recycle {slot}"),
            _ => format!("{:?}", it.token()),
        });
        if self.before != name {
            self.floor = serving;
            self.before = name;
        }
        if operation.is_some() && !self.supervisor.is_stopping() {
            let floor = self.floor.min(slots.len());
            let taken = usize::from(options.max_surge == 0);
            assert!(serving + taken >= floor, "{serving} of {floor} serve");
        }
    }

    /// The world goes on until this time.
    fn run(&mut self, until: Instant) {
        loop {
            let deadline = self.supervisor.next_deadline();
            let coming = self.coming.first().map(|(at, ..)| *at);
            let Some(next) =
                [deadline, coming].into_iter().flatten().min().filter(|it| *it <= until)
            else {
                break;
            };
            self.now = self.now.max(next);
            if coming == Some(next) {
                let (_, worker, what) = self.coming.pop_first().unwrap();
                self.happens(worker, what);
            } else {
                self.tell(Supervisor::expire);
            }
        }
        self.now = self.now.max(until);
    }

    fn happens(&mut self, worker: WorkerId, what: Coming) {
        if worker == SUCCESSOR {
            return self.successor_comes(what);
        }
        let Some(process) = self.processes.get_mut(&worker) else {
            return;
        };
        let program = process.program;
        match what {
            Coming::Forked if program == Program::CannotBeForked => {
                self.processes.remove(&worker);
                self.tell(|it, now| it.could_not_start(worker, "clone", 11, now));
            }
            Coming::Forked => {
                process.is_forked = true;
                let next = match program {
                    Program::ExitsAtStart => Some(Coming::Dies),
                    Program::EatsMemory => Some(Coming::Grows),
                    Program::NeverReady => None,
                    _ => Some(Coming::Listens),
                };
                let at = self.after(30);
                self.coming.extend(next.map(|next| (at, worker, next)));
                self.tell(|it, _| it.started(worker));
            }
            Coming::Listens => {
                process.is_ready = true;
                if let Program::DiesReady(after) = program {
                    let at = self.after(100 + after);
                    self.coming.insert((at, worker, Coming::Dies));
                }
                let query = Query::new(Target::Tcp { address: None, port: 80 });
                self.tell(|it, now| it.listens(worker, &query, ":80", now));
            }
            Coming::Grows => self.tell(|it, now| it.uses(worker, Some(2000), 0, now)),
            Coming::Dies => self.die(worker),
            _ => unreachable!("of the successor"),
        }
    }

    fn die(&mut self, worker: WorkerId) {
        if self.processes.remove(&worker).is_some() {
            self.lose(worker);
            self.tell(|it, now| it.exited(worker, Ended::Code(1), now));
        }
    }

    /// A worker that serves is about to be gone, which is not the supervisor's doing.
    fn lose(&mut self, worker: WorkerId) {
        let member = self.supervisor.members.get(&worker);
        if member.is_some_and(|member| member.ready_since().is_some()) {
            self.floor = self.floor.saturating_sub(1);
        }
    }

    /// One of the processes that run.
    fn pick(&self, place: usize) -> Option<WorkerId> {
        let running: Vec<_> =
            self.processes.iter().filter(|(_, it)| it.is_forked).map(|(&id, _)| id).collect();
        running.get(place % running.len().max(1)).copied()
    }

    fn token(&mut self) -> Token {
        self.tokens += 1;
        self.tokens
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Reload(program) => _ = self.reload(program),
            Step::Scale(workers) => {
                let token = self.token();
                self.tell(|it, _| it.scale(token, workers));
            }
            Step::Restart(slot) => {
                let token = self.token();
                self.tell(|it, _| it.restart(token, slot));
            }
            Step::Upgrade(fate) => _ = self.upgrade(fate),
            Step::Hold => self.tell(|it, _| it.hold()),
            Step::Release => self.tell(|it, _| it.release()),
            Step::Wait(milliseconds) => self.run(self.now + Duration::from_millis(milliseconds)),
            Step::Die(place) => {
                if let Some(worker) = self.pick(place) {
                    self.die(worker);
                }
            }
            Step::Hang(place) => {
                if let Some(worker) = self.pick(place) {
                    self.lose(worker);
                    self.tell(|it, now| it.hangs(worker, now));
                }
            }
            Step::Leave(place) => {
                if let Some(worker) = self.pick(place) {
                    self.lose(worker);
                    self.tell(|it, _| it.leaves(worker));
                    let at = self.after(10);
                    self.coming.insert((at, worker, Coming::Dies));
                }
            }
            Step::Grow(place) => {
                if let Some(worker) = self.pick(place) {
                    self.tell(|it, now| it.uses(worker, Some(2000), 0, now));
                }
            }
        }
    }

    fn reload(&mut self, program: Program) -> Token {
        let token = self.token();
        self.programs.insert(token, program);
        self.tell(|it, _| it.reload(token, token));
        token
    }

    /// Everything that was asked for has ended, and with a good program all slots have workers.
    fn end(&mut self) {
        self.tell(|it, _| it.release());
        self.run(self.now + Duration::from_secs(3000));
        for token in 1..=self.tokens {
            assert!(self.answers.contains_key(&token), "operation {token} has ended");
        }
        let token = self.reload(Program::Good);
        self.run(self.now + Duration::from_secs(300));
        assert!(
            matches!(self.answers[&token], Outcome::Reloaded(..)),
            "{:?}",
            self.answers[&token]
        );
        assert_eq!(self.serving(), self.supervisor.slots.len());
        assert_eq!(self.supervisor.state(), State::Ready);
        assert_eq!(self.programs.len(), 1, "recipes are forgotten");
        let leaving =
            self.supervisor.members.values().filter(|it| matches!(it.phase, Phase::Leaving));
        assert_eq!(leaving.count(), 0);
        assert_eq!(self.processes.len(), self.supervisor.slots.len(), "no process is left over");
        let stop = self.token();
        let reload = self.token();
        self.programs.insert(reload, Program::Good);
        self.tell(|it, now| it.stop(stop, Duration::from_secs(5), Duration::from_secs(30), now));
        self.tell(|it, _| it.reload(reload, reload));
        self.run(self.now + Duration::from_secs(60));
        assert_eq!(self.answers[&stop], Outcome::Done);
        let is_refused =
            |it: &Outcome| matches!(it, Outcome::Rejected(it) if it.cause == Cause::Stopping);
        assert!(is_refused(&self.answers[&reload]));
        assert_eq!(self.supervisor.state(), State::Stopped);
        assert!(self.processes.is_empty());
    }
}

fn any_program() -> impl Strategy<Value = Program> {
    prop_oneof![
        4 => Just(Program::Good),
        1 => Just(Program::ExitsAtStart),
        1 => Just(Program::NeverReady),
        1 => (0..3000_u64).prop_map(Program::DiesReady),
        1 => Just(Program::EatsMemory),
        1 => Just(Program::CannotBeForked),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any_program().prop_map(Step::Reload),
        2 => (1..6_u32).prop_map(Step::Scale),
        2 => (0..40_u32).prop_map(Step::Restart),
        1 => any_failure().prop_map(Step::Upgrade),
        1 => Just(Step::Hold),
        2 => Just(Step::Release),
        4 => any::<usize>().prop_map(Step::Die),
        2 => any::<usize>().prop_map(Step::Hang),
        2 => any::<usize>().prop_map(Step::Leave),
        1 => any::<usize>().prop_map(Step::Grow),
        12 => (0..4000_u64).prop_map(Step::Wait),
    ]
}

fn any_failure() -> impl Strategy<Value = Fate> {
    prop_oneof![(0..4000_u64).prop_map(Fate::FailsEarly), (0..4000_u64).prop_map(Fate::FailsLate),]
}

fn any_limit() -> impl Strategy<Value = Option<RestartLimit>> {
    let within = prop::option::of((1..60_u64).prop_map(Duration::from_secs));
    prop::option::of((0..8_u32, within).prop_map(|(count, within)| RestartLimit { count, within }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_happens_slots_are_kept_and_operations_end(
        steps in prop::collection::vec(any_step(), 0..60),
        workers in 1..5_u32,
        max_surge in 0..3_u32,
        limit in any_limit(),
        seed in any::<u64>(),
    ) {
        let max_surge = if workers == 1 { max_surge.max(1) } else { max_surge };
        let mut world = World::new(options(workers, max_surge, limit), seed);
        for step in steps {
            world.step(step);
        }
        world.end();
    }
}
