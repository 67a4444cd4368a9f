use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use tokio::{
    runtime::Builder,
    task::{JoinHandle, LocalSet},
    time::timeout,
};

use super::{super::primaries::Recipient, *};
use crate::protocol::control::encode;

const SOON: Duration = Duration::from_secs(20);

/// A process that runs until it gets a signal.
fn primary() -> Arc<Process> {
    let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let process = Process::watch(child.id().cast_signed()).unwrap();
    // Its input stays open.
    std::mem::forget(child);
    Arc::new(process)
}

/// The pid of a process whose parent is another one, which does not reap it.
fn later_primary() -> (i32, Child) {
    let mut child = Command::new("sh")
        .args(["-c", "exec 3<&0; cat <&3 >/dev/null & echo $!; exec cat >/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (line.trim().parse().unwrap(), child)
}

/// A parent, and what primaries have of it.
struct Played {
    lane: OwnedFd,
    recipients: Rc<RefCell<Recipients>>,
    exit: JoinHandle<Option<Exit>>,
}

impl Played {
    fn start(first: &Arc<Process>) -> Self {
        let (ours, lane) = lane::packet_pair().unwrap();
        let recipients = Rc::new(RefCell::new(Recipients::new(Arc::clone(first))));
        let (parent, heard) =
            Parent::new(watched(first), ours, Rc::clone(&recipients), DebugLog::new(false));
        let exit = spawn_local(async move { parent.run(heard).await });
        Self { lane, recipients, exit }
    }

    fn tell(&self, message: &ToParent) {
        lane::send_packet(&self.lane, &encode(message).unwrap(), None).unwrap();
    }

    fn succeeds(&self, pid: i32) {
        self.tell(&ToParent::Successor { pid: pid.unsigned_abs() });
    }

    fn signal(&self, signal: i32) {
        self.recipients.borrow_mut().signal(signal);
    }

    /// Waits until signals go where `is_it` says.
    async fn until(&self, is_it: impl Fn(&Recipient) -> bool) {
        let wait = async {
            while !is_it(&self.recipients.borrow().primary) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(SOON, wait).await.unwrap();
    }

    async fn until_primary(&self, pid: i32) {
        self.until(|it| matches!(it, Recipient::Primary(process) if process.pid() == pid)).await;
    }

    /// Waits until the parent knows that the primary has ended.
    async fn until_end(&self) {
        self.until(|it| matches!(it, Recipient::Next(_))).await;
    }

    /// Waits for the end of the parent, when the last primary closes its lane.
    async fn exit(self) -> Option<Exit> {
        drop(self.lane);
        timeout(SOON, self.exit).await.unwrap().unwrap()
    }
}

fn watched(process: &Arc<Process>) -> Watched {
    Rc::new(watch(Arc::clone(process), Interest::READABLE).unwrap())
}

fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// Waits until nothing is left of it.
async fn reaped(process: &Process) {
    let wait = async {
        while process.signal(0).is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, wait).await.unwrap();
}

#[test]
fn the_parent_ends_as_the_only_primary_when_that_has_closed_the_lane() {
    run(async {
        let first = primary();
        let played = Played::start(&first);
        played.succeeds(first.pid());
        played.signal(libc::SIGTERM);
        played.until_end().await;
        assert!(!played.exit.is_finished());
        assert_eq!(played.exit().await, Some(Exit::Signal(libc::SIGTERM)));
    });
}

#[test]
fn a_later_primary_gets_the_signals_and_decides_the_end() {
    run(async {
        let (first, second) = (primary(), primary());
        let played = Played::start(&first);
        played.succeeds(second.pid());
        played.until_primary(second.pid()).await;
        // One that ends while it drains changes nothing, and is reaped.
        first.signal(libc::SIGKILL).unwrap();
        reaped(&first).await;
        second.signal(0).unwrap();
        played.signal(libc::SIGTERM);
        played.until_end().await;
        assert_eq!(played.exit().await, Some(Exit::Signal(libc::SIGTERM)));
    });
}

#[test]
fn primaries_that_drain_are_ended_with_the_last_one() {
    run(async {
        let (first, second) = (primary(), primary());
        let played = Played::start(&first);
        played.succeeds(second.pid());
        played.until_primary(second.pid()).await;
        played.recipients.borrow().end_earlier();
        reaped(&first).await;
        second.signal(0).unwrap();
        played.signal(libc::SIGINT);
        played.until_end().await;
        assert_eq!(played.exit().await, Some(Exit::Signal(libc::SIGINT)));
    });
}

#[test]
fn a_signal_between_two_primaries_waits_for_the_next() {
    run(async {
        let (first, second) = (primary(), primary());
        let played = Played::start(&first);
        first.signal(libc::SIGKILL).unwrap();
        played.until_end().await;
        for _ in 0..2 {
            played.signal(libc::SIGTERM);
        }
        played.succeeds(second.pid());
        assert_eq!(played.exit().await, Some(Exit::Signal(libc::SIGTERM)));
    });
}

#[test]
fn how_a_primary_ended_is_told_by_the_one_before_it() {
    run(async {
        let (pid, mut second) = later_primary();
        let first = primary();
        let played = Played::start(&first);
        played.succeeds(pid);
        played.until_primary(pid).await;
        played.signal(libc::SIGKILL);
        played.until_end().await;
        played.tell(&ToParent::Ended { pid: pid.unsigned_abs(), code: Some(3), signal: None });
        assert_eq!(played.exit().await, Some(Exit::Code(3)));
        second.kill().unwrap();
        second.wait().unwrap();
        first.end();
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_primary_whose_predecessor_ends_after_it_is_inherited() {
    assert!(crate::sys::become_subreaper());
    run(async {
        let (pid, mut predecessor) = later_primary();
        let first = primary();
        let played = Played::start(&first);
        played.succeeds(pid);
        played.until_primary(pid).await;
        played.signal(libc::SIGUSR1);
        played.until_end().await;
        predecessor.kill().unwrap();
        predecessor.wait().unwrap();
        assert_eq!(played.exit().await, Some(Exit::Signal(libc::SIGUSR1)));
        assert!(Process::watch(pid).is_err(), "it is reaped");
        first.end();
    });
}

#[test]
fn a_primary_that_has_ended_before_it_is_watched_has_ended() {
    run(async {
        let first = primary();
        let second = primary();
        let pid = second.pid();
        second.end();
        drop(second);
        let played = Played::start(&first);
        played.succeeds(pid);
        played.tell(&ToParent::Ended { pid: pid.unsigned_abs(), code: None, signal: Some(9) });
        assert_eq!(played.exit().await, Some(Exit::Signal(9)));
        first.end();
    });
}

#[test]
fn what_a_later_release_tells_is_ignored() {
    run(async {
        let first = primary();
        let played = Played::start(&first);
        for packet in [&br#"{"act":"later","pid":1}"#[..], b"[", b"", &[b' '; MAX_PACKET + 1]] {
            lane::send_packet(&played.lane, packet, None).unwrap();
        }
        first.signal(libc::SIGKILL).unwrap();
        assert_eq!(played.exit().await, Some(Exit::Signal(libc::SIGKILL)));
    });
}

#[test]
fn what_is_known_of_the_end_is_not_forgotten() {
    let mut primary = Primary::new(7);
    primary.end(8, Some(Exit::Code(1)));
    assert_eq!(primary, Primary::new(7));
    primary.end(7, Some(Exit::Code(2)));
    primary.end(7, None);
    assert!(!primary.is_over());
    primary.is_last = true;
    assert!(primary.is_over() && !primary.succeed(7));
    assert_eq!(primary.exit, Some(Exit::Code(2)));
    assert!(primary.succeed(9) && !primary.is_over());
    primary.end(9, None);
    assert!(primary.is_over() && primary.exit.is_none());
}
