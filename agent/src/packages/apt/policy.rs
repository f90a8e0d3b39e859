//! What `apt-cache policy` and `apt-cache show` say. Pure parsers of text that is not trusted.
//!
//! Apt itself decides which version is the candidate: pins, releases and priorities are never worked out here.
//!
//! Terms: an *index* is one archive's list of packages as apt names it (`URI suite/component architecture Packages`); a version's
//! *row* tells its priority and the indexes that offer it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use patchwave_common::domain::{Architecture, Digest, Origin, PackageName, PackageVersion, clean_text};

use patchwave_common::domain::dpkg::{paragraphs, source_of};

/// Bound on one field of a Release file; real ones are a word or two.
const ORIGIN_FIELD_MAX_CHARS: usize = 128;

/// A package's versions as apt ranks them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// As asked for, without the native architecture.
    pub(crate) name: String,
    pub(crate) installed: Option<String>,
    pub(crate) candidate: Option<String>,
    /// Highest version first.
    pub(crate) rows: Vec<Row>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) version: String,
    pub(crate) priority: i32,
    /// Indexes (and dpkg's own status) that have it, with their priority. A name is stored once for all the rows that one output has.
    pub(crate) indexes: Vec<(i32, Arc<str>)>,
}

impl Table {
    pub(crate) fn row(&self, version: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.version == version)
    }
}

/// Parses the version tables of `apt-cache policy NAME…`.
pub(crate) fn parse_tables(text: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut names: HashSet<Arc<str>> = HashSet::new();
    for line in text.lines() {
        let body = line.trim();
        if let Some(name) = line.strip_suffix(':').filter(|name| !name.starts_with(' ') && !name.is_empty()) {
            tables.push(Table { name: name.to_owned(), installed: None, candidate: None, rows: Vec::new() });
            continue;
        }
        let Some(table) = tables.last_mut() else {
            continue;
        };
        let told = |value: &str| (value != "(none)").then(|| value.to_owned());
        if let Some(value) = line.strip_prefix("  Installed: ") {
            table.installed = told(value);
        } else if let Some(value) = line.strip_prefix("  Candidate: ") {
            table.candidate = told(value);
        } else if let Some(row) = version_row(line) {
            table.rows.push(row);
        } else if let Some(row) = table.rows.last_mut()
            && let Some((priority, index)) = body.split_once(' ')
            && let Ok(priority) = priority.parse()
        {
            row.indexes.push((priority, once(&mut names, index.trim())));
        }
    }
    tables
}

/// The same name again is the same text in memory: thousands of rows name a handful of indexes.
fn once(names: &mut HashSet<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return Arc::clone(known);
    }
    let new: Arc<str> = name.into();
    names.insert(Arc::clone(&new));
    new
}

/// ` *** 1.0 500` or `     1.0 500 (phased 10%)`: exactly five characters, then the version.
fn version_row(line: &str) -> Option<Row> {
    let rest = line.strip_prefix(" *** ").or_else(|| line.strip_prefix("     "))?;
    if rest.starts_with(' ') {
        return None;
    }
    let mut words = rest.split_whitespace();
    Some(Row { version: words.next()?.to_owned(), priority: words.next()?.parse().ok()?, indexes: Vec::new() })
}

/// Parses the list of indexes of `apt-cache policy` without names: the origin of each index.
pub(crate) fn parse_indexes(text: &str) -> HashMap<String, Origin> {
    let mut indexes: HashMap<String, Origin> = HashMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let body = line.trim();
        if let Some(release) = line.strip_prefix("     release ") {
            if let Some(origin) = current.as_ref().and_then(|index| indexes.get_mut(index)) {
                read_release(release, origin);
            }
        } else if let Some(site) = line.strip_prefix("     origin ") {
            if let Some(origin) = current.as_ref().and_then(|index| indexes.get_mut(index)) {
                origin.site = site_of(site);
            }
        } else if line.starts_with(' ') {
            let index =
                body.split_once(' ').filter(|(priority, _)| priority.parse::<i32>().is_ok()).map(|(_, index)| index.trim().to_owned());
            if let Some(index) = &index {
                indexes.entry(index.clone()).or_default();
            }
            current = index;
        } else {
            current = None;
        }
    }
    indexes
}

/// `v=12,o=Debian,a=stable,n=bookworm,l=Debian,c=main,b=amd64`; a value may itself hold a comma.
fn read_release(text: &str, origin: &mut Origin) {
    let mut fields: Vec<(char, String)> = Vec::new();
    for part in text.split(',') {
        let mut characters = part.chars();
        match (characters.next(), characters.next()) {
            (Some(key), Some('=')) if "voanlcb".contains(key) => fields.push((key, characters.collect())),
            _ => {
                if let Some((_, value)) = fields.last_mut() {
                    value.push(',');
                    value.push_str(part);
                }
            }
        }
    }
    for (key, value) in fields {
        let value = clean_text(&value, ORIGIN_FIELD_MAX_CHARS);
        match key {
            'o' => origin.origin = value,
            'l' => origin.label = value,
            'a' => origin.suite = value,
            'n' => origin.codename = value,
            'c' => origin.component = value,
            _ => {}
        }
    }
}

