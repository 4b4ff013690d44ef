//! States as bytes: `MINRNNST`, the length of a JSON header (u64, little-endian), the header, all values as
//! little-endian f32 in the order of the header, and the sha256 of everything before.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::info::{Dtype, Form};
use crate::state::{Layout, Slot, State};

const MAGIC: &[u8; 8] = b"MINRNNST";
const SCHEMA: &str = "minrnn.state/1";
const SUM: usize = 32;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    schema: String,
    weights_sha256: String,
    dtype: String,
    form: String,
    rows: usize,
    states: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    shape: Vec<usize>,
}

impl State {
    /// The state as bytes that say what they are: names, shapes, the hash and type of the weights, the form
    /// that left it, a checksum.
    /// The same state gives the same bytes on any machine.
    pub fn to_bytes(&self) -> Vec<u8> {
        let entry = |s: &Slot| Entry {
            name: s.name.clone(),
            shape: s.shape.clone(),
        };
        let header = Header {
            schema: SCHEMA.into(),
            weights_sha256: self.layout.weights_sha256.clone(),
            dtype: self.layout.dtype.as_str().into(),
            form: self.form.as_str().into(),
            rows: self.rows,
            states: self.layout.slots.iter().map(entry).collect(),
        };
        let header = serde_json::to_vec(&header).expect("strings and numbers always make JSON");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&header);
        for value in self.values.iter().flatten() {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    /// Reads what [`State::to_bytes`] wrote. Whether it fits a model is asked where it is used.
    ///
    /// # Errors
    /// [`Error::Input`] for anything else, also for a single changed bit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let refuse = |what: &str| Error::input("state bytes", what, "save the state again");
        let body = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| refuse("are no saved state"))?;
        let cut = bytes.len().saturating_sub(SUM);
        let body = body.len().checked_sub(SUM).map(|n| &body[..n]);
        let body = body.ok_or_else(|| refuse("are cut off"))?;
        if Sha256::digest(&bytes[..cut]).as_slice() != &bytes[cut..] {
            return Err(refuse("are damaged: the checksum differs"));
        }
        let (len, body) = body
            .split_first_chunk()
            .ok_or_else(|| refuse("are cut off"))?;
        let len = usize::try_from(u64::from_le_bytes(*len))
            .ok()
            .filter(|n| *n <= body.len());
        let (header, data) = body.split_at(len.ok_or_else(|| refuse("are cut off"))?);
        let header: Header = serde_json::from_slice(header)
            .map_err(|e| refuse(&format!("hold a header that does not parse: {e}")))?;
        header
            .state(data)
            .ok_or_else(|| refuse("hold a header that does not fit the values"))
    }
}

impl Header {
    /// `None` if the values are not exactly what the header says.
    fn state(self, data: &[u8]) -> Option<State> {
        if self.schema != SCHEMA || self.rows == 0 || !data.len().is_multiple_of(4) {
            return None;
        }
        let dtype = Dtype::ALL.into_iter().find(|d| d.as_str() == self.dtype)?;
        let form = Form::ALL.into_iter().find(|f| f.as_str() == self.form)?;
        let mut words = data
            .chunks_exact(4)
            .filter_map(|w| w.try_into().ok().map(f32::from_le_bytes));
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
