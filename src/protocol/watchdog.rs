//! The watchdog lane: the engine asks for the JavaScript stack of a worker whose event loop is blocked.

/// A request. The answer is one packet, the stack as text, which is empty if there is none.
pub const REQUEST: &[u8; 1] = b"s";

/// The longest stack, in bytes.
pub const LONGEST_STACK: usize = 16 * 1024;

/// Removes what is beyond `longest` bytes, and what is left of the line that this cuts.
pub fn shorten(stack: &mut String, longest: usize) {
    if stack.len() > longest {
        let start = stack.get(..longest).or_else(|| {
            // A character of UTF-8 has at most four bytes.
            (1..4).find_map(|less| stack.get(..longest.saturating_sub(less)))
        });
        let end = start.and_then(|start| start.rfind('\n')).map_or(0, |end| end + 1);
        stack.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_is_too_long_loses_whole_lines() {
        for (stack, longest, left) in [
            ("at a\nat b\n", 10, "at a\nat b\n"),
            ("at a\nat b\n", 9, "at a\n"),
            ("at \u{1F600}\nat b\n", 9, "at \u{1F600}\n"),
            ("at \u{1F600}\u{1F600}\n", 9, ""),
        ] {
            let mut shortened = stack.to_owned();
            shorten(&mut shortened, longest);
            assert_eq!(shortened, left);
        }
    }
}
