use std::{ffi::c_int, mem, time::Duration};

/// What one unit of the kernel's times is, in nanoseconds: a fraction.
#[repr(C)]
struct Timebase {
    numerator: u32,
    denominator: u32,
}

unsafe extern "C" {
    fn mach_timebase_info(info: *mut Timebase) -> c_int;
}

pub(in crate::sys) fn memory_of(pid: i32) -> Option<u64> {
    Some(task_info(pid)?.pti_resident_size)
}

pub(in crate::sys) fn cpu_time_of(pid: i32) -> Option<Duration> {
    let info = task_info(pid)?;
    let units = u128::from(info.pti_total_user) + u128::from(info.pti_total_system);
    let mut base = Timebase { numerator: 1, denominator: 1 };
    // SAFETY: the function writes both numbers.
    unsafe { mach_timebase_info(&raw mut base) };
    let nanoseconds = (units * u128::from(base.numerator)).checked_div(base.denominator.into())?;
    Some(Duration::from_nanos(u64::try_from(nanoseconds).ok()?))
}

/// macOS does not tell.
pub(in crate::sys) fn descriptor_table_size() -> Option<usize> {
    None
}

fn task_info(pid: i32) -> Option<libc::proc_taskinfo> {
    // SAFETY: plain numbers, for which zeros do.
    let mut info: libc::proc_taskinfo = unsafe { mem::zeroed() };
    let size = size_of_val(&info) as c_int;
    // SAFETY: the kernel writes no more than `size` bytes.
    let written =
        unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTASKINFO, 0, (&raw mut info).cast(), size) };
    (written == size).then_some(info)
}
