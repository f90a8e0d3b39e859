//! Configuration in three stages: *fragments* (the main file, say `agent.toml`, then `agent.conf.d/*.toml` beside it in name order) →
//! merged *inputs* → settings that the caller validates. The directory has the file's name, since agent and controller may share a machine.
//!
//! `Inputs` is the caller's serde type. Every field is optional (so that any fragment may hold any part), and every struct in it says
//! `#[serde(deny_unknown_fields)]`, so that a misspelt key is refused instead of ignored; [`load`] checks that at the top level.
//! Later fragments win, table by table; arrays are replaced. Each fragment is checked by itself, so an error names its file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::atomic_file::{self, FileError, SMALL_FILE_MAX_BYTES};

/// Bound on fragments: a package drops one each; hundreds mean that the directory is not ours.
const MAX_FRAGMENTS: usize = 100;
/// Two keys are near misses when at most this many edits lie between them; beyond that the hint would be a guess.
const NEAR_MISS_EDITS: usize = 2;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not TOML, or a value of the wrong kind.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The fragment.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A key that does not exist.
    #[error("{}: line {line}: unknown key \"{key}\"; {hint}", path.display())]
    UnknownKey {
        /// The fragment.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key as written.
        key: String,
        /// The key that was probably meant, or all that are known here.
        hint: String,
    },
    /// A value that the caller's validation refuses.
    #[error("{}: {key}: {reason}", path.display())]
    Invalid {
        /// The file that set the value.
        path: PathBuf,
        /// The key, dotted.
        key: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// More fragments than the bound.
    #[error("{} holds more than {MAX_FRAGMENTS} fragments; is this the right directory?", path.display())]
    TooManyFragments {
        /// The directory.
        path: PathBuf,
    },
    /// `Inputs` would swallow unknown keys: a mistake in the program.
    #[error("the configuration type {0} accepts unknown keys; it needs #[serde(deny_unknown_fields)]")]
    Lenient(&'static str),
}

/// Merged inputs, with the file that set each value.
#[derive(Debug)]
pub struct Loaded<Inputs> {
    /// The merged values.
    pub inputs: Inputs,
    main_file: PathBuf,
    origins: BTreeMap<String, PathBuf>,
}

impl<Inputs> Loaded<Inputs> {
    /// The file that set `key` (dotted, e.g. `server.listen`); the main file where none did.
    #[must_use]
    pub fn origin(&self, key: &str) -> &Path {
        self.origins.get(key).unwrap_or(&self.main_file)
    }

    /// An error of the caller's validation about `key`, naming the file that set it.
    #[must_use]
    pub fn invalid(&self, key: &str, reason: impl ToString) -> ConfigError {
        ConfigError::Invalid { path: self.origin(key).to_owned(), key: key.to_owned(), reason: reason.to_string() }
    }
}

/// Reads the main file and the fragments in the directory `NAME.conf.d` beside it. Where the main file is absent, `must_exist` decides
/// whether that is an error or an empty configuration.
pub fn load<Inputs: DeserializeOwned>(main_file: &Path, must_exist: bool) -> Result<Loaded<Inputs>, ConfigError> {
    refuse_lenient::<Inputs>()?;
    let mut merged = Table::new();
    let mut origins = BTreeMap::new();
    for path in fragment_paths(main_file, must_exist)? {
        let text = atomic_file::read_text(&path, SMALL_FILE_MAX_BYTES)?;
        // By itself first: here the error knows file and line.
        toml::from_str::<Inputs>(&text).map_err(|error| explain(&path, &text, &error))?;
        let table: Table = toml::from_str(&text).map_err(|error| explain(&path, &text, &error))?;
        note_origins(&table, "", &path, &mut origins);
        merge(&mut merged, table);
    }
    let inputs = merged.try_into().map_err(|error: toml::de::Error| explain(main_file, "", &error))?;
    Ok(Loaded { inputs, main_file: main_file.to_owned(), origins })
}

/// The main file first, then `NAME.conf.d/*.toml` in the order of their names.
fn fragment_paths(main_file: &Path, must_exist: bool) -> Result<Vec<PathBuf>, ConfigError> {
    let mut paths = Vec::new();
    if must_exist || main_file.exists() {
        paths.push(main_file.to_owned());
    }
    let directory = main_file.with_extension("conf.d");
    let io_error = |source| FileError::Io { action: "read directory", path: directory.clone(), source };
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => return Ok(paths),
        Err(error) => return Err(io_error(error).into()),
    };
    let mut fragments = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            fragments.push(path);
        }
        if fragments.len() > MAX_FRAGMENTS {
            return Err(ConfigError::TooManyFragments { path: directory });
        }
    }
    fragments.sort();
    paths.extend(fragments);
    Ok(paths)
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

fn note_origins(table: &Table, prefix: &str, path: &Path, origins: &mut BTreeMap<String, PathBuf>) {
    for (key, value) in table {
        let dotted = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        if let Value::Table(inner) = value {
            note_origins(inner, &dotted, path, origins);
        }
        origins.insert(dotted, path.to_owned());
    }
}

