use std::{io, os::fd::OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, Stat, fcntl_add_seals, ftruncate, memfd_create};

/// Memory of this size without a name, sealed: it can't shrink under a reader.
pub(in crate::sys) fn create(size: usize) -> io::Result<OwnedFd> {
    let memory = memfd_create("rs-cluster", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&memory, size as u64)?;
    fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(memory)
}

/// Whether a file is as large as memory of this size.
pub(in crate::sys) fn is_sized(file: &Stat, size: usize) -> bool {
    file.st_size == size as i64
}
