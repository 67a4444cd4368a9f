//! The core under supervision, with workers that do everything at once, so that nothing but its decisions takes
//! time: for `benches/core.rs`.

mod driver;

use core::{cell::Cell, time::Duration};
use std::{rc::Rc, sync::Arc, time::Instant};

use self::driver::{Client, Lane, NoSocket, Orders, Still};
use super::{
    driver::NewWorker,
    listener::{Delivery, Listener},
    listening::{Joining, Plan},
    state::Core,
    stats::{Counters, WorkerCounters},
    supervise::{
        options::{ReadyWhen, SuperviseOptions},
        report::Ended,
        supervisor::Supervisor,
    },
};
use crate::{
    protocol::{
        ListenerId, WorkerId,
        control::{Query, Target},
    },
    scheduler::Scheduling,
};

/// Between two connections.
const PAUSE: Duration = Duration::from_micros(100);

/// The longest time between two looks at workers.
const A_LOOK: Duration = Duration::from_secs(1);

/// A supervised program, all of whose workers are ready.
pub struct Program {
    core: Core<Still>,
    orders: Rc<Orders>,
    turns: Rc<Cell<bool>>,
    listeners: u16,
    clients: u32,
    parked: u64,
    reloads: u32,
    now: Instant,
}

fn options(workers: u32) -> SuperviseOptions {
    let seconds = Duration::from_secs;
    SuperviseOptions {
        workers,
        ready_when: ReadyWhen::Ready,
        ready_timeout: seconds(60),
        min_uptime: seconds(1),
        max_surge: 1,
        drain_timeout: seconds(30),
        shutdown_delay: Duration::ZERO,
        kill_timeout: seconds(5),
        hands_over: true,
        max_generations: 3,
        restart_delay: Duration::from_millis(100),
        max_restart_delay: seconds(15),
        max_restarts: None,
        hung_timeout: Some(seconds(60)),
        blocked_timeout: None,
        max_memory: None,
        max_age: None,
        max_requests: None,
        jitter: 0.1,
        seed: 1,
    }
}

fn query(index: u16) -> Query {
    let address = Some("127.0.0.1".into());
    Query::new(Target::Tcp { address, port: 8000 + index })
}

impl Program {
    /// Starts so many workers, each of which serves HTTP at so many addresses; it is that time now.
    pub fn new(workers: u32, listeners: u16, now: Instant) -> Self {
        let orders = Rc::new(Orders::default());
        let counters = Arc::<Counters>::default();
        let core = Core::new(Still(Rc::clone(&orders)), Scheduling::RoundRobin, counters);
        let turns = Rc::new(Cell::new(false));
        let (clients, parked, reloads) = Default::default();
        let mut program = Self { core, orders, turns, listeners, clients, parked, reloads, now };
        let mut ids = 0;
        let next_id = move || {
            ids += 1;
            ids
        };
        let supervisor = Supervisor::new(options(workers), 0, Box::new(next_id));
        program.core.begin_supervision(supervisor, now);
        program.obey();
        program
    }

    /// Workers start that are to start, and those end that are to leave.
    fn obey(&mut self) {
        loop {
            let started = self.orders.starts.take();
            let left = self.orders.drains.take();
            if started.is_empty() && left.is_empty() {
                return;
            }
            for id in started {
                self.start(id);
            }
            for id in left {
                self.core.remove_worker(id, self.now);
                self.core.tell_exited(id, Ended::Code(0), self.now);
            }
        }
    }

    fn start(&mut self, id: WorkerId) {
        let (orders, turns) = (Rc::clone(&self.orders), Rc::clone(&self.turns));
        let lanes = Lane { id, orders, served: Arc::default(), turns, beat: Cell::new(1) };
        let counters = Arc::new(WorkerCounters::new(Arc::clone(&lanes.served) as _));
        let queue_timeout = Duration::from_secs(10);
        let new = NewWorker { lanes, counters, queue_timeout, is_other_user: false };
        self.core.add_worker(id, new, self.now);
        for index in 0..self.listeners {
            self.listen(id, &query(index));
        }
        let now = self.now;
        self.core.supervise(now, |it| it.says_ready(id, now));
    }

