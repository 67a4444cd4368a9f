//! A snapshot as operators see it, read by a strict parser.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::{
    super::core::{
        stats::{AddressStats, Counters, Counts, Histogram, Observed, Total, WorkerStats},
        supervise::{
            report::{Reason, Report, State},
            status::{LeavingStatus, Place, SlotState, SlotStatus, Status},
        },
    },
    board::Board,
    identity::Identity,
    metrics::metrics_text,
    record::{End, Moment, Tally, Usage},
    snapshot::{Process, Snapshot},
    status::{Audience, status_json},
};

/// So many slots, each with a worker that is ready, and one worker that leaves.
fn snapshot(slots: u32) -> Snapshot {
    let (instant, second) = (Instant::now(), Duration::from_secs(1));
    let counts = Counts { handed_over: 40, reclaimed: 3, rescued: 2, returned: 1, moved: 4 };
    let mut handover = Histogram { sum: 5_000_000, ..Histogram::default() };
    (handover.buckets[0], handover.buckets[10], handover.buckets[23]) = (30, 9, 1);
    let total = Total { accepted: 50, counts, handover };
    let slot = |slot| SlotStatus {
        slot,
        state: SlotState::Ready,
        worker: Some(slot + 1),
        generation: Some(2),
        ready_since: Some(instant - second * 3),
        failures: 0,
        restarts: 1,
    };
    let worker = |id| WorkerStats {
        id,
        accepted: 0,
        counts,
        waiting: 1,
        open: 7,
        stalled: id == 2,
        is_blocked: false,
    };
    let usage = Usage { memory: Some(50 << 20), cpu: Some(Duration::from_millis(1500)) };
    let leaving = slots + 1;
    let process = |id: u32| {
        let leaves = (id == leaving).then_some(instant - second);
        (id, Process { pid: 1000 + id.cast_signed(), usage, leaves })
    };
    let hung = json!({
        "type": "hung", "time": 1, "worker": 1, "stack": "at f (/srv/secret/app.js:1:1)",
        "reason": { "stderr": "password", "what": "exited" },
    });
    let address = |address: &str, is_bound| AddressStats {
        address: address.into(),
        is_bound,
        workers: if is_bound { vec![1] } else { Vec::new() },
        total,
        waiting: 0,
        parked: 2,
    };
    Snapshot {
        identity: Arc::new(Identity {
            name: "app".into(),
            node: "v20.0.0".into(),
            control: Some("/run/app.sock".into()),
            admin: None,
            started: UNIX_EPOCH + second * 1_700_000_000,
            since: instant - second * 10,
        }),
        now: Moment { instant, epoch: 1_700_000_010_000 },
        status: Status {
            state: State::Ready,
            generation: 2,
            is_held: false,
            slots: (0..slots).map(slot).collect(),
            leaving: vec![LeavingStatus {
                worker: leaving,
                slot: 0,
                generation: 1,
                reason: Some(Reason::Reload),
            }],
            stops_by: None,
            blocked: vec![Place { at: "/srv/secret/app.js:7".into(), count: 3, longest: second }],
            reloads: 1,
            failed_reloads: 2,
        },
        observed: Observed {
            workers: (1..=leaving).map(|id| (id, worker(id))).collect(),
            // One more than there are now.
            slots: (0..=slots).map(|slot| (slot, total)).collect(),
            addresses: vec![
                address("127.0.0.1:8000", true),
                address("/run/a \"b\"\\c\nd.sock", true),
                address("127.0.0.1:9000", false),
            ],
            total,
        },
        processes: (1..=leaving).map(process).collect(),
        cpu: (0..=slots).map(|slot| (slot, Duration::from_millis(2500))).collect(),
        restarts: (0..=slots).map(|slot| (slot, 1)).collect(),
        tally: Tally { cut: 5, hung: 6, blocked: 7, unprepared_reloads: 1 },
        events: vec![Arc::new(hung)],
        seconds: Vec::new(),
        requests: BTreeMap::from([("metrics".into(), 8)]),
        reloads_before: 0,
        failed_reloads_before: 0,
    }
}

type Labels = BTreeMap<String, String>;

#[derive(Debug)]
struct Family {
    name: String,
    kind: String,
    samples: Vec<(String, Labels, f64)>,
}

