//! Takes credentials out of text that came from a package manager, before anybody sees it. The one place that does (rule 18).

use patchwave_common::domain::clean_text;

/// Bound on a detail in an error: enough for apt's last few lines, not for a terminal's scrollback.
const DETAIL_MAX_CHARS: usize = 2000;
/// What stands where credentials stood.
const HIDDEN: &str = "[hidden]";

/// Takes user names and passwords out of every URL in `text` (`scheme://user:password@host`), and the values of query parameters
/// (signed mirrors carry tokens there); line breaks and tabs become spaces, other control characters too, and the length is bounded.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(DETAIL_MAX_CHARS * 2));
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let after = at + "://".len();
        shown.push_str(&rest[..after]);
        let end = rest[after..].find(is_url_end).map_or(rest.len(), |offset| after + offset);
        shown.push_str(&redact_url(&rest[after..end]));
        rest = &rest[end..];
    }
    shown.push_str(rest);
    clean_text(&shown, DETAIL_MAX_CHARS)
}

/// What cannot be in a URL as apt prints it: white space, quotes and brackets around it.
fn is_url_end(character: char) -> bool {
    character.is_whitespace() || character.is_control() || "\"'<>`".contains(character)
}

/// `rest` is what follows `scheme://`. The authority ends at the first slash, but a password may itself hold an unescaped slash or
/// question mark, so everything up to the last `@` is hidden: too much is better than too little.
fn redact_url(rest: &str) -> String {
    let (prefix, rest) = match rest.rfind('@') {
        Some(at) => (format!("{HIDDEN}@"), &rest[at + 1..]),
        None => (String::new(), rest),
    };
    match rest.split_once('?') {
        Some((path, _)) => format!("{prefix}{path}?{HIDDEN}"),
        None => format!("{prefix}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credentials_in_urls_are_hidden_and_the_host_stays() {
        for (text, shown) in [
            ("E: http://user:pass@mirror/x 404", "E: http://[hidden]@mirror/x 404"),
            ("https://token@mirror.example/debian/", "https://[hidden]@mirror.example/debian/"),
            ("http://u:p@ss/w?rd@mirror/x", "http://[hidden]@mirror/x"),
            ("'https://m/x?sig=abc&key=d' and http://a:b@c", "'https://m/x?[hidden]' and http://[hidden]@c"),
            ("tor+http://u:p@h/ https://u:p@[::1]:80/x", "tor+http://[hidden]@h/ https://[hidden]@[::1]:80/x"),
            ("no url, a@b stays", "no url, a@b stays"),
            ("http://mirror/pool/a_1%3a2@3.deb", "http://[hidden]@3.deb"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn control_characters_go_and_the_length_is_bounded() {
        assert_eq!(redact("a\u{1b}[31mb\nc"), "a [31mb c");
        assert!(redact(&"x".repeat(100_000)).chars().count() <= DETAIL_MAX_CHARS + 1);
    }

    proptest! {
        #[test]
        fn no_password_survives_whatever_surrounds_it(before in "[ -~]{0,40}", user in "[a-z]{1,8}", after in "[ -~]{0,40}") {
            let text = format!("{before} http://{user}:S3CRETPASSWORD@host/{after}");
            prop_assert!(!redact(&text).contains("S3CRET"), "{}", redact(&text));
        }

        #[test]
        fn any_text_is_survived_and_bounded(text in "\\PC{0,200}") {
            prop_assert!(redact(&text).chars().count() <= DETAIL_MAX_CHARS + 1);
        }
    }
}
