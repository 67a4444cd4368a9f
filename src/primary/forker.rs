//! The thread that starts workers for the engine, which must not wait for that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use super::core::supervise::report::SlotNumber;
use super::{
    output_relay::Target,
    primary_recipe::{PrimaryRecipe, StartedPrimary},
    recipe::Outputs,
};
pub use super::{
    output_relay::{OutputRelay, StderrTail},
    recipe::{Recipe, Started},
};
use crate::{
    error::{Error, Result},
    protocol::WorkerId,
};

/// What is to be started.
enum Order {
    Worker(WorkerOrder),
    Primary(Arc<PrimaryRecipe>),
}

struct WorkerOrder {
    id: WorkerId,
    slot: SlotNumber,
    recipe: Arc<Recipe>,
}

/// What has been started, or could not be.
pub enum Done {
    /// The worker with this id.
    Worker(WorkerId, Result<Box<Started>>),
    /// Another primary.
    Primary(Result<StartedPrimary>),
}

/// Starts workers and other primaries, one after the other. Dropping it ends the thread; what is not begun by then is
/// not started.
pub struct Forker {
    orders: Sender<Order>,
    relay: Arc<OutputRelay>,
    is_dropped: Arc<AtomicBool>,
}

impl Forker {
    /// Starts the thread. Workers inherit the scheduling class of the thread that calls this, so that must not
    /// be the engine's. `done` is called on the forker's thread with each process, or with why it could not be
    /// started. It has to end a process that it can't pass on.
    ///
    /// # Errors
    /// When the process can have no more threads.
    pub fn start(done: impl Fn(Done) + Send + 'static) -> Result<Self> {
        let (orders, ordered) = channel();
        let relay = Arc::new(OutputRelay::default());
        let is_dropped = Arc::new(AtomicBool::new(false));
        let (its_relay, is_over) = (Arc::clone(&relay), Arc::clone(&is_dropped));
        let run = move || run(&ordered, &its_relay, &is_over, done);
        thread::Builder::new()
            .name("rs-cluster-fork".into())
            .spawn(run)
            .map_err(Error::system("pthread_create"))?;
        Ok(Self { orders, relay, is_dropped })
    }

    /// Starts worker `id` for this slot. Returns at once.
    pub fn fork(&self, id: WorkerId, slot: SlotNumber, recipe: Arc<Recipe>) {
        // The thread takes orders until this is dropped.
        let _ = self.orders.send(Order::Worker(WorkerOrder { id, slot, recipe }));
    }

    /// Starts another primary. Returns at once.
    pub fn start_primary(&self, recipe: Arc<PrimaryRecipe>) {
        let _ = self.orders.send(Order::Primary(recipe));
    }

    /// What copies the workers' output.
    pub fn output(&self) -> Arc<OutputRelay> {
        Arc::clone(&self.relay)
    }
}

impl Drop for Forker {
    fn drop(&mut self) {
        self.is_dropped.store(true, Ordering::Relaxed);
    }
}

fn run(ordered: &Receiver<Order>, relay: &OutputRelay, is_over: &AtomicBool, done: impl Fn(Done)) {
    for order in ordered {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        done(match order {
            Order::Worker(order) => Done::Worker(order.id, start(&order, relay).map(Box::new)),
            Order::Primary(recipe) => Done::Primary(recipe.start()),
        });
    }
}

fn start(order: &WorkerOrder, relay: &OutputRelay) -> Result<Started> {
    let WorkerOrder { id, slot, recipe } = order;
    let open = |target| {
        let prefix = recipe.prefix_of(*slot);
        recipe.relays(target).then(|| relay.open(target, prefix)).transpose()
    };
    let stdout = open(Target::Stdout)?.map(|(theirs, _)| theirs);
    let outputs = Outputs { stdout, stderr: open(Target::Stderr)? };
    recipe.start(*id, Some(*slot), outputs)
}

#[cfg(test)]
mod tests {
    use std::{ffi::CString, os::fd::AsFd, sync::mpsc, time::Duration};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;
    use crate::{
        primary::recipe::tests::shell,
        sys::exit::{Exit, Process},
    };

    fn recipe(script: &str) -> Recipe {
        Recipe { own_group: true, keeps_stderr: true, ..shell(script) }
    }

    fn exit_of(process: &Process) -> Exit {
        poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
        process.status().unwrap().expect("an ended process")
    }

    #[test]
    fn workers_are_started_in_order_and_a_failure_is_reported() {
        let (sender, done) = mpsc::channel();
        let forker = Forker::start(move |done| {
            let Done::Worker(id, started) = done else { panic!("no primary was started") };
            sender.send((id, std::thread::current().name().map(String::from), started)).unwrap();
        })
        .unwrap();
        let mut missing = recipe("");
        missing.file = CString::new("/no/such/file").unwrap();
        let good =
            Arc::new(recipe("echo \"$NODE_UNIQUE_ID failed\" >&2; exit \"$NODE_UNIQUE_ID\""));
        for (id, recipe) in [(7, &good), (8, &Arc::new(missing)), (9, &good)] {
            forker.fork(id, 0, Arc::clone(recipe));
        }
        for wanted in [Some(7), None, Some(9)] {
            let (id, thread, started) = done.recv().unwrap();
            assert_eq!(thread.as_deref(), Some("rs-cluster-fork"));
            match (wanted, started) {
                (Some(wanted), Ok(started)) => {
                    assert_eq!((id, started.forked.adopted.id), (wanted, wanted));
                    let exit = exit_of(&started.forked.adopted.process);
                    assert_eq!(exit, Exit::Code(wanted.cast_signed()));
                    let tail = started.stderr.unwrap().read();
                    assert_eq!(tail, format!("{wanted} failed\n").as_bytes());
                }
                (None, Err(Error::System { syscall: "execve", source })) => {
                    assert_eq!(source.raw_os_error(), Some(libc::ENOENT));
                }
                (wanted, started) => panic!("{wanted:?}, {:?}", started.err()),
            }
        }
        assert!(forker.output().flush(Duration::from_secs(20)));
    }
}
