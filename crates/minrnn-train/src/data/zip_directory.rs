//! The directory of a zip archive, entry by entry: of two entries with one name, libraries keep one without a word.

use std::collections::BTreeSet;

const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const ENTRY: &[u8] = b"PK\x01\x02";
/// A number of 32 bits that says: the real one has 64 and lies elsewhere.
const ELSEWHERE: u64 = u32::MAX as u64;

/// What the directory says of one member.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a [u8],
    /// Of the local header.
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) crc: u32,
    /// Whether it is packed or encrypted.
    pub(crate) packed: bool,
}

/// All entries in order; `None` for a directory that is not whole. The archive begins with the first byte.
pub(crate) fn entries(bytes: &[u8]) -> Option<Vec<Entry<'_>>> {
    entries_of(bytes, 0)
}

/// The same of the end of an archive, which begins at its byte `base`; `None` too where the directory begins before.
pub(crate) fn entries_of(bytes: &[u8], base: u64) -> Option<Vec<Entry<'_>>> {
    let place = |at: u64| usize::try_from(at.checked_sub(base)?).ok();
    // The end record is the last one whose comment reaches exactly to the end of the file.
    let last = bytes.len().checked_sub(22)?;
    let end = (last.saturating_sub(0xffff)..=last).rev().find(|at| {
        piece(bytes, *at, 4) == Some(END) && number(bytes, at + 20, 2) == Some((last - at) as u64)
    })?;
    let (mut count, mut at) = (number(bytes, end + 10, 2)?, number(bytes, end + 16, 4)?);
    if let Some(locator) = end
        .checked_sub(20)
        .filter(|l| piece(bytes, *l, 4) == Some(LOCATOR_64))
    {
        let end = place(number(bytes, locator + 8, 8)?)?;
        if piece(bytes, end, 4)? != END_64 {
            return None;
        }
        count = number(bytes, end.checked_add(32)?, 8)?;
        at = number(bytes, end.checked_add(48)?, 8)?;
    }
    let mut at = place(at)?;
    let mut entries = vec![];
    for _ in 0..count {
        let (entry, next) = entry(bytes, at)?;
        entries.push(entry);
        at = next;
    }
    Some(entries)
}

/// The first name that a second entry has.
pub(crate) fn twice(entries: &[Entry]) -> Option<String> {
    let mut seen = BTreeSet::new();
    let second = entries.iter().find(|entry| !seen.insert(entry.name));
    second.map(|entry| String::from_utf8_lossy(entry.name).into_owned())
}

/// An entry of the directory and where the next one begins.
fn entry(bytes: &[u8], at: usize) -> Option<(Entry<'_>, usize)> {
    let head = piece(bytes, at, 46)?;
    if !head.starts_with(ENTRY) {
        return None;
    }
    let field = |from, n| number(head, from, n);
    let [name, extra, comment] = [28, 30, 32].map(|from| field(from, 2).unwrap_or(0) as usize);
    let text = piece(bytes, at + 46, name)?;
    let extra_bytes = piece(bytes, at + 46 + name, extra)?;
    let (mut packed_size, mut size, mut offset) = (field(20, 4)?, field(24, 4)?, field(42, 4)?);
    let mut wide = wide(extra_bytes);
    // The order that the format gives them.
    for value in [&mut size, &mut packed_size, &mut offset] {
        if *value == ELSEWHERE {
            *value = wide.next()?;
        }
    }
    let found = Entry {
        name: text,
        offset,
        size,
        crc: field(16, 4)? as u32,
        packed: field(10, 2)? != 0 || field(8, 2)? & 1 == 1 || packed_size != size,
    };
    Some((found, at + 46 + name + extra + comment))
}

/// The numbers of 64 bits among an entry's extra fields.
fn wide(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut found: &[u8] = &[];
    while let (Some(kind), Some(n)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        let Some((field, rest)) = extra[4..].split_at_checked(n as usize) else {
            break;
        };
        if kind == 1 {
            found = field;
        }
        extra = rest;
    }
    let numbers = found.as_chunks::<8>().0;
    numbers.iter().map(|b| u64::from_le_bytes(*b))
}

pub(crate) fn piece(bytes: &[u8], at: usize, n: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(n)?)
}

/// A little-endian number of `n` bytes, at most 8.
pub(crate) fn number(bytes: &[u8], at: usize, n: usize) -> Option<u64> {
    let parts = piece(bytes, at, n)?.iter().rev();
    Some(parts.fold(0, |v, b| (v << 8) | u64::from(*b)))
}
