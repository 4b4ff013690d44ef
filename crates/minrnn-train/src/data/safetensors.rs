//! Arrays of safetensors files: 8 bytes of length, a header of JSON, then the values of each tensor, little-endian.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use ::safetensors::SafeTensors;
use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::de::IgnoredAny;

use super::array::{Array, Values};
use super::npy::{self, Item};
use super::plain::Plain;
use super::read_data;
use super::stored::{Code, Stored};
use super::strangers::strangers;
use crate::error::{Result, TrainError};

/// The longest header: the library's limit.
const MOST: u64 = 100_000_000;

/// See [`read_named`](super::read_named).
pub(super) fn read(path: &Path, names: &[&str], ignored: &[String]) -> Result<Vec<Option<Array>>> {
    let bytes = read_data(path).map_err(TrainError::io("read", path))?;
    parse(&bytes, names, ignored).map_err(|(place, message)| TrainError::data(path, place, message))
}

/// Names of the tensors, in order.
pub(super) fn arrays(path: &Path) -> Result<Vec<String>> {
    let header = header(path)?.and_then(|bytes| metadata(&bytes).ok());
    let Some(metadata) = header else {
        return Err(TrainError::data(
            path,
            "",
            "not a safetensors file, or cut off",
        ));
    };
    let mut names = metadata.offset_keys();
    names.sort_unstable();
    Ok(names)
}

/// Bytes of the tensors whose names are `used`, as they lie in the file; 0 for what is no such file.
pub(super) fn unpacked(path: &Path, used: impl Fn(&str) -> bool) -> Result<u64> {
    let Some(metadata) = header(path)?.and_then(|bytes| metadata(&bytes).ok()) else {
        return Ok(0);
    };
    let tensors = metadata.tensors();
    let sizes = tensors.iter().filter(|(name, _)| used(name));
    let size = |info: &TensorInfo| {
        let (from, to) = info.data_offsets;
        to.saturating_sub(from) as u64
    };
    Ok(sizes.fold(0, |sum, (_, info)| sum.saturating_add(size(info))))
}

/// The header of a file, its length before it; none where that is longer than headers are.
fn header(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = File::open(path).map_err(TrainError::io("read", path))?;
    let mut file = BufReader::new(file);
    let mut bytes = vec![];
    let mut more = |bytes: &mut Vec<u8>, most: u64| {
        let read = (&mut file).take(most).read_to_end(bytes);
        read.map_err(TrainError::io("read", path))
    };
    more(&mut bytes, 8)?;
    let Some(length) = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b)) else {
        return Ok(None);
    };
    if length > MOST {
        return Ok(None);
    }
    more(&mut bytes, length)?;
    Ok(Some(bytes))
}

fn metadata(header: &[u8]) -> Result<Metadata, String> {
    let json = header.get(8..).unwrap_or_default();
    // Of two tensors with one name the library keeps the last.
    minrnn_model::json::from_slice::<IgnoredAny>(json).map_err(|e| e.to_string())?;
    serde_json::from_slice(json).map_err(|e| e.to_string())
}

/// The error is (place, message).
fn parse(
    bytes: &[u8],
    names: &[&str],
    ignored: &[String],
) -> Result<Vec<Option<Array>>, (String, String)> {
    let whole = |message: String| (String::new(), message);
    let no_file = |e: String| {
        whole(format!(
            "not a safetensors file, or damaged or cut off: {e}"
        ))
    };
    let length = bytes
        .first_chunk::<8>()
        .map_or(0, |b| u64::from_le_bytes(*b));
    let end = usize::try_from(length).unwrap_or(0).saturating_add(8);
    metadata(&bytes[..end.min(bytes.len())]).map_err(no_file)?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| no_file(e.to_string()))?;
    let mut found: Vec<&str> = file.names().into_iter().collect();
    found.sort_unstable();
    if let Some(message) = strangers(&found, names, ignored) {
        return Err(whole(message));
    }
    let array = |name: &&str| {
        let Ok(tensor) = file.tensor(name) else {
            return Ok(None);
        };
        let dtype = tensor.dtype();
        let values = values(dtype, tensor.data());
        let array = |values| Array {
            shape: tensor.shape().to_vec(),
            values,
            dtype: word(dtype).map_or_else(|| format!("{dtype:?}"), str::to_owned),
        };
        let named = |message| (format!("tensor '{name}'"), message);
        values.map(array).map(Some).map_err(named)
    };
    names.iter().map(array).collect()
}

