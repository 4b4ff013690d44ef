//! ONNX files as trees of protobuf fields: anything in them can be moved, dropped, doubled or filled with something else,
//! also what no schema allows.

/// A kind of message, as far as a mutation looks into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dim,
    Opset,
    Entry,
}

/// What stands in a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Int(u64),
    Four([u8; 4]),
    Eight([u8; 8]),
    Bytes(Vec<u8>),
    Message(Kind, Vec<Field>),
}

/// A number and a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) number: u64,
    pub(crate) value: Value,
}

impl Field {
    pub(crate) fn new(number: u64, value: Value) -> Self {
        Self { number, value }
    }

    pub(crate) fn text(number: u64, text: &str) -> Self {
        Self::new(number, Value::Bytes(text.into()))
    }

    pub(crate) fn int(number: u64, n: i64) -> Self {
        Self::new(number, Value::Int(n as u64))
    }
}

/// The message in a field of another, if it is one that is looked into.
fn kind(of: Kind, number: u64) -> Option<Kind> {
    Some(match (of, number) {
        (Kind::Model, 7) | (Kind::Attribute, 6) => Kind::Graph,
        (Kind::Model, 8) => Kind::Opset,
        (Kind::Model, 14) | (Kind::Tensor, 13) => Kind::Entry,
        (Kind::Graph, 1) => Kind::Node,
        (Kind::Graph, 5) | (Kind::Attribute, 5) => Kind::Tensor,
        (Kind::Graph, 11..=13) => Kind::ValueInfo,
        (Kind::Node, 5) => Kind::Attribute,
        (Kind::ValueInfo, 2) => Kind::Type,
        (Kind::Type, 1) => Kind::TensorType,
        (Kind::TensorType, 2) => Kind::Shape,
        (Kind::Shape, 1) => Kind::Dim,
        _ => return None,
    })
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The fields of a well-formed message.
pub(crate) fn read(of: Kind, bytes: &[u8]) -> Option<Vec<Field>> {
    let mut at = 0;
    let mut fields = vec![];
    while at < bytes.len() {
        let tag = varint(bytes, &mut at)?;
        let number = tag >> 3;
        let value = match tag & 7 {
            0 => Value::Int(varint(bytes, &mut at)?),
            1 => {
                at += 8;
                Value::Eight(bytes.get(at - 8..at)?.try_into().ok()?)
            }
            5 => {
                at += 4;
                Value::Four(bytes.get(at - 4..at)?.try_into().ok()?)
            }
            2 => {
                let len = usize::try_from(varint(bytes, &mut at)?).ok()?;
                let data = bytes.get(at..at.checked_add(len)?)?;
                at += len;
                match kind(of, number) {
                    Some(kind) => Value::Message(kind, read(kind, data)?),
                    None => Value::Bytes(data.into()),
                }
            }
            _ => return None,
        };
        fields.push(Field { number, value });
    }
    Some(fields)
}

fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(crate) fn write(fields: &[Field]) -> Vec<u8> {
    let mut out = vec![];
    for field in fields {
        let tag = field.number << 3;
        let mut part = |data: &[u8]| {
            put(&mut out, tag | 2);
            put(&mut out, data.len() as u64);
            out.extend_from_slice(data);
        };
        match &field.value {
            Value::Message(_, inner) => part(&write(inner)),
            Value::Bytes(data) => part(data),
            Value::Int(n) => {
                put(&mut out, tag);
                put(&mut out, *n);
            }
            Value::Eight(data) => {
                put(&mut out, tag | 1);
                out.extend_from_slice(data);
            }
            Value::Four(data) => {
                put(&mut out, tag | 5);
                out.extend_from_slice(data);
            }
        }
    }
    out
}

/// How many messages of a kind the tree has.
pub(crate) fn count(fields: &[Field], of: Kind) -> usize {
    let inner = fields.iter().map(|f| match &f.value {
        Value::Message(kind, inner) => usize::from(*kind == of) + count(inner, of),
        _ => 0,
    });
    inner.sum()
}

/// The message of a kind with that number, in the order of the file.
pub(crate) fn nth<'a>(
    fields: &'a mut [Field],
    of: Kind,
    at: &mut usize,
) -> Option<&'a mut Vec<Field>> {
    for field in fields {
        let Value::Message(kind, inner) = &mut field.value else {
            continue;
        };
        if *kind == of {
            if *at == 0 {
                return Some(inner);
            }
            *at -= 1;
        }
        if count(inner, of) > *at {
            return nth(inner, of, at);
        }
        *at -= count(inner, of);
    }
    None
}
