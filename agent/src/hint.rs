//! Errors that bring their way out along, in either of the two forms that the project's errors use: `what; hint: way` and
//! `what (hint: way)`.

/// Splits an error's text into what is wrong and, where it tells one, the way out.
#[must_use]
pub fn split(text: &str) -> (String, Option<String>) {
    if let Some((what, hint)) = text.split_once("; hint: ") {
        return (what.to_owned(), Some(hint.to_owned()));
    }
    match text.split_once(" (hint: ").and_then(|(what, rest)| rest.rsplit_once(')').map(|(hint, after)| (what, hint, after))) {
        Some((what, hint, after)) => (format!("{what}{after}"), Some(hint.to_owned())),
        None => (text.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn both_forms_of_a_hint_are_understood_and_a_text_without_one_stays() {
        assert_eq!(split("no route; hint: look (twice)"), ("no route".into(), Some("look (twice)".into())));
        assert_eq!(split("no route (hint: look (twice))"), ("no route".into(), Some("look (twice)".into())));
        assert_eq!(split("no (known) route"), ("no (known) route".into(), None));
    }
}
