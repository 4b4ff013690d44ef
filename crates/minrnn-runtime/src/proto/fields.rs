//! Protobuf: a message as its fields, one after the other, none of them beyond its end.
//!
//! What is held to: numbers of at most ten bytes and 64 bits, numbers of fields from 1 to 2^29 - 1, lengths that do not leave
//! the message, groups that end where they say, messages no deeper than [`MAX_DEPTH`].

use crate::error::{Breach, Error};

/// Messages, and groups, within messages; the format's own readers stop at 100.
pub(super) const MAX_DEPTH: usize = 32;

/// Why bytes are not read.
#[derive(Debug)]
pub(crate) enum Refused {
    /// They are no protobuf, or none of this schema: where, and what is wrong there.
    Broken(String),
    /// They are, and a graph of no model.
    Breach(Breach),
}

impl Refused {
    /// The error of the file of that name; `breach` may say otherwise what would mend it.
    pub(crate) fn of(self, file: &str, breach: impl FnOnce(Breach) -> Breach) -> Error {
        match self {
            Self::Breach(found) => breach(found).of(file),
            Self::Broken(what) => Error::Load {
                file: file.into(),
                what: "is no ONNX file, or a cut one".into(),
                source: what.into(),
            },
        }
    }
}

/// The fields of a message.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    message: &'static str,
    rest: &'a [u8],
    /// Where `rest` begins in the file.
    at: usize,
    depth: usize,
}

/// What a field holds, as far as protobuf knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Content<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(&'a [u8]),
    Group,
}

/// A field, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    content: Content<'a>,
    message: &'static str,
    at: usize,
    /// Where its content begins.
    from: usize,
    depth: usize,
}

impl<'a> Fields<'a> {
    /// The whole file as one message.
    pub(super) fn of(bytes: &'a [u8], message: &'static str) -> Self {
        Self {
            message,
            rest: bytes,
            at: 0,
            depth: 0,
        }
    }

    /// How many bytes are left.
    #[cfg(all(test, feature = "tract"))]
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next field; `None` at the end of the message.
    pub(super) fn next(&mut self) -> Result<Option<Field<'a>>, Refused> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let at = self.at;
        let (number, wire) = self.key()?;
        let content = match wire {
            3 => {
                self.skip_group(number)?;
                Content::Group
            }
            4 => return Err(self.broken(at, "a group ends that has not begun")),
            _ => self.content(wire)?,
        };
        let from = match content {
            Content::Bytes(bytes) => self.at - bytes.len(),
            _ => self.at,
        };
        Ok(Some(Field {
            number,
            content,
            message: self.message,
            at,
            from,
            depth: self.depth,
        }))
    }

    /// Number and kind of the next field.
    fn key(&mut self) -> Result<(u32, u8), Refused> {
        let at = self.at;
        let key = self.varint()?;
        match u32::try_from(key) {
            Ok(key) if key >> 3 > 0 => Ok((key >> 3, (key & 7) as u8)),
            _ => Err(self.broken(at, "there is no field of that number")),
        }
    }

    fn content(&mut self, wire: u8) -> Result<Content<'a>, Refused> {
        Ok(match wire {
            0 => Content::Varint(self.varint()?),
            1 => Content::Fixed64(self.fixed()?),
            5 => Content::Fixed32(self.fixed()?),
            2 => {
                let at = self.at;
                let len = self.varint()?;
                let len = usize::try_from(len).ok().filter(|n| *n <= self.rest.len());
                let cut = "a length leaves the message: the file is cut, or is no ONNX file";
                Content::Bytes(self.take(len.ok_or_else(|| self.broken(at, cut))?))
            }
            _ => return Err(self.broken(self.at, "there is no such kind of field")),
        })
    }

    /// `len` is no more than there is.
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        self.at += len;
        taken
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        match self.rest.first_chunk::<N>() {
            Some(bytes) => {
                self.take(N);
                Ok(*bytes)
            }
            None => Err(self.broken(self.at, "the message ends within a number")),
        }
    }

    fn varint(&mut self) -> Result<u64, Refused> {
        let (at, mut value) = (self.at, 0u64);
        for shift in (0..70).step_by(7) {
            let Some((byte, rest)) = self.rest.split_first() else {
                return Err(self.broken(at, "the message ends within a number"));
            };
            (self.rest, self.at) = (rest, self.at + 1);
            // Of the tenth byte one bit is left.
            if shift == 63 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.broken(at, "a number has more than 64 bits"))
    }

    /// To the end of the group of field `number`, over all that is in it.
    fn skip_group(&mut self, number: u32) -> Result<(), Refused> {
        let mut open = vec![number];
        while let Some(last) = open.last().copied() {
            let at = self.at;
            match self.key()? {
                (number, 3) => {
                    if self.depth + open.len() >= MAX_DEPTH {
                        return Err(too_deep());
                    }
                    open.push(number);
                }
                (number, 4) if number == last => drop(open.pop()),
                (_, 4) => return Err(self.broken(at, "a group ends that has not begun")),
                (_, wire) => drop(self.content(wire)?),
            }
        }
        Ok(())
    }

    fn broken(&self, at: usize, what: &str) -> Refused {
        Refused::Broken(format!("byte {at}, in {}: {what}", self.message))
    }
}

