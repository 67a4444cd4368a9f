//! A snapshot as OpenMetrics text.
//!
//! Counters never go down while the primary runs: those of a slot go on when its worker is replaced, and when
//! there is no such slot any more; those of an address go on when it is bound again.

use std::{collections::BTreeMap, fmt, iter};

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, MetricEncoder,
        NoLabelSet, text::encode,
    },
    metrics::MetricType,
    registry::{Registry, Unit},
};

use super::{
    super::core::{
        stats::{AddressStats, Total, WorkerStats},
        supervise::{
            report::{SlotNumber, State},
            status::{SlotState, SlotStatus},
        },
    },
    readiness::readiness,
    record::epoch,
    report::{slot_state_name, state_name},
    snapshot::Snapshot,
};

/// The names of all metrics begin with this.
const PREFIX: &str = "rs_cluster";

/// All states, by their words.
const STATES: [State; 7] = [
    State::Starting,
    State::Ready,
    State::Reloading,
    State::Upgrading,
    State::Stopping,
    State::Failed,
    State::Stopped,
];

const SLOT_STATES: [&str; 5] = ["empty", "starting", "ready", "waiting", "failed"];

/// Of metrics that have no labels.
const NO_LABELS: [(&str, &str); 0] = [];

/// The metrics as OpenMetrics text; nothing but the end of it before supervision begins.
pub fn metrics_text(snapshot: Option<Snapshot>) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    if let Some(snapshot) = snapshot {
        registry.register_collector(Box::new(snapshot));
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families { encoder, snapshot: self };
        families.primary()?;
        families.slots()?;
        families.slot_counters()?;
        families.listeners()?;
        families.events()
    }
}