/// Reads OpenMetrics text as its specification has it, and panics at what that does not permit.
fn parse(text: &str) -> Vec<Family> {
    let body = text.strip_suffix("# EOF\n").expect("the end");
    let mut families: Vec<Family> = Vec::new();
    let mut lines = body.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a text");
            assert!(help.ends_with('.') && !help.contains(['\\', '"']), "{line}");
            assert!(!families.iter().any(|it| it.name == name), "{name} is there once");
            let kind = lines.next().and_then(|it| it.strip_prefix("# TYPE ")).expect("a type");
            let (of, kind) = kind.split_once(' ').expect("a type");
            assert_eq!(of, name);
            for unit in ["seconds", "bytes"].iter().filter(|it| name.ends_with(&format!("_{it}"))) {
                assert_eq!(lines.next(), Some(&*format!("# UNIT {name} {unit}")));
            }
            assert!(!name.ends_with("_total") && name.starts_with("rs_cluster_"), "{name}");
            let letters = |it: char| it.is_ascii_lowercase() || it == '_';
            assert!(name.chars().all(letters), "{name}");
            families.push(Family { name: name.into(), kind: kind.into(), samples: Vec::new() });
            continue;
        }
        assert!(!line.starts_with('#'), "{line}");
        let family = families.last_mut().expect("a family");
        let (name, labels, value) = sample(line);
        let suffixes: &[&str] = match &*family.kind {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_sum", "_count", "_bucket"],
            kind => panic!("{kind}"),
        };
        let suffix = name.strip_prefix(&*family.name).expect("of the family");
        assert!(suffixes.contains(&suffix), "{line}");
        let is_new = !family.samples.iter().any(|(it, of, _)| *it == name && *of == labels);
        assert!(is_new, "{line} is there once");
        assert!(value >= 0.0, "{line}");
        family.samples.push((name, labels, value));
    }
    families.iter().filter(|it| it.kind == "histogram").for_each(check_histogram);
    families
}

fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).expect("a value");
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, value) = rest.split_once("=\"").expect("a label");
            let mut text = String::new();
            let mut letters = value.char_indices();
            let end = loop {
                match letters.next().expect("the end of the value") {
                    (_, '\\') => text.push(match letters.next().expect("a letter").1 {
                        'n' => '\n',
                        letter @ ('\\' | '"') => letter,
                        letter => panic!("\\{letter}"),
                    }),
                    (at, '"') => break at,
                    (_, letter) => text.push(letter),
                }
            };
            assert!(labels.insert(label.into(), text).is_none(), "{line}");
            rest = &value[end + 1..];
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = rest.strip_prefix(',').expect("another label");
        }
    }
    let value = rest.strip_prefix(' ').expect("a space").parse().expect("a number");
    (name.into(), labels, value)
}

/// The buckets of each set of labels are cumulative, in order, and end with all.
fn check_histogram(family: &Family) {
    let mut buckets: HashMap<Labels, Vec<(f64, f64)>> = HashMap::new();
    for (name, labels, value) in &family.samples {
        if name.ends_with("_bucket") {
            let mut labels = labels.clone();
            let bound = labels.remove("le").expect("a bound").replace("+Inf", "inf");
            buckets.entry(labels).or_default().push((bound.parse().expect("a number"), *value));
        }
    }
    for (labels, buckets) in buckets {
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{buckets:?}");
        let of = |name: &str| {
            let name = format!("{}_{name}", family.name);
            let found = family.samples.iter().find(|(it, of, _)| *it == name && *of == labels);
            found.expect("a sample").2
        };
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, of("count"))));
        assert!(of("sum") >= 0.0);
    }
}

#[test]
fn the_metrics_are_open_metrics() {
    let families = parse(&metrics_text(Some(snapshot(3))));
    assert!(families.len() > 30);
    let sample = |name: &str, label: (&str, &str)| {
        let label = (label.0.to_owned(), label.1.to_owned());
        let samples = families.iter().flat_map(|it| &it.samples);
        let mut found = samples.filter(|it| it.0 == name && it.1.iter().eq([(&label.0, &label.1)]));
        found.next().map(|it| it.2)
    };
    assert_eq!(sample("rs_cluster_slot_resident_memory_bytes", ("slot", "1")), Some(52_428_800.0));
    assert_eq!(sample("rs_cluster_slot_cpu_seconds_total", ("slot", "2")), Some(2.5));
    assert_eq!(sample("rs_cluster_reloads_total", ("outcome", "failed")), Some(3.0));
    assert_eq!(sample("rs_cluster_slot_stalled", ("slot", "1")), Some(1.0));
    // Of a slot and an address that there are no more, only what is counted is shown.
    let counted = "rs_cluster_slot_connections_handed_over_total";
    assert_eq!(sample(counted, ("slot", "3")), Some(40.0));
    assert_eq!(sample("rs_cluster_slot_connections_open", ("slot", "3")), None);
    let counted = "rs_cluster_listener_connections_accepted_total";
    for (address, parked) in [("127.0.0.1:9000", None), ("/run/a \"b\"\\c\nd.sock", Some(2.0))] {
        assert_eq!(sample(counted, ("listener", address)), Some(50.0));
        let waiting = "rs_cluster_listener_connections_parked";
        assert_eq!(sample(waiting, ("listener", address)), parked);
    }
    let sum = sample("rs_cluster_listener_handover_seconds_sum", ("listener", "127.0.0.1:8000"));
    assert_eq!(sum, Some(0.005));
}

