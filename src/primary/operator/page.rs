//! The status page: one HTML document, which needs nothing but `/status`.
//!
//! `build.rs` joins it from the files in `page/`, and writes the policy that permits its script and its style,
//! by their hashes, and nothing else. So the engine serves it from memory, however busy JavaScript is.

/// A document, and what a browser may do with it.
#[derive(Debug)]
pub struct Page {
    /// The body of the answer, of type `text/html; charset=utf-8`.
    pub html: &'static str,
    /// The value of the header `Content-Security-Policy`.
    pub policy: &'static str,
}

static PAGE: Page = Page {
    html: include_str!(concat!(env!("OUT_DIR"), "/page.html")),
    policy: include_str!(concat!(env!("OUT_DIR"), "/page.policy")),
};

/// The status page.
pub fn page() -> &'static Page {
    &PAGE
}

#[cfg(test)]
mod tests;