/// The label of a slot.
fn of_slot(slot: SlotNumber) -> [(&'static str, SlotNumber); 1] {
    [("slot", slot)]
}

/// What to count of a total.
type Count = fn(&Total) -> u64;

/// The counts of connections, at a slot or an address: the end of the name, and what it means.
const CONNECTIONS: [(&str, &str, Count); 6] = [
    ("accepted", "accepted", |it| it.accepted),
    ("handed_over", "put into the queues of workers; one that was taken back counts again", |it| {
        it.counts.handed_over
    }),
    (
        "reclaimed",
        "taken back from workers that left, died or were paused, before they had begun to serve them",
        |it| it.counts.reclaimed,
    ),
    ("rescued", "taken back from workers whose event loops were blocked", |it| it.counts.rescued),
    ("returned", "returned by workers that were closing, or had as many as they may", |it| {
        it.counts.returned
    }),
    ("moved", "left to others, while they were idle, by workers that drained", |it| {
        it.counts.moved
    }),
];

struct Families<'a, 'b> {
    encoder: DescriptorEncoder<'a>,
    snapshot: &'b Snapshot,
}

impl Families<'_, '_> {
    fn primary(&mut self) -> fmt::Result {
        let Snapshot { identity, status, observed, .. } = self.snapshot;
        let version = [("version", env!("CARGO_PKG_VERSION")), ("node", &*identity.node)];
        let help = "The versions of rs-cluster and of Node.";
        self.encoder
            .encode_descriptor("build", help, None, MetricType::Info)?
            .encode_info(&version)?;
        let start = epoch(identity.started) as f64 / 1000.0;
        self.gauge(
            "start_time",
            "When supervision began, since 1970.",
            Some(Unit::Seconds),
            start,
        )?;
        let states = STATES.map(|it| ([("state", state_name(it))], u32::from(it == status.state)));
        self.gauges("state", "1 for the state of the supervisor, 0 for the others.", None, states)?;
        let is_stuck = |worker| observed.workers.get(&worker).is_some_and(WorkerStats::is_stuck);
        let is_ready = u32::from(readiness(status, is_stuck).is_ok());
        self.gauge(
            "ready",
            "1 if a worker is ready whose event loop turns, and the supervisor does not stop.",
            None,
            is_ready,
        )?;
        self.gauge(
            "generation",
            "The generation that workers are started of.",
            None,
            status.generation,
        )?;
        self.gauge(
            "held",
            "1 if workers that end are not replaced.",
            None,
            u32::from(status.is_held),
        )?;
        let ready = status.slots.iter().filter(|it| it.state == SlotState::Ready).count();
        self.gauge("workers_desired", "How many slots there are.", None, status.slots.len())?;
        self.gauge("workers_ready", "How many slots have a worker that is ready.", None, ready)?;
        self.gauge("workers_draining", "How many workers leave.", None, status.leaving.len())?;
        let leaving = status.leaving.iter().filter_map(|it| observed.workers.get(&it.worker));
        let open = leaving.map(|it| it.open).sum::<usize>();
        let help = "Connections of workers that leave.";
        self.gauge("draining_connections_open", help, None, open)
    }

    /// What slots are at, as long as there are these slots.
    fn slots(&mut self) -> fmt::Result {
        let Snapshot { status, observed, processes, now, .. } = self.snapshot;
        let slots = &status.slots;
        let states = slots.iter().flat_map(|it| {
            let state = slot_state_name(it.state);
            let labels = move |name| (of_slot(it.slot), [("state", name)]);
            SLOT_STATES.into_iter().map(move |name| (labels(name), u32::from(name == state)))
        });
        self.gauges("slot_state", "1 for the state of the slot, 0 for the others.", None, states)?;
        let value = |it: &SlotStatus| it.generation;
        self.of_slots("slot_generation", "The generation of the worker.", None, value)?;
        let value = |it: &SlotStatus| Some(it.failures);
        let help = "How often in a row a worker has failed here.";
        self.of_slots("slot_failures", help, None, value)?;
        let value = |it: &SlotStatus| {
            it.ready_since.map(|since| now.instant.saturating_duration_since(since).as_secs_f64())
        };
        let help = "For how long the worker has been ready.";
        self.of_slots("slot_uptime", help, Some(Unit::Seconds), value)?;
        let value = |it: &SlotStatus| processes.get(&it.worker?)?.usage.memory;
        let help = "The resident memory of the worker.";
        self.of_slots("slot_resident_memory", help, Some(Unit::Bytes), value)?;
        let stats = |it: &SlotStatus| it.worker.and_then(|worker| observed.workers.get(&worker));
        let value = |it: &SlotStatus| Some(stats(it).map_or(0, |it| it.open));
        let help = "Connections that the worker has, those that wait for it among them.";
        self.of_slots("slot_connections_open", help, None, value)?;
        let value = |it: &SlotStatus| Some(stats(it).map_or(0, |it| it.waiting));
        let help = "Connections that wait for the worker to take them.";
        self.of_slots("slot_connections_waiting", help, None, value)?;
        let value = |it: &SlotStatus| Some(u32::from(stats(it).is_some_and(WorkerStats::is_stuck)));
        let help = "1 if the event loop of the worker is blocked.";
        self.of_slots("slot_stalled", help, None, value)
    }

    /// What was counted in slots, also in those that there are no more.
    fn slot_counters(&mut self) -> fmt::Result {
        let Snapshot { status, observed, cpu, restarts, .. } = self.snapshot;
        let restarts = restarts.iter().map(|(&slot, &count)| (of_slot(slot), count));
        let help = "How many workers were started after the first.";
        self.counters("slot_restarts", help, None, restarts)?;
        let mut totals: BTreeMap<SlotNumber, Total> =
            status.slots.iter().map(|it| (it.slot, Total::default())).collect();
        totals.extend(&observed.slots);
        let seconds = totals
            .keys()
            .map(|slot| (of_slot(*slot), cpu.get(slot).map_or(0.0, |time| time.as_secs_f64())));
        let help = "The processor time of all workers of the slot.";
        self.counters("slot_cpu", help, Some(Unit::Seconds), seconds)?;
        for (name, help, count) in CONNECTIONS {
            let whose = match name {
                "accepted" => {
                    "Connections that workers have accepted from sockets of their own.".into()
                }
                _ => format!("Connections {help}."),
            };
            let counts = totals.iter().map(|(&slot, total)| (of_slot(slot), count(total)));
            self.counters(&format!("slot_connections_{name}"), &whose, None, counts)?;
        }
        Ok(())
    }

    /// What was counted at addresses.
    fn listeners(&mut self) -> fmt::Result {
        fn label(it: &AddressStats) -> [(&'static str, &str); 1] {
            [("listener", &it.address)]
        }
        let addresses = &self.snapshot.observed.addresses;
        let bound = || addresses.iter().filter(|it| it.is_bound);
        for (name, help, count) in CONNECTIONS {
            let counts = addresses.iter().map(|it| (label(it), count(&it.total)));
            let (name, help) =
                (format!("listener_connections_{name}"), format!("Connections {help}."));
            self.counters(&name, &help, None, counts)?;
        }
        let counts = bound().map(|it| (label(it), it.workers.len()));
        self.gauges("listener_workers", "How many workers serve the address.", None, counts)?;
        let counts = bound().map(|it| (label(it), it.waiting));
        let help = "Connections that wait in the engine, because no worker has room for them.";
        self.gauges("listener_connections_waiting", help, None, counts)?;
        let counts = bound().map(|it| (label(it), it.parked));
        let help = "Idle connections of workers that have drained, which wait in the engine for their clients.";
        self.gauges("listener_connections_parked", help, None, counts)?;
        let help = "The times from accepting connections to handing them over.";
        let unit = Some(Unit::Seconds);
        let mut family =
            self.family("listener_handover", help, unit.as_ref(), MetricType::Histogram)?;
        for it in addresses {
            let handover = it.total.handover;
            let last = handover.buckets.len() - 1;
            let buckets = handover.buckets.iter().enumerate().map(|(at, &count)| {
                let bound = if at == last { f64::INFINITY } else { (1u64 << at) as f64 / 1e6 };
                (bound, count)
            });
            let buckets: Vec<_> = buckets.collect();
            let (sum, count) = (handover.sum as f64 / 1e9, handover.buckets.iter().sum());
            family
                .encode_family(&label(it))?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    fn events(&mut self) -> fmt::Result {
        let Snapshot { tally, requests, .. } = self.snapshot;
        let help = "Connections and requests that a deadline has ended.";
        self.counter("connections_cut", help, tally.cut)?;
        let outcomes =
            [("done", self.snapshot.reloads()), ("failed", self.snapshot.failed_reloads())];
        let reloads = outcomes.map(|(outcome, count)| ([("outcome", outcome)], count));
        self.counters("reloads", "Reloads, by what they came to.", None, reloads)?;
        self.counter("workers_hung", "Workers that were replaced because they hung.", tally.hung)?;
        let help = "Reports of event loops that were blocked for blockedTimeout.";
        self.counter("event_loops_blocked", help, tally.blocked)?;
        let requests =
            requests.iter().map(|(endpoint, &count)| ([("endpoint", &**endpoint)], count));
        let help = "Requests to the control socket and the admin endpoint.";
        self.counters("operator_requests", help, None, requests)
    }

    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        unit: Option<&'s Unit>,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.encoder.encode_descriptor(name, help, unit, kind)
    }

    fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self.family(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.gauges(name, help, unit, iter::once((NO_LABELS, value)))
    }

    /// A gauge that each slot has, unless its value is not known.
    fn of_slots<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: impl Fn(&SlotStatus) -> Option<V>,
    ) -> fmt::Result {
        let slots = self.snapshot.status.slots.iter();
        self.gauges(name, help, unit, slots.filter_map(|it| Some((of_slot(it.slot), value(it)?))))
    }

    fn counters<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self.family(name, help, unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, None, iter::once((NO_LABELS, value)))
    }
}