#[test]
fn the_metrics_name_no_pid_and_no_file_of_the_program() {
    let text = metrics_text(Some(snapshot(3)));
    assert!(!text.contains("100") && !text.contains("secret") && !text.contains("password"));
}

#[test]
fn before_supervision_there_are_no_metrics() {
    assert_eq!(metrics_text(None), "# EOF\n");
}

#[test]
fn the_public_is_not_shown_stacks_stderr_and_folders() {
    let snapshot = snapshot(2);
    let status = |audience| -> Value {
        serde_json::from_str(&status_json(&snapshot, audience)).expect("JSON")
    };
    let public = status(Audience::Public);
    assert_eq!(public["blocked"][0]["at"], "app.js:7");
    assert_eq!(
        public["events"][0],
        json!({ "type": "hung", "time": 1, "worker": 1, "reason": { "what": "exited" } })
    );
    assert!(!public.to_string().contains("secret"));
    let owner = status(Audience::Owner);
    assert_eq!(owner["blocked"][0]["at"], "/srv/secret/app.js:7");
    assert_eq!(owner["events"][0]["reason"]["stderr"], "password");
}

#[test]
fn the_last_fifty_events_are_kept() {
    let board = Board::default();
    let now = |epoch| Moment { instant: Instant::now(), epoch };
    for epoch in 0..60 {
        board.report(&Report::Ready, None, now(epoch));
    }
    board.exited(7, End { signal: Some("SIGKILL".into()), cut: 2, ..End::default() }, now(60));
    board.publish(snapshot(1).status, Instant::now());
    board.begin(Arc::clone(&snapshot(1).identity), Total::default());
    let shown = board.snapshot(&Counters::default(), now(61)).expect("a status");
    assert_eq!(shown.events.len(), 50);
    assert_eq!(shown.events[0]["time"], 12);
    assert_eq!(
        *shown.events[48],
        json!({ "type": "exit", "time": 60, "worker": 7, "slot": null, "code": null, "signal": "SIGKILL" })
    );
    assert_eq!(
        *shown.events[49],
        json!({ "type": "cut", "time": 60, "worker": 7, "connections": 2 })
    );
    assert_eq!(shown.tally.cut, 2);
}

#[test]
fn restarts_of_a_slot_go_on_when_it_comes_back() {
    let board = Board::default();
    board.begin(Arc::clone(&snapshot(1).identity), Total::default());
    let publish = |slots, restarts| {
        let mut status = snapshot(slots).status;
        status.slots.iter_mut().for_each(|slot| slot.restarts = restarts);
        board.publish(status, Instant::now());
        let now = Moment { instant: Instant::now(), epoch: 0 };
        board.snapshot(&Counters::default(), now).expect("a status").restarts[&1]
    };
    assert_eq!([publish(2, 3), publish(1, 4), publish(2, 0), publish(2, 1)], [3, 3, 3, 4]);
}

#[test]
fn the_status_has_the_same_fields_for_a_slot_without_a_worker() {
    let mut snapshot = snapshot(2);
    let slot = &mut snapshot.status.slots[1];
    (slot.state, slot.worker) = (SlotState::Waiting(snapshot.now.instant), None);
    (slot.generation, slot.ready_since) = (None, None);
    let status: Value =
        serde_json::from_str(&status_json(&snapshot, Audience::Owner)).expect("JSON");
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    };
    assert_eq!(names(&status["slots"][0]), names(&status["slots"][1]));
    assert_eq!(status["slots"][1]["state"], "waiting");
    assert_eq!(status["slots"][1]["pid"], Value::Null);
    assert_eq!(status["slots"][1]["open"], 0);
    assert_eq!(status["slots"][1]["total"]["handedOver"], 40);
    assert_eq!(status["ready"], true);
    assert_eq!(status["uptime"], 10_000);
    let draining = &status["draining"][0];
    assert_eq!((&draining["reason"], &draining["since"]), (&json!("reload"), &json!(1000)));
}

/// Prints what it costs: `cargo test --release --lib operator::tests::what_it_costs -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn what_it_costs() {
    for slots in [2, 64, 256] {
        let snapshot = snapshot(slots);
        let time = |what: &dyn Fn() -> usize| {
            let begun = Instant::now();
            let bytes = (0..200).map(|_| what()).last();
            (begun.elapsed() / 200, bytes)
        };
        let status = time(&|| status_json(&snapshot, Audience::Public).len());
        let metrics = time(&|| metrics_text(Some(snapshot.clone())).len());
        println!("{slots} slots: status {status:?}, metrics {metrics:?}");
    }
}