fn too_deep() -> Refused {
    Refused::Breach(Breach::new(
        "file",
        format!("nests more than {MAX_DEPTH} messages"),
    ))
}

impl<'a> Field<'a> {
    /// What the schema says, and the field is not.
    fn wrong(&self, wanted: &str) -> Refused {
        let (at, message, number) = (self.at, self.message, self.number);
        Refused::Broken(format!(
            "byte {at}, field {number} of {message}: is not {wanted}"
        ))
    }

    pub(super) fn bytes(&self) -> Result<&'a [u8], Refused> {
        match self.content {
            Content::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong("text, bytes or a message")),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, Refused> {
        std::str::from_utf8(self.bytes()?).map_err(|_| self.wrong("text in UTF-8"))
    }

    pub(super) fn varint(&self) -> Result<u64, Refused> {
        match self.content {
            Content::Varint(value) => Ok(value),
            _ => Err(self.wrong("a whole number")),
        }
    }

    pub(super) fn int64(&self) -> Result<i64, Refused> {
        Ok(self.varint()?.cast_signed())
    }

    /// The lower 32 bits, as protobuf has it.
    pub(super) fn int32(&self) -> Result<i32, Refused> {
        Ok(self.varint()? as i32)
    }

    pub(super) fn float(&self) -> Result<f32, Refused> {
        match self.content {
            Content::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.wrong("a float")),
        }
    }

    /// The message in it.
    pub(super) fn message(&self, message: &'static str) -> Result<Fields<'a>, Refused> {
        let rest = self.bytes()?;
        if self.depth + 1 >= MAX_DEPTH {
            return Err(too_deep());
        }
        Ok(Fields {
            message,
            rest,
            at: self.from,
            depth: self.depth + 1,
        })
    }

    /// Whole numbers: one in a field of its own, or several in one piece.
    pub(super) fn varints(&self, mut each: impl FnMut(u64)) -> Result<(), Refused> {
        let Content::Bytes(rest) = self.content else {
            each(self.varint()?);
            return Ok(());
        };
        let mut piece = Fields {
            message: self.message,
            rest,
            at: self.from,
            depth: self.depth,
        };
        while !piece.rest.is_empty() {
            each(piece.varint()?);
        }
        Ok(())
    }

    /// Numbers of N bytes: one in a field of its own, or several in one piece.
    pub(super) fn fixed<const N: usize>(
        &self,
        mut each: impl FnMut([u8; N]),
    ) -> Result<(), Refused> {
        let bytes = match &self.content {
            Content::Fixed32(bytes) if N == 4 => &bytes[..],
            Content::Fixed64(bytes) if N == 8 => &bytes[..],
            Content::Bytes(bytes) => bytes,
            _ => return Err(self.wrong("numbers of the schema's type")),
        };
        let (all, rest) = bytes.as_chunks::<N>();
        if !rest.is_empty() {
            return Err(self.wrong("a whole number of numbers"));
        }
        all.iter().for_each(|b| each(*b));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers and contents of all fields.
    fn all(bytes: &[u8]) -> Result<Vec<(u32, Content<'_>)>, String> {
        let mut fields = Fields::of(bytes, "ModelProto");
        let mut found = vec![];
        loop {
            match fields.next() {
                Ok(None) => return Ok(found),
                Ok(Some(field)) => found.push((field.number, field.content)),
                Err(Refused::Broken(what)) => return Err(what),
                Err(Refused::Breach(breach)) => return Err(breach.what),
            }
        }
    }

    #[test]
    fn every_kind_of_field_is_read_to_its_end() {
        let bytes = [
            &[0x08, 0x96, 0x01][..],
            &[0x11, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x1a, 2, b'o', b'k'],
            &[0x25, 1, 0, 0, 0],
            // Field 5, a group with a number and a group.
            &[0x2b, 0x08, 0x01, 0x33, 0x34, 0x2c],
            &[0x30, 0x00],
        ]
        .concat();
        let found = all(&bytes).unwrap();
        assert_eq!(
            found,
            [
                (1, Content::Varint(150)),
                (2, Content::Fixed64([1, 2, 3, 4, 5, 6, 7, 8])),
                (3, Content::Bytes(b"ok")),
                (4, Content::Fixed32([1, 0, 0, 0])),
                (5, Content::Group),
                (6, Content::Varint(0)),
            ]
        );
        for end in 1..bytes.len() {
            let whole = [3, 12, 16, 21, 27].contains(&end);
            assert_eq!(all(&bytes[..end]).is_ok(), whole, "cut at {end}");
        }
    }

    #[test]
    fn numbers_have_64_bits() {
        let most = [&[0x08][..], &[0xff; 9], &[0x01]].concat();
        assert_eq!(all(&most).unwrap(), [(1, Content::Varint(u64::MAX))]);
        for bad in [
            [&[0x08][..], &[0xff; 9], &[0x02]].concat(),
            [&[0x08][..], &[0x80; 10], &[0x00]].concat(),
            [&[0x08][..], &[0xff; 9], &[0x80]].concat(),
        ] {
            let what = all(&bad).unwrap_err();
            assert_eq!(
                what,
                "byte 1, in ModelProto: a number has more than 64 bits"
            );
        }
        assert!(all(&[0x80, 0x80, 0x80, 0x80, 0x10]).is_err(), "field 2^29");
        assert!(all(&[0x00, 0x00]).is_err(), "field 0");
        assert!(
            all(&[0x0e]).is_err() && all(&[0x0f]).is_err(),
            "no such kind"
        );
    }

    #[test]
    fn lengths_and_groups_stay_inside() {
        let what = all(&[0x0a, 0x03, 1, 2]).unwrap_err();
        assert!(
            what.starts_with("byte 1, in ModelProto: a length leaves"),
            "{what}"
        );
        let long = [&[0x0a][..], &[0xff; 9], &[0x01]].concat();
        assert!(all(&long).is_err());
        assert!(all(&[0x0c]).is_err(), "an end without a beginning");
        assert!(all(&[0x0b, 0x14]).is_err(), "the end of another group");
        assert!(all(&[0x0b]).is_err(), "no end");
        let deep = [[0x0b].repeat(31), [0x0c].repeat(31)].concat();
        assert!(all(&deep).is_ok());
        let deep = [[0x0b].repeat(33), [0x0c].repeat(33)].concat();
        assert_eq!(all(&deep).unwrap_err(), "nests more than 32 messages");
    }
}
