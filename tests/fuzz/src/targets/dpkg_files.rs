//! dpkg's lists about a package: checksums, diversions, and the listing of a .deb, parted by the byte 0xff; beside them os-release.
//!
//! Holds: a checksum's path is absolute and its hash is one; a path that nobody diverts stays; a listed path begins at the root.

use patchwave_agent::fuzzing::{apt, os_release};

use crate::pieces;

/// See the module.
pub fn run(data: &[u8]) {
    let texts = pieces::texts(data);
    let text = |index: usize| texts.get(index).map_or("", String::as_str);
    for (path, checksum) in apt::checksums(text(0)) {
        assert!(path.starts_with('/') && !path.starts_with("//"), "{path:?}");
        assert!(checksum.len() == 32 && checksum.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    }
    assert_eq!(apt::diverted("", text(1), "a"), text(1));
    // A few: each reads all diversions.
    for path in text(1).lines().take(8) {
        let real = apt::diverted(text(1), path, "a");
        assert!(text(1).lines().any(|line| line == real));
    }
    for path in text(2).lines().filter_map(apt::listed_path) {
        assert!(path.starts_with('/') && !path.contains(" -> "), "{path:?}");
    }
    let fields = os_release(text(3));
    assert!(fields.len() <= text(3).lines().count() && fields.values().all(|value| !value.contains('\n')));
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let parts = [
        "d41d8cd98f00b204e9800998ecf8427e  usr/bin/a\nD41D8CD98F00B204E9800998ECF8427E *./etc/b c\n",
        "/bin/sh\n/bin/sh.distrib\ndash\n/usr/bin/x\n/usr/bin/x.real\n:\n",
        "-rw-r--r-- root/root 12 2020-01-01 00:00 ./usr/share/a b\nlrwxrwxrwx root/root 0 2020-01-01 00:00 ./l -> ../t\nhrw-r--r-- a/b 0 x ./h link \
         to ./g\ndrwxr-xr-x root/root 0 2020-01-01 00:00 ./usr/\n",
        "# x\nID=debian\nVERSION_ID=\"12\"\nNAME='A B'\nPRETTY_NAME=\"a \\\"b\\\" \\$c\"\n",
    ];
    vec![parts.map(str::as_bytes).join(&0xff)]
}
