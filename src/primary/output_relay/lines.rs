//! A prefix at each line.

use std::{
    mem::take,
    time::{Duration, Instant},
};

/// How many bytes are kept of a line that has not ended, at most.
const LONGEST: usize = 8 * 1024;

/// For how long they are kept, so that a prompt appears.
const PATIENCE: Duration = Duration::from_millis(100);

/// By slot, from the first again after the last: those that are readable on dark and on light.
const COLORS: [u8; 6] = [36, 33, 35, 32, 34, 31];

/// Where the lines of several sources go.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The source whose last line has not ended there.
    open: Option<usize>,
}

/// The output of one source, line by line.
#[derive(Debug)]
pub(super) struct Lines {
    /// By which it is told apart from others.
    source: usize,
    prefix: Vec<u8>,
    /// What has come of a line that has not ended.
    rest: Vec<u8>,
    /// Since when it is kept.
    since: Option<Instant>,
}

impl Lines {
    pub(super) fn new(source: usize, slot: u32, is_colored: bool) -> Self {
        let color = COLORS[slot as usize % COLORS.len()];
        let prefix = match is_colored {
            true => format!("\x1b[{color}m{slot} |\x1b[0m "),
            false => format!("{slot} | "),
        };
        Self { source, prefix: prefix.into_bytes(), rest: Vec::new(), since: None }
    }

    /// When what is kept has to be taken by [`flush`](Self::flush).
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + PATIENCE)
    }

    /// What is to be written now that these bytes have come.
    pub(super) fn push(&mut self, bytes: &[u8], page: &mut Page, now: Instant) -> Vec<u8> {
        let mut written = Vec::new();
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let (complete, rest) = bytes.split_at(complete);
        if !complete.is_empty() {
            let kept = take(&mut self.rest);
            self.since = None;
            let mut kept = Some(kept);
            for line in complete.split_inclusive(|byte| *byte == b'\n') {
                self.begin(page, &mut written);
                written.extend(kept.take().into_iter().flatten());
                written.extend_from_slice(line);
                page.open = None;
            }
        }
        self.rest.extend_from_slice(rest);
        if self.rest.len() > LONGEST {
            written.append(&mut self.flush(page));
        } else if !self.rest.is_empty() {
            self.since.get_or_insert(now);
        }
        written
    }

    /// What is kept, though its line has not ended.
    pub(super) fn flush(&mut self, page: &mut Page) -> Vec<u8> {
        self.since = None;
        let rest = take(&mut self.rest);
        let mut written = Vec::new();
        if !rest.is_empty() {
            self.begin(page, &mut written);
            written.extend(rest);
            page.open = Some(self.source);
        }
        written
    }

    /// What is to be written when nothing comes any more.
    pub(super) fn end(&mut self, page: &mut Page) -> Vec<u8> {
        let mut written = self.flush(page);
        if page.open.take_if(|source| *source == self.source).is_some() {
            written.push(b'\n');
        }
        written
    }

    /// Begins a line, or goes on with the one that is open.
    fn begin(&self, page: &mut Page, written: &mut Vec<u8>) {
        match page.open {
            Some(source) if source == self.source => return,
            Some(_) => written.push(b'\n'),
            None => {}
        }
        page.open = None;
        written.extend_from_slice(&self.prefix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(written: Vec<u8>) -> String {
        String::from_utf8(written).unwrap()
    }

    fn two() -> (Lines, Lines, Page, Instant) {
        (Lines::new(0, 0, false), Lines::new(1, 7, false), Page::default(), Instant::now())
    }

    #[test]
    fn each_line_gets_the_prefix_and_a_part_of_one_waits_for_the_rest() {
        let (mut one, mut other, mut page, now) = two();
        assert_eq!(text(one.push(b"a\n\nb", &mut page, now)), "0 | a\n0 | \n");
        assert_eq!(one.deadline(), Some(now + PATIENCE));
        assert_eq!(text(other.push(b"other\n", &mut page, now)), "7 | other\n");
        assert_eq!(text(one.push(b"c", &mut page, now + PATIENCE / 2)), "");
        assert_eq!(one.deadline(), Some(now + PATIENCE));
        assert_eq!(text(one.push(b"d\ne\n", &mut page, now)), "0 | bcd\n0 | e\n");
        assert_eq!(one.deadline(), None);
    }

    #[test]
    fn a_prompt_appears_and_its_line_goes_on_unless_another_begins() {
        let (mut one, mut other, mut page, now) = two();
        one.push(b"name? ", &mut page, now);
        assert_eq!(text(one.flush(&mut page)), "0 | name? ");
        assert_eq!(text(one.push(b"Ann\nage? ", &mut page, now)), "Ann\n");
        assert_eq!(text(one.flush(&mut page)), "0 | age? ");
        assert_eq!(text(other.push(b"other\n", &mut page, now)), "\n7 | other\n");
        assert_eq!(text(one.push(b"7\n", &mut page, now)), "0 | 7\n");
        assert_eq!(text(one.flush(&mut page)), "");
    }

    #[test]
    fn a_line_is_kept_up_to_a_limit() {
        let (mut one, _, mut page, now) = two();
        assert_eq!(one.push(&[b'x'; LONGEST], &mut page, now), b"");
        let written = one.push(b"x", &mut page, now);
        assert_eq!(written.len(), 4 + LONGEST + 1);
        assert_eq!(text(one.push(b"y\n", &mut page, now)), "y\n");
        let long = [&[b'z'; 3 * LONGEST][..], b"\n"].concat();
        assert_eq!(one.push(&long, &mut page, now), [b"0 | ", &long[..]].concat());
    }

    #[test]
    fn the_last_line_ends_with_its_source() {
        let (mut one, mut other, mut page, now) = two();
        assert_eq!(text(one.push(b"last", &mut page, now)), "");
        assert_eq!(text(one.end(&mut page)), "0 | last\n");
        assert_eq!(text(one.end(&mut page)), "");
        one.push(b"open", &mut page, now);
        one.flush(&mut page);
        assert_eq!(text(other.end(&mut page)), "");
        assert_eq!(text(one.end(&mut page)), "\n");
    }

    #[test]
    fn the_prefix_has_a_color_by_slot_for_terminals() {
        let mut page = Page::default();
        let mut line = |slot| {
            let mut lines = Lines::new(0, slot, true);
            text(lines.push(b"x\n", &mut page, Instant::now()))
        };
        assert_eq!(line(0), "\x1b[36m0 |\x1b[0m x\n");
        assert_ne!(line(1)[..5], line(0)[..5]);
        assert_eq!(line(6)[..5], line(0)[..5]);
    }
}
