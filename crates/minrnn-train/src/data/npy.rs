//! The npy format: magic, version, a header that is a Python dict literal, then the bytes of one array.
//! The header is read with a parser for exactly the three keys that numpy writes, so that no header can cost
//! more memory or stack than the file has bytes.

use std::path::Path;

use self::header::{Header, parse_header};
use super::array::{Array, Values};
use super::read_data;
use crate::error::{Result, TrainError};

mod header;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Reads one `.npy` file: bool, integers, floats and texts (`<U`, and `|S` in UTF-8) of either byte order, C or Fortran order.
///
/// # Errors
/// [`TrainError::Io`] if the file cannot be read, [`TrainError::Data`] if it is not such an array.
pub fn read_npy(path: &Path) -> Result<Array> {
    let bytes = read_data(path).map_err(TrainError::io("read", path))?;
    parse_npy(&bytes).map_err(|message| TrainError::data(path, "", message))
}

/// Parses the bytes of a whole npy file. The error says what was expected.
pub(crate) fn parse_npy(bytes: &[u8]) -> Result<Array, String> {
    let (header, data) = split_header(bytes)?;
    let Header {
        item,
        fortran,
        shape,
        dtype,
    } = parse_header(header)?;
    let size = item.size();
    let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    let wanted = count.and_then(|n| n.checked_mul(size));
    if wanted != Some(data.len()) {
        return Err(format!(
            "the header says shape {shape:?} of {size} bytes each, but {} bytes follow it",
            data.len()
        ));
    }
    let values = item.decode(data)?;
    let values = if fortran && shape.len() > 1 {
        values.reordered(&shape)
    } else {
        values
    };
    Ok(Array {
        shape,
        values,
        dtype,
    })
}

/// What an npy file begins with.
pub(super) struct Head {
    pub(super) item: Item,
    /// Whether the first index is the one that changes fastest.
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: String,
    /// Bytes before the first value.
    pub(super) len: u64,
}

/// The header of a file that begins so. The error is that of [`parse_npy`].
pub(super) fn head(begin: &[u8]) -> Result<Head, String> {
    let (header, data) = split_header(begin)?;
    let Header {
        item,
        fortran,
        shape,
        dtype,
    } = parse_header(header)?;
    Ok(Head {
        item,
        fortran,
        shape,
        dtype,
        len: (begin.len() - data.len()) as u64,
    })
}

/// Values of a type as npy headers write it, e.g. `<f4`.
pub(super) fn decode(descr: &str, data: &[u8]) -> Result<Values, String> {
    let item = Item::parse(descr).ok_or_else(|| format!("type {descr} is not known"))?;
    item.decode(data)
}

/// How many bytes a file has, by what it begins with. The error is that of [`parse_npy`].
pub(crate) fn announced(begin: &[u8]) -> Result<u64, String> {
    let (header, data) = split_header(begin)?;
    let Header { item, shape, .. } = parse_header(header)?;
    let head = (begin.len() - data.len()) as u64;
    let count = shape
        .iter()
        .try_fold(1_u64, |n, &d| n.checked_mul(d as u64));
    count
        .and_then(|n| n.checked_mul(item.size() as u64))
        .and_then(|n| n.checked_add(head))
        .ok_or_else(|| format!("the header says shape {shape:?}, which no memory holds"))
}

