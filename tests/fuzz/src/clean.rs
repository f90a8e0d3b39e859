//! What text of others may never hold once it is inside.

use std::fmt::Debug;

use patchwave_common::domain::steers_output;

/// Panics if a string anywhere in the value holds a character that steers a terminal, forges a line or turns text around. Looks at the
/// `Debug` form, in which every field stands and such characters stand escaped.
pub fn assert_clean(value: &impl Debug) {
    let shown = format!("{value:?}");
    let mut characters = shown.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            continue;
        }
        let hostile = match characters.next() {
            Some('\\' | '"' | '\'') | None => false,
            Some('u') => {
                let hexadecimal: String = characters.by_ref().skip(1).take_while(|&each| each != '}').collect();
                u32::from_str_radix(&hexadecimal, 16).ok().and_then(char::from_u32).is_some_and(steers_output)
            }
            Some(_) => true,
        };
        assert!(!hostile, "a character that steers output survived: {shown:.300}");
    }
}

/// Panics if a text that is to be shown is hostile or longer than its bound.
pub fn assert_fit(text: &str, max_chars: usize) {
    assert!(!text.chars().any(steers_output), "{text:?}");
    // One more for the sign that something was cut.
    assert!(text.chars().count() <= max_chars + 1, "{} characters are more than {max_chars}", text.chars().count());
}
