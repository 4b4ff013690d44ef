//! Arrays of an npz file where they lie in it, so that pieces of them can be read.

use std::io::BufReader;
use std::sync::Arc;

use super::npz::{check_names, check_once, no_zip};
use super::plain::Plain;
use super::stored::{PIECE, Stored};
use super::zip_directory::entries_of;
use crate::error::{Result, TrainError};

/// Those arrays of an `.npz` file whose names are in `names`, in the order of `names`, of members that are not packed; `None` where absent. The file is gone through once, for the sums of the archive.
///
/// # Errors
/// Those of [`read_npz`](super::read_npz); [`TrainError::Data`] for a member that is packed.
pub(super) fn stored(
    file: &Arc<Plain>,
    names: &[&str],
    ignored: &[String],
) -> Result<Vec<Option<Stored>>> {
    let path = file.path();
    let fault = |(place, message): (String, String)| TrainError::data(path, place, message);
    let reader = std::fs::File::open(path).map_err(TrainError::io("read", path))?;
    let archive = zip::ZipArchive::new(BufReader::new(reader));
    let mut archive = archive.map_err(|e| fault(no_zip(&e)))?;
    let base = file.size().saturating_sub(DIRECTORY);
    let end = file.bytes(base, file.size())?;
    check_once(entries_of(&end, base), archive.len()).map_err(fault)?;
    check_names(&archive, names, ignored).map_err(fault)?;
    let mut all = vec![];
    for name in names {
        let place = format!("array '{name}'");
        let named = |message: String| TrainError::data(path, place.clone(), message);
        let Some(index) = archive.index_for_name(&format!("{name}.npy")) else {
            all.push(None);
            continue;
        };
        let member = archive.by_index(index);
        let member = member.map_err(|e| named(format!("cannot be unpacked: {e}")))?;
        let (Some(begin), true) = (
            member.data_start(),
            member.compression() == zip::CompressionMethod::Stored,
        ) else {
            let message = "is packed, so that no pieces of it can be read; write the file with numpy.savez, not savez_compressed, or leave task.from_disk out";
            return Err(named(message.into()));
        };
        let end = begin.saturating_add(member.size());
        if !check_sum(file, begin, end, member.crc32())? {
            return Err(named("cannot be unpacked: Invalid checksum".into()));
        }
        all.push(Some(Stored::npy(file, (begin, end), place)?));
    }
    Ok(all)
}

/// Bytes at the end of an archive in which its directory lies: that of an npz has some hundred for each array.
const DIRECTORY: u64 = 4 << 20;

/// Goes through a member and holds it to its sum.
fn check_sum(file: &Plain, begin: u64, end: u64, wanted: u32) -> Result<bool> {
    let mut sum = flate2::Crc::new();
    let mut at = begin;
    while at < end {
        let to = end.min(at + PIECE);
        sum.update(&file.bytes(at, to)?);
        at = to;
    }
    Ok(sum.sum() == wanted)
}