/// Gives `Inputs` a key that nobody has, and expects a refusal.
fn refuse_lenient<Inputs: DeserializeOwned>() -> Result<(), ConfigError> {
    match toml::from_str::<Inputs>("no-configuration-has-this-key = 1") {
        Ok(_) => Err(ConfigError::Lenient(std::any::type_name::<Inputs>())),
        Err(_) => Ok(()),
    }
}

/// Turns serde's refusal of a key into one with line and near miss. serde offers no typed form of it through TOML, so its message is
/// read; should the wording change, the plain message stays, and the key is refused all the same.
fn explain(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let path = path.to_owned();
    let Some(rest) = error.message().strip_prefix("unknown field `") else {
        return ConfigError::Syntax { path, message: error.to_string().trim_end().to_owned() };
    };
    let (key, rest) = rest.split_once('`').unwrap_or((rest, ""));
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let line = error.span().map_or(1, |span| text.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count() + 1);
    let nearest = known.iter().map(|candidate| (edit_distance(key, candidate), *candidate)).min();
    let hint = match nearest {
        Some((edits, candidate)) if edits <= NEAR_MISS_EDITS => format!("did you mean \"{candidate}\"?"),
        Some(_) => format!("known here: {}", known.join(", ")),
        None => "no key is known here".to_owned(),
    };
    ConfigError::UnknownKey { path, line, key: key.to_owned(), hint }
}

/// Levenshtein distance; letter case and `-` against `_` count nothing.
fn edit_distance(left: &str, right: &str) -> usize {
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-").chars().take(64).collect::<Vec<_>>();
    let (left, right) = (plain(left), plain(right));
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
    struct Inputs {
        listen: Option<String>,
        state_dir: Option<String>,
        limits: Option<Limits>,
    }

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
    struct Limits {
        hosts: Option<u32>,
        streams: Option<u32>,
    }

    fn files(list: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("main.conf.d")).unwrap();
        for (name, text) in list {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    fn load_from(list: &[(&str, &str)]) -> Result<Loaded<Inputs>, ConfigError> {
        let directory = files(list);
        load(&directory.path().join("main.toml"), true)
    }

    #[test]
    fn later_fragments_win_key_by_key_and_each_value_knows_its_file() {
        let loaded = load_from(&[
            ("main.toml", "listen = \"a\"\n[limits]\nhosts = 1\nstreams = 2"),
            ("main.conf.d/20.toml", "[limits]\nhosts = 20"),
            ("main.conf.d/10.toml", "[limits]\nhosts = 10"),
            ("main.conf.d/.30.toml.tmp", "rubbish"),
            ("main.conf.d/README", "rubbish"),
        ])
        .unwrap();
        let limits = loaded.inputs.limits.as_ref().unwrap();
        assert_eq!((limits.hosts, limits.streams, loaded.inputs.listen.as_deref()), (Some(20), Some(2), Some("a")));
        assert!(loaded.origin("limits.hosts").ends_with("main.conf.d/20.toml"));
        assert!(loaded.origin("limits.streams").ends_with("main.toml"));
        let error = loaded.invalid("limits.hosts", "must be at most 10").to_string();
        assert!(error.contains("20.toml: limits.hosts: must be at most 10"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_refused_with_file_line_and_near_miss() {
        let error =
            load_from(&[("main.toml", ""), ("main.conf.d/x.toml", "listen = \"a\"\n\nstate_dirr = \"b\"")]).unwrap_err().to_string();
        assert!(error.contains("main.conf.d/x.toml: line 3: unknown key \"state_dirr\"; did you mean \"state-dir\"?"), "{error}");
        let error = load_from(&[("main.toml", "[limits]\nhosts = 1\nnonsense = 1")]).unwrap_err().to_string();
        assert!(error.contains("line 3: unknown key \"nonsense\"; known here: hosts, streams"), "{error}");
    }

    #[test]
    fn a_wrong_value_and_broken_syntax_name_file_and_line() {
        for text in ["listen = 3", "listen ="] {
            let error = load_from(&[("main.toml", text)]).unwrap_err().to_string();
            assert!(error.contains("main.toml") && error.contains("line 1"), "{error}");
        }
    }

    #[test]
    fn a_missing_main_file_is_an_error_only_where_it_must_exist() {
        let directory = files(&[]);
        let path = directory.path().join("main.toml");
        assert!(load::<Inputs>(&path, false).unwrap().inputs.listen.is_none());
        let error = load::<Inputs>(&path, true).unwrap_err().to_string();
        assert!(error.contains("main.toml"), "{error}");
    }

    #[test]
    fn a_type_that_would_swallow_unknown_keys_is_refused() {
        #[derive(Debug, serde::Deserialize)]
        struct Lenient {}
        let directory = files(&[("main.toml", "")]);
        assert!(matches!(load::<Lenient>(&directory.path().join("main.toml"), true), Err(ConfigError::Lenient(_))));
    }
}
