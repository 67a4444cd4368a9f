/// The children of another process are not listed.
pub(in crate::sys) fn children_of(_process: &str) -> Option<Vec<i32>> {
    None
}

/// Not known.
pub(in crate::sys) fn is_stopped(_pid: i32) -> bool {
    false
}
