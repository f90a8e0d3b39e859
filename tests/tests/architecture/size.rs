//! Sizes that read well: no file over 500 lines, no function over 70.

use crate::scan::{Source, item_end, sources};
use crate::{assert_none, made_up};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

/// Files or functions (`path::name`) that may be longer, each with the reason.
const EXCEPTIONS: [(&str, &str); 0] = [];

fn is_excepted(name: &str) -> bool {
    EXCEPTIONS.iter().any(|(excepted, _)| *excepted == name)
}

fn violations(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        if lines > FILE_LINES && !is_excepted(&source.path) {
            found.push(format!("{}: {lines} lines, more than {FILE_LINES}", source.path));
        }
        for (line, name, length) in functions(&source.code) {
            if length > FUNCTION_LINES && !is_excepted(&format!("{}::{name}", source.path)) {
                found.push(format!("{}:{line}: fn {name} has {length} lines, more than {FUNCTION_LINES}", source.path));
            }
        }
    }
    found
}

/// Every function with a body: the line it begins on, its name, and how many lines it has to its closing brace.
fn functions(code: &str) -> Vec<(usize, String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let name: String = code[at + 3..].chars().take_while(|each| each.is_alphanumeric() || *each == '_').collect();
        let item = &code[at..at + item_end(&code[at..])];
        if !name.is_empty() && item.ends_with('}') {
            found.push((code[..at].matches('\n').count() + 1, name, item.matches('\n').count() + 1));
        }
    }
    found
}

#[test]
fn files_and_functions_are_short() {
    assert_none(&violations(&sources()));
}

#[test]
fn the_rule_notices_a_long_file_and_a_long_function() {
    let long = format!("fn short() {{}}\nfn long(a: [u8; 2]) {{\n{}}}\n", "    x();\n".repeat(69));
    assert_eq!(violations(&[made_up("a.rs", &long)]), ["a.rs:2: fn long has 71 lines, more than 70"]);
    assert_eq!(violations(&[made_up("a.rs", &long.replacen("    x();\n", "", 1))]), Vec::<String>::new());
    assert_eq!(violations(&[made_up("b.rs", &"//\n".repeat(501))]), ["b.rs: 501 lines, more than 500"]);
    let declared_only = format!("trait T {{ fn f(&self);\n{}}}", "\n".repeat(80));
    assert_eq!(violations(&[made_up("c.rs", &declared_only)]), Vec::<String>::new());
}
