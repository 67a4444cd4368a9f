//! Plays shapes of traffic at once, each with clients of its own, and tells for each what failed.
//!
//! Commands on stdin, one a line: `burst` opens the connections of every shape `burst`; `status` prints
//! the counts so far; `stop` ends the run: what is under way is finished, then the report is printed. The
//! program prints `{"ready":true}` when each shape has had an answer, and `{"burst":N}` when the
//! connections of a burst are being opened.
//!
//! Reading order: [`plan`], [`client`], then any of [`shapes`].

mod client;
mod commands;
mod failure;
mod http1;
mod log;
mod plan;
mod record;
mod shapes;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::{JoinSet, LocalSet},
    time::{Instant, interval, sleep_until},
};

use client::Scene;
use commands::Command;
use log::Log;
pub(crate) use plan::Plan;
use plan::{Kind, Shape};
use record::Record;

/// How often the program looks whether each shape has had an answer.
const LOOK: Duration = Duration::from_millis(10);

/// Runs to the end of the plan, or to the command `stop`; returns the report.
pub(crate) fn run(plan: Plan) -> io::Result<String> {
    plan.check()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let commands = commands::read(plan.seconds.is_none());
    runtime.block_on(LocalSet::new().run_until(async {
        let run = Run::start(plan)?;
        run.obey(commands).await?;
        Ok(run.report().to_string())
    }))
}

struct Run {
    scenes: Vec<Rc<Scene>>,
    clients: RefCell<JoinSet<()>>,
    log: Rc<Log>,
    started: Instant,
    end: Option<Instant>,
    stop: watch::Sender<bool>,
    bursts: watch::Sender<u64>,
}

impl Run {
    fn start(plan: Plan) -> io::Result<Self> {
        let started = Instant::now();
        let log = Rc::new(Log::create(plan.log.as_deref())?);
        let limit = plan.answer_limit();
        let (stop, stopped) = watch::channel(false);
        let (bursts, burst) = watch::channel(0);
        let scene = |shape: Shape| {
            Ok(Rc::new(Scene {
                tls: tls::connector(&shape)?,
                shape,
                limit,
                started,
                record: RefCell::default(),
                log: Rc::clone(&log),
                stop: stopped.clone(),
                bursts: burst.clone(),
            }))
        };
        let scenes = plan.shapes.into_iter().map(scene).collect::<io::Result<Vec<_>>>()?;
        let mut clients = JoinSet::new();
        for scene in &scenes {
            shapes::start(scene, &mut clients);
        }
        let end = plan.seconds.map(|seconds| started + Duration::from_secs_f64(seconds));
        Ok(Self { scenes, clients: RefCell::new(clients), log, started, end, stop, bursts })
    }

    /// Obeys the commands until the run is over and all clients have finished.
    async fn obey(&self, mut commands: commands::Receiver) -> io::Result<()> {
        let mut look = interval(LOOK);
        let mut is_ready = false;
        let end = self.end.unwrap_or(self.started);
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Stop) | None => break,
                    Some(Command::Burst) => self.bursts.send_modify(|count| *count += 1),
                    Some(Command::Status) => tell(&json!({ "status": self.status() })),
                },
                () = sleep_until(end), if self.end.is_some() => break,
                _ = look.tick(), if !is_ready => {
                    is_ready = self.is_ready();
                    if is_ready {
                        tell(&json!({ "ready": true }));
                    }
                }
            }
        }
        let _ = self.stop.send(true);
        let mut clients = self.clients.take();
        while let Some(result) = clients.join_next().await {
            result.map_err(io::Error::other)?;
        }
        self.log.flush()
    }

    fn is_ready(&self) -> bool {
        let has_begun = |scene: &Rc<Scene>| {
            scene.shape.shape == Kind::Burst || scene.record.borrow().answered > 0
        };
        self.scenes.iter().all(has_begun)
    }

    fn sum(&self, count: impl Fn(&Record) -> u64) -> u64 {
        self.scenes.iter().map(|scene| count(&scene.record.borrow())).sum()
    }

    fn status(&self) -> Value {
        json!({
            "requests": self.sum(|record| record.requests),
            "answered": self.sum(|record| record.answered),
            "failed": self.sum(Record::failed),
            "opened": self.sum(|record| record.opened),
            "inBursts": self.in_bursts(),
        })
    }

    /// How many requests of bursts are under way.
    fn in_bursts(&self) -> u64 {
        let bursts = self.scenes.iter().filter(|scene| scene.shape.shape == Kind::Burst);
        let under_way = bursts.map(|scene| {
            let record = scene.record.borrow();
            record.requests.saturating_sub(record.answered + record.failed())
        });
        under_way.sum()
    }

    fn report(&self) -> Value {
        let report = |scene: &Rc<Scene>| scene.record.borrow_mut().report(scene.shape.name());
        json!({
            "seconds": self.started.elapsed().as_secs_f64(),
            "total": self.status(),
            "shapes": self.scenes.iter().map(report).collect::<Vec<_>>(),
        })
    }
}

/// Prints a line. An error means that the reader is gone, and stdin has ended as well.
fn tell(line: &Value) {
    let _ = writeln!(io::stdout(), "{line}");
}