/// The same tensors where they lie in the file.
///
/// # Errors
/// As [`read`].
pub(super) fn stored(
    file: &Arc<Plain>,
    names: &[&str],
    ignored: &[String],
) -> Result<Vec<Option<Stored>>> {
    let path = file.path();
    let fault = |place: &str, message: String| TrainError::data(path, place, message);
    let no_file = |e: &str| {
        fault(
            "",
            format!("not a safetensors file, or damaged or cut off: {e}"),
        )
    };
    let bytes = header(path)?.ok_or_else(|| no_file("it has no header"))?;
    let metadata = metadata(&bytes).map_err(|e| no_file(&e))?;
    let mut found: Vec<(String, &TensorInfo)> = metadata.tensors().into_iter().collect();
    found.sort_by_key(|(_, info)| info.data_offsets);
    let mut end = 0;
    for (name, info) in &found {
        let (from, to) = info.data_offsets;
        let values = info
            .shape
            .iter()
            .try_fold(1, |n: usize, d| n.checked_mul(*d));
        let bits = values.and_then(|n| n.checked_mul(info.dtype.bitsize()));
        if from != end || to < from || bits != (to - from).checked_mul(8) {
            return Err(no_file(&format!("tensor `{name}` lies where it cannot")));
        }
        end = to;
    }
    if (bytes.len() + end) as u64 != file.size() {
        return Err(no_file("its tensors do not fill it"));
    }
    let mut all: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    all.sort_unstable();
    if let Some(message) = strangers(&all, names, ignored) {
        return Err(fault("", message));
    }
    let stored = |name: &&str| {
        let Some((_, info)) = found.iter().find(|(n, _)| n == name) else {
            return Ok(None);
        };
        let (dtype, place) = (info.dtype, format!("tensor '{name}'"));
        let code = match word(dtype).and_then(Item::parse) {
            Some(item) => Code::Npy(item),
            None if dtype == Dtype::F16 => Code::Half(|b| values(Dtype::F16, b)),
            None if dtype == Dtype::BF16 => Code::Half(|b| values(Dtype::BF16, b)),
            None => return Err(fault(&place, unknown(dtype))),
        };
        let begin = (bytes.len() + info.data_offsets.0) as u64;
        let dtype = word(dtype).map_or_else(|| format!("{dtype:?}"), str::to_owned);
        Stored::new(file, begin, (info.shape.clone(), dtype), (code, place)).map(Some)
    };
    names.iter().map(stored).collect()
}

/// What a type is called in npy files, whose values are the same bytes.
fn word(dtype: Dtype) -> Option<&'static str> {
    Some(match dtype {
        Dtype::BOOL => "|b1",
        Dtype::U8 => "|u1",
        Dtype::I8 => "|i1",
        Dtype::U16 => "<u2",
        Dtype::I16 => "<i2",
        Dtype::U32 => "<u4",
        Dtype::I32 => "<i4",
        Dtype::U64 => "<u8",
        Dtype::I64 => "<i8",
        Dtype::F32 => "<f4",
        Dtype::F64 => "<f8",
        _ => return None,
    })
}

fn unknown(dtype: Dtype) -> String {
    format!(
        "has type {dtype:?}, expected booleans, integers of 8 to 64 bits, or F16, BF16, F32, F64"
    )
}

fn values(dtype: Dtype, data: &[u8]) -> Result<Values, String> {
    match (dtype, word(dtype)) {
        (_, Some(word)) => npy::decode(word, data),
        (Dtype::F16 | Dtype::BF16, _) => {
            let half = |b: &[u8]| {
                let raw = u16::from_le_bytes([b[0], b[1]]);
                match dtype {
                    Dtype::F16 => half::f16::from_bits(raw).to_f32(),
                    _ => half::bf16::from_bits(raw).to_f32(),
                }
            };
            Ok(Values::Floats(data.chunks_exact(2).map(half).collect()))
        }
        _ => Err(unknown(dtype)),
    }
}

