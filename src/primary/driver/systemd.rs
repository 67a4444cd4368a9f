//! Tells the service manager what happens, in the words of `sd_notify(3)`.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use sd_notify::NotifyState;
use tokio::{sync::Notify, time::sleep_until};

use super::super::{
    core::supervise::{
        notices::{Notice, Notices},
        options::SuperviseOptions,
        report::Report,
        status::Status,
    },
    messages::NotifySocket,
};
use crate::sys::{Notifier, Sent};

/// How soon a message is sent again for which there was no room.
const RETRY: Duration = Duration::from_millis(100);

/// How many such messages there are, at most. What is older is of no interest any more.
const MOST_UNSENT: usize = 16;

/// What tells the service manager.
pub(super) struct Systemd {
    notifier: Notifier,
    notices: Notices,
    unsent: VecDeque<String>,
    changed: Rc<Notify>,
}

impl Systemd {
    /// `None` where the socket is of an unknown kind. `speaks`: whether this process is the service already.
    pub(super) fn new(
        socket: &NotifySocket,
        options: &SuperviseOptions,
        speaks: bool,
    ) -> Option<Self> {
        let notices = Notices::new(options, socket.watchdog, speaks, Instant::now());
        let (unsent, changed) = Default::default();
        Notifier::open(&socket.name).map(|notifier| Self { notifier, notices, unsent, changed })
    }

    /// Tells that there is something to tell.
    pub(super) fn changed(&self) -> Rc<Notify> {
        Rc::clone(&self.changed)
    }

    pub(super) fn observe(&mut self, status: &Status) {
        self.notices.observe(status, Instant::now());
        self.changed.notify_one();
    }

    pub(super) fn hear(&mut self, report: &Report) {
        self.notices.hear(report, Instant::now());
        self.changed.notify_one();
    }

    pub(super) fn refuse_reload(&mut self, reason: String) {
        self.notices.refuse_reload(reason);
        self.changed.notify_one();
    }

    /// This process is the service from now on.
    pub(super) fn speak(&mut self) {
        self.notices.speak(Instant::now());
        self.changed.notify_one();
    }

    /// Another process is the service from now on: the service manager is told its `pid`, if there is one, when this
    /// returns, unless it has no room for that. Nothing else is told.
    pub(super) fn hand_over(&mut self, pid: Option<u32>) {
        self.notices.hand_over(pid);
        self.tell(Instant::now());
    }

    /// Tells what there is to tell. Returns when to do so again.
    fn tell(&mut self, now: Instant) -> Option<Instant> {
        for message in self.notices.take(now) {
            self.send(text(&message));
        }
        self.send_again();
        let retry = (!self.unsent.is_empty()).then(|| now + RETRY);
        [retry, self.notices.next_due()].into_iter().flatten().min()
    }

    fn send(&mut self, text: String) {
        self.unsent.push_back(text);
        if self.unsent.len() > MOST_UNSENT {
            self.unsent.pop_front();
        }
    }

    fn send_again(&mut self) {
        while let Some(text) = self.unsent.front()
            && self.notifier.send(text) == Sent::Done
        {
            self.unsent.pop_front();
        }
    }
}

/// Tells what changes, and that this thread turns, until supervision is over.
pub(super) async fn tell_changes(systemd: Weak<RefCell<Systemd>>, changed: Rc<Notify>) {
    while let Some(systemd) = systemd.upgrade() {
        let due = systemd.borrow_mut().tell(Instant::now());
        drop(systemd);
        match due {
            None => changed.notified().await,
            Some(due) => tokio::select! {
                () = sleep_until(due.into()) => {}
                () = changed.notified() => {}
            },
        }
    }
}

/// A message of these notices.
fn text(notices: &[Notice]) -> String {
    let lines = notices.iter().flat_map(|notice| match notice {
        Notice::Ready => vec![NotifyState::Ready.to_string()],
        Notice::Reloading => {
            let time = NotifyState::monotonic_usec_now().ok();
            let time = time.map(|it| it.to_string());
            [NotifyState::Reloading.to_string()].into_iter().chain(time).collect()
        }
        Notice::Stopping => vec![NotifyState::Stopping.to_string()],
        Notice::Watchdog => vec![NotifyState::Watchdog.to_string()],
        Notice::Status(line) => vec![NotifyState::Status(line).to_string()],
        Notice::Extend(time) => {
            let time = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
            vec![NotifyState::ExtendTimeoutUsec(time).to_string()]
        }
        Notice::MainPid(pid) => vec![NotifyState::MainPid(*pid).to_string()],
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_lines_of_one_message() {
        let status = Notice::Status("2 workers ready".into());
        let extend = Notice::Extend(Duration::from_secs(35));
        let stopping = text(&[Notice::Stopping, status, extend]);
        assert_eq!(stopping, "STOPPING=1\nSTATUS=2 workers ready\nEXTEND_TIMEOUT_USEC=35000000");
        assert_eq!(text(&[Notice::Ready, Notice::Watchdog]), "READY=1\nWATCHDOG=1");
        assert_eq!(text(&[Notice::MainPid(77)]), "MAINPID=77");
        let reloading = text(&[Notice::Reloading]);
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
    }
}
