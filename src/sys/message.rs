//! `sendmsg` and `recvmsg`, with at most one descriptor beside the bytes.
//!
//! By `libc`, because those of `nix` allocate for every descriptor, and leave descriptors open that have
//! come with a message for which there was too little room (`RecvMsg::cmsgs`).

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, cmsg_space},
};

use super::platform::message as platform;

/// Room for control messages, with the alignment that the kernel requires.
#[repr(C, align(8))]
struct Space<const SIZE: usize>([MaybeUninit<u8>; SIZE]);

/// Room for the descriptor that is sent with a message.
const SPACE: usize = cmsg_space::<RawFd>();

/// What was received.
pub(super) struct Message {
    /// How many bytes there were.
    pub(super) length: usize,
    /// The last of the descriptors; others are closed.
    pub(super) descriptor: Option<OwnedFd>,
    /// Whether there were more bytes, or more descriptors, than are returned.
    pub(super) truncated: bool,
}

/// Sends slices, and returns how many bytes of them were sent.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    slices: &[IoSlice<'_>],
    descriptor: Option<BorrowedFd<'_>>,
    flags: MsgFlags,
) -> nix::Result<usize> {
    let mut space = Space([MaybeUninit::zeroed(); SPACE]);
    let mut header = header(slices.as_ptr().cast_mut().cast(), slices.len());
    if let Some(descriptor) = descriptor {
        header.msg_control = space.0.as_mut_ptr().cast();
        header.msg_controllen = SPACE as _;
        // SAFETY: the space is as large as the header says, aligned, and has room for one descriptor.
        unsafe {
            let message = libc::CMSG_FIRSTHDR(&raw const header);
            (*message).cmsg_level = libc::SOL_SOCKET;
            (*message).cmsg_type = libc::SCM_RIGHTS;
            (*message).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as _) as _;
            libc::CMSG_DATA(message).cast::<RawFd>().write_unaligned(descriptor.as_raw_fd());
        }
    }
    // SAFETY: the header names slices and a space that live. The kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, flags.bits()) };
    Errno::result(sent).map(isize::unsigned_abs)
}

/// Receives into slices. There is room for `SIZE` bytes of descriptors, and of what the kernel adds.
pub(super) fn receive<const SIZE: usize>(
    socket: BorrowedFd<'_>,
    slices: &mut [IoSliceMut<'_>],
    flags: MsgFlags,
) -> nix::Result<Message> {
    let mut space = Space([MaybeUninit::uninit(); SIZE]);
    let mut header = header(slices.as_mut_ptr().cast(), slices.len());
    header.msg_control = space.0.as_mut_ptr().cast();
    header.msg_controllen = SIZE as _;
    // SAFETY: the header names slices and a space that live, with their lengths.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags.bits()) };
    let length = Errno::result(received)?.unsigned_abs();
    let (mut descriptor, mut count) = (None, 0);
    // SAFETY: the kernel has filled in the header and the space.
    unsafe {
        each_descriptor(&header, |arrived| {
            descriptor = platform::arrived(arrived);
            count += 1;
        });
    }
    let is_cut = header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
    Ok(Message { length, descriptor, truncated: is_cut || count > 1 })
}

/// A header without an address.
fn header(slices: *mut libc::iovec, count: usize) -> libc::msghdr {
    // SAFETY: numbers and pointers, for which zeros do. Some fields have no name everywhere.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = slices;
    header.msg_iovlen = count as _;
    header
}

/// Calls `take` with each descriptor that a message carries, wherever it stands among what the kernel has
/// added. Descriptors that the kernel has made in addition are closed.
///
/// # Safety
/// `recvmsg` has filled in the header and its space, and no other code owns these descriptors.
unsafe fn each_descriptor(header: &libc::msghdr, mut take: impl FnMut(OwnedFd)) {
    // SAFETY: the kernel has filled in the space, and how much of it. The same holds for each step on.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: not null, so there is one, which the kernel has written.
        let message = unsafe { next.read_unaligned() };
        // SAFETY: as above.
        let mut data = unsafe { libc::CMSG_DATA(next) }.cast::<RawFd>();
        // SAFETY: computes a number only.
        let before = unsafe { libc::CMSG_LEN(0) } as usize;
        let count = (message.cmsg_len as usize).saturating_sub(before) / size_of::<RawFd>();
        let is_carried = message.cmsg_type == libc::SCM_RIGHTS;
        let has_descriptors = is_carried || platform::SCM_PIDFD == Some(message.cmsg_type);
        if message.cmsg_level == libc::SOL_SOCKET && has_descriptors {
            for _ in 0..count {
                // SAFETY: inside the message, whose length the kernel has given.
                let number = unsafe { data.read_unaligned() };
                // SAFETY: as above; at most just behind its end.
                data = unsafe { data.add(1) };
                // For a process that has ended, there may be an error instead.
                if number >= 0 {
                    // SAFETY: the kernel has just made this descriptor for us.
                    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
                    if is_carried {
                        take(descriptor);
                    }
                }
            }
        }
        // SAFETY: as for the first.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
}
