use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io,
    os::fd::OwnedFd,
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::{
        mman::{shm_open, shm_unlink},
        stat::{FileStat, Mode},
    },
    unistd::{SysconfVar, ftruncate, sysconf},
};

/// Creates memory of this size, and removes its name. The kernel lets its size be set only once
/// (`pshm_truncate`), so it can't shrink while a reader uses it.
pub(in crate::sys) fn create(size: usize) -> io::Result<OwnedFd> {
    loop {
        // At most 31 bytes. The numbers are random, and others for each call.
        let name = &*format!("/rs-cluster-{:016x}", RandomState::new().build_hasher().finish());
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
        match shm_open(name, flags, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(memory) => {
                shm_unlink(name)?;
                ftruncate(&memory, size as i64)?;
                return Ok(memory);
            }
            Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether a file is as large as memory of this size, which consists of whole pages.
pub(in crate::sys) fn is_sized(file: &FileStat, size: usize) -> bool {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    let page = page.and_then(|page| usize::try_from(page).ok()).filter(|page| *page > 0);
    page.is_some_and(|page| file.st_size == size.next_multiple_of(page) as i64)
}
