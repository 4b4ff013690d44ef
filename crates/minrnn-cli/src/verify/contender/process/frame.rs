//! Frames: a u32 with the bytes of a JSON header, the header, then the bytes of the tensors that it lists, all little-endian.

use std::io::{BufReader, ErrorKind, Read};

use minrnn_onnx::eval::Array;
use serde::Serialize;

use super::wire::{self, Answer};

/// How much a frame may be. What is longer is refused before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of the header.
    pub(super) header: usize,
    /// Bytes of all tensors.
    pub(super) payload: usize,
    /// Values of all tensors: each takes up to 16 bytes here, however narrow its type is.
    pub(super) values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: 1 << 20,
            payload: 1 << 30,
            values: 1 << 27,
        }
    }
}

/// An answer with its tensors, in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    pub(super) answer: Answer,
    pub(super) tensors: Vec<(String, Array)>,
}

/// What came was no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    /// Nothing more came, and nothing was begun.
    #[error("it ended")]
    End,
    #[error("it ended in the midst of an answer")]
    Cut,
    #[error("it prints to stdout, which is for frames: `{0}`")]
    Printed(String),
    #[error("its answer has {number} {what}, more than {most}")]
    Long {
        what: &'static str,
        number: u128,
        most: usize,
    },
    #[error("its answer is not one of the protocol: {0}")]
    Header(String),
    #[error("its answer cannot be read: {0}")]
    Io(String),
}

/// The bytes of a request.
///
/// # Errors
/// A header beyond 4 GiB.
pub(super) fn bytes(header: &impl Serialize, tensors: &[&Array]) -> Result<Vec<u8>, String> {
    let text = serde_json::to_vec(header).map_err(|e| e.to_string())?;
    let length = u32::try_from(text.len()).map_err(|_| "the request is too long".to_owned())?;
    let mut all = length.to_le_bytes().to_vec();
    all.extend(text);
    for t in tensors {
        all.extend(t.to_bytes());
    }
    Ok(all)
}

/// Reads one answer.
///
/// # Errors
/// Whatever is no frame within the limits; never a panic. Nothing can be read after that.
pub(super) fn read<R: Read>(from: &mut BufReader<R>, limits: Limits) -> Result<Frame, FrameError> {
    let mut begin = vec![];
    fill(from, 4, &mut begin)?;
    let Ok(raw) = <[u8; 4]>::try_from(&begin[..]) else {
        return Err(match begin.is_empty() {
            true => FrameError::End,
            false => FrameError::Cut,
        });
    };
    let length = u32::from_le_bytes(raw) as usize;
    if length > limits.header {
        // Four characters of text are a length of more than 100 MB.
        return Err(match printed(&begin, from.buffer()) {
            Some(text) => FrameError::Printed(text),
            None => FrameError::Long {
                what: "bytes of header",
                number: length as u128,
                most: limits.header,
            },
        });
    }
    let text = exactly(from, length)?;
    let answer = wire::answer(&text).map_err(FrameError::Header)?;
    let (mut size_of_all, mut values) = (0u128, 0u128);
    let mut tensors = vec![];
    for meta in &answer.tensors {
        let (dtype, size) = meta.size().map_err(FrameError::Header)?;
        size_of_all = size_of_all.saturating_add(size);
        values = values.saturating_add(meta.values().unwrap_or(u128::MAX));
        let long = |what, number, most| FrameError::Long { what, number, most };
        if size_of_all > limits.payload as u128 {
            return Err(long("bytes of tensors", size_of_all, limits.payload));
        }
        if values > limits.values as u128 {
            return Err(long("values", values, limits.values));
        }
        let data = exactly(from, usize::try_from(size).unwrap_or(usize::MAX))?;
        let dims = meta.dims().map_err(FrameError::Header)?;
        let array = Array::from_bytes(dtype, &dims, &data)
            .map_err(|e| FrameError::Header(format!("`{}`: {e}", meta.name)))?;
        tensors.push((meta.name.clone(), array));
    }
    Ok(Frame { answer, tensors })
}

fn exactly(from: &mut impl Read, count: usize) -> Result<Vec<u8>, FrameError> {
    let mut all = vec![];
    fill(from, count, &mut all)?;
    match all.len() == count {
        true => Ok(all),
        false => Err(FrameError::Cut),
    }
}

/// So many bytes, or all there are. Room is made as they come: a header can promise what never does.
fn fill(from: &mut impl Read, count: usize, into: &mut Vec<u8>) -> Result<(), FrameError> {
    match from.take(count as u64).read_to_end(into) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(()),
        Err(e) => Err(FrameError::Io(e.to_string())),
    }
}

/// The line that begins so, if it is text.
fn printed(begin: &[u8], rest: &[u8]) -> Option<String> {
    let all: Vec<u8> = begin.iter().chain(rest).copied().take(200).collect();
    let line = String::from_utf8_lossy(&all);
    let line = line.trim_start().lines().next().unwrap_or_default();
    let text = |c: char| c == '\t' || !(c.is_control() || c == char::REPLACEMENT_CHARACTER);
    let is_text = begin.iter().all(|b| *b >= b' ' || b.is_ascii_whitespace());
    (is_text && !line.is_empty() && line.chars().all(text)).then(|| line.trim_end().to_owned())
}
