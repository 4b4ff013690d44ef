//! The npz format: a zip archive of npy files, stored or deflated.

use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use super::array::Array;
use super::npy::{announced, parse_npy};
use super::read_data;
use super::strangers::strangers;
use super::zip_directory::{Entry, entries, twice};
use crate::error::{Result, TrainError};

/// No deflated stream is larger than this many times its bytes (the format's limit is 1032), plus some room.
const MAX_RATIO: u64 = 1040;

/// Reads those arrays of an `.npz` file whose names are in `names`, in the order of `names`; `None` where absent. The file may hold
/// others only if they are named in `ignored`, or if that is `*`.
///
/// # Errors
/// [`TrainError::Io`] if the file cannot be read, [`TrainError::Data`] if it is no npz, an array is malformed, or nothing uses it.
pub fn read_npz(path: &Path, names: &[&str], ignored: &[String]) -> Result<Vec<Option<Array>>> {
    let bytes = read_data(path).map_err(TrainError::io("read", path))?;
    parse_npz(&bytes, names, ignored)
        .map_err(|(place, message)| TrainError::data(path, place, message))
}

/// Names of the arrays of an `.npz` file.
///
/// # Errors
/// [`TrainError::Io`] if the file cannot be read, [`TrainError::Data`] if it is no npz.
pub fn npz_arrays(path: &Path) -> Result<Vec<String>> {
    let file = std::fs::File::open(path).map_err(TrainError::io("read", path))?;
    let no_zip = |e: zip::result::ZipError| {
        TrainError::data(path, "", format!("not an npz file (a zip archive): {e}"))
    };
    let archive = zip::ZipArchive::new(BufReader::new(file)).map_err(no_zip)?;
    let names = archive.file_names().filter_map(Result::ok);
    let plain = |name: &str| name.strip_suffix(".npy").unwrap_or(name).to_owned();
    Ok(names.map(|name| plain(&name)).collect())
}

