//! What apt complains of and what systemctl says, on their way into reports and logs.
//!
//! Holds: whatever is told of a complaint is clean and bounded and holds no user and password of a URL; units have well-formed names and none
//! is our own transaction.

use patchwave_agent::fuzzing::{apt, units};

use super::samples;
use crate::clean::{assert_clean, assert_fit};
use crate::pieces;

/// Bound on a detail (2,000), twice where the source's name stands beside it, and the words around.
const ERROR_MAX_CHARS: usize = 4_400;
/// No path to it is longer than this, whatever surrounds it.
const SECRET: &str = "S3CRET";

/// See the module.
pub fn run(data: &[u8]) {
    let text = pieces::text(data);
    check(&text);
    // The same with credentials in a URL somewhere in it.
    let middle = (0..=text.len() / 2).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let (before, after) = text.split_at(middle);
    let with_secret = format!("{before} https://user:{SECRET}@mirror/{after}");
    let (error, _, shown) = apt::complaints(&with_secret);
    assert!(before.contains(SECRET) || after.contains(SECRET) || !shown.contains(SECRET), "{shown:?}");
    assert!(text.contains(SECRET) || error.is_none_or(|error| !error.contains(SECRET)));
    let units = units(&text);
    assert_clean(&units);
    assert!(units.failed.iter().all(|unit| !unit.as_str().starts_with("patchwave-tx-")));
}

fn check(text: &str) {
    let (error, _, shown) = apt::complaints(text);
    assert_fit(&shown, 2_000);
    if let Some(error) = error {
        assert_fit(&error, ERROR_MAX_CHARS);
    }
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "E: Failed to fetch https://fleet:pw@m.example/dists/x/InRelease  401  Unauthorized [IP: 127.0.0.1 80]\n",
        "E: The repository 'http://m/debian nosuch Release' does not have a Release file.\n",
        "E: Malformed entry 3 in list file /etc/apt/sources.list (URI parse)\n",
        "E: Could not get lock /var/lib/apt/lists/lock\u{1b}[2J. It is held by process 7 (apt-get)\n",
        "W: x\nW: Failed to fetch file:/x?sig=abc  407  Proxy Authentication Required\n",
        "Id=nginx.service\nActiveState=failed\nSubState=auto-restart\nNRestarts=3\n\nId=patchwave-tx-1.service\nActiveState=failed\n",
        samples::HOSTILE,
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
