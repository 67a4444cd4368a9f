use std::{
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::stat::FileStat,
    unistd::ftruncate,
};

/// Creates sealed memory of this size, without a name: it can't shrink while a reader uses it.
pub(in crate::sys) fn create(size: usize) -> io::Result<OwnedFd> {
    let memory = memfd_create()?;
    ftruncate(&memory, size as i64)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(memory)
}

/// Whether a file is as large as memory of this size.
pub(in crate::sys) fn is_sized(file: &FileStat, size: usize) -> bool {
    file.st_size == size as i64
}

/// Memory that only its descriptor names.
fn memfd_create() -> nix::Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // By `libc`, because `nix` calls a function that glibc 2.17 lacks.
    // SAFETY: a C string that lives, and flags.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_create, c"rs-cluster".as_ptr(), flags) };
    // SAFETY: the kernel has just made this descriptor for us.
    Errno::result(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