#[cfg(test)]
mod tests {
    use ::safetensors::tensor::{TensorView, serialize};
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 3] = ["x", "y", "lens"];

    type Given<'a> = (&'a str, Dtype, &'a [usize], &'a [u8]);

    fn file(tensors: &[Given]) -> Vec<u8> {
        let views = tensors.iter().map(|given| {
            let (name, dtype, shape, data) = *given;
            let view = TensorView::new(dtype, shape.to_vec(), data);
            (name.to_owned(), view.unwrap())
        });
        serialize(views, None).unwrap()
    }

    fn plain() -> Vec<u8> {
        let floats: Vec<u8> = [1.5_f32, -2.0, 0.25, 8.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let ints: Vec<u8> = [7_i64, -1].iter().flat_map(|v| v.to_le_bytes()).collect();
        file(&[
            ("x", Dtype::F32, &[2, 2], &floats),
            ("y", Dtype::I64, &[2], &ints),
            ("extra", Dtype::BOOL, &[2], &[1, 0]),
        ])
    }

    #[test]
    fn arrays_are_those_of_an_npz() {
        let directory = tempfile::tempdir().unwrap();
        let [npz, here] = ["a.npz", "a.safetensors"].map(|name| directory.path().join(name));
        std::fs::write(&npz, include_bytes!("testdata/set.npz")).unwrap();
        let wanted = super::super::read_npz(&npz, &NAMES, &[]).unwrap();
        let bytes = |array: &Array| -> Vec<u8> {
            match &array.values {
                Values::Floats(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                Values::Ints(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                Values::Texts(_) => panic!("no texts here"),
            }
        };
        let data: Vec<Vec<u8>> = wanted.iter().flatten().map(bytes).collect();
        let tensors = NAMES.iter().zip(wanted.iter().flatten()).zip(&data);
        let tensors: Vec<_> = tensors
            .map(|((name, array), data)| {
                let ints = matches!(array.values, Values::Ints(_));
                let dtype = if ints { Dtype::I64 } else { Dtype::F32 };
                (*name, dtype, &array.shape[..], &data[..])
            })
            .collect();
        std::fs::write(&here, file(&tensors)).unwrap();
        let found = super::super::read_named(&here, &NAMES, &[]).unwrap();
        for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
            assert_eq!(
                (&found.shape, &found.values),
                (&wanted.shape, &wanted.values)
            );
        }
        assert_eq!(found.iter().flatten().count(), 3);
        assert_eq!(arrays(&here).unwrap(), ["lens", "x", "y"]);
        assert_eq!(unpacked(&here, |name| name == "x").unwrap(), 20 * 5 * 3 * 4);
        std::fs::write(&here, "no such file").unwrap();
        assert!(
            arrays(&here)
                .unwrap_err()
                .to_string()
                .contains("not a safetensors file")
        );
        assert_eq!(unpacked(&here, |_| true).unwrap(), 0);
    }

    #[test]
    fn narrow_types_are_read_and_others_are_named() {
        let bytes = file(&[
            ("a", Dtype::F16, &[2], &[0x00, 0x3c, 0x00, 0xc0]),
            ("b", Dtype::BF16, &[1], &[0xc0, 0x3f]),
            ("c", Dtype::F64, &[1], &0.5_f64.to_le_bytes()),
            ("d", Dtype::U8, &[2], &[3, 255]),
            ("e", Dtype::F8_E4M3, &[1], &[1]),
        ]);
        let read = |name| {
            parse(&bytes, &[name], &["*".to_owned()]).map(|mut all| all.remove(0).unwrap().values)
        };
        assert_eq!(read("a"), Ok(Values::Floats(vec![1.0, -2.0])));
        assert_eq!(read("b"), Ok(Values::Floats(vec![1.5])));
        assert_eq!(read("c"), Ok(Values::Floats(vec![0.5])));
        assert_eq!(read("d"), Ok(Values::Ints(vec![3, 255])));
        let (place, message) = read("e").unwrap_err();
        assert!(
            place == "tensor 'e'" && message.starts_with("has type F8_E4M3, expected"),
            "{message}"
        );
    }

    #[test]
    fn strangers_two_of_one_name_and_damage_are_told() {
        let bytes = plain();
        let (_, message) = parse(&bytes, &["x", "y"], &[]).unwrap_err();
        assert!(message.starts_with("nothing uses 'extra';"), "{message}");
        let found = parse(&bytes, &["x", "y", "z"], &["extra".to_owned()]).unwrap();
        assert_eq!((found.len(), found[2].is_none()), (3, true));
        // The name of `y` becomes that of `x`: the library would keep one of both.
        let mut twice = bytes.clone();
        let at = twice.windows(3).position(|w| w == b"\"y\"").unwrap() + 1;
        twice[at] = b'x';
        let (_, message) = parse(&twice, &["x"], &["*".to_owned()]).unwrap_err();
        assert!(message.contains("twice"), "{message}");
        let (_, message) = parse(b"hello", &["x"], &[]).unwrap_err();
        assert!(message.starts_with("not a safetensors file"), "{message}");
    }

    proptest! {
        #[test]
        fn a_changed_or_cut_file_never_panics(at in 0..200_usize, byte: u8, cut in 0..200_usize) {
            let mut bytes = plain();
            let end = bytes.len();
            prop_assert!(parse(&bytes[..cut % end], &["x"], &["*".to_owned()]).is_err());
            bytes[at % end] = byte;
            let _ = parse(&bytes, &["x", "y"], &["*".to_owned()]);
        }
    }
}
