//! Help texts, and what clap refuses.

use clap::{Command, CommandFactory as _, Parser as _};
use patchwave::cli::Cli;

/// A command with every command below it, deepest last.
fn flatten(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
    found.push((path.to_owned(), command.clone()));
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        flatten(inner, &format!("{path} {}", inner.get_name()), found);
    }
}

fn every_command() -> Vec<(String, Command)> {
    let mut root = Cli::command().term_width(100);
    root.build();
    let mut found = Vec::new();
    flatten(&root, "patchwave", &mut found);
    found
}

#[test]
fn help_reads_as_it_was_agreed() {
    for (path, mut command) in every_command() {
        let help = command.render_help().to_string();
        let name = path.replace([' ', '-'], "_");
        insta::assert_snapshot!(
            format!("help_{name}"),
            help.split("Global options:").map(str::trim_end).collect::<Vec<_>>().join("\n[global options]\n")
        );
    }
}

#[test]
fn every_verb_has_examples_that_parse() {
    let mut tried = 0;
    for (path, command) in every_command() {
        if command.has_subcommands() {
            continue;
        }
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = help.replace("\\\n     ", "");
        let lines: Vec<&str> = examples.lines().filter(|line| line.contains(&path)).collect();
        assert!(!lines.is_empty(), "{path} has no example of itself");
        for line in lines {
            let words = shell_words(line);
            let start = words.iter().position(|word| word == "patchwave").unwrap();
            Cli::try_parse_from(&words[start..]).map(drop).unwrap_or_else(|error| panic!("{line}\n{error}"));
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried}");
}

/// Words of an example as a shell would take them; what follows a redirection, a pipe, or a wide gap (a remark) is not part of the command.
fn shell_words(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.split_once("   ").map_or(line, |(command, _)| command);
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for character in line.chars() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            _ => word.push(character),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    // A pipe into the command (`generate | patchwave …`) stands before it; one out of it ends it.
    let start = words.iter().position(|word| word == "patchwave").unwrap_or(0);
    let end = words[start..].iter().position(|word| [">", "|", ";"].contains(&word.as_str())).map_or(words.len(), |at| start + at);
    words.truncate(end);
    words
}
