//! Many descriptors that are waited on as one.

pub use super::platform::readiness_set::ReadinessSet;

#[cfg(test)]
mod tests {
    use std::{io::Write, os::fd::AsFd};

    use super::*;
    use crate::sys::lane;

    #[test]
    fn those_that_are_readable_or_have_ended_are_named_until_they_are_removed() {
        let set = ReadinessSet::new().unwrap();
        let pairs = [0; 3].map(|_| lane::stream_pair().unwrap());
        for (number, (ours, _)) in pairs.iter().enumerate() {
            set.add(ours.as_fd(), number as u64).unwrap();
        }
        let ready = || {
            let mut ready: Vec<u64> = set.ready::<8>().collect();
            ready.sort_unstable();
            ready
        };
        assert!(ready().is_empty());
        let [(_, first), (second, theirs), _third] = &pairs;
        std::fs::File::from(first.try_clone().unwrap()).write_all(b"x").unwrap();
        lane::shutdown(theirs, lane::Lane::Ipc).unwrap();
        assert_eq!(ready(), [0, 1]);
        assert_eq!(ready(), [0, 1], "nothing was read");
        assert_eq!(set.ready::<1>().count(), 1);
        set.remove(second.as_fd());
        assert_eq!(ready(), [0]);
    }
}
