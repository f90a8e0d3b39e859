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

/// Whether a character could make output something else than it seems: control characters (terminal escapes, line ends), the other line
/// separators of Unicode, marks that turn the direction of text around (UAX #9), and the invisible tag characters.
#[must_use]
pub fn steers_output(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

/// Text from outside made fit for a log line, a table or an error: characters that steer output become spaces (so no terminal escape, no
/// forged line and no text turned around survives) and at most `max_chars` characters stay.
#[must_use]
pub fn clean_text(text: &str, max_chars: usize) -> String {
    let mut cleaned: String =
        text.chars().take(max_chars).map(|character| if steers_output(character) { ' ' } else { character }).collect();
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
    // By bytes: `extra` is ASCII, so a byte of any other character is refused. An inventory asks for thousands of values.
    value.len() <= max
        && value.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.as_bytes().contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_or_turns_text_around_survives_and_the_length_is_bounded() {
        let hostile = "a\u{1b}[2Jb\r\n\tc\0\u{9b}31m\u{202e}gpj\u{2066}\u{200f}\u{61c}\u{2028}\u{2029}\u{e0041}z";
        let cleaned = clean_text(hostile, 100);
        assert!(!cleaned.chars().any(steers_output), "{cleaned:?}");
        assert!(cleaned.starts_with("a [2Jb") && cleaned.ends_with('z'));
        assert_eq!(clean_text(&"x".repeat(1 << 20), 10), format!("{}…", "x".repeat(10)));
        assert_eq!(clean_text(&cleaned, 100), cleaned, "cleaning twice is cleaning once");
        assert_eq!(clean_text("héllo — мир 👩‍💻", 100), "héllo — мир 👩‍💻", "what people write stays");
    }
}
