//! The connections of one listener that wait for their clients.

use std::{
    cell::RefCell,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
};

use tokio::task::AbortHandle;

use super::super::core::parked::ParkedId;
use crate::sys::readiness_set::ReadinessSet;

/// What watches the parked connections of a listener. It takes a descriptor only while there are any.
#[derive(Default)]
pub(crate) struct ParkedConnections {
    watch: RefCell<Option<Watch>>,
}

struct Watch {
    set: Rc<ReadinessSet>,
    count: usize,
    /// The task, once there is one.
    task: Option<AbortHandle>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl ParkedConnections {
    /// Adds one. Returns false if the kernel has no descriptor or no memory for that.
    pub(super) fn add(&self, id: ParkedId, connection: &OwnedFd) -> bool {
        let mut watch = self.watch.borrow_mut();
        let set = match &*watch {
            Some(watch) => Ok(Rc::clone(&watch.set)),
            None => ReadinessSet::new().map(Rc::new),
        };
        let Ok(set) = set else { return false };
        if set.add(connection.as_fd(), id).is_err() {
            return false;
        }
        watch.get_or_insert_with(|| Watch { set, count: 0, task: None }).count += 1;
        true
    }

    /// Removes one.
    pub(super) fn remove(&self, connection: &OwnedFd) {
        let mut watch = self.watch.borrow_mut();
        if let Some(open) = watch.as_mut() {
            open.set.remove(connection.as_fd());
            open.count -= 1;
            if open.count == 0 {
                *watch = None;
            }
        }
    }

    /// The set, if no task waits on it yet.
    pub(super) fn unattended(&self) -> Option<Rc<ReadinessSet>> {
        let watch = self.watch.borrow();
        watch.as_ref().filter(|it| it.task.is_none()).map(|it| Rc::clone(&it.set))
    }

    /// The task waits on the set, and is aborted when nothing is left in it.
    pub(super) fn set_task(&self, task: AbortHandle) {
        if let Some(watch) = self.watch.borrow_mut().as_mut() {
            watch.task = Some(task);
        }
    }
}