/// The host name alone: a site is never a path and carries no credentials.
fn site_of(text: &str) -> String {
    let host = text.rsplit('@').next().unwrap_or_default();
    clean_text(host.split('/').next().unwrap_or_default(), ORIGIN_FIELD_MAX_CHARS)
}

/// What an index says about one package file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: PackageName,
    pub(crate) version: PackageVersion,
    pub(crate) architecture: Architecture,
    pub(crate) source: PackageName,
    pub(crate) source_version: PackageVersion,
    pub(crate) sha256: Option<Digest>,
    /// 0 where the index does not say.
    pub(crate) size_bytes: u64,
}

/// Parses `apt-cache show`. Records of installed packages that no index offers have neither hash nor size.
pub(crate) fn parse_records(text: &str) -> Vec<Record> {
    let records = paragraphs(text).filter_map(|paragraph| {
        let name = PackageName::parse(paragraph.get("Package")?).ok()?;
        let version = PackageVersion::parse(paragraph.get("Version")?).ok()?;
        let (source, source_version) = source_of(&paragraph, &name, &version);
        Some(Record {
            architecture: Architecture::parse(paragraph.get("Architecture")?).ok()?,
            source,
            source_version,
            sha256: paragraph.get("SHA256").and_then(|text| Digest::parse(text).ok()),
            size_bytes: paragraph.get("Size").and_then(|text| text.parse().ok()).unwrap_or(0),
            name,
            version,
        })
    });
    records.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const TABLES: &str = include_str!("../../../tests/packages_fixtures/apt-cache-policy-names.txt");
    const INDEXES: &str = include_str!("../../../tests/packages_fixtures/apt-cache-policy.txt");

    #[test]
    fn version_tables_of_the_real_tool_are_read() {
        let tables = parse_tables(TABLES);
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["web", "web-lib", "pinned", "raised", "local-only"]);
        let web = &tables[0];
        assert_eq!((web.installed.as_deref(), web.candidate.as_deref()), (Some("1.0-1"), Some("1.1-1")));
        assert_eq!(web.rows.iter().map(|row| (row.version.as_str(), row.priority)).collect::<Vec<_>>(), [("1.1-1", 500), ("1.0-1", 500)]);
        assert_eq!(web.row("1.0-1").unwrap().indexes.len(), 2, "an index and dpkg's own status");
        assert_eq!(tables[2].row("1.1-1").unwrap().priority, -1);
        assert_eq!(tables[3].row("1.0-1").unwrap().priority, 1001);
        assert_eq!(tables[4].candidate.as_deref(), Some("1.0-1"));
    }

    #[test]
    fn the_origin_of_each_index_of_the_real_tool_is_read() {
        let indexes = parse_indexes(INDEXES);
        let security = indexes.values().find(|origin| origin.is_security()).unwrap();
        assert_eq!(security.short(), "Debian-Security/stable-security");
        assert_eq!((security.codename.as_str(), security.component.as_str()), ("bookworm-security", "main"));
        assert_eq!(security.site, "127.0.0.1");
        let tables = parse_tables(TABLES);
        assert!(indexes.contains_key(&*tables[0].rows[0].indexes[0].1), "both outputs name an index alike");
    }

    #[test]
    fn odd_release_lines_are_read() {
        let text =
            " 500 http://m x/main amd64 Packages\n     release v=1,o=A, B and C,a=x=y,n=,l=L,c=main,b=amd64\n     origin u:p@m/path\n";
        let origin = parse_indexes(text).remove("http://m x/main amd64 Packages").unwrap();
        assert_eq!(
            (origin.origin.as_str(), origin.suite.as_str(), origin.codename.as_str(), origin.site.as_str()),
            ("A, B and C", "x=y", "", "m")
        );
    }

    #[test]
    fn a_phased_version_is_a_version() {
        let tables = parse_tables(
            "a:\n  Installed: 1\n  Candidate: 2\n  Version table:\n     2 500 (phased 10%)\n        500 http://m x Packages\n",
        );
        assert_eq!(tables[0].row("2").unwrap().indexes, [(500, "http://m x Packages".into())]);
    }

    proptest! {
        #[test]
        fn any_output_is_survived(text in "(?s).{0,400}", lines in "([a-z]{0,3}:\n|  Installed: .{0,5}\n|     [ -~]{0,9}\n| \\*\\*\\* [ -~]{0,9}\n){0,20}") {
            for text in [text, lines] {
                let _ = (parse_tables(&text), parse_indexes(&text), parse_records(&text));
            }
        }
    }
}
