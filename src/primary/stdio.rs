//! The descriptors that a child gets.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use super::output_relay::Target;
use crate::{
    error::{Error, Result},
    sys::{duplicate, lane},
};

/// How many descriptors a child expects to be blocking, as with libuv.
const STANDARD_STREAMS: usize = 3;
const STDOUT: usize = 1;
const STDERR: usize = 2;
const IGNORE: i32 = -2;
const PIPE: i32 = -3;

/// The descriptors of a child that is to be started.
pub struct Stdio {
    /// By the child's numbers; `None` leaves a number closed.
    pub descriptors: Vec<Option<RawFd>>,
    /// This process's ends of the pipes, by the child's numbers.
    pub pipes: Vec<Option<OwnedFd>>,
    /// The descriptors that `descriptors` names, to be closed once the child runs.
    pub kept_open: Vec<OwnedFd>,
}

/// Duplicates of descriptors that workers get, for as long as workers are started: the program may close its own,
/// and the number then means another file.
#[derive(Debug, Default)]
pub struct HeldDescriptors(BTreeMap<RawFd, OwnedFd>);

impl HeldDescriptors {
    /// Puts the duplicates into what [`Stdio::open`] takes, except for those of the standard streams. The same number
    /// means the same duplicate each time.
    ///
    /// # Errors
    /// `EBADF` where this process has no such descriptor, `EMFILE` when no descriptor is left.
    pub fn hold(&mut self, wanted: &mut [i32]) -> Result<()> {
        for number in wanted.iter_mut().filter(|number| **number > libc::STDERR_FILENO) {
            *number = match self.0.entry(*number) {
                Entry::Occupied(held) => held.get().as_raw_fd(),
                Entry::Vacant(place) => {
                    let copy = duplicate(*number).map_err(Error::system("dup"))?;
                    place.insert(copy).as_raw_fd()
                }
            };
        }
        Ok(())
    }
}

/// Whether the child gets this process's stdout, or stderr, as its own.
pub(super) fn inherits(wanted: &[i32], target: Target) -> bool {
    let number = target.number();
    wanted.get(number).is_some_and(|wish| usize::try_from(*wish) == Ok(number))
}

impl Target {
    /// The number of its descriptor.
    fn number(self) -> usize {
        match self {
            Self::Stdout => STDOUT,
            Self::Stderr => STDERR,
        }
    }
}

impl Stdio {
    /// Opens what a child gets, by its numbers: -1 leaves the number closed, -2 is `/dev/null`, -3 a new
    /// pipe, any other number that descriptor of this process.
    ///
    /// # Errors
    /// `EBADF` where this process has no such descriptor, `EMFILE` or `ENFILE` when no descriptor is left.
    pub fn open(wanted: &[i32]) -> Result<Self> {
        let mut stdio = Self { descriptors: Vec::new(), pipes: Vec::new(), kept_open: Vec::new() };
        for &wish in wanted {
            let mut pipe = None;
            let descriptor = match wish {
                IGNORE => Some(stdio.keep_open(null().map_err(Error::system("open"))?)),
                PIPE => {
                    let (ours, theirs) = lane::pipe().map_err(Error::system("socketpair"))?;
                    pipe = Some(ours);
                    Some(stdio.keep_open(theirs))
                }
                number if number < 0 => None,
                number => {
                    // A descriptor that is not open is an error here, as in Node.
                    let theirs = duplicate(number).map_err(Error::system("dup"))?;
                    if stdio.descriptors.len() < STANDARD_STREAMS {
                        // Descriptors without this state don't need it.
                        let _ = lane::make_blocking(&theirs);
                    }
                    Some(stdio.keep_open(theirs))
                }
            };
            stdio.descriptors.push(descriptor);
            stdio.pipes.push(pipe);
        }
        Ok(stdio)
    }

    /// Gives the child another stdout, or stderr.
    pub(super) fn replace(&mut self, target: Target, theirs: OwnedFd) {
        let number = self.keep_open(theirs);
        if let Some(descriptor) = self.descriptors.get_mut(target.number()) {
            *descriptor = Some(number);
        }
    }

    fn keep_open(&mut self, theirs: OwnedFd) -> RawFd {
        let number = theirs.as_raw_fd();
        self.kept_open.push(theirs);
        number
    }
}

fn null() -> io::Result<OwnedFd> {
    Ok(std::fs::File::options().read(true).write(true).open("/dev/null")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::lane;

    #[test]
    fn a_held_descriptor_stays_what_it_was_when_its_number_is_used_anew() {
        let (_peer, given) = lane::pipe().unwrap();
        let number = given.as_raw_fd();
        let mut held = HeldDescriptors::default();
        let mut first = vec![IGNORE, 1, number, -1, number];
        held.hold(&mut first).unwrap();
        assert_eq!((&first[..2], first[3]), (&[IGNORE, 1][..], -1));
        assert!(first[2] > libc::STDERR_FILENO && first[2] != number);
        assert_eq!(first[2], first[4]);
        drop(given);
        let mut second = vec![number];
        held.hold(&mut second).unwrap();
        assert_eq!(second, [first[2]]);
        assert!(Stdio::open(&second).is_ok());
    }

    #[test]
    fn a_descriptor_that_is_not_open_can_not_be_held() {
        let result = HeldDescriptors::default().hold(&mut [1 << 20]);
        assert!(matches!(result, Err(Error::System { .. })), "{result:?}");
    }
}
