//! Texts that no log shows.

use std::fmt::{self, Debug, Formatter};

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// A text that must not be seen: no debug log shows it, and its memory is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Debug for Secret {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_over_the_wire_as_it_is_and_is_not_shown() {
        let secret = Secret::from("00ff");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""00ff""#);
        assert_eq!(serde_json::from_str::<Secret>(r#""00ff""#).unwrap(), secret);
        assert!(!format!("{secret:?}").contains("00ff"));
    }
}
