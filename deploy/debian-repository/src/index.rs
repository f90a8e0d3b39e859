//! The texts of an archive's index: `Packages` paragraphs and the `Release` file. Pure: takes values, gives text.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::ReleaseFields;

/// One index file as the `Release` file lists it.
pub(crate) struct Listed<'a> {
    /// Path below the suite's directory, such as `main/binary-amd64/Packages`.
    pub(crate) path: &'a str,
    pub(crate) contents: &'a [u8],
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A package's paragraph: its control file, and where its file lies in the archive.
pub(crate) fn paragraph(control: &str, path: &str, size_bytes: u64, sha256: &str) -> String {
    format!("{}\nFilename: {path}\nSize: {size_bytes}\nSHA256: {sha256}\n\n", control.trim_end())
}

/// The `Release` file. `date` is in RFC 2822 form, in UTC.
pub(crate) fn release(fields: &ReleaseFields, date: &str, architectures: &[&str], files: &[Listed<'_>]) -> String {
    let mut text = String::new();
    for (name, value) in [
        ("Origin", fields.origin.as_str()),
        ("Label", &fields.label),
        ("Suite", &fields.suite),
        ("Codename", &fields.codename),
        ("Date", date),
        ("Acquire-By-Hash", "yes"),
        ("Architectures", &architectures.join(" ")),
        ("Components", &fields.component),
        ("Description", "a local repository"),
    ] {
        let _ = writeln!(text, "{name}: {value}");
    }
    if let Some(until) = &fields.valid_until {
        let _ = writeln!(text, "Valid-Until: {until}");
    }
    text.push_str("SHA256:\n");
    for file in files {
        let _ = writeln!(text, " {} {} {}", sha256(file.contents), file.contents.len(), file.path);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_file_names_the_archive_and_each_indexs_hash_and_size() {
        let files = [Listed { path: "main/binary-amd64/Packages", contents: b"abc" }];
        let text = release(&ReleaseFields::debian_security("bookworm"), "Thu, 01 Jan 1970 00:00:00 UTC", &["amd64"], &files);
        assert!(text.starts_with("Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\nCodename: bookworm-security\n"));
        assert!(text.contains("SHA256:\n ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 main/binary-amd64/Packages\n"));
    }

    #[test]
    fn a_paragraph_ends_with_one_empty_line_whatever_the_control_file_ends_with() {
        assert_eq!(paragraph("Package: a\n\n", "pool/a.deb", 7, "00"), "Package: a\nFilename: pool/a.deb\nSize: 7\nSHA256: 00\n\n");
    }
}
