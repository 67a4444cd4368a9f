use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io,
    os::fd::OwnedFd,
};

use rustix::{
    fs::{Mode, Stat, ftruncate},
    io::Errno,
    shm::{self, OFlags},
};

/// Memory of this size, whose name is gone when this returns. The kernel lets such memory be sized only
/// once (`pshm_truncate`), so it can't shrink under a reader.
pub(in crate::sys) fn create(size: usize) -> io::Result<OwnedFd> {
    loop {
        // At most 31 bytes. The numbers are random, and others for each call.
        let name = format!("/rs-cluster-{:016x}", RandomState::new().build_hasher().finish());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        match shm::open(&name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(memory) => {
                shm::unlink(&name)?;
                ftruncate(&memory, size as u64)?;
                return Ok(memory);
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether a file is as large as memory of this size, which consists of whole pages.
pub(in crate::sys) fn is_sized(file: &Stat, size: usize) -> bool {
    file.st_size == size.next_multiple_of(rustix::param::page_size()) as i64
}
