use std::{ffi::c_int, time::Duration};

use crate::sys::process_load::{Load, THREADS};

const PROC_PIDLISTTHREADS: c_int = 6;

/// The state of one thread.
struct Thread {
    time: Duration,
    is_runnable: bool,
}

pub(in crate::sys) fn load_of(pid: i32) -> Option<Load> {
    let mut handles = [0u64; THREADS];
    let size = size_of_val(&handles) as c_int;
    // SAFETY: the kernel writes no more than `size` bytes.
    let written = unsafe {
        libc::proc_pidinfo(pid, PROC_PIDLISTTHREADS, 0, handles.as_mut_ptr().cast(), size)
    };
    let count = usize::try_from(written).ok()? / size_of::<u64>();
    let (&first, others) = handles.get(..count)?.split_first()?;
    let is_cut = count >= THREADS;
    // The list begins with the first thread that there was.
    let main = thread(pid, first)?;
    // A thread that has ended meanwhile is left out.
    let others = others.iter().filter_map(|&handle| thread(pid, handle));
    let (all, is_other_runnable) =
        others.fold((main.time, false), |(time, any), it| (time + it.time, any || it.is_runnable));
    Some(Load {
        main: main.time,
        all,
        is_runnable: main.is_runnable,
        may_wait_for_thread: !main.is_runnable && (is_cut || is_other_runnable),
    })
}

pub(in crate::sys) fn main_time_of(pid: i32) -> Option<Duration> {
    load_of(pid).map(|load| load.main)
}

fn thread(pid: i32, handle: u64) -> Option<Thread> {
    // SAFETY: plain numbers, for which zeros do.
    let mut info: libc::proc_threadinfo = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info) as c_int;
    // SAFETY: the kernel writes no more than `size` bytes.
    let written = unsafe {
        libc::proc_pidinfo(pid, libc::PROC_PIDTHREADINFO, handle, (&raw mut info).cast(), size)
    };
    (written == size).then(|| Thread {
        time: Duration::from_nanos(info.pth_user_time.saturating_add(info.pth_system_time)),
        is_runnable: info.pth_run_state == libc::TH_STATE_RUNNING,
    })
}