/// The bytes of an `.npz` file with these `.npy` files, by their names without an ending; not packed, and the same bytes each time.
///
/// # Errors
/// Two arrays of one name.
pub fn write_npz(arrays: &[(&str, Vec<u8>)]) -> std::io::Result<Vec<u8>> {
    use std::io::Write as _;
    let mut archive = zip::ZipWriter::new(Cursor::new(vec![]));
    let stored = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .large_file(arrays.iter().any(|(_, bytes)| bytes.len() >= 1 << 31));
    for (name, bytes) in arrays {
        archive.start_file(format!("{name}.npy"), stored)?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// How many bytes the arrays of an `.npz` file whose names are `used` have when they are unpacked; 0 for what is no npz.
///
/// # Errors
/// [`TrainError::Io`] if the file cannot be read.
pub(super) fn unpacked(path: &Path, used: impl Fn(&str) -> bool) -> Result<u64> {
    let file = std::fs::File::open(path).map_err(TrainError::io("read", path))?;
    let Ok(mut archive) = zip::ZipArchive::new(BufReader::new(file)) else {
        return Ok(0);
    };
    let count = archive.len();
    let sizes = (0..count).filter_map(|i| {
        let file = archive.by_index_raw(i).ok()?;
        let name = file.name().ok()?;
        used(name.strip_suffix(".npy")?).then(|| file.size())
    });
    Ok(sizes.fold(0, u64::saturating_add))
}

/// What an npy header fits into.
const HEAD: u64 = 128 << 10;

/// The error is (place, message).
fn parse_npz(
    bytes: &[u8],
    names: &[&str],
    ignored: &[String],
) -> Result<Vec<Option<Array>>, (String, String)> {
    let archive = zip::ZipArchive::new(Cursor::new(bytes));
    let mut archive = archive.map_err(|e| no_zip(&e))?;
    check_once(entries(bytes), archive.len())?;
    check_names(&archive, names, ignored)?;
    names
        .iter()
        .map(|name| {
            let Some(index) = archive.index_for_name(&format!("{name}.npy")) else {
                return Ok(None);
            };
            let content = member(&mut archive, index).and_then(|content| parse_npy(&content));
            content
                .map(Some)
                .map_err(|message| (format!("array '{name}'"), message))
        })
        .collect()
}

pub(super) fn no_zip(e: &zip::result::ZipError) -> (String, String) {
    let message = format!("not an npz file (a zip archive): {e}");
    (String::new(), message)
}

/// Whether members have the ending of arrays, and are used or ignored.
pub(super) fn check_names<R: Read + Seek>(
    archive: &zip::ZipArchive<R>,
    names: &[&str],
    ignored: &[String],
) -> Result<(), (String, String)> {
    let members = archive.file_names().filter_map(Result::ok);
    if let Some(name) = members
        .map(|n| n.to_string())
        .find(|n| names.contains(&n.as_str()))
    {
        let message = "lacks the ending .npy, without which no program reads an array of it";
        return Err((format!("member '{name}'"), message.to_owned()));
    }
    let found = archive
        .file_names()
        .map(|name| name.map(|n| n.strip_suffix(".npy").unwrap_or(&n).to_owned()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| no_zip(&e))?;
    let all: Vec<&str> = found.iter().map(String::as_str).collect();
    match strangers(&all, names, ignored) {
        Some(message) => Err((String::new(), message)),
        None => Ok(()),
    }
}

/// Of two members with one name the library knows `found`, the last ones, only.
pub(super) fn check_once(
    entries: Option<Vec<Entry>>,
    found: usize,
) -> Result<(), (String, String)> {
    let entries = entries.unwrap_or_default();
    if let Some(name) = twice(&entries) {
        let message = "stands in the archive twice; write it with one of them";
        return Err((format!("member '{name}'"), message.to_owned()));
    }
    if entries.len() != found {
        let message = "its directory, at the end of the file, is not one of a zip archive alone; write the file again";
        return Err((String::new(), message.to_owned()));
    }
    Ok(())
}

/// The unpacked bytes of a member, at most as many as its packed bytes can hold.
fn member(archive: &mut zip::ZipArchive<Cursor<&[u8]>>, index: usize) -> Result<Vec<u8>, String> {
    let mut file = archive
        .by_index(index)
        .map_err(|e| format!("cannot be unpacked: {e}"))?;
    let size = file.size();
    if size
        > file
            .compressed_size()
            .saturating_mul(MAX_RATIO)
            .saturating_add(1024)
    {
        return Err(format!(
            "{size} bytes are said to be packed in {} bytes, which no archive can do",
            file.compressed_size()
        ));
    }
    let mut content = Vec::new();
    let mut unpack = |content: &mut Vec<u8>, most: u64| {
        let read = (&mut file).take(most).read_to_end(content);
        read.map_err(|e| format!("cannot be unpacked: {e}"))
    };
    unpack(&mut content, HEAD)?;
    // A few bytes may unpack to a gigabyte: only an array is unpacked whole.
    let wanted = announced(&content)?;
    if wanted != size {
        return Err(format!(
            "its header announces {wanted} bytes, but the archive has {size} of them"
        ));
    }
    let more = usize::try_from(size).unwrap_or(usize::MAX) - content.len().min(size as usize);
    let reserved = content.try_reserve_exact(more.saturating_add(1));
    reserved.map_err(|_| format!("has {size} bytes, which the memory does not hold"))?;
    // One byte more than promised, so that a longer stream is seen.
    unpack(&mut content, (more as u64).saturating_add(1))?;
    if content.len() as u64 != size {
        return Err(format!(
            "the archive promises {size} bytes, but they unpack to another number"
        ));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STORED: &[u8] = include_bytes!("testdata/set.npz");
    const DEFLATED: &[u8] = include_bytes!("testdata/set_deflated.npz");

    #[test]
    fn stored_and_deflated_archives_hold_the_same() {
        let stored = parse_npz(STORED, &["x", "y", "lens", "absent"], &[]).unwrap();
        let deflated =
            parse_npz(DEFLATED, &["features", "targets", "lens", "absent"], &[]).unwrap();
        assert_eq!(stored, deflated);
        assert_eq!(stored[0].as_ref().unwrap().shape, [20, 5, 3]);
        assert_eq!(stored[1].as_ref().unwrap().dtype, "<i8");
        assert!(stored[3].is_none());
    }

    #[test]
    fn a_member_without_its_ending_is_not_taken_for_an_array() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for name in ["x.npy", "lengths"] {
            zip.start_file(name, options).unwrap();
        }
        let bytes = zip.finish().unwrap().into_inner();
        let (place, message) = parse_npz(&bytes, &["x", "lengths"], &[]).unwrap_err();
        assert!(
            place == "member 'lengths'" && message.starts_with("lacks the ending .npy"),
            "{place} {message}"
        );
    }

    /// Two arrays of one name: a library gives the one or the other, and no word.
    #[test]
    fn two_members_of_one_name_are_refused_by_it() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for name in ["abcd.npy", "efgh.npy"] {
            zip.start_file(name, options).unwrap();
        }
        let mut two = zip.finish().unwrap().into_inner();
        for at in 0..two.len() - 8 {
            if &two[at..at + 8] == b"efgh.npy" {
                two[at..at + 4].copy_from_slice(b"abcd");
            }
        }
        // Whether it is used or not.
        for (names, ignored) in [(&["abcd"][..], vec![]), (&["x"], vec!["*".to_owned()])] {
            let (place, message) = parse_npz(&two, names, &ignored).unwrap_err();
            assert_eq!(place, "member 'abcd.npy'");
            assert!(
                message.starts_with("stands in the archive twice"),
                "{message}"
            );
        }
    }

    #[test]
    fn an_array_that_nothing_uses_is_named() {
        let (_, message) = parse_npz(STORED, &["y", "features"], &[]).unwrap_err();
        assert!(
            message.starts_with("nothing uses 'lens', 'x';"),
            "{message}"
        );
        let ignored = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|n| (*n).into()).collect();
            parse_npz(STORED, &["y"], &names).map(|all| all.len())
        };
        assert!(
            ignored(&["x"])
                .unwrap_err()
                .1
                .starts_with("nothing uses 'lens';")
        );
        assert_eq!(ignored(&["x", "lens"]), Ok(1));
        let error = ignored(&["x", "lens", "absent"]).unwrap_err().1;
        assert!(
            error.starts_with(
                "`ignore_arrays` has 'absent', which the data do not have; they have "
            ),
            "{error}"
        );
        assert_eq!(ignored(&["*"]), Ok(1));
    }

    #[test]
    fn other_files_and_damaged_members_are_named() {
        let (place, message) = parse_npz(b"hello", &["x"], &[]).unwrap_err();
        assert!(
            place.is_empty() && message.contains("not an npz"),
            "{message}"
        );
        let mut damaged = STORED.to_vec();
        let at = damaged.windows(6).position(|w| w == b"\x93NUMPY").unwrap() + 200;
        damaged[at] ^= 0xff;
        let all = ["x".to_owned(), "*".into()];
        let (place, message) = parse_npz(&damaged, &["x"], &all).unwrap_err();
        assert_eq!(place, "array 'x'");
        assert!(message.contains("cannot be unpacked"), "{message}");
    }

    #[test]
    fn impossible_sizes_are_refused_before_memory_is_taken() {
        // The central directory's entry of the first member: its uncompressed size lies at offset 24.
        let mut bytes = STORED.to_vec();
        let entry = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        bytes[entry + 24..entry + 28].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
        let (_, message) = parse_npz(&bytes, &["x"], &["*".to_owned()]).unwrap_err();
        assert!(
            message.contains("no archive can do") || message.contains("unpack"),
            "{message}"
        );
    }

    /// An archive of one deflated member.
    fn packed(content: &[u8]) -> Vec<u8> {
        use std::io::Write;
        let mut archive = zip::ZipWriter::new(Cursor::new(vec![]));
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file("x.npy", options).unwrap();
        archive.write_all(content).unwrap();
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn what_is_no_array_is_not_unpacked_whole() {
        let (_, message) = parse_npz(&packed(&vec![0; 2 << 20]), &["x"], &[]).unwrap_err();
        assert!(message.contains("not an npy file"), "{message}");
        let header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }\n";
        let mut array = b"\x93NUMPY\x01\x00".to_vec();
        array.extend((header.len() as u16).to_le_bytes());
        array.extend(header);
        let head = array.len();
        array.resize(head + 96, 0);
        let good = parse_npz(&packed(&array), &["x"], &[]).unwrap();
        assert_eq!(good[0].as_ref().unwrap().shape, [2, 3, 4]);
        array.resize(head + (2 << 20), 0);
        let (place, message) = parse_npz(&packed(&array), &["x"], &[]).unwrap_err();
        assert_eq!(place, "array 'x'");
        assert!(
            message.contains(&format!("announces {} bytes", head + 96)),
            "{message}"
        );
    }

    proptest! {
        #[test]
        fn a_changed_or_cut_archive_never_panics(at in 0..DEFLATED.len(), byte: u8, cut in 0..DEFLATED.len()) {
            let mut bytes = DEFLATED.to_vec();
            bytes[at] = byte;
            let _ = parse_npz(&bytes, &["features", "targets", "lens"], &[]);
            prop_assert!(parse_npz(&DEFLATED[..cut], &["features"], &[]).is_err());
        }
    }
}
