//! Zip archives whose members are not packed, as PyTorch writes them: each member is a piece of the file, so nothing can unfold
//! into more than the file has.

use std::collections::BTreeMap;
use std::ops::Range;

use flate2::Crc;

use crate::data::zip_directory::{Entry, entries, number, piece, twice};
use crate::import::error::{ImportProblem, Result};

const LOCAL: &[u8] = b"PK\x03\x04";

/// The members of an archive by name.
#[derive(Debug)]
pub(super) struct Zip<'a> {
    bytes: &'a [u8],
    members: BTreeMap<&'a str, Entry<'a>>,
}

impl<'a> Zip<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let damaged = || {
            ImportProblem::format(
                "a zip archive that is damaged or cut off: its directory, at the end of the file, is not whole",
            )
        };
        let entries = entries(bytes).ok_or_else(damaged)?;
        if let Some(name) = twice(&entries) {
            return Err(ImportProblem::format(format!(
                "a zip archive with two members {name}, and programs differ in which of them they read; save the file again in PyTorch"
            )));
        }
        let named = |entry: Entry<'a>| Some((std::str::from_utf8(entry.name).ok()?, entry));
        let members = entries.into_iter().map(named).collect::<Option<_>>();
        Ok(Self {
            bytes,
            members: members.ok_or_else(damaged)?,
        })
    }

    /// Names in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().copied()
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

    fn range(&self, member: &Entry) -> Option<Range<usize>> {
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
