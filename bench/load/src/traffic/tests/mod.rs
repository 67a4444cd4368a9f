//! The clients against servers that misbehave on purpose: each kind of failure is found, and nothing else
//! counts as one.

mod http1;
mod http2;
mod long;
mod servers;

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Plan, run};

/// No answer of a good server takes so long, even on a busy machine.
const ANSWER_LIMIT_MS: u64 = 8_000;

/// Plays one shape for a short time; returns its report.
fn play(address: SocketAddr, shape: &Value) -> Value {
    play_with(json!({ "seconds": 0.4, "answerLimitMs": ANSWER_LIMIT_MS }), address, shape)
}

/// Plays a shape whose clients wait so long between requests that they notice what comes meanwhile.
fn play_slowly(address: SocketAddr, shape: &Value) -> Value {
    let mut shape = shape.clone();
    shape["think"] = json!([400, 400]);
    play_with(json!({ "seconds": 0.9, "answerLimitMs": ANSWER_LIMIT_MS }), address, &shape)
}

/// Plays a shape whose clients do not wait long for answers.
fn play_impatiently(address: SocketAddr, shape: &Value) -> Value {
    play_with(json!({ "seconds": 0.2, "answerLimitMs": 200 }), address, shape)
}

fn play_with(mut plan: Value, address: SocketAddr, shape: &Value) -> Value {
    let mut shape = shape.clone();
    shape["address"] = json!(address.to_string());
    plan["shapes"] = json!([shape]);
    let plan: Plan = serde_json::from_value(plan).expect("a plan");
    let report: Value = serde_json::from_str(&run(plan).expect("a run")).expect("JSON");
    report["shapes"][0].clone()
}

/// Checks that this class of failures was found, and no other.
fn assert_only(report: &Value, class: &str) {
    let failures = report["failures"].as_object().expect("failures");
    assert_eq!(failures.keys().collect::<Vec<_>>(), [class], "{report:#}");
}

fn assert_well(report: &Value) {
    assert_eq!(report["failures"], json!({}), "{report:#}");
    assert!(report["answered"].as_u64() > Some(0), "{report:#}");
}
