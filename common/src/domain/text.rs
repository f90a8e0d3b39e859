//! Checked strings: the one error type for a malformed value, and cleaning of text that came from outside.

use std::fmt;

/// A value that does not have the form its type demands. Names the type, the offending value (shortened) and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What was being read, e.g. `host id`.
    pub what: &'static str,
    /// The offending value, cleaned and shortened.
    pub value: String,
    /// What is allowed instead.
    pub allowed: &'static str,
}

impl ParseError {
    /// An error about `value`, which is no `what`; `allowed` tells the form that would be.
    #[must_use]
    pub fn new(what: &'static str, value: &str, allowed: &'static str) -> Self {
        Self { what, value: clean_text(value, 80), allowed }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\" is not a valid {}: {}", self.value, self.what, self.allowed)
    }
}

impl std::error::Error for ParseError {}

/// Text from outside made fit for a log line, a table or an error: control characters become spaces (so no terminal escape and no
/// forged line survives) and at most `max_chars` characters stay.
#[must_use]
pub fn clean_text(text: &str, max_chars: usize) -> String {
    let mut cleaned: String = text.chars().take(max_chars).map(|character| if character.is_control() { ' ' } else { character }).collect();
    if text.chars().nth(max_chars).is_some() {
        cleaned.push('…');
    }
    cleaned
}

/// Makes a string type whose values satisfy `$check`; the only ways in are `parse` and serde, and both check.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks the form and takes the value; the error names the value and the allowed form.
            pub fn parse(value: impl AsRef<str>) -> Result<Self, $crate::domain::ParseError> {
                let value = value.as_ref();
                let check: fn(&str) -> bool = $check;
                if check(value) { Ok(Self(value.into())) } else { Err($crate::domain::ParseError::new($what, value, $allowed)) }
            }
            /// The text of the value.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }
        }
        // As it stands, without a copy: an inventory has thousands of them.
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> { serializer.serialize_str(&self.0) }
        }
        impl TryFrom<String> for $name {
            type Error = $crate::domain::ParseError;
            fn try_from(value: String) -> Result<Self, Self::Error> { Self::parse(value) }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::domain::ParseError;
            fn from_str(value: &str) -> Result<Self, Self::Err> { Self::parse(value) }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self { value.0.as_ref().to_owned() }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { formatter.pad(&self.0) }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(formatter, "{:?}", &*self.0) }
        }
    };
}
pub(crate) use checked_string;

/// Starts with an ASCII letter or digit, at most `max` bytes, otherwise letters, digits and the characters of `extra`.
/// The first character matters: a value can never be taken for an option of a command.
pub(crate) fn is_token(value: &str, max: usize, extra: &str) -> bool {
    value.len() <= max
        && value.starts_with(|first: char| first.is_ascii_alphanumeric())
        && value.chars().all(|character| character.is_ascii_alphanumeric() || extra.contains(character))
}
