//! Supervision as the program sees it: how it begins, and workers that have been started.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Instant};

use tokio::{sync::mpsc, task::spawn_local};

use super::{
    super::{
        core::{
            listener::name,
            supervise::{member::Address, supervisor::Supervisor},
        },
        messages::{Event, OperatorOrder, Supervise},
        recipe::Started,
    },
    context::Context,
    fd_store::{FdStore, send_again},
    http,
    orphans::reap_orphans,
    predecessor, reading,
    supervision::{Limits, Supervision},
    systemd::{Systemd, tell_changes},
    worker_task::{Attending, adopt},
};
use crate::{
    error::{Error, Result},
    protocol::WorkerId,
};

/// Begins to supervise.
pub(super) fn begin(context: &Rc<Context>, supervise: Supervise) {
    let Supervise {
        options,
        run,
        recipe,
        forker,
        ids,
        identity,
        sockets,
        inherited,
        takeover,
        done,
    } = supervise;
    let mut supervision = Supervision::new(forker, identity);
    let speaks = takeover.is_none();
    let systemd = run.systemd.as_ref().and_then(|it| Systemd::new(it, &options, speaks));
    let useless = {
        let mut pool = context.inherited.borrow_mut();
        *pool = inherited;
        pool.begin()
    };
    if let Some(store) = run.systemd.as_ref().and_then(FdStore::new) {
        let store = Rc::new(store);
        if !speaks {
            store.be_silent();
        }
        useless.into_iter().for_each(|name| store.remove(name));
        drop(spawn_local(send_again(Rc::clone(&store))));
        *context.store.borrow_mut() = Some(store);
    }
    if run.reaps_orphans {
        drop(spawn_local(reap_orphans(Rc::clone(context))));
    }
    *context.run.borrow_mut() = run;
    supervision.systemd = systemd.map(|systemd| {
        let changed = systemd.changed();
        let systemd = Rc::new(RefCell::new(systemd));
        drop(spawn_local(tell_changes(Rc::downgrade(&systemd), changed)));
        systemd
    });
    supervision.limits = Limits::from(&options);
    let queue_timeout = recipe.queue_timeout;
    let recipe = supervision.add_recipe(recipe);
    context.board.begin(Arc::clone(&supervision.identity), context.counters.total());
    *context.supervision.borrow_mut() = Some(supervision);
    let next_id = Box::new(move || ids.next());
    let supervisor = match &takeover {
        None => Supervisor::new(options, recipe, next_id),
        Some(takeover) => {
            let generation = takeover.predecessor.generation.saturating_add(1);
            let served = takeover.addresses.values().filter(|it| !it.is_unserved);
            let expected = served
                .map(|it| Address::new(&it.query, &name(it.bound.as_ref(), &it.query.target)));
            Supervisor::standing_by(options, recipe, next_id, generation, expected.collect())
        }
    };
    if let Some(takeover) = &takeover {
        // Before workers ask for them.
        context.set_ticket_keys(&takeover.ticket_keys);
    }
    context.decide(|core| core.begin_supervision(supervisor, Instant::now()));
    match takeover {
        None => http::open(context, sockets),
        Some(takeover) => predecessor::follow(context, takeover, sockets, queue_timeout),
    }
    // The caller may have ceased to wait.
    let _ = done.try_send(());
}

/// Does what the program says about operators.
pub(super) fn answer_operators(context: &Context, order: OperatorOrder) {
    match order {
        OperatorOrder::Take(token, is_awaited) => {
            let taken = with_supervision(context, |it| it.asks.take(token));
            // The caller may have ceased to wait.
            let _ = is_awaited.try_send(taken.unwrap_or(false));
        }
        OperatorOrder::Reply(token, reply) => {
            with_supervision(context, |it| it.asks.reply(token, reply));
        }
        OperatorOrder::NoReload(reason) => {
            context.board.has_not_reloaded(&reason, reading::now());
            with_supervision(context, |it| {
                if let Some(systemd) = &it.systemd {
                    systemd.borrow_mut().refuse_reload(reason);
                }
            });
        }
    }
}

fn with_supervision<T>(context: &Context, with: impl FnOnce(&mut Supervision) -> T) -> Option<T> {
    context.supervision.borrow_mut().as_mut().map(with)
}

/// A worker's process has been started, or could not be.
pub(super) async fn forked(
    context: &Rc<Context>,
    id: WorkerId,
    started: Result<Box<Started>>,
    attending: mpsc::Sender<Attending>,
) {
    let started = match started {
        Ok(started) => *started,
        Err(error) => {
            let (syscall, errno) = match &error {
                Error::System { syscall, source } => (*syscall, source.raw_os_error().unwrap_or(0)),
                _ => ("fork", 0),
            };
            context.log().write(format_args!("worker {id} can't be started: {error}"));
            return context.decide(|core| {
                core.tell_not_started(id, syscall, errno, Instant::now());
            });
        }
    };
    let Started { forked, pipes, stderr } = started;
    let process = Arc::clone(&forked.adopted.process);
    let place = context.ask(|core| core.place_of(id));
    if let Some(supervision) = &mut *context.supervision.borrow_mut() {
        supervision.add_worker(id, process.pid(), stderr);
        context.board.add_process(id, process.pid(), place.map(|(slot, _)| slot));
    }
    let (slot, generation) = place.unwrap_or_default();
    let channel = Box::new(forked.channel);
    context.emit(Event::Started { worker: id, slot, generation, process, channel, pipes });
    adopt(context, forked.adopted, attending).await;
}
