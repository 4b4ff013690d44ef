//! safetensors files that hold float32 only. Written with the `safetensors` crate; read with a reader of our own,
//! which names the tensor that is cut off or of another type, and checks every size before it is used.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use safetensors::tensor::{Dtype, TensorView};

use super::TensorData;
use crate::error::{CheckpointProblem, Result, TrainError};

/// Headers are some 100 bytes a tensor.
const MAX_HEADER: u64 = 100 << 20;

/// The bytes of a file with these tensors in order of name. At most one entry of metadata, so that the order is fixed.
pub(super) fn encode(
    tensors: &BTreeMap<String, &TensorData>,
    metadata: Option<(&str, String)>,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        tensor.check(name)?;
        bytes.push(
            tensor
                .data
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<u8>>(),
        );
    }
    let mut views = Vec::with_capacity(tensors.len());
    for ((name, tensor), bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
        views.push((
            name.as_str(),
            view.map_err(|e| TrainError::tensor(name, e.to_string()))?,
        ));
    }
    let metadata = metadata.map(|(key, value)| HashMap::from([(key.to_owned(), value)]));
    safetensors::serialize(views, metadata)
        .map_err(|e| TrainError::tensor("safetensors", e.to_string()))
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) tensors: BTreeMap<String, TensorData>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// One entry of the header.
#[derive(serde::Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// Reads a file of `size` bytes, each tensor into its own memory: the file is never there as a whole.
pub(super) fn decode_from(file: &mut impl Read, size: u64) -> Result<Decoded, ReadError> {
    let cut = |needed| CheckpointProblem::Truncated {
        what: "the header".to_owned(),
        needed,
        found: size,
    };
    if size < 8 {
        return Err(cut(8).into());
    }
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        let what = format!("not a safetensors file: a header of {length} bytes is announced");
        return Err(malformed(what).into());
    }
    if length > size - 8 {
        return Err(cut(8 + length).into());
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header)?;
    let (entries, metadata) = parse_header(&header)?;
    let data = usize::try_from(size - 8 - length).map_err(|_| malformed("is too large"))?;
    check_cover(&entries, header.len(), data)?;
    let mut tensors = BTreeMap::new();
    let mut in_order: Vec<(String, Entry)> = entries.into_iter().collect();
    in_order.sort_by_key(|(_, entry)| entry.data_offsets);
    for (name, entry) in in_order {
        let (from, to) = entry.data_offsets;
        let mut data = vec![0.0f32; (to - from) / 4];
        file.read_exact(bytemuck::cast_slice_mut(&mut data))?;
        if cfg!(target_endian = "big") {
            let turn = |v: &mut f32| *v = f32::from_bits(v.to_bits().swap_bytes());
            data.iter_mut().for_each(turn);
        }
        if let Some((index, value)) = data.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            let value = *value;
            let problem = CheckpointProblem::NonFinite {
                tensor: name,
                index,
                value,
            };
            return Err(problem.into());
        }
        let shape = entry.shape;
        tensors.insert(name, TensorData { shape, data });
    }
    Ok(Decoded { tensors, metadata })
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum ReadError {
    Problem(CheckpointProblem),
    Io(std::io::Error),
}

