//! The format before safetensors: `MINRNNST`, the length of a JSON header (u64, little-endian), the header, all values as
//! little-endian f32 in the order of the header, and the sha256 of everything before.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::SCHEMA;
use crate::info::{Dtype, Form};
use crate::json::object;
use crate::state::{Layout, Slot, State};

pub(super) const MAGIC: &[u8; 8] = b"MINRNNST";
const SUM: usize = 32;

struct Header {
    schema: String,
    weights_sha256: String,
    dtype: String,
    form: String,
    rows: usize,
    states: Vec<Entry>,
}

object!(Header {
    schema,
    weights_sha256,
    dtype,
    form,
    rows,
    states
});

struct Entry {
    name: String,
    shape: Vec<usize>,
}

object!(Entry { name, shape });

/// `body`: what stands behind the magic.
pub(super) fn read(bytes: &[u8], body: &[u8]) -> Result<State, String> {
    let cut_off = || "are cut off".to_owned();
    let cut = bytes.len().saturating_sub(SUM);
    let body = body.len().checked_sub(SUM).map(|n| &body[..n]);
    let body = body.ok_or_else(cut_off)?;
    if Sha256::digest(&bytes[..cut]).as_slice() != &bytes[cut..] {
        return Err("are damaged: the checksum differs".into());
    }
    let (len, body) = body.split_first_chunk().ok_or_else(cut_off)?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok();
    let len = len.filter(|n| *n <= body.len()).ok_or_else(cut_off)?;
    let (header, data) = body.split_at(len);
    let header: Header = serde_json::from_slice(header).map_err(|e| {
        let why = crate::error::plain(&e);
        format!("hold a header that does not parse: {why}")
    })?;
    let state = header.state(data);
    state.ok_or_else(|| "hold a header that does not fit the values".into())
}

impl Header {
    /// `None` if the values are not exactly what the header says.
    fn state(self, data: &[u8]) -> Option<State> {
        if self.schema != SCHEMA || self.rows == 0 || !data.len().is_multiple_of(4) {
            return None;
        }
        let dtype = Dtype::ALL.into_iter().find(|d| d.as_str() == self.dtype)?;
        let form = Form::ALL.into_iter().find(|f| f.as_str() == self.form)?;
        let mut words = data.as_chunks().0.iter().map(|w| f32::from_le_bytes(*w));
        let mut slots: Vec<Slot> = Vec::new();
        let mut values = Vec::new();
        let mut left = data.len() / 4;
        for Entry { name, shape } in self.states {
            let len = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
            let total = len.checked_mul(self.rows)?;
            left = left.checked_sub(total)?;
            if len == 0 || slots.iter().any(|s| s.name == name) {
                return None;
            }
            values.push(words.by_ref().take(total).collect());
            slots.push(Slot { name, shape, len });
        }
        let layout = Arc::new(Layout {
            weights_sha256: self.weights_sha256,
            dtype,
            slots,
        });
        (left == 0).then_some(State {
            layout,
            form,
            rows: self.rows,
            values,
        })
    }
}
