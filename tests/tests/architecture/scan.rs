//! Reads the project's Rust sources and finds paths in them. Text only: comments and literals are blanked, `use` trees spread out.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file.
pub struct Source {
    /// Relative to the project's root, with slashes.
    pub path: String,
    /// As it is.
    pub text: String,
    /// With comments and the contents of literals replaced by spaces; as many lines as `text`.
    pub code: String,
    /// Whether it is compiled for tests only.
    pub for_tests: bool,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: blanked(text), for_tests: is_test_file(path) }
    }

    /// Code that ships: items under `#[cfg(test)]` are blanked, test files are empty.
    pub fn shipped(&self) -> String {
        if self.for_tests { String::new() } else { without_tests(&self.code) }
    }
}

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every Rust file of the project.
pub fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    files_below(&root(), &mut paths);
    let rust = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut found: Vec<Source> = rust.map(|path| Source::new(&relative(path), &fs::read_to_string(path).unwrap())).collect();
    assert!(found.len() > 50, "only {} Rust files found: is the scan looking in the wrong place?", found.len());
    mark_test_modules(&mut found);
    found
}

/// Marks the files of modules that are declared under `#[cfg(test)]` elsewhere.
fn mark_test_modules(sources: &mut [Source]) {
    let modules: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in sources {
        let own = source.path.trim_end_matches(".rs");
        source.for_tests |= modules.iter().any(|module| own == module || own.starts_with(&format!("{module}/")));
    }
}

/// Paths, without `.rs`, of the modules that `source` declares for tests only.
fn test_modules(source: &Source) -> Vec<String> {
    let own = source.path.trim_end_matches(".rs");
    let parent = ["/mod", "/lib", "/main"].iter().find_map(|end| own.strip_suffix(end)).unwrap_or(own);
    let after = source.code.split("#[cfg(test)]").skip(1);
    let items = after.map(|rest| &rest[..item_end(rest)]).filter(|item| item.ends_with(';'));
    let names = items.filter_map(|item| item.trim_end_matches(';').rsplit_once("mod ").map(|(_, name)| name.trim().to_owned()));
    names.map(|name| format!("{parent}/{name}")).collect()
}

/// Every file of the project that is kept in git, of any kind.
pub fn all_files() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    files_below(&root(), &mut paths);
    paths
}

pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}

