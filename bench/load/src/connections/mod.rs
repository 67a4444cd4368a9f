//! Opens and closes connections, as many as possible or at a fixed rate, and times them. The loop starts
//! connections, and notices their ends. It has one thread and does as little as possible, because it
//! shares the machine with the servers.

mod connection;
mod load;
mod report;
mod timer;

use std::{
    iter::Cycle,
    net::SocketAddrV4,
    time::{Duration, Instant},
    vec,
};

use nix::{
    Result,
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};

use connection::{Connection, Progress};
pub(crate) use load::Load;
use load::Pace;
use report::Record;
use timer::Timer;

const EVENTS: usize = 256;
/// This value is not the number of a connection.
const TIMER: u64 = u64::MAX;

/// Runs to the end of the load; returns the report.
pub(crate) fn run(load: &Load) -> std::io::Result<String> {
    let mut run = Run::new(load)?;
    let started = Instant::now();
    match load.pace {
        Pace::Concurrency(count) => run.keep_open(count, started + load.duration())?,
        Pace::Rate(rate) => run.start_at(rate, started)?,
    }
    Ok(run.record.summarize(started.elapsed(), load.late()))
}

struct Run<'a> {
    load: &'a Load,
    servers: Cycle<vec::IntoIter<SocketAddrV4>>,
    epoll: Epoll,
    timer: Timer,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    record: Record,
    buffer: [u8; 1024],
}

impl<'a> Run<'a> {
    fn new(load: &'a Load) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = Timer::new()?;
        // The timer is edge-triggered, so it is never read.
        let once = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(&timer, EpollEvent::new(once, TIMER))?;
        Ok(Self {
            load,
            servers: load.servers().into_iter().cycle(),
            epoll,
            timer,
            connections: Vec::new(),
            free: Vec::new(),
            record: Record::default(),
            buffer: [0; 1024],
        })
    }

    /// Keeps so many connections open until the deadline. Connections that are open then are cut off.
    fn keep_open(&mut self, count: usize, deadline: Instant) -> Result<()> {
        self.timer.set(deadline)?;
        while Instant::now() < deadline {
            while self.open() < count && Instant::now() < deadline {
                self.start(Instant::now());
            }
            self.wait()?;
        }
        Ok(())
    }

    /// Starts each connection at its moment, or as soon afterwards as possible, then waits until all
    /// have ended.
    fn start_at(&mut self, rate: f64, started: Instant) -> Result<()> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number")]
        let count = (self.load.seconds * rate) as u32;
        let moment = |index: u32| started + Duration::from_secs_f64(f64::from(index) / rate);
        let mut next = 0;
        while next < count {
            if moment(next) <= Instant::now() {
                self.start(moment(next));
                next += 1;
                // Ends are handled in between, or connections that end in time would look late.
                self.hear(EpollTimeout::ZERO)?;
            } else {
                self.timer.set(moment(next))?;
                self.wait()?;
            }
        }
        let deadline = started + self.load.duration() + self.load.patience();
        self.timer.set(deadline)?;
        while self.open() > 0 && Instant::now() < deadline {
            self.wait()?;
        }
        self.give_up();
        Ok(())
    }

    fn open(&self) -> usize {
        self.connections.len() - self.free.len()
    }

    fn start(&mut self, intended: Instant) {
        if self.try_start(intended).is_err() {
            self.record.failures.failed += 1;
        }
    }

    fn try_start(&mut self, intended: Instant) -> Result<()> {
        // There is one at least.
        let server = self.servers.next().ok_or(Errno::EDESTADDRREQ)?;
        let connection = Connection::open(server, self.load.protocol, intended)?;
        let index = self.free.last().copied().unwrap_or(self.connections.len());
        let event = EpollEvent::new(connection.interest(), index as u64);
        self.epoll.add(&connection, event)?;
        if self.free.pop().is_some() {
            self.connections[index] = Some(connection);
        } else {
            self.connections.push(Some(connection));
        }
        Ok(())
    }

    /// Waits until a connection has an event, or the timer expires.
    fn wait(&mut self) -> Result<()> {
        self.hear(EpollTimeout::NONE)
    }

    fn hear(&mut self, timeout: EpollTimeout) -> Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let count = match self.epoll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => return Ok(()),
            result => result?,
        };
        for event in events[..count].iter().filter(|event| event.data() != TIMER) {
            #[expect(clippy::cast_possible_truncation, reason = "it was an index")]
            self.advance(event.data() as usize);
        }
        Ok(())
    }

    fn advance(&mut self, index: usize) {
        let Some(connection) = &mut self.connections[index] else { return };
        let progress = connection.advance(&mut self.buffer);
        match progress {
            Ok(Progress::Waits) => return,
            Ok(Progress::Served) => {
                self.record.served += 1;
                self.record.times.push(connection.intended.elapsed());
            }
            Ok(Progress::Unserved) => self.record.failures.unserved += 1,
            Err(_) => self.record.failures.failed += 1,
        }
        self.connections[index] = None;
        self.free.push(index);
    }

    /// A connection that has not ended counts with the time that it has waited, which is less than it
    /// would take.
    fn give_up(&mut self) {
        for connection in self.connections.drain(..).flatten() {
            self.record.failures.unanswered += 1;
            self.record.times.push(connection.intended.elapsed());
        }
        self.free.clear();
    }
}