/// The text of the header and the bytes after it.
fn split_header(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or("not an npy file: it does not begin with \\x93NUMPY")?;
    let cut = || "the file ends within the npy header".to_owned();
    let (version, rest) = rest.split_at_checked(2).ok_or_else(cut)?;
    let (len, rest) = match version[0] {
        1 => {
            let (n, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
            (usize::from(u16::from_le_bytes(*n)), rest)
        }
        2 | 3 => {
            let (n, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
            (u32::from_le_bytes(*n) as usize, rest)
        }
        other => return Err(format!("npy version {other} is not known (1, 2 and 3 are)")),
    };
    let (header, data) = rest.split_at_checked(len).ok_or_else(cut)?;
    let header =
        std::str::from_utf8(header).map_err(|_| "the npy header is not text".to_owned())?;
    Ok((header, data))
}

/// A scalar type of npy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    kind: Kind,
    width: usize,
    big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
    /// Code points of four bytes, filled up with zeros.
    Unicode,
    /// Bytes, filled up with zeros.
    Bytes,
}

/// Characters of a text; more is no label.
const LONGEST: usize = 4096;

impl Item {
    pub(super) fn parse(descr: &str) -> Option<Self> {
        let mut chars = descr.chars();
        let big_endian = match chars.next()? {
            '<' | '|' => false,
            '>' => true,
            _ => return None,
        };
        let kind = match chars.next()? {
            'b' => Kind::Bool,
            'i' => Kind::Signed,
            'u' => Kind::Unsigned,
            'f' => Kind::Float,
            'U' => Kind::Unicode,
            'S' => Kind::Bytes,
            _ => return None,
        };
        let length = |digits: &str| {
            let length = digits.parse::<usize>().ok();
            length.filter(|n| (1..=LONGEST).contains(n))
        };
        let width = match (kind, chars.as_str()) {
            (Kind::Unicode, digits) => 4 * length(digits)?,
            (Kind::Bytes, digits) => length(digits)?,
            (Kind::Bool | Kind::Signed | Kind::Unsigned, "1") => 1,
            (Kind::Signed | Kind::Unsigned, "2") => 2,
            (Kind::Signed | Kind::Unsigned | Kind::Float, "4") => 4,
            (Kind::Signed | Kind::Unsigned | Kind::Float, "8") => 8,
            _ => return None,
        };
        Some(Self {
            kind,
            width,
            big_endian,
        })
    }

    pub(super) fn size(self) -> usize {
        self.width
    }

    pub(super) fn decode(self, data: &[u8]) -> Result<Values, String> {
        let items = data.chunks_exact(self.width);
        if matches!(self.kind, Kind::Unicode | Kind::Bytes) {
            let texts = items.map(|b| self.text(b)).collect::<Option<_>>();
            return texts
                .map(Values::Texts)
                .ok_or_else(|| "a text is not Unicode".to_owned());
        }
        if self.kind == Kind::Float {
            if let Some(lost) = items.clone().find_map(|b| self.lost(b)) {
                return Err(format!(
                    "{lost:e} is nearer to 0 than float32 holds (1.2e-38); give the values in another unit"
                ));
            }
            return Ok(Values::Floats(items.map(|b| self.float(b)).collect()));
        }
        let ints: Option<Vec<i64>> = items.map(|b| self.int(b)).collect();
        ints.map(Values::Ints)
            .ok_or_else(|| "an unsigned integer is larger than int64 can hold".to_owned())
    }

    /// The bytes as an unsigned number, most significant first or last as the file says.
    fn raw(self, item: &[u8]) -> u64 {
        let join = |acc: u64, byte: &u8| (acc << 8) | u64::from(*byte);
        if self.big_endian {
            item.iter().fold(0, join)
        } else {
            item.iter().rev().fold(0, join)
        }
    }

    /// A text without the zeros behind it.
    fn text(self, item: &[u8]) -> Option<String> {
        let text: Option<String> = match self.kind {
            Kind::Bytes => std::str::from_utf8(item).ok().map(str::to_owned),
            _ => {
                let points = item.chunks_exact(4).map(|b| self.raw(b) as u32);
                points.map(char::from_u32).collect()
            }
        };
        text.map(|t| t.trim_end_matches('\0').to_owned())
    }

    fn float(self, item: &[u8]) -> f32 {
        match self.width {
            4 => f32::from_bits(self.raw(item) as u32),
            _ => f64::from_bits(self.raw(item)) as f32,
        }
    }

    /// A float64 that is not 0 and would become 0, or one of those next to it that have few digits.
    fn lost(self, item: &[u8]) -> Option<f64> {
        let value = (self.width == 8).then(|| f64::from_bits(self.raw(item)))?;
        (value != 0.0 && value.abs() < f64::from(f32::MIN_POSITIVE)).then_some(value)
    }

    fn int(self, item: &[u8]) -> Option<i64> {
        let raw = self.raw(item);
        match (self.kind, self.width) {
            (Kind::Signed, 1) => Some(i64::from(raw as u8 as i8)),
            (Kind::Signed, 2) => Some(i64::from(raw as u16 as i16)),
            (Kind::Signed, 4) => Some(i64::from(raw as u32 as i32)),
            (Kind::Signed, _) => Some(raw as i64),
            _ => i64::try_from(raw).ok(),
        }
    }
}

impl Values {
    /// From column-major to row-major order.
    fn reordered(self, shape: &[usize]) -> Self {
        match self {
            Self::Ints(values) => Self::Ints(row_major(&values, shape)),
            Self::Floats(values) => Self::Floats(row_major(&values, shape)),
            Self::Texts(values) => Self::Texts(row_major(&values, shape)),
        }
    }
}

fn row_major<T: Clone>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut index = vec![0_usize; shape.len()];
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        let flat = index
            .iter()
            .zip(shape)
            .rev()
            .fold(0, |acc, (i, d)| acc * d + i);
        out.push(values[flat].clone());
        for (i, d) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *d {
                break;
            }
            *i = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests;
