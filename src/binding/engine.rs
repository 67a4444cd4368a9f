use std::{
    cell::RefCell,
    os::fd::IntoRawFd,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use napi::{
    Env, JsValue, Status, Unknown,
    bindgen_prelude::{Either, Function},
    threadsafe_function::ThreadsafeFunctionCallMode,
};
use napi_derive::napi;

use super::{
    activation::{ActivatedDescriptor, RefusedDescriptor},
    callback::reason,
    engine_drain::EngineDrain,
    engine_event::EngineEvent,
    fork::ForkFailure,
    ipc_channel::IpcChannel,
    operator::{EngineProgram, ListenFailure},
    recipe::{EnginePrimaryRecipe, EngineRecipe},
    stats::EngineStats,
    supervision::EngineSupervise,
    takeover::{EnginePredecessor, EngineSuccessor},
    worker_process::WorkerProcess,
};
use crate::{
    error::{Error, Result},
    primary::{
        Command, Engine as Core, Event, OperatorOrder, Order, Reply, Scheduling, Settings,
        fork::{Forked, ended_channel},
        inherit::takeover::claim,
        inherit::{Inherited, activation::Given},
        operator::sockets::OperatorSockets,
        recipe::{Outputs, Recipe, Started},
        stdio::HeldDescriptors,
        ticket_keys,
    },
    sys::{errno, lane, node},
};

/// The engine of one primary.
#[napi]
pub struct Engine {
    core: RefCell<Core>,
    /// How many of the inspector's ports recipes have given out.
    inspect_ports: Arc<AtomicU32>,
    /// What recipes name.
    held: RefCell<HeldDescriptors>,
}

#[napi]
impl Engine {
    /// The version of the package that the addon belongs to, for JavaScript to compare with its own.
    #[napi]
    pub fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Reports an uncaught exception, in the asynchronous context of the caller. It ends the process
    /// unless there is a listener for `'uncaughtException'`.
    #[napi]
    pub fn report_uncaught(env: Env, thrown: Unknown<'_>) {
        node::report_uncaught(env.raw().cast(), thrown.raw().cast());
    }

    /// Calls `onEvent` for each event, without keeping the event loop alive.
    #[napi(constructor)]
    pub fn new(on_event: Function<EngineEvent, ()>) -> napi::Result<Self> {
        let events = on_event
            .build_threadsafe_function::<Event>()
            .weak::<true>()
            .build_callback(|context| Ok(EngineEvent::from(context.value)))?;
        let core = Core::new(move |event| {
            // Fails only when the environment is ending.
            let _: Status = events.call(event, ThreadsafeFunctionCallMode::NonBlocking);
        });
        Ok(Self {
            core: RefCell::new(core),
            inspect_ports: Arc::default(),
            held: RefCell::default(),
        })
    }

    /// Starts the engine's thread with the number of the policy, whether to log on stderr, and for how many
    /// milliseconds a key of TLS session tickets is the current one, if not for the usual time. These settings are
    /// final. Returns null, or why the thread can't be started.
    #[napi]
    pub fn start(
        &self,
        policy: u32,
        debug_log: bool,
        ticket_key_period: Option<u32>,
    ) -> napi::Result<Option<ForkFailure>> {
        let period = ticket_key_period.map(|it| Duration::from_millis(it.into()));
        let ticket_key_period = period.unwrap_or(ticket_keys::PERIOD);
        let scheduling = Scheduling::from_number(policy);
        let scheduling = scheduling.ok_or_else(|| reason(format_args!("no policy {policy}")))?;
        let started =
            self.core.borrow_mut().start(Settings { scheduling, debug_log, ticket_key_period });
        Ok(started.err().map(ForkFailure::from))
    }

    /// Keeps the lane to the primary whose place this process is to take, which is open at this number, for
    /// `takeOver`. Returns whether it is such a lane.
    #[napi]
    pub fn claim_lane(fd: i32) -> bool {
        claim(fd)
    }

    /// Receives what the primary offers whose place this one is to take, before `listenControl`, `listenAdmin` and
    /// `supervise`. Blocks until everything is there, for 10 s at most. Returns null if there is no such primary.
    /// Throws where it does not offer everything, or something else.
    #[napi]
    pub fn take_over(&self, own: EngineSuccessor) -> napi::Result<Option<EnginePredecessor>> {
        let offered = self.core.borrow_mut().take_over(&own.version, &own.node).map_err(reason)?;
        Ok(offered.map(EnginePredecessor::from))
    }

    /// Tells that primary why this one does not take its place, and kills the workers. Does nothing once the place is
    /// taken.
    #[napi]
    pub fn take_over_failed(&self, message: String) {
        self.core.borrow_mut().take_over_failed(&message);
    }

    /// Keeps a program's slots filled with workers that are started by the recipe, after `start`. Returns null,
    /// or why that is not possible.
    #[napi]
    pub fn supervise(
        &self,
        options: EngineSupervise,
        recipe: EngineRecipe,
        program: EngineProgram,
    ) -> Option<ForkFailure> {
        let run = options.run();
        let recipe = self.lasting_recipe(recipe);
        let (options, program) = (options.into(), program.into());
        let mut core = self.core.borrow_mut();
        let begun = recipe.and_then(|recipe| core.supervise(options, run, recipe, program));
        begun.err().map(ForkFailure::from)
    }

    /// Replaces all workers by those of another recipe. A report with the token answers, as to the other
    /// methods that take one.
    #[napi]
    pub fn reload(&self, token: u32, recipe: EngineRecipe) -> Option<ForkFailure> {
        let recipe = self.lasting_recipe(recipe);
        let sent = recipe.and_then(|recipe| self.order(Order::Reload(token, Arc::new(recipe))));
        sent.err().map(ForkFailure::from)
    }

    /// A reload has failed before there was a recipe, which operators and the service manager are told.
    #[napi]
    pub fn no_reload(&self, reason: String) {
        self.send(Command::Operator(OperatorOrder::NoReload(reason)));
    }

    /// Closes the duplicates of descriptors that recipes name, because no worker is started by them any more.
    #[napi]
    pub fn close_held(&self) {
        self.held.take();
    }

    /// Waits, for at most `timeout` milliseconds, until all that supervised workers have written by now to what the
    /// engine copies is written. Returns whether it is. For use when this process exits.
    #[napi]
    pub fn flush_output(&self, timeout: u32) -> bool {
        self.core.borrow().flush_output(Duration::from_millis(timeout.into()))
    }

    /// Has another primary take over, which is started by the recipe, and whose workers have to be ready within
    /// `timeout` milliseconds. A report with the token answers; before that, an `upgraded` report says that it serves.
    #[napi]
    pub fn upgrade(
        &self,
        token: u32,
        recipe: EnginePrimaryRecipe,
        timeout: u32,
    ) -> Option<ForkFailure> {
        let timeout = Duration::from_millis(timeout.into());
        let sent = recipe
            .into_recipe()
            .and_then(|recipe| self.order(Order::Upgrade(token, Arc::new(recipe), timeout)));
        sent.err().map(ForkFailure::from)
    }

    /// Has so many slots.
    #[napi]
    pub fn scale(&self, token: u32, workers: u32) {
        let _ = self.order(Order::Scale(token, workers));
    }

    /// Replaces the worker of a slot, or if there is no such slot, that with this id.
    #[napi]
    pub fn restart(&self, token: u32, slot_or_id: u32) {
        let _ = self.order(Order::Restart(token, slot_or_id));
    }

    /// Starts nothing in the place of workers that end, until `release`.
    #[napi]
    pub fn hold(&self) {
        let _ = self.order(Order::Hold);
    }

    /// Starts workers again in the place of those that end.
    #[napi]
    pub fn release(&self) {
        let _ = self.order(Order::Release);
    }

    /// After so many milliseconds, drains all workers, which then have the timeout.
    #[napi]
    pub fn stop(&self, token: u32, shutdown_delay: u32, timeout: u32) {
        let delay = Duration::from_millis(shutdown_delay.into());
        let timeout = Duration::from_millis(timeout.into());
        let _ = self.order(Order::Stop { token, delay, timeout });
    }

    /// Passes a signal on to the primary that has followed this one, once there is one. A `successorExited` report
    /// comes when that has ended.
    #[napi]
    pub fn signal_successor(&self, signal: i32) {
        self.send(Command::SignalSuccessor(signal));
    }

    /// Ends the primary that is about to follow this one, and those that have followed it and drain, because everything
    /// ends at once.
    #[napi]
    pub fn end_others(&self) {
        self.core.borrow().end_others();
    }

    /// The program is about to end this worker itself, so it is replaced at once, and has not failed.
    #[napi]
    pub fn leaves(&self, worker: u32) {
        self.core.borrow().leaves(worker);
    }

    /// Binds the control socket to an absolute path, before `supervise`. Returns null, or why that is not
    /// possible.
    #[napi]
    pub fn listen_control(&self, path: String) -> Option<ListenFailure> {
        let listening = self.core.borrow_mut().sockets().listen_control(&path);
        listening.err().map(ListenFailure::from)
    }

    /// Binds the admin endpoint to an absolute path, or an address such as `127.0.0.1:9100`, before
    /// `supervise`. Returns null, or why that is not possible.
    #[napi]
    pub fn listen_admin(&self, place: String) -> Option<ListenFailure> {
        let mut core = self.core.borrow_mut();
        let listening = match place.parse() {
            Ok(address) => core.sockets().listen_admin(address),
            Err(_) => core.sockets().listen_admin_path(&place),
        };
        listening.err().map(ListenFailure::from)
    }

    /// Takes over descriptors of the service manager, before `supervise`. Their numbers stay open, and become
    /// close-on-exec. Returns those that it can't, with the reason, which completes the sentence after "it".
    #[napi]
    pub fn activate(&self, given: Vec<ActivatedDescriptor>) -> Vec<RefusedDescriptor> {
        let mut core = self.core.borrow_mut();
        let activated = given.into_iter().map(|ActivatedDescriptor { fd, name }| {
            let taken = core.inherited().activate(Given { fd, name });
            taken.err().map(|reason| RefusedDescriptor { fd, reason })
        });
        activated.flatten().collect()
    }

    /// Closes what `activate` has duplicated, because `supervise` has failed.
    #[napi]
    pub fn close_activated(&self) {
        *self.core.borrow_mut().inherited() = Inherited::default();
    }

    /// Closes what `listenControl` and `listenAdmin` have bound, because `supervise` has failed.
    #[napi]
    pub fn close_operator_sockets(&self) {
        *self.core.borrow_mut().sockets() = OperatorSockets::default();
    }

    /// Begins with what an operator has asked for by an `asked` event. Returns whether the operator still waits
    /// for it; if not, it is not to be done.
    #[napi]
    pub fn take_asked(&self, token: u32) -> bool {
        self.core.borrow().take(token)
    }

    /// Answers an operator: with a status of HTTP, and JSON.
    #[napi]
    pub fn reply(&self, token: u32, status: u32, body: String) {
        let status = u16::try_from(status).unwrap_or(500);
        let reply = Reply { status, body };
        self.send(Command::Operator(OperatorOrder::Reply(token, reply)));
    }

    /// The state of supervision as JSON; null before it begins. Does not wait for the engine.
    #[napi]
    pub fn status(&self) -> Option<String> {
        self.core.borrow().status()
    }

    /// The id of the next worker: 1, then 2, and so on, also for workers that the engine starts itself.
    #[napi]
    pub fn next_id(&self) -> u32 {
        self.core.borrow().next_id()
    }

    /// Starts the worker with this id. Returns its process, or why it can't be started.
    #[napi]
    pub fn fork(&self, id: u32, recipe: EngineRecipe) -> Either<WorkerProcess, ForkFailure> {
        match self.try_fork(id, recipe) {
            Ok(process) => Either::A(process),
            Err(error) => Either::B(error.into()),
        }
    }

    /// An IPC channel that has ended, for a worker that could not be started; null if there is no
    /// descriptor for it.
    #[napi]
    pub fn ended_channel(&self) -> Option<IpcChannel> {
        ended_channel().ok().map(IpcChannel::new)
    }

    /// A pipe whose other end is closed: a descriptor that the caller owns, or a negated errno.
    #[napi]
    pub fn ended_pipe(&self) -> i32 {
        lane::pipe().map_or_else(|error| errno(&error), |(ours, _)| ours.into_raw_fd())
    }

    /// Stops giving connections to the worker, and gives those that it has not taken to others.
    #[napi]
    pub fn withdraw(&self, worker: u32) {
        self.send(Command::Withdraw(worker));
    }

    /// Like `withdraw`, and asks for a `left` event once everything is closed that this worker was the
    /// last to serve. Returns whether the event will come.
    #[napi]
    pub fn leave(&self, worker: u32) -> bool {
        self.core.borrow().send(Command::Leave(worker)).is_ok()
    }

    /// Like `withdraw`, and has the worker finish what it has, then exit. When this returns, it gets no more
    /// connections. The engine ends the worker when its time is over, and reports in the `exited` event how
    /// many connections that has cut.
    #[napi]
    pub fn drain(&self, worker: u32, options: EngineDrain) {
        // Without its thread the engine has no workers.
        let _ = self.core.borrow().drain(worker, options.into());
    }

    /// Stops giving connections to the worker until `resume`, and gives those that it has not taken to
    /// others.
    #[napi]
    pub fn pause(&self, worker: u32) {
        self.send(Command::Pause(worker));
    }

    /// Gives connections to the worker again.
    #[napi]
    pub fn resume(&self, worker: u32) {
        self.send(Command::Resume(worker));
    }

    /// The current statistics. Does not wait for the engine.
    #[napi]
    pub fn stats(&self) -> EngineStats {
        self.core.borrow().stats().into()
    }

    /// Closes connections that wait for a new worker, and asks for a `passed` event once that, and
    /// everything requested before, is done.
    #[napi]
    pub fn barrier(&self, token: u32) {
        self.core.borrow().barrier(token);
    }

    fn send(&self, command: Command) {
        // Without its thread the engine has no workers, so no command is needed.
        let _ = self.core.borrow().send(command);
    }

    fn order(&self, order: Order) -> Result<()> {
        self.core.borrow().send(Command::Supervision(order))
    }

    /// A recipe for workers that are started at any time.
    fn lasting_recipe(&self, mut recipe: EngineRecipe) -> Result<Recipe> {
        self.held.borrow_mut().hold(&mut recipe.stdio)?;
        recipe.into_recipe(&self.inspect_ports)
    }

    fn try_fork(&self, id: u32, recipe: EngineRecipe) -> Result<WorkerProcess> {
        let recipe = recipe.into_recipe(&self.inspect_ports)?;
        let Started { forked, pipes, .. } = recipe.start(id, None, Outputs::default())?;
        let Forked { adopted, channel } = forked;
        let process = Arc::clone(&adopted.process);
        if self.core.borrow().send(Command::Adopt(adopted)).is_err() {
            process.end();
            return Err(Error::Stopped);
        }
        Ok(WorkerProcess::new(process, IpcChannel::new(channel), pipes))
    }
}
