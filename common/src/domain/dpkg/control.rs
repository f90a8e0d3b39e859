//! Debian's control format (deb822): paragraphs of fields, as dpkg's database, apt's states and the archives' indexes use it. Pure.
//!
//! Lenient by intent: what is no field is skipped, since these files are other programs' and one odd line must not hide a host's packages.

/// Fields of a usual paragraph: room for them is made at once.
const USUAL_FIELDS: usize = 24;

/// One paragraph's fields in the order of the file. Borrowed from the text.
#[derive(Debug, Clone, Default)]
pub struct Paragraph<'a> {
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Paragraph<'a> {
    /// The value of a field, its continuation lines included; names are compared without regard to case, as dpkg does.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// A value's lines, trimmed, without empty ones.
pub fn lines(value: &str) -> impl Iterator<Item = &str> {
    value.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// The paragraphs of a text, empty ones left out.
pub fn paragraphs(text: &str) -> Paragraphs<'_> {
    Paragraphs { rest: text }
}

/// See [`paragraphs`].
#[derive(Debug)]
pub struct Paragraphs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Paragraphs<'a> {
    type Item = Paragraph<'a>;

    fn next(&mut self) -> Option<Paragraph<'a>> {
        let mut fields: Vec<(&'a str, &'a str)> = Vec::new();
        while !self.rest.is_empty() {
            let (line, mut after) = split_line(self.rest);
            if is_blank(line) {
                self.rest = after;
                if fields.is_empty() {
                    continue;
                }
                break;
            }
            let mut length = line.len();
            // Continuation lines begin with white space; the value keeps them.
            while matches!(after.as_bytes().first(), Some(b' ' | b'\t')) {
                let (more, rest) = split_line(after);
                if is_blank(more) {
                    break;
                }
                length = self.rest.len() - after.len() + more.len();
                after = rest;
            }
            let whole = &self.rest[..length];
            self.rest = after;
            if let Some((name, value)) = whole.split_once(':').filter(|(name, _)| is_field_name(name)) {
                if fields.is_empty() {
                    fields.reserve(USUAL_FIELDS);
                }
                fields.push((name, value.trim_ascii()));
            }
        }
        (!fields.is_empty()).then_some(Paragraph { fields })
    }
}

/// Whether a line holds nothing but white space. A database has ten thousands of lines, and nearly all tell it by their first bytes.
fn is_blank(line: &str) -> bool {
    match line.bytes().find(|byte| !matches!(byte, b' ' | b'\t')) {
        None => true,
        Some(byte) => !byte.is_ascii_graphic() && line.trim().is_empty(),
    }
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// The first line without its end, and what follows. (`str::find` takes a tenth of the time that a whole inventory takes.)
fn split_line(text: &str) -> (&str, &str) {
    match memchr::memchr(b'\n', text.as_bytes()) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_continue_over_lines_and_paragraphs_end_at_empty_ones() {
        let text = "\n\nPackage: a\nConffiles:\n /etc/a 00\n /etc/b 11 obsolete\nVersion:1\n\n\n# remark\npackage: b\nnonsense\n";
        let all: Vec<_> = paragraphs(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].get("PACKAGE"), all[0].get("Version")), (Some("a"), Some("1")));
        assert_eq!(lines(all[0].get("Conffiles").unwrap()).collect::<Vec<_>>(), ["/etc/a 00", "/etc/b 11 obsolete"]);
        assert_eq!((all[1].get("Package"), all[1].get("Version")), (Some("b"), None));
    }

    proptest! {
        #[test]
        fn any_text_is_survived_and_ends(text in "(?s).{0,400}") {
            prop_assert!(paragraphs(&text).count() <= text.len());
        }

        #[test]
        fn anything_that_looks_like_a_database_is_survived(text in "((Package|Status|Version|X): ?[ -~\n]{0,20}\n|\n| [ -~]{0,9}\n){0,40}") {
            for paragraph in paragraphs(&text) {
                prop_assert!(paragraph.fields.iter().all(|(name, _)| !name.contains('\n')));
            }
        }
    }
}
