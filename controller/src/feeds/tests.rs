#![allow(clippy::unwrap_used)]
use std::io::Write as _;
use std::path::Path;

use super::*;

/// A record's name, and its text or why there is none.
type Read = (String, Result<String, Unreadable>);

/// Every record that a source gives.
fn read(path: &Path, limits: &Limits) -> Result<Vec<Read>, SourceError> {
    let mut records = Vec::new();
    read_records(path, limits, &mut |record| {
        records.push((record.name.to_owned(), record.bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())));
    })?;
    Ok(records)
}

fn zip_of(path: &Path, entries: &[(&str, &[u8])]) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, bytes) in entries {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

fn gzip_of(path: &Path, bytes: &[u8]) {
    let mut packed = flate2::write::GzEncoder::new(std::fs::File::create(path).unwrap(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap();
}

#[test]
fn a_file_a_gzipped_file_a_directory_and_an_archive_give_the_same_records() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(at("all/more")).unwrap();
    std::fs::write(at("all/a.json"), "A").unwrap();
    std::fs::write(at("all/more/b.json"), "B").unwrap();
    std::fs::write(at("all/README"), "no record").unwrap();
    zip_of(&at("all.zip"), &[("a.json", b"A"), ("more/b.json", b"B"), ("README", b"no record")]);
    gzip_of(&at("a.json.gz"), b"A");
    let both = vec![("a.json".to_owned(), Ok("A".to_owned())), ("more/b.json".to_owned(), Ok("B".to_owned()))];
    let limits = Limits::default();
    assert_eq!(read(&at("all"), &limits).unwrap(), both);
    assert_eq!(read(&at("all.zip"), &limits).unwrap(), both);
    assert_eq!(read(&at("all/a.json"), &limits).unwrap(), both[..1]);
    assert_eq!(read(&at("a.json.gz"), &limits).unwrap(), [("a.json.gz".to_owned(), Ok("A".to_owned()))]);
}

#[test]
fn a_record_that_unpacks_to_more_than_a_record_may_have_costs_that_record_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("all.zip");
    // 64 MiB of one letter are 64 KiB in the archive.
    zip_of(&path, &[("bomb.json", &vec![b'a'; 64 << 20]), ("good.json", b"good")]);
    assert!(std::fs::metadata(&path).unwrap().len() < 100_000);
    let limits = Limits { record_bytes: 1000, ..Limits::default() };
    let records = read(&path, &limits).unwrap();
    assert_eq!(
        records,
        [("bomb.json".to_owned(), Err(Unreadable::TooLarge { limit: 1000 })), ("good.json".to_owned(), Ok("good".to_owned()))]
    );
}

#[test]
fn no_more_than_a_record_may_have_is_held_of_a_file_of_two_gigabytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("huge.json");
    std::fs::File::create(&path).unwrap().set_len(2 << 30).unwrap();
    let records = read(&path, &Limits::default()).unwrap();
    assert_eq!(records, [("huge.json".to_owned(), Err(Unreadable::TooLarge { limit: 16 << 20 }))]);
}

#[test]
fn too_many_records_and_too_many_bytes_in_all_end_the_reading_with_the_bound() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("all.zip");
    zip_of(&path, &[("a.json", &[b'a'; 600]), ("b.json", &[b'b'; 600])]);
    let refused = |limits: Limits| read(&path, &limits).unwrap_err().to_string();
    assert!(refused(Limits { records: 1, ..Limits::default() }).contains("holds more than 1 records"));
    assert!(refused(Limits { total_bytes: 1000, ..Limits::default() }).contains("holds more than 1000 bytes, unpacked"));
    assert!(refused(Limits { archive_bytes: 100, ..Limits::default() }).contains("holds more than 100 bytes"));
}

#[test]
fn what_was_cut_off_or_damaged_is_told_and_never_taken_for_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("all.zip");
    zip_of(&path, &[("a.json", &[b'a'; 5000]), ("b.json", b"B")]);
    let whole = std::fs::read(&path).unwrap();
    let cut = directory.path().join("cut.zip");
    std::fs::write(&cut, &whole[..whole.len() - 10]).unwrap();
    assert!(read(&cut, &Limits::default()).unwrap_err().to_string().contains("damaged zip archive"));
    // A flipped byte inside the first record's data: the checksum tells.
    let mut flipped = whole;
    flipped[40] ^= 0xff;
    std::fs::write(&cut, flipped).unwrap();
    let records = read(&cut, &Limits::default()).unwrap();
    assert!(matches!(&records[0].1, Err(Unreadable::Damaged(_))), "{records:?}");
    assert_eq!(records[1], ("b.json".to_owned(), Ok("B".to_owned())));
    let gzipped = directory.path().join("a.json.gz");
    gzip_of(&gzipped, &[b'a'; 5000]);
    let whole = std::fs::read(&gzipped).unwrap();
    std::fs::write(&gzipped, &whole[..whole.len() - 4]).unwrap();
    assert!(matches!(read(&gzipped, &Limits::default()).unwrap()[0].1, Err(Unreadable::Damaged(_))));
}

#[test]
fn names_inside_an_archive_are_for_people_and_no_paths() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("all.zip");
    zip_of(&path, &[("../../etc/x\u{1b}[2J.json", b"X")]);
    assert_eq!(read(&path, &Limits::default()).unwrap(), [("../../etc/x [2J.json".to_owned(), Ok("X".to_owned()))]);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing was written");
}

#[test]
fn a_source_without_records_or_that_is_not_there_is_an_error_with_a_way_out() {
    let directory = tempfile::tempdir().unwrap();
    assert!(read(directory.path(), &Limits::default()).unwrap_err().to_string().contains("files that end in .json"));
    let missing = read(&directory.path().join("missing"), &Limits::default()).unwrap_err().to_string();
    assert!(missing.contains("missing") && missing.contains("hint: check the path"), "{missing}");
}