impl From<CheckpointProblem> for ReadError {
    fn from(problem: CheckpointProblem) -> Self {
        Self::Problem(problem)
    }
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// The same from bytes.
#[cfg(test)]
fn decode(mut bytes: &[u8]) -> Result<Decoded, CheckpointProblem> {
    let size = bytes.len() as u64;
    decode_from(&mut bytes, size).map_err(|e| match e {
        ReadError::Problem(problem) => problem,
        ReadError::Io(e) => malformed(e.to_string()),
    })
}

fn malformed(message: impl Into<String>) -> CheckpointProblem {
    CheckpointProblem::Malformed {
        message: message.into(),
    }
}

type Header = (BTreeMap<String, Entry>, BTreeMap<String, String>);

fn parse_header(header: &[u8]) -> Result<Header, CheckpointProblem> {
    let wrong = |e: serde_json::Error| malformed(format!("not a safetensors file: header: {e}"));
    let mut raw: BTreeMap<String, serde_json::Value> =
        minrnn_model::json::from_slice(header).map_err(wrong)?;
    let metadata = raw
        .remove("__metadata__")
        .map(serde_json::from_value)
        .transpose()
        .map_err(wrong)?;
    let entry = |(name, value)| match serde_json::from_value::<Entry>(value) {
        Ok(entry) => Ok((name, entry)),
        Err(e) => Err(malformed(format!("header of tensor `{name}`: {e}"))),
    };
    let entries = raw.into_iter().map(entry).collect::<Result<_, _>>()?;
    Ok((entries, metadata.unwrap_or_default()))
}

/// Every tensor is float32 and as long as its shape says, and together they cover the data without gap or overlap.
fn check_cover(
    entries: &BTreeMap<String, Entry>,
    header: usize,
    data: usize,
) -> Result<(), CheckpointProblem> {
    let mut in_order: Vec<(&String, &Entry)> = entries.iter().collect();
    in_order.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut at = 0;
    for (
        name,
        Entry {
            dtype,
            shape,
            data_offsets: (from, to),
        },
    ) in in_order
    {
        if dtype != "F32" {
            return Err(CheckpointProblem::WrongDtype {
                tensor: name.clone(),
                found: dtype.clone(),
            });
        }
        let size = shape.iter().try_fold(4_usize, |n, d| n.checked_mul(*d));
        if *from != at || from.checked_add(size.unwrap_or(usize::MAX)) != Some(*to) {
            return Err(malformed(format!(
                "header of tensor `{name}`: shape {shape:?} does not fit the bytes {from}..{to}, expected from {at} on"
            )));
        }
        at = *to;
        if at > data {
            let (what, before) = (format!("tensor `{name}`"), 8 + header as u64);
            return Err(CheckpointProblem::Truncated {
                what,
                needed: before.saturating_add(at as u64),
                found: before + data as u64,
            });
        }
    }
    if at == data {
        Ok(())
    } else {
        Err(malformed(format!(
            "{} bytes follow the last tensor",
            data - at
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> BTreeMap<String, TensorData> {
        let tensor = |shape: &[usize], from: f32| TensorData {
            shape: shape.to_vec(),
            data: (0..shape.iter().product::<usize>())
                .map(|i| from + i as f32 * 0.1)
                .collect(),
        };
        BTreeMap::from([
            ("a.weight".to_owned(), tensor(&[2, 3], 1.0)),
            ("b".to_owned(), tensor(&[], -4.0)),
            ("z".to_owned(), tensor(&[5], 0.5)),
        ])
    }

    fn bytes(tensors: &BTreeMap<String, TensorData>) -> Vec<u8> {
        encode(
            &tensors.iter().map(|(n, t)| (n.clone(), t)).collect(),
            Some(("step", "7".to_owned())),
        )
        .unwrap()
    }

    fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
        [
            &(header.len() as u64).to_le_bytes(),
            header.as_bytes(),
            data,
        ]
        .concat()
    }

    #[test]
    fn reads_back_what_was_written_and_what_the_crate_reads() {
        let file = bytes(&sample());
        assert_eq!(file, bytes(&sample()));
        let decoded = decode(&file).unwrap();
        assert_eq!(decoded.tensors, sample());
        assert_eq!(decoded.metadata["step"], "7");
        let theirs = safetensors::SafeTensors::deserialize(&file).unwrap();
        assert_eq!(theirs.tensor("a.weight").unwrap().shape(), [2, 3]);
        assert_eq!(
            theirs.tensor("a.weight").unwrap().data(),
            sample()["a.weight"]
                .data
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn faults_are_named() {
        let entry = |dtype: &str, shape: &str, offsets: &str| {
            format!(r#"{{"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        let cases = [
            (
                with_header(&entry("BF16", "[2]", "[0,4]"), &[0; 4]),
                "`t` has dtype BF16",
            ),
            (
                with_header(&entry("F32", "[2]", "[0,4]"), &[0; 4]),
                "does not fit",
            ),
            (
                with_header(&entry("F32", "[2]", "[4,12]"), &[0; 12]),
                "expected from 0 on",
            ),
            (
                with_header(&entry("F32", "[1]", "[0,4]"), &[0; 9]),
                "5 bytes follow",
            ),
            (
                with_header(&entry("F32", "[4611686018427387904, 4]", "[0,4]"), &[0; 4]),
                "does not fit",
            ),
            (
                with_header(
                    &entry("F32", "[4611686018427387903]", "[0,18446744073709551612]"),
                    &[0; 4],
                ),
                "tensor `t` needs",
            ),
            (
                with_header(&entry("F32", "[1]", "[0,4]"), &f32::NAN.to_le_bytes()),
                "`t` has NaN at index 0",
            ),
            (with_header(r#"{"t":3}"#, &[]), "tensor `t`"),
            (
                with_header(
                    r#"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}"#,
                    &[0; 4],
                ),
                "`t` stands there twice",
            ),
            (with_header("{", &[]), "line 1"),
            (u64::MAX.to_le_bytes().to_vec(), "not a safetensors file"),
            (vec![1, 2], "cut off"),
        ];
        for (file, wanted) in cases {
            let found = decode(&file).unwrap_err().to_string();
            assert!(found.contains(wanted), "wanted {wanted:?} in {found:?}");
        }
    }

    proptest! {
        #[test]
        fn cut_or_changed_files_never_panic(cut in 0_usize..400, at in 0_usize..400, byte: u8) {
            let file = bytes(&sample());
            if cut < file.len() {
                prop_assert!(decode(&file[..cut]).is_err());
            }
            let mut changed = file.clone();
            let at = at % changed.len();
            changed[at] = byte;
            let _ = decode(&changed);
        }
    }
}
