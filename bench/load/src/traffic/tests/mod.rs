//! The clients against servers that misbehave on purpose: each kind of failure is found, and nothing else
//! counts as one.

mod http1;
mod http2;
mod long;
mod servers;

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Plan, run};

/// Plays one shape for a short time; returns its report.
fn play(address: SocketAddr, shape: &Value) -> Value {
    play_for(0.4, address, shape)
}

fn play_for(seconds: f64, address: SocketAddr, shape: &Value) -> Value {
    let mut shape = shape.clone();
    shape["address"] = json!(address.to_string());
    let plan = json!({ "shapes": [shape], "seconds": seconds, "answerLimitMs": 200 });
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
