//! Every string of every message, both ways, replaced by hostile ones: it is refused with a text fit to be shown, or it comes in clean and
//! bounded. Fields are found in the encoded bytes, so that a field that is added later is tried as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Debug;

use patchwave::cli::printer::Screen;
use patchwave::cli::table::{Cell, Column, render};
use patchwave_common::domain::steers_output;
use patchwave_fuzz::{assert_clean, target};
use patchwave_proto::agent::{WireError, decode_from_agent, decode_to_agent};
use patchwave_proto::fleet::v1::{AgentMessage, ControllerMessage};
use prost::Message;

/// What an attacker would try: terminal escapes, forged lines, text turned around, ends of strings, paths, options, separators, a megabyte.
fn hostile() -> Vec<Vec<u8>> {
    let texts = [
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "a\nINFO all is well\r",
        "a\0b",
        "\u{202e}gpj.exe",
        "a\u{2066}b\u{2069}\u{200f}",
        "line\u{2028}separator",
        "\u{9b}31m\u{85}",
        "../../../../etc/passwd",
        "/etc/passwd",
        "--allow-unauthenticated",
        "-o=Dir=/",
        "a|b || c; $(reboot) `id`",
        "a,b=c\"}\\",
        " ",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.push("\u{1b}x".repeat(1 << 19).into_bytes());
    all.push(vec![b'a'; 1 << 20]);
    // No UTF-8.
    all.push(vec![0xff, 0xfe, b'a', 0xc0, 0x80]);
    all
}

fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index).unwrap() * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

fn put_varint(mut value: usize, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// The fields of an encoded message: where each begins, where its contents do (of those that have a length), and where it ends; `None` for
/// bytes that are no message.
fn fields(message: &[u8]) -> Option<Vec<(usize, Option<usize>, usize)>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < message.len() {
        let start = at;
        let (tag, length) = varint(&message[at..])?;
        at += length;
        let contents = match (tag >> 3, tag & 7) {
            (0, _) => return None,
            (_, 0) => {
                at += varint(message.get(at..)?)?.1;
                None
            }
            (_, 1) => {
                at += 8;
                None
            }
            (_, 2) => {
                let (count, length) = varint(message.get(at..)?)?;
                at += length;
                let contents = at;
                at = at.checked_add(usize::try_from(count).ok()?)?;
                Some(contents)
            }
            (_, 5) => {
                at += 4;
                None
            }
            _ => return None,
        };
        if at > message.len() {
            return None;
        }
        found.push((start, contents, at));
    }
    Some(found)
}

/// Visits the message once for each of its fields that have a length, at any depth, with that field's contents replaced.
fn each_replaced(message: &[u8], with: &[u8], visit: &mut dyn FnMut(&[u8])) {
    for (start, contents, end) in fields(message).unwrap_or_default() {
        let Some(contents) = contents else { continue };
        let (_, tag_length) = varint(&message[start..]).unwrap();
        let mut put = |inner: &[u8]| {
            let mut changed = message[..start + tag_length].to_vec();
            put_varint(inner.len(), &mut changed);
            changed.extend(inner);
            changed.extend(&message[end..]);
            visit(&changed);
        };
        put(with);
        each_replaced(&message[contents..end], with, &mut put);
    }
}

#[derive(Debug, Default)]
struct Seen {
    let_in: usize,
    refused: usize,
    no_message: usize,
}

fn check<T: Debug>(decoded: Option<Result<T, WireError>>, usual: usize, seen: &mut Seen) {
    match decoded {
        Some(Ok(value)) => {
            assert_clean(&value);
            let length = format!("{value:?}").len();
            assert!(length < usual + 12_000, "a string came in with {length} characters where {usual} are usual");
            seen.let_in += 1;
        }
        Some(Err(error)) => {
            let shown = error.to_string();
            assert!(shown.len() < 1_000 && !shown.chars().any(steers_output), "{shown:?}");
            seen.refused += 1;
        }
        None => seen.no_message += 1,
    }
}

fn try_all<T: Debug>(seeds: Vec<Vec<u8>>, decode: impl Fn(&[u8]) -> Option<Result<T, WireError>>) {
    let mut seen = Seen::default();
    for seed in seeds {
        let usual = format!("{:?}", decode(&seed)).len();
        for with in hostile() {
            each_replaced(&seed, &with, &mut |message| check(decode(message), usual, &mut seen));
        }
    }
    assert!(seen.let_in > 100 && seen.refused > 100 && seen.no_message > 100, "{seen:?}");
}

#[test]
fn every_string_of_an_agent_is_refused_or_comes_in_clean_and_bounded() {
    let decode = |bytes: &[u8]| AgentMessage::decode(bytes).ok().map(decode_from_agent);
    try_all((target("wire_from_agent").seeds)(), decode);
}

#[test]
fn every_string_of_a_controller_is_refused_or_comes_in_clean_and_bounded() {
    let decode = |bytes: &[u8]| ControllerMessage::decode(bytes).ok().map(decode_to_agent);
    try_all((target("wire_to_agent").seeds)(), decode);
}

#[test]
fn a_table_prints_any_string_harmlessly_at_any_width() {
    let columns = [Column::new("NAME"), Column::new("WHY").wraps(), Column::new("NUMBER").right().expendable(1)];
    let texts: Vec<String> = hostile().iter().map(|bytes| String::from_utf8_lossy(bytes).chars().take(20_000).collect()).collect();
    for screen in [Screen::PLAIN, Screen { width: Some(40), ..Screen::PLAIN }, Screen { width: Some(1), ..Screen::PLAIN }] {
        for text in &texts {
            let rows = vec![
                vec![Cell::from(text), Cell::from(text), Cell::state(text)],
                vec![Cell::from("next"), Cell::from(""), Cell::from("1")],
            ];
            let shown = render(&columns, &rows, screen).text;
            assert!(shown.chars().all(|each| each == '\n' || !steers_output(each)), "{shown:?}");
            if screen.width.is_none() {
                assert_eq!(shown.lines().count(), 3, "a header and two rows: {shown:?}");
            }
        }
    }
}