    fn listen(&mut self, id: WorkerId, query: &Query) {
        let listener = match self.core.plan(id, query) {
            Plan::Join(listener) | Plan::Rebind(listener, _) => listener,
            Plan::Bind => {
                let Some(distribution) = self.core.new_distribution(&query.target, 1) else {
                    return;
                };
                let delivery = Delivery::Distributed(Box::new(distribution));
                let listener = self.core.next_listener();
                let bound = Listener::new(query.clone(), None, delivery);
                self.core.insert_listener(listener, bound);
                if let Some(socket) = self.core.next_socket(listener) {
                    self.core.add_socket(listener, socket, NoSocket);
                }
                listener
            }
        };
        // These lanes take every message.
        let _ = self.core.join(Joining { id, seq: 1, is_http: true }, listener, None, self.now);
    }

    fn client(&mut self) -> Client {
        self.clients = self.clients.wrapping_add(1);
        Client(self.clients)
    }

    /// The listeners in turn.
    fn listener(&self) -> ListenerId {
        self.clients % u32::from(self.listeners) + 1
    }

    /// One of the workers, which are numbered from 1 on before the first reload.
    fn worker(&self) -> WorkerId {
        self.clients % self.core.slots() + 1
    }

    /// A connection is accepted, a worker gets it, and what else is due is done, such as a sweep.
    pub fn connect(&mut self) {
        let client = self.client();
        let listener = self.listener();
        self.core.accepted(listener, client, self.now);
        self.pass(PAUSE);
    }

    /// A worker, which is ready, reports that it listens on an address.
    pub fn report(&mut self) {
        self.clients = self.clients.wrapping_add(1);
        self.core.tell_listening(self.worker(), self.listener(), self.now);
    }

    /// The queue of a worker is full, and has room again.
    pub fn fill_queue(&mut self) {
        self.clients = self.clients.wrapping_add(1);
        let worker = self.worker();
        self.core.set_full(worker, false, self.now);
        self.core.queue_has_room(worker, self.now);
    }

    /// All workers are looked at, which turn or sleep.
    pub fn look(&mut self, turns: bool) {
        self.turns.set(turns);
        self.pass(A_LOOK);
    }

    /// So many idle connections of workers that have drained wait in the engine.
    pub fn park(&mut self, count: usize) {
        for _ in 0..count {
            let client = self.client();
            self.core.park(1, 1, client, None, true, self.now);
            self.parked += 1;
        }
    }

    /// One more waits there, and goes to a worker when its client sends something.
    pub fn park_and_speak(&mut self) {
        self.park(1);
        self.core.parked_ready(1, self.parked, self.now);
    }

    /// All workers are replaced by those of another generation.
    pub fn reload(&mut self) {
        self.reloads += 1;
        let (token, now) = (self.reloads, self.now);
        self.orders.has_reloaded.set(false);
        self.core.supervise(now, |it| it.reload(token, token));
        self.obey();
        while !self.orders.has_reloaded.get() {
            self.pass(A_LOOK);
            self.obey();
        }
    }

    /// Time passes, and what is due is done. Workers that are asked whether their event loops turn answer.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        if self.core.next_deadline().is_none_or(|next| next > self.now) {
            return;
        }
        self.core.expire(self.now);
        for id in self.orders.probes.take() {
            self.core.answered(id, self.now);
        }
    }

    /// How many idle connections still wait in the engine.
    pub fn parked(&self) -> usize {
        self.core.counters.stats().listeners.iter().map(|it| it.parked).sum()
    }

    /// Whether there are as many workers as there should be, and all connections have reached workers. So it is known
    /// that what was measured has happened.
    pub fn is_well(&self) -> bool {
        let stats = self.core.counters.stats();
        let served: u64 = stats.workers.iter().map(|it| it.counts.handed_over).sum();
        let accepted: u64 = stats.listeners.iter().map(|it| it.accepted).sum();
        stats.workers.len() == self.core.slots() as usize && served >= accepted
    }
}
