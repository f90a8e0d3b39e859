//! Selectors: which hosts, in the form that people know: `ring=test,os=debian`, `site!=ams`, `kind in (web, db)`, `gpu`, `!gpu`.
//!
//! The parts are joined by commas and all must hold. Keys are label keys, or facts of the host (`id`, `name`, `os`, `release`, `arch`, `mode`,
//! `state`), which the caller provides; a label never hides a fact.

use super::{ParseError, clean_text};

/// What is wrong with a selector.
pub type SelectorError = ParseError;

const ALLOWED: &str = "comma-separated key=value, key!=value, key in (a, b), key notin (a, b), key, or !key, e.g. ring=test,os=debian";
/// Bounds the work of one match; people write a handful.
const MAX_REQUIREMENTS: usize = 32;
/// Bounds the text that is read at all.
const MAX_BYTES: usize = 4096;

/// A conjunction of requirements on a host. The empty selector selects every host.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    text: String,
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Has(String),
    HasNot(String),
}

impl Selector {
    /// Reads a selector; the empty text selects everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let refuse = || ParseError::new("selector", text, ALLOWED);
        if text.len() > MAX_BYTES {
            return Err(refuse());
        }
        let mut requirements = Vec::new();
        for part in split_outside_parentheses(text) {
            let part = part.trim();
            if part.is_empty() && text.trim().is_empty() {
                continue;
            }
            requirements.push(Requirement::parse(part).ok_or_else(refuse)?);
        }
        if requirements.len() > MAX_REQUIREMENTS {
            return Err(refuse());
        }
        // Cleaned, since a selector over several lines is shown in one.
        Ok(Self { text: clean_text(text.trim(), MAX_BYTES), requirements })
    }

    /// Whether a host matches; `lookup` gives the value of a key, facts first, then labels.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => lookup(key).is_some_and(|have| values.iter().any(|value| value == have)),
            Requirement::NotIn(key, values) => !lookup(key).is_some_and(|have| values.iter().any(|value| value == have)),
            Requirement::Has(key) => lookup(key).is_some(),
            Requirement::HasNot(key) => lookup(key).is_none(),
        })
    }

    /// Whether this selects every host.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl Requirement {
    fn parse(part: &str) -> Option<Self> {
        if let Some(key) = part.strip_prefix('!') {
            return Some(Self::HasNot(word(key)?));
        }
        if let Some((key, list)) = part.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
            let values = list.split(',').map(word).collect::<Option<Vec<_>>>()?;
            let mut words = key.split_whitespace();
            return match (words.next(), words.next(), words.next()) {
                (Some(key), Some("in"), None) => Some(Self::In(word(key)?, values)),
                (Some(key), Some("notin"), None) => Some(Self::NotIn(word(key)?, values)),
                _ => None,
            };
        }
        if let Some((key, value)) = part.split_once("!=") {
            return Some(Self::NotIn(word(key)?, vec![word(value)?]));
        }
        if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            return Some(Self::In(word(key)?, vec![word(value)?]));
        }
        Some(Self::Has(word(part)?))
    }
}

fn word(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    (!text.is_empty() && text.len() <= 64 && text.chars().all(fits)).then(|| text.to_owned())
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (index, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

impl std::fmt::Display for Selector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(&self.text)
    }
}
impl TryFrom<String> for Selector {
    type Error = SelectorError;
    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::parse(&value)
    }
}
impl From<Selector> for String {
    fn from(value: Selector) -> Self {
        value.text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn selects(selector: &str) -> bool {
        Selector::parse(selector).unwrap().matches(|key| match key {
            "ring" => Some("test"),
            "os" => Some("debian"),
            _ => None,
        })
    }

    #[test]
    fn each_form_selects_what_it_says() {
        for yes in ["", " ", "ring=test", "ring==test,os=debian", "ring in (early, test)", "os", "!gpu", "site!=ams", "ring notin (last)"] {
            assert!(selects(yes), "{yes}");
        }
        for no in ["ring=last", "ring=test,os=rocky", "gpu", "!os", "os!=debian", "ring notin (test,last)"] {
            assert!(!selects(no), "{no}");
        }
    }

    #[test]
    fn a_selector_over_several_lines_is_shown_in_one() {
        let selector = Selector::parse("ring=test,\n\tos=debian\u{2028}").unwrap();
        assert_eq!(selector.to_string(), "ring=test,  os=debian");
        assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
    }

    #[test]
    fn a_malformed_selector_is_refused_and_the_error_shows_the_form() {
        for bad in ["=x", "a=", "a=b,", "a in b", "a in (b", "a b", "a=b c", "!", "a in ()"] {
            let error = Selector::parse(bad).expect_err(bad);
            assert!(error.to_string().contains("ring=test,os=debian"), "{error}");
        }
    }
}
