//! Fields that the schema does not declare: found in the bytes, since a reader of protobuf skips them in silence.

use super::{DecodeError, DecodeErrorKind as Kind};

/// A message of the schema: its fields, and for those that are messages, which (index into [`MESSAGES`]).
struct Message {
    name: &'static str,
    fields: &'static [(u32, Option<usize>)],
}

macro_rules! messages {
    ($($name:ident = $text:literal { $($field:literal $(: $inner:ident)?),* $(,)? })*) => {
        #[derive(Clone, Copy)]
        enum Id { $($name),* }
        const MESSAGES: &[Message] = &[$(Message {
            name: $text,
            fields: &[$(($field, messages!(@inner $($inner)?))),*],
        }),*];
    };
    (@inner) => { None };
    (@inner $inner:ident) => { Some(Id::$inner as usize) };
}

messages! {
    Model = "ModelProto" { 1, 2, 3, 4, 5, 6, 7: Graph, 8: Opset, 14: Entry, 20, 25: Function, 26 }
    Opset = "OperatorSetIdProto" { 1, 2 }
    Entry = "StringStringEntryProto" { 1, 2 }
    Graph = "GraphProto" {
        1: Node, 2, 5: Tensor, 10, 11: Value, 12: Value, 13: Value, 14: Annotation, 15: Sparse, 16: Entry
    }
    Node = "NodeProto" { 1, 2, 3, 4, 5: Attribute, 6, 7, 8, 9: Entry, 10 }
    Attribute = "AttributeProto" {
        1, 2, 3, 4, 5: Tensor, 6: Graph, 7, 8, 9, 10: Tensor, 11: Graph, 13, 14: Type, 15: Type, 20, 21, 22: Sparse,
        23: Sparse
    }
    Tensor = "TensorProto" { 1, 2, 3: Segment, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13: Entry, 14, 16: Entry }
    Segment = "TensorProto.Segment" { 1, 2 }
    Sparse = "SparseTensorProto" { 1: Tensor, 2: Tensor, 3 }
    Annotation = "TensorAnnotation" { 1, 2: Entry }
    Value = "ValueInfoProto" { 1, 2: Type, 3, 4: Entry }
    Shape = "TensorShapeProto" { 1: Dimension }
    Dimension = "TensorShapeProto.Dimension" { 1, 2, 3 }
    Type = "TypeProto" { 1: TensorType, 4: Sequence, 5: Map, 6, 7: Opaque, 8: SparseType, 9: Optional }
    TensorType = "TypeProto.Tensor" { 1, 2: Shape }
    Sequence = "TypeProto.Sequence" { 1: Type }
    Map = "TypeProto.Map" { 1, 2: Type }
    Optional = "TypeProto.Optional" { 1: Type }
    SparseType = "TypeProto.SparseTensor" { 1, 2: Shape }
    Opaque = "TypeProto.Opaque" { 1, 2 }
    Function = "FunctionProto" {
        1, 4, 5, 6, 7: Node, 8, 9: Opset, 10, 11: Attribute, 12: Value, 13, 14: Entry
    }
}

/// Whether the schema declares every field in the bytes, which must be a message that prost has read.
///
/// # Errors
/// The first field that it does not declare, with the message it is in.
pub(super) fn known(bytes: &[u8]) -> Result<(), DecodeError> {
    message(bytes, Id::Model as usize)
}

/// As deep as prost reads: nothing that it refused comes here.
fn message(mut bytes: &[u8], id: usize) -> Result<(), DecodeError> {
    let Message { name, fields } = &MESSAGES[id];
    while !bytes.is_empty() {
        let damaged = || Kind::Value("the message ends inside a field".into()).at(*name);
        let (number, content) = field(&mut bytes).ok_or_else(damaged)?;
        match fields.iter().find(|(n, _)| *n == number) {
            None => {
                return Err(Kind::Field {
                    message: name,
                    number,
                }
                .at("file"));
            }
            Some((_, Some(inner))) => message(content, *inner)?,
            Some((_, None)) => {}
        }
    }
    Ok(())
}

/// Number and content of the next field; `None` where the bytes are no protobuf.
fn field<'a>(bytes: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let key = varint(bytes)?;
    let number = u32::try_from(key >> 3).ok()?;
    let length = match key & 7 {
        0 => {
            varint(bytes)?;
            0
        }
        1 => 8,
        2 => usize::try_from(varint(bytes)?).ok()?,
        5 => 4,
        // A group: nothing in the schema is one, so its number says what is wrong.
        3 | 4 => 0,
        _ => return None,
    };
    let content = bytes.get(..length)?;
    *bytes = &bytes[length..];
    Some((number, content))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields = Vec<(u32, Option<String>)>;

    /// The schema as protox reads it: message, field numbers and the messages that are fields.
    fn schema() -> Vec<(String, Fields)> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
        let set = protox::compile(["onnx.proto"], [root]).unwrap();
        let mut found = vec![];
        for message in set.file.iter().flat_map(|f| &f.message_type) {
            let outer = message.name().to_owned();
            let nested = message.nested_type.iter();
            let all = nested.map(|n| (format!("{outer}.{}", n.name()), n));
            for (name, m) in all.chain([(outer.clone(), message)]) {
                let inner = |t: &str| t.trim_start_matches(".onnx.").to_owned();
                let mut fields: Fields = m
                    .field
                    .iter()
                    .map(|f| {
                        // 11: a message.
                        let message = (f.r#type() as i32 == 11).then(|| inner(f.type_name()));
                        (u32::try_from(f.number()).unwrap(), message)
                    })
                    .collect();
                fields.sort();
                found.push((name, fields));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn the_list_is_what_the_schema_declares() {
        let mut mine: Vec<_> = MESSAGES
            .iter()
            .map(|m| {
                let name = |id: &usize| MESSAGES[*id].name.to_owned();
                let fields = m.fields.iter().map(|(n, i)| (*n, i.as_ref().map(name)));
                (m.name.to_owned(), fields.collect::<Vec<_>>())
            })
            .collect();
        mine.sort();
        assert_eq!(mine, schema());
    }

    #[test]
    fn unknown_fields_are_named() {
        // ir_version 8, then field 99 with one byte.
        let text = known(&[8, 8, 0x9a, 6, 1, 0]).unwrap_err().to_string();
        assert!(text.contains("field 99 of ModelProto"), "{text}");
        // A graph with a node with field 11.
        let text = known(&[0x3a, 4, 0x0a, 2, 0x58, 1]).unwrap_err().to_string();
        assert!(text.contains("field 11 of NodeProto"), "{text}");
        assert!(known(&[8, 8, 0x3a, 4, 0x0a, 2, 0x22, 0]).is_ok());
        assert!(known(&[8]).is_err() && known(&[0x3a, 5, 1]).is_err());
    }
}
