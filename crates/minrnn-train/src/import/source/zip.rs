//! Zip archives whose members are not packed, as PyTorch writes them: each member is a piece of the file, so nothing can unfold
//! into more than the file has.

use std::collections::BTreeMap;
use std::ops::Range;

use flate2::Crc;

use crate::import::error::{ImportProblem, Result};

const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
/// A number of 32 bits that says: the real one has 64 and lies elsewhere.
const ELSEWHERE: u64 = u32::MAX as u64;

/// The members of an archive by name.
#[derive(Debug)]
pub(super) struct Zip<'a> {
    bytes: &'a [u8],
    members: BTreeMap<String, Member>,
}

#[derive(Debug)]
struct Member {
    /// Of the local header.
    offset: u64,
    size: u64,
    crc: u32,
    /// Whether it is packed or encrypted.
    packed: bool,
}

impl<'a> Zip<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let members = directory(bytes).ok_or_else(|| {
            ImportProblem::format("a zip archive that is damaged or cut off: its directory, at the end of the file, is not whole")
        })?;
        Ok(Self { bytes, members })
    }

    /// Names in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// The bytes of a member, or `None` where it is absent.
    ///
    /// # Errors
    /// A member that is packed, outside of the file, or not what its checksum says.
    pub(super) fn get(&self, name: &str) -> Result<Option<&'a [u8]>> {
        let Some(member) = self.members.get(name) else {
            return Ok(None);
        };
        let fail = |what: &str| Err(ImportProblem::format(format!("member {name} {what}")));
        if member.packed {
            return fail(
                "is packed or encrypted, which torch.save never does; save the file again in PyTorch",
            );
        }
        let Some(content) = self.range(member).and_then(|r| self.bytes.get(r)) else {
            return fail("is cut off: it does not lie within the file");
        };
        let mut crc = Crc::new();
        crc.update(content);
        if crc.sum() != member.crc {
            return fail("is damaged: it has another checksum than the archive says");
        }
        Ok(Some(content))
    }

    fn range(&self, member: &Member) -> Option<Range<usize>> {
        let header = usize::try_from(member.offset).ok()?;
        if piece(self.bytes, header, 4)? != LOCAL {
            return None;
        }
        let [name, extra] = [26, 28].map(|at| number(self.bytes, header.checked_add(at)?, 2));
        let begin = header
            .checked_add(30)?
            .checked_add(usize::try_from(name? + extra?).ok()?)?;
        let end = begin.checked_add(usize::try_from(member.size).ok()?)?;
        Some(begin..end)
    }
}

fn piece(bytes: &[u8], at: usize, n: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(n)?)
}

/// A little-endian number of `n` bytes, at most 8.
fn number(bytes: &[u8], at: usize, n: usize) -> Option<u64> {
    let parts = piece(bytes, at, n)?.iter().rev();
    Some(parts.fold(0, |v, b| (v << 8) | u64::from(*b)))
}

fn directory(bytes: &[u8]) -> Option<BTreeMap<String, Member>> {
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
        let end = usize::try_from(number(bytes, locator + 8, 8)?).ok()?;
        if piece(bytes, end, 4)? != END_64 {
            return None;
        }
        count = number(bytes, end.checked_add(32)?, 8)?;
        at = number(bytes, end.checked_add(48)?, 8)?;
    }
    let mut at = usize::try_from(at).ok()?;
    let mut members = BTreeMap::new();
    for _ in 0..count {
        let (name, member, next) = entry(bytes, at)?;
        if members.insert(name, member).is_some() {
            return None;
        }
        at = next;
    }
    Some(members)
}

/// An entry of the directory and where the next one begins.
fn entry(bytes: &[u8], at: usize) -> Option<(String, Member, usize)> {
    let head = piece(bytes, at, 46)?;
    if !head.starts_with(ENTRY) {
        return None;
    }
    let field = |from, n| number(head, from, n);
    let [name, extra, comment] = [28, 30, 32].map(|from| field(from, 2).unwrap_or(0) as usize);
    let text = std::str::from_utf8(piece(bytes, at + 46, name)?).ok()?;
    let extra_bytes = piece(bytes, at + 46 + name, extra)?;
    let (mut packed_size, mut size, mut offset) = (field(20, 4)?, field(24, 4)?, field(42, 4)?);
    let mut wide = wide(extra_bytes);
    // The order that the format gives them.
    for value in [&mut size, &mut packed_size, &mut offset] {
        if *value == ELSEWHERE {
            *value = wide.next()?;
        }
    }
    let member = Member {
        offset,
        size,
        crc: field(16, 4)? as u32,
        packed: field(10, 2)? != 0 || field(8, 2)? & 1 == 1 || packed_size != size,
    };
    Some((text.to_owned(), member, at + 46 + name + extra + comment))
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
