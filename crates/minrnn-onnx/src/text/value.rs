//! Names, constants and attributes as text.

use sha2::{Digest, Sha256};

use crate::ir::{Attr, DType, SparseTensor, Tensor, TensorData};

/// Integer constants up to this length are written out.
const MAX_INLINE: usize = 16;

/// `%name`, or `_` for what is left out.
pub(crate) fn name(name: &str) -> String {
    if name.is_empty() {
        "_".to_owned()
    } else {
        format!("%{}", quoted(name))
    }
}

/// The text as it is if it is a plain word, else in quotes with escapes: a file cannot forge lines.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:-+*()".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

/// The text with line breaks and other control characters escaped, and nothing else.
pub(crate) fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars()
        .map(|c| {
            if breaks(c) {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}

pub(crate) fn tensor(t: &Tensor) -> String {
    format!("{}{}", shape_of(t), data(t))
}

/// Element type and shape.
pub(crate) fn shape_of(t: &Tensor) -> String {
    let dims: Vec<_> = t.dims.iter().map(ToString::to_string).collect();
    format!("{}[{}]", t.dtype, dims.join(","))
}

fn data(t: &Tensor) -> String {
    let bytes = match &t.data {
        TensorData::External(e) => {
            let at = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
            let rest = format!("at {} for {}", at(e.offset), at(e.length));
            return format!(" in {:?} {rest}", e.location);
        }
        TensorData::Strings(s) => return format!(" strings sha256:{}", digest(&lengths(s))),
        TensorData::Bytes(b) => b,
    };
    let few = t.len().is_ok_and(|n| n <= MAX_INLINE) && t.validate().is_ok();
    if few && let Some(values) = t.to_i64() {
        return format!(" = {values:?}");
    }
    if few
        && t.dims.is_empty()
        && t.dtype == DType::F32
        && let Some(&[value]) = t.to_f32().as_deref()
    {
        return format!(" = {value:e}");
    }
    format!(" sha256:{}", digest(bytes))
}

/// Strings one after the other, each with its length before it.
fn lengths(strings: &[Vec<u8>]) -> Vec<u8> {
    let one = |s: &Vec<u8>| [&(s.len() as u64).to_le_bytes()[..], s].concat();
    strings.iter().flat_map(one).collect()
}

/// The first 48 bits of the sha256.
pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .take(6)
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// An attribute's value; `None` for sub-graphs, which follow the line.
pub(super) fn attribute(attr: &Attr) -> Option<String> {
    let string = |s: &[u8]| match std::str::from_utf8(s) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("b\"{}\"", s.escape_ascii()),
    };
    Some(match attr {
        Attr::Int(i) => i.to_string(),
        Attr::Float(f) => format!("{f:e}"),
        Attr::Str(s) => string(s),
        Attr::Ints(v) => format!("{v:?}"),
        Attr::Floats(v) => format!(
            "[{}]",
            v.iter()
                .map(|f| format!("{f:e}"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        Attr::Strs(v) => format!(
            "[{}]",
            v.iter().map(|s| string(s)).collect::<Vec<_>>().join(", ")
        ),
        Attr::Tensor(t) => tensor(t),
        Attr::Tensors(v) => format!("[{}]", v.iter().map(tensor).collect::<Vec<_>>().join(", ")),
        Attr::Graph(_) | Attr::Graphs(_) => return None,
        Attr::SparseTensor(s) => sparse(s),
        Attr::SparseTensors(v) => {
            format!("[{}]", v.iter().map(sparse).collect::<Vec<_>>().join(", "))
        }
        Attr::Type(t) => t.to_string(),
        Attr::Types(v) => format!(
            "[{}]",
            v.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        Attr::Ref { attribute, kind } => format!("@{}: {}", quoted(attribute), kind.name()),
    })
}

/// A sparse tensor: shape of the whole, then what is in it.
pub(super) fn sparse(s: &SparseTensor) -> String {
    let dims: Vec<_> = s.dims.iter().map(ToString::to_string).collect();
    format!(
        "sparse [{}] values {} at {}",
        dims.join(","),
        tensor(&s.values),
        tensor(&s.indices)
    )
}
