//! Counts what a file holds before it is decoded: a message of two bytes takes hundreds in memory.
//!
//! Walks the bytes once, without recursion and without an allocation that grows with the file.

use std::mem::size_of;

use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto, SparseTensorProto,
    StringStringEntryProto, TensorAnnotation, TensorProto, TensorShapeProto, TrainingInfoProto,
    TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

use crate::error::Breach;

/// Messages within messages; the format's own readers stop at 100.
const MAX_DEPTH: usize = 32;
/// What any file may take when decoded, in bytes.
const BASE: u64 = 4 << 20;
/// What a file may take for each of its bytes. Exports take four to five.
const GROWTH: u64 = 8;

/// A kind of message of the ONNX schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dim,
    Opset,
    Entry,
    Training,
    Function,
    Annotation,
    Segment,
    /// Text or bytes: held as they are.
    Text,
    /// Numbers in one piece; the size of one in memory.
    Packed(u64),
}

/// What stands in a field of a message: its kind and the bytes that one takes in its parent's memory.
fn field(of: Kind, number: u64) -> Option<(Kind, usize)> {
    use Kind::*;
    let text = Some((Text, size_of::<String>()));
    match (of, number) {
        (Model, 7) => Some((Graph, 0)),
        (Model, 8) | (Function, 9) => Some((Opset, size_of::<OperatorSetIdProto>())),
        (Model, 20) => Some((Training, size_of::<TrainingInfoProto>())),
        (Model, 25) => Some((Function, size_of::<FunctionProto>())),
        (Model, 14) | (Tensor, 13) | (Annotation, 2) | (Training, 3 | 4) => {
            Some((Entry, size_of::<StringStringEntryProto>()))
        }
        (Graph, 1) | (Function, 7) => Some((Node, size_of::<NodeProto>())),
        (Graph, 5) | (Attribute, 5 | 10) => Some((Tensor, size_of::<TensorProto>())),
        (Graph, 15) | (Attribute, 22 | 23) => Some((Sparse, size_of::<SparseTensorProto>())),
        (Graph, 11..=13) => Some((ValueInfo, size_of::<ValueInfoProto>())),
        (Graph, 14) => Some((Annotation, size_of::<TensorAnnotation>())),
        (Node, 5) => Some((Attribute, size_of::<AttributeProto>())),
        (Attribute, 6 | 11) | (Training, 1 | 2) => Some((Graph, size_of::<GraphProto>())),
        (Attribute, 14 | 15) => Some((Type, size_of::<TypeProto>())),
        (Sparse, 1 | 2) => Some((Tensor, size_of::<TensorProto>())),
        (ValueInfo, 2) => Some((Type, size_of::<TypeProto>())),
        (Type, 1) => Some((TensorType, size_of::<type_proto::Tensor>())),
        (TensorType, 2) => Some((Shape, size_of::<TensorShapeProto>())),
        (Shape, 1) => Some((Dim, size_of::<tensor_shape_proto::Dimension>())),
        (Tensor, 3) => Some((Segment, 0)),
        (Tensor, 1 | 7 | 11) | (Attribute, 8) | (Sparse, 3) => Some((Packed(8), 0)),
        (Tensor, 5) => Some((Packed(4), 0)),
        (Node | Function, _) | (Attribute, 9) | (Tensor, 6) => text,
        _ => Some((Text, 0)),
    }
}

