//! Requests of HTTP/1.

use std::{io::Write, net::TcpListener, thread, time::Duration};

use serde_json::{Value, json};

use super::{assert_only, assert_well, play, play_impatiently, play_slowly, servers::*};

fn post() -> Value {
    json!({ "shape": "post", "think": [1, 3] })
}

fn well(stream: &mut std::net::TcpStream, request: &Request) -> std::io::Result<()> {
    answer(stream, "", &request.body())
}

#[test]
fn a_good_server_has_no_failures_and_one_connection_for_each_client() {
    for shape in ["get", "post", "pipeline"] {
        let report =
            play(http_server(well), &json!({ "shape": shape, "count": 7, "think": [1, 3] }));
        assert_well(&report);
        assert_eq!(report["opened"], 7, "{report:#}");
        assert_eq!(report["requests"], report["answered"]);
        assert!(report["latency"]["p99"].as_f64() > Some(0.0));
    }
}

#[test]
fn connections_silent_ones_and_half_heads_are_served_by_a_good_server() {
    let serve = |stream: &mut std::net::TcpStream, request: &Request| {
        answer(stream, "Connection: close\r\n", &request.body())?;
        ended()
    };
    for shape in [
        json!({ "shape": "connections", "count": 3 }),
        json!({ "shape": "connections", "rate": 100 }),
        json!({ "shape": "silent", "count": 3, "think": [0, 50] }),
        json!({ "shape": "halfHead", "count": 3, "think": [0, 50] }),
    ] {
        let report = play(http_server(serve), &shape);
        assert_well(&report);
        let [opened, requests] = ["opened", "requests"].map(|it| report[it].as_u64());
        // The run ends while some are silent.
        let unused = if shape["shape"] == "silent" { 3 } else { 0 };
        assert!(opened >= requests && opened <= requests.map(|it| it + unused), "{report:#}");
    }
}

#[test]
fn a_refused_connection_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    assert_only(&play(address, &post()), "refused");
}

#[test]
fn a_reset_is_found() {
    assert_only(&play(server(|stream, _| reset(stream)), &post()), "reset");
}

#[test]
fn a_fin_before_the_answer_is_found() {
    assert_only(&play(http_server(|_, _| ended()), &post()), "closed");
}

#[test]
fn a_truncated_answer_is_found() {
    for start in ["HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"] {
        let address = http_server(move |stream, _| {
            stream.write_all(start.as_bytes())?;
            ended()
        });
        assert_only(&play(address, &post()), "truncated");
    }
}

#[test]
fn a_wrong_answer_is_found() {
    let other = |stream: &mut _, _: &Request| answer(stream, "", "another 1 64\n");
    assert_only(&play(http_server(other), &post()), "wrongBody");
    let shorter = |stream: &mut _, request: &Request| {
        answer(stream, "", &format!("{} 1 {}\n", request.id, request.length - 1))
    };
    assert_only(&play(http_server(shorter), &post()), "wrongBody");
}

#[test]
fn an_answer_that_came_before_is_found() {
    let address = http_server(|stream, request| {
        let (client, _) = request.id.rsplit_once('.').expect("an id");
        let sequence = request.sequence.saturating_sub(1).max(1);
        answer(stream, "", &format!("{client}.{sequence} 1 {}\n", request.length))
    });
    assert_only(&play(address, &post()), "twice");
}

#[test]
fn a_second_answer_is_found() {
    let address = http_server(|stream, request| {
        well(stream, request)?;
        well(stream, request)
    });
    assert_only(&play(address, &post()), "twice");
}

#[test]
fn what_no_request_had_asked_for_is_found() {
    let address = http_server(|stream, request| {
        well(stream, request)?;
        stream.write_all(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")?;
        ended()
    });
    assert_only(&play_slowly(address, &post()), "unsolicited");
}

#[test]
fn an_unexpected_status_is_found() {
    let address = http_server(|stream, _| {
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    });
    assert_only(&play(address, &post()), "status");
}

#[test]
fn an_answer_that_does_not_come_in_time_is_found() {
    let address = http_server(|_, _| {
        thread::sleep(Duration::from_millis(1_000));
        Ok(())
    });
    assert_only(&play_impatiently(address, &post()), "timeout");
}

#[test]
fn a_failure_is_described() {
    let report = play(http_server(|_, _| ended()), &post());
    let example = &report["examples"][0];
    assert_eq!(example["id"], "post.0.1");
    assert_eq!(example["class"], "closed");
    assert!(example["at"].as_f64() < Some(0.4));
}

#[test]
fn requests_behind_the_last_answer_of_a_pipeline_have_failed() {
    let address = http_server(|stream, request| {
        answer(stream, "Connection: close\r\n", &request.body())?;
        if request.sequence % 16 == 5 { ended() } else { Ok(()) }
    });
    // The rest of the requests is unread in the kernel, or was read already.
    let report = play(address, &json!({ "shape": "pipeline" }));
    assert_eq!(report["answered"].as_u64().map(|count| count % 5), Some(0));
    assert!(report["failures"]["closed"].as_u64() >= Some(11), "{report:#}");
}

#[test]
fn a_connection_that_is_closed_while_idle_is_no_failure() {
    let address = http_server(|stream, request| {
        well(stream, request)?;
        ended()
    });
    let report = play_slowly(address, &post());
    assert_well(&report);
    assert!(report["closed"]["idleFin"].as_u64() > Some(0), "{report:#}");
    assert_eq!(report["closed"]["announced"], 0);
}

#[test]
fn an_announced_close_is_no_failure() {
    let address = http_server(|stream, request| {
        answer(stream, "Connection: close\r\n", &request.body())?;
        ended()
    });
    let report = play(address, &post());
    assert_well(&report);
    assert_eq!(report["closed"]["announced"], report["opened"], "{report:#}");
    assert_eq!(report["closed"]["idleFin"], 0);
}

#[test]
fn a_connection_is_not_used_in_the_last_second_of_its_keep_alive_time() {
    let address =
        http_server(|stream, request| answer(stream, "Keep-Alive: timeout=1\r\n", &request.body()));
    let report = play(address, &json!({ "shape": "post", "think": [10, 10] }));
    assert_well(&report);
    assert!(report["closed"]["byClient"].as_u64() > Some(0), "{report:#}");
    assert!(report["opened"].as_u64() > Some(2), "{report:#}");
}

#[test]
fn interim_answers_and_chunks_are_read() {
    let address = http_server(|stream, request| {
        let body = request.body();
        let (first, rest) = body.split_at(3);
        write!(
            stream,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
            rest.len(),
        )
    });
    let report = play(address, &post());
    assert_well(&report);
    assert_eq!(report["opened"], 1);
}

#[test]
fn a_silent_connection_that_is_closed_has_lost_nothing() {
    let address = server(|stream, number| {
        if number % 2 == 1 {
            let mut stream = stream;
            if let Some(request) = read_request(&mut stream, &mut Vec::new()) {
                let _ = well(&mut stream, &request);
            }
        }
    });
    let report = play_slowly(address, &json!({ "shape": "silent" }));
    assert_well(&report);
    assert!(report["closed"]["idleFin"].as_u64() > Some(0), "{report:#}");
}

#[test]
fn half_a_head_that_gets_a_status_has_failed() {
    let address = server(|mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
        reset(stream);
    });
    let report = play_slowly(address, &json!({ "shape": "halfHead" }));
    assert_only(&report, "status");
}