fn files_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if [".git", ".cache", "target"].iter().any(|skipped| name == *skipped) {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_below(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// Replaces comments and the contents of string and character literals by spaces; line ends stay.
fn blanked(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = skipped(&characters, at);
        if end > at {
            code.extend(characters[at..end].iter().map(|each| if *each == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            code.push(characters[at]);
            at += 1;
        }
    }
    code
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none does.
fn skipped(text: &[char], at: usize) -> usize {
    let next = |ahead: usize| text.get(at + ahead).copied().unwrap_or(' ');
    let in_a_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    match text[at] {
        '/' if next(1) == '/' => (at..text.len()).find(|end| text[*end] == '\n').unwrap_or(text.len()),
        '/' if next(1) == '*' => after(text, at + 2, &['*', '/']),
        'r' if !in_a_word && (next(1) == '"' || (next(1) == '#' && (next(2) == '"' || next(2) == '#'))) => {
            let hashes = text[at + 1..].iter().take_while(|each| **each == '#').count();
            let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            after(text, at + 2 + hashes, &closing)
        }
        '"' => after_quote(text, at + 1, '"'),
        // A lifetime is not a literal: 'a' is, 'a is not.
        '\'' if next(1) == '\\' || next(2) == '\'' => after_quote(text, at + 1, '\''),
        _ => at,
    }
}

fn after(text: &[char], from: usize, closing: &[char]) -> usize {
    let found = (from..text.len()).find(|at| text[*at..].starts_with(closing));
    found.map_or(text.len(), |at| at + closing.len())
}

fn after_quote(text: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            each if each == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// Blanks each item that follows `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::with_capacity(code.len());
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let end = at + item_end(&rest[at..]);
        kept.extend(rest[at..end].chars().filter(|each| *each == '\n'));
        rest = &rest[end..];
    }
    kept + rest
}

/// Where the item that begins `code` ends: at a semicolon, or at the brace that closes its first one.
pub fn item_end(code: &str) -> usize {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (at, each) in code.char_indices() {
        match each {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Every path with its line, such as `std::fs::read`; `use` trees are spread out into whole paths.
pub fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphabetic() || first == '_' {
            let word = path_at(rest);
            if word == "use" {
                let end = rest.find(';').unwrap_or(rest.len());
                let tree: String = rest[word.len()..end].split_whitespace().collect::<Vec<_>>().join(" ");
                let mut spread = Vec::new();
                spread_out("", &tree, &mut spread);
                found.extend(spread.into_iter().map(|path| (line, path)));
                end
            } else {
                found.push((line, word.to_owned()));
                word.len()
            }
        } else if first.is_ascii_digit() {
            rest.find(|each: char| !each.is_alphanumeric() && each != '_').unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// The longest path (words joined by `::`) at the start of `code`.
fn path_at(code: &str) -> &str {
    let word = |text: &str| text.find(|each: char| !each.is_alphanumeric() && each != '_').unwrap_or(text.len());
    let mut end = word(code);
    while let Some(after) = code[end..].strip_prefix("::") {
        let more = word(after);
        if more == 0 {
            break;
        }
        end += 2 + more;
    }
    &code[..end]
}

fn spread_out(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim().trim_start_matches("::");
        let whole = if path == "self" { prefix.trim_end_matches("::").to_owned() } else { format!("{prefix}{path}") };
        if !path.is_empty() {
            found.push(whole);
        }
        return;
    };
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let prefix = format!("{prefix}{}", tree[..open].trim().trim_start_matches("::"));
    let mut depth = 0_usize;
    let mut from = 0;
    for (at, each) in inner.char_indices() {
        match each {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                spread_out(&prefix, &inner[from..at], found);
                from = at + 1;
            }
            _ => {}
        }
    }
    spread_out(&prefix, &inner[from..], found);
}

/// Whether `path` is `ancestor` or inside it.
pub fn is_within(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn paths_are_found_in_use_trees_and_expressions_but_not_in_comments_and_literals() {
    let code = blanked(
        "use std::{fs::{self, File}, io as input};\n// std::net\nfn f<'a>(x: &'a str) { let _ = '\"'; tokio::spawn(\"std::process\"); }\nlet r = r#\"rand::\"#;",
    );
    let found = paths(&code);
    let has = |line: usize, path: &str| found.contains(&(line, path.to_owned()));
    assert!(has(1, "std::fs") && has(1, "std::fs::File") && has(1, "std::io") && has(3, "tokio::spawn"), "{found:?}");
    assert!(!found.iter().any(|(_, path)| path.contains("net") || path.contains("process") || path.contains("rand")), "{found:?}");
}

#[test]
fn items_for_tests_do_not_count_as_shipped() {
    let source = Source::new(
        "a.rs",
        "use std::fs;\n#[cfg(test)]\nmod tests { fn f() { tokio::x() } }\nfn after() {}\n#[cfg(test)]\nmod more;\nfn last() {}",
    );
    let shipped = source.shipped();
    assert!(shipped.contains("std::fs") && shipped.contains("fn after") && shipped.contains("fn last"), "{shipped}");
    assert!(!shipped.contains("tokio") && !shipped.contains("more"), "{shipped}");
    assert_eq!(Source::new("common/src/tls/tests/x.rs", "use std::fs;").shipped(), "");
}

#[test]
fn files_of_modules_for_tests_do_not_count_as_shipped() {
    let mut sources = [
        Source::new("a/mod.rs", "#[cfg(test)]\npub(in crate::a) mod simulation;\nmod real;"),
        Source::new("a/simulation/run.rs", "use std::fs;"),
        Source::new("a/real.rs", "use std::fs;"),
        Source::new("b/simulation/run.rs", "use std::fs;"),
    ];
    mark_test_modules(&mut sources);
    assert_eq!(sources.map(|source| source.for_tests), [false, true, false, false]);
}
