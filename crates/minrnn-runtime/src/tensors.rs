//! Files of tensors in the format safetensors: 8 bytes with the length of the header (u64, little-endian), a JSON header, the values.
//!
//! The header says of each tensor its type, its shape and where its values are. What is held to: each name once; values one
//! behind the other, from the first byte behind the header to the last of the file, as many as the shape says.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use crate::error::plain;
use crate::json::object;
use crate::metadata::short;

/// Bytes of a header: as other readers of the format have it.
const MAX_HEADER: u64 = 100_000_000;
/// The entry of the header that is no tensor.
const ABOUT: &str = "__metadata__";

/// A file.
#[derive(Debug)]
pub(crate) struct Tensors<'a> {
    /// What the file says about itself; `None`: nothing.
    pub(crate) about: Option<BTreeMap<String, String>>,
    /// In the order of their values.
    pub(crate) all: Vec<Tensor<'a>>,
}

#[derive(Debug)]
pub(crate) struct Tensor<'a> {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) shape: Vec<usize>,
    /// Little-endian, row-major.
    pub(crate) data: &'a [u8],
}

/// The types that files of this project have, and others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    F32,
    I64,
    Bool,
    Other(&'static str),
}

impl Kind {
    /// And its bytes.
    fn of(name: &str) -> Option<(Self, usize)> {
        Some(match name {
            "F32" => (Self::F32, 4),
            "I64" => (Self::I64, 8),
            "BOOL" => (Self::Bool, 1),
            "U8" => (Self::Other("U8"), 1),
            "I8" => (Self::Other("I8"), 1),
            "F16" => (Self::Other("F16"), 2),
            "BF16" => (Self::Other("BF16"), 2),
            "U16" => (Self::Other("U16"), 2),
            "I16" => (Self::Other("I16"), 2),
            "U32" => (Self::Other("U32"), 4),
            "I32" => (Self::Other("I32"), 4),
            "U64" => (Self::Other("U64"), 8),
            "F64" => (Self::Other("F64"), 8),
            _ => return None,
        })
    }

    /// The format's own name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::I64 => "I64",
            Self::Bool => "BOOL",
            Self::Other(name) => name,
        }
    }
}

struct Header {
    about: Option<BTreeMap<String, String>>,
    entries: Vec<(String, Entry)>,
}

struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

object!(Entry {
    dtype,
    shape,
    data_offsets
});

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Header;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut about, mut entries) = (None, vec![]);
                while let Some(name) = map.next_key::<String>()? {
                    if name != ABOUT {
                        entries.push((name, map.next_value()?));
                    } else if about.replace(map.next_value()?).is_some() {
                        return Err(A::Error::duplicate_field(ABOUT));
                    }
                }
                Ok(Header { about, entries })
            }
        }

        from.deserialize_map(Names)
    }
}

impl<'a> Tensors<'a> {
    /// # Errors
    /// What is wrong with the bytes.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let (len, rest) = bytes.split_first_chunk().ok_or("header too small")?;
        let len = u64::from_le_bytes(*len);
        if len > MAX_HEADER {
            return Err("header too large".into());
        }
        let len = usize::try_from(len).ok().filter(|n| *n <= rest.len());
        let (header, values) = rest.split_at(len.ok_or("cut off within the header")?);
        let header: Header = serde_json::from_slice(header)
            .map_err(|e| format!("the header does not parse: {}", plain(&e)))?;
        let mut entries = header.entries;
        // Of those at one place that have no values, the order of the header.
        entries.sort_by_key(|(_, e)| e.data_offsets);
        let mut names: Vec<&str> = entries.iter().map(|(n, _)| n.as_str()).collect();
        names.sort_unstable();
        if let Some(w) = names.windows(2).find(|w| w[0] == w[1]) {
            return Err(format!("tensor `{}` stands there twice", short(w[0])));
        }
        let (mut all, mut from) = (vec![], 0);
        for (name, entry) in entries {
            let [start, end] = entry.data_offsets;
            let wrong = |what: &str| format!("tensor `{}` {what}", short(&name));
            let kind = Kind::of(&entry.dtype);
            let (kind, size) = kind.ok_or_else(|| wrong("is of a type that is not known"))?;
            let volume = entry.shape.iter().try_fold(size, |n, d| n.checked_mul(*d));
            if start != from || volume != end.checked_sub(start) {
                return Err(wrong("has values at other places than its shape says"));
            }
            let data = values.get(start..end).ok_or_else(|| wrong("is cut off"))?;
            from = end;
            all.push(Tensor {
                name,
                kind,
                shape: entry.shape,
                data,
            });
        }
        if from != values.len() {
            return Err("there are bytes behind the last tensor".into());
        }
        Ok(Self {
            about: header.about,
            all,
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Tensor<'a>> {
        self.all.iter().find(|t| t.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, values: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend((0..values).map(|i| i as u8));
        bytes
    }

    fn entry(name: &str, kind: &str, shape: &str, from: usize, to: usize) -> String {
        format!(r#""{name}":{{"dtype":"{kind}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
    }

    #[test]
    fn tensors_come_in_the_order_of_their_values() {
        let header = [
            r#""__metadata__":{"a":"b"}"#.into(),
            entry("late", "F16", "[3]", 9, 15),
            entry("one", "BOOL", "[]", 8, 9),
            entry("early", "F32", "[1,2]", 0, 8),
        ];
        let bytes = file(&format!("{{{}}}  ", header.join(",")), 15);
        let read = Tensors::read(&bytes).unwrap();
        let names: Vec<&str> = read.all.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["early", "one", "late"]);
        assert_eq!(read.about.as_ref().unwrap()["a"], "b");
        let early = read.get("early").unwrap();
        assert_eq!((early.kind, &early.shape[..]), (Kind::F32, &[1, 2][..]));
        assert_eq!(early.data, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(read.get("late").unwrap().kind.as_str(), "F16");
        for len in 0..bytes.len() {
            assert!(Tensors::read(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let one = entry("x", "F32", "[2]", 0, 8);
        assert!(Tensors::read(&file(&format!("{{{one}}}"), 8)).is_ok());
        let max = usize::MAX;
        for (header, values, why) in [
            (one.clone(), 9, "behind the last"),
            (one.clone(), 7, "cut off"),
            (entry("x", "F32", "[3]", 0, 8), 8, "other places"),
            (entry("x", "F32", "[2]", 8, 0), 8, "other places"),
            (entry("x", "F32", "[2]", 1, 9), 9, "other places"),
            (
                entry("x", "F32", &format!("[{max},{max}]"), 0, 8),
                8,
                "other places",
            ),
            (entry("x", "F32", "[1]", max - 3, max), 8, "other places"),
            (entry("x", "F4", "[2]", 0, 8), 8, "not known"),
            (
                format!("{one},{}", entry("x", "F32", "[0]", 8, 8)),
                8,
                "`x` stands there twice",
            ),
            (
                format!("{one},{}", entry("y", "F32", "[2]", 0, 8)),
                8,
                "other places",
            ),
            (
                r#""__metadata__":{},"__metadata__":{}"#.into(),
                0,
                "duplicate",
            ),
            (r#""x":{"dtype":"F32"}"#.into(), 0, "missing field `shape`"),
            ("1".into(), 0, "does not parse"),
        ] {
            let said = Tensors::read(&file(&format!("{{{header}}}"), values)).unwrap_err();
            assert!(said.contains(why), "{header}: {said}");
        }
        assert_eq!(Tensors::read(&[0xff; 20]).unwrap_err(), "header too large");
    }
}