/// A protobuf number; `None` where the bytes end or it has more than ten.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Refuses a file that would take far more memory than it has bytes, or nests too deeply. Bytes that are no protobuf are
/// left to the decoder, which says so.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Breach> {
    let limit = BASE + GROWTH.saturating_mul(bytes.len() as u64);
    let mut open = [(Kind::Model, bytes.len()); MAX_DEPTH];
    let (mut depth, mut at, mut cost, mut graphs) = (0, 0, 0u64, 0);
    while let Some(read) = next(bytes, &mut at, &mut depth, &open) {
        let (kind, len) = match read {
            Item::Number(n) => {
                cost = cost.saturating_add(n);
                (Kind::Text, 0)
            }
            Item::Part(kind, len, own) => {
                cost = cost.saturating_add(own as u64);
                (kind, len)
            }
        };
        let held = match kind {
            Kind::Text => len as u64,
            // Each number may take one byte here.
            Kind::Packed(size) => size.saturating_mul(len as u64),
            _ => 0,
        };
        cost = cost.saturating_add(held);
        if cost > limit {
            let what = format!(
                "takes more than {limit} bytes of memory, it has {}",
                bytes.len()
            );
            return Err(Breach::new("file", what).mend("use a file that minrnn exported"));
        }
        if depth == 0 && kind == Kind::Graph {
            graphs += 1;
            if graphs > 1 {
                return Err(Breach::new("graph", "stands there twice"));
            }
        }
        if matches!(kind, Kind::Text | Kind::Packed(_)) {
            at += len;
            continue;
        }
        depth += 1;
        if depth >= MAX_DEPTH {
            let what = format!("nests more than {MAX_DEPTH} messages");
            return Err(Breach::new("file", what));
        }
        open[depth] = (kind, at + len);
    }
    Ok(())
}

/// One field of a message.
enum Item {
    /// A number, and what it takes in a list of numbers.
    Number(u64),
    /// A part of that length, and what it takes in its parent.
    Part(Kind, usize, usize),
}

/// The next field; `None` at the end, and where the bytes are no protobuf.
fn next(
    bytes: &[u8],
    at: &mut usize,
    depth: &mut usize,
    open: &[(Kind, usize); MAX_DEPTH],
) -> Option<Item> {
    while *at == open[*depth].1 && *depth > 0 {
        *depth -= 1;
    }
    let (of, end) = open[*depth];
    if *at >= end {
        return None;
    }
    let tag = varint(bytes, at)?;
    let found = field(of, tag >> 3);
    let number = match found {
        Some((Kind::Packed(size), _)) => size,
        _ => 0,
    };
    match tag & 7 {
        0 => varint(bytes, at).map(|_| Item::Number(number)),
        1 | 5 => {
            *at += if tag & 7 == 1 { 8 } else { 4 };
            (*at <= end).then_some(Item::Number(0))
        }
        2 => {
            let len = usize::try_from(varint(bytes, at)?).ok()?;
            let inside = at.checked_add(len).is_some_and(|e| e <= end);
            let (kind, own) = found.unwrap_or((Kind::Text, 0));
            inside.then_some(Item::Part(kind, len, own))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u8, content: &[u8]) -> Vec<u8> {
        let mut all = vec![number << 3 | 2];
        let mut len = content.len();
        while len > 127 {
            all.push(len as u8 | 128);
            len >>= 7;
        }
        all.push(len as u8);
        all.extend_from_slice(content);
        all
    }

    #[test]
    fn many_small_messages_are_refused() {
        let few = part(7, &part(1, &[]).repeat(1000));
        assert!(check(&few).is_ok());
        let many = part(7, &part(1, &[]).repeat(500_000));
        let breach = check(&many).expect_err("a hundred MB of nodes in one");
        assert_eq!(breach.place, "file");
        assert!(breach.what.contains("bytes of memory"), "{}", breach.what);
    }

    #[test]
    fn numbers_of_one_byte_each_are_counted() {
        let dims = part(7, &part(5, &part(1, &vec![1; 8 << 20])));
        assert!(check(&dims).is_ok(), "eight for one is what they take");
        let node = part(7, &part(1, &part(1, &[]).repeat(4 << 20)));
        assert!(check(&node).is_err(), "names of no letters take 24 bytes");
    }

    #[test]
    fn depth_and_doubles() {
        let mut nested = vec![];
        for _ in 0..9 {
            nested = part(1, &part(5, &part(6, &nested)));
        }
        assert!(check(&part(7, &nested)).is_ok());
        for _ in 0..3 {
            nested = part(1, &part(5, &part(6, &nested)));
        }
        let breach = check(&part(7, &nested)).expect_err("deeper than any model");
        assert!(breach.what.contains("nests"), "{}", breach.what);
        let breach = check(&part(7, &[]).repeat(2)).expect_err("two graphs");
        assert_eq!(breach.place, "graph");
    }

    #[test]
    fn what_is_no_protobuf_is_left_to_the_decoder() {
        for bytes in [&[0xff; 40][..], &[0x3a, 0x7f], &[0x3b], &[]] {
            assert!(check(bytes).is_ok());
        }
    }
}
