//! The npz format: a zip archive of npy files, stored or deflated.

use std::io::{Cursor, Read};
use std::path::Path;

// Brings the pure-Rust inflater that `zip` is built on here.
use flate2 as _;

use super::array::Array;
use super::npy::parse_npy;
use crate::error::{Result, TrainError};

/// No deflated stream is larger than this many times its bytes (the format's limit is 1032), plus some room.
const MAX_RATIO: u64 = 1040;

/// Reads those arrays of an `.npz` file whose names are in `names`, in the order of `names`; `None` where absent.
///
/// # Errors
/// [`TrainError::Io`] if the file cannot be read, [`TrainError::Data`] if it is no npz or an array is malformed.
pub fn read_npz(path: &Path, names: &[&str]) -> Result<Vec<Option<Array>>> {
    let bytes = std::fs::read(path).map_err(TrainError::io("read", path))?;
    parse_npz(&bytes, names).map_err(|(place, message)| TrainError::data(path, place, message))
}

/// The error is (place, message).
fn parse_npz(bytes: &[u8], names: &[&str]) -> Result<Vec<Option<Array>>, (String, String)> {
    let no_zip = |e: zip::result::ZipError| {
        (
            String::new(),
            format!("not an npz file (a zip archive): {e}"),
        )
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(no_zip)?;
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
    // One byte more than promised, so that a longer stream is seen.
    let read = (&mut file)
        .take(size.saturating_add(1))
        .read_to_end(&mut content);
    read.map_err(|e| format!("cannot be unpacked: {e}"))?;
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
        let stored = parse_npz(STORED, &["x", "y", "lens", "absent"]).unwrap();
        let deflated = parse_npz(DEFLATED, &["features", "targets", "lens", "absent"]).unwrap();
        assert_eq!(stored, deflated);
        assert_eq!(stored[0].as_ref().unwrap().shape, [20, 5, 3]);
        assert_eq!(stored[1].as_ref().unwrap().dtype, "<i8");
        assert!(stored[3].is_none());
    }

    #[test]
    fn other_files_and_damaged_members_are_named() {
        let (place, message) = parse_npz(b"hello", &["x"]).unwrap_err();
        assert!(
            place.is_empty() && message.contains("not an npz"),
            "{message}"
        );
        let mut damaged = STORED.to_vec();
        let at = damaged.windows(6).position(|w| w == b"\x93NUMPY").unwrap() + 200;
        damaged[at] ^= 0xff;
        let (place, message) = parse_npz(&damaged, &["x"]).unwrap_err();
        assert_eq!(place, "array 'x'");
        assert!(message.contains("cannot be unpacked"), "{message}");
    }

    #[test]
    fn impossible_sizes_are_refused_before_memory_is_taken() {
        // The central directory's entry of the first member: its uncompressed size lies at offset 24.
        let mut bytes = STORED.to_vec();
        let entry = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        bytes[entry + 24..entry + 28].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
        let (_, message) = parse_npz(&bytes, &["x"]).unwrap_err();
        assert!(
            message.contains("no archive can do") || message.contains("unpack"),
            "{message}"
        );
    }

    proptest! {
        #[test]
        fn a_changed_or_cut_archive_never_panics(at in 0..DEFLATED.len(), byte: u8, cut in 0..DEFLATED.len()) {
            let mut bytes = DEFLATED.to_vec();
            bytes[at] = byte;
            let _ = parse_npz(&bytes, &["features", "targets", "lens"]);
            prop_assert!(parse_npz(&DEFLATED[..cut], &["features"]).is_err());
        }
    }
}
