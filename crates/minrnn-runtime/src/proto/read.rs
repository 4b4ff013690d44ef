//! From bytes to messages.
//!
//! As protobuf has it: of a field that may stand once, the last counts, and messages that stand twice are one; numbers of a list
//! stand one by one or in one piece; fields that the schema does not have are passed over. Fields that this crate does not look
//! at are held to their types, and left out. What is decoded takes no more memory than [`GROWTH`] bytes for each of the file.

use std::mem::size_of;

use super::fields::{Field, Fields, Refused};
use super::{
    AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
};
use crate::error::Breach;

/// What any file may take when decoded, in bytes.
const BASE: u64 = 4 << 20;
/// What a file may take for each of its bytes: a message of two bytes takes a hundred and more in memory. Exports take four to
/// five.
const GROWTH: u64 = 8;

type Done = Result<(), Refused>;

/// Decodes a file.
///
/// # Errors
/// [`Refused::Broken`] for bytes that are no protobuf of the schema; [`Refused::Breach`] for a file that nests deeper or takes
/// more memory than any model, or that holds two graphs.
pub(crate) fn read(bytes: &[u8]) -> Result<ModelProto, Refused> {
    let limit = BASE.saturating_add(GROWTH.saturating_mul(bytes.len() as u64));
    let mut reader = Reader {
        limit,
        left: limit,
        size: bytes.len(),
    };
    reader.model(Fields::of(bytes, "ModelProto"))
}

/// What may still be taken into memory.
struct Reader {
    limit: u64,
    left: u64,
    size: usize,
}

impl Reader {
    fn charge(&mut self, bytes: usize) -> Done {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let (limit, size) = (self.limit, self.size);
                let what = format!("takes more than {limit} bytes of memory, it has {size}");
                let breach = Breach::new("file", what).mend("use a file that minrnn exported");
                Err(Refused::Breach(breach))
            }
        }
    }

    fn text(&mut self, field: &Field<'_>, to: &mut String) -> Done {
        let text = field.text()?;
        self.charge(text.len())?;
        text.clone_into(to);
        Ok(())
    }

    fn texts(&mut self, field: &Field<'_>, to: &mut Vec<String>) -> Done {
        let text = field.text()?;
        self.charge(size_of::<String>() + text.len())?;
        to.push(text.into());
        Ok(())
    }

    fn bytes(&mut self, field: &Field<'_>, to: &mut Vec<u8>) -> Done {
        let bytes = field.bytes()?;
        self.charge(bytes.len())?;
        *to = bytes.to_vec();
        Ok(())
    }

    fn byte_strings(&mut self, field: &Field<'_>, to: &mut Vec<Vec<u8>>) -> Done {
        let bytes = field.bytes()?;
        self.charge(size_of::<Vec<u8>>() + bytes.len())?;
        to.push(bytes.to_vec());
        Ok(())
    }

    /// Room for the numbers of a field, before any is taken.
    fn room<T>(&mut self, field: &Field<'_>, to: &mut Vec<T>) -> Done {
        let count = match field.bytes() {
            // A number ends with the byte that has no upper bit.
            Ok(bytes) => bytes.iter().filter(|b| **b < 0x80).count(),
            Err(_) => 1,
        };
        self.charge(count.saturating_mul(size_of::<T>()))?;
        to.reserve(count);
        Ok(())
    }

    fn int64s(&mut self, field: &Field<'_>, to: &mut Vec<i64>) -> Done {
        self.room(field, to)?;
        field.varints(|n| to.push(n.cast_signed()))
    }

    fn uint64s(&mut self, field: &Field<'_>, to: &mut Vec<u64>) -> Done {
        self.room(field, to)?;
        field.varints(|n| to.push(n))
    }

    fn int32s(&mut self, field: &Field<'_>, to: &mut Vec<i32>) -> Done {
        self.room(field, to)?;
        field.varints(|n| to.push(n as i32))
    }

    fn floats(&mut self, field: &Field<'_>, to: &mut Vec<f32>) -> Done {
        let size = field.bytes().map_or(4, <[u8]>::len);
        self.charge(size)?;
        to.reserve(size / 4);
        field.fixed(|b| to.push(f32::from_le_bytes(b)))
    }

    fn doubles(&mut self, field: &Field<'_>, to: &mut Vec<f64>) -> Done {
        let size = field.bytes().map_or(8, <[u8]>::len);
        self.charge(size)?;
        to.reserve(size / 8);
        field.fixed(|b| to.push(f64::from_le_bytes(b)))
    }

    /// One more message of a list.
    fn one<T: Default>(
        &mut self,
        field: &Field<'_>,
        name: &'static str,
        to: &mut Vec<T>,
        read: impl FnOnce(&mut Self, Fields<'_>, &mut T) -> Done,
    ) -> Done {
        let fields = field.message(name)?;
        self.charge(size_of::<T>())?;
        let mut one = T::default();
        read(self, fields, &mut one)?;
        to.push(one);
        Ok(())
    }

    fn model(&mut self, mut fields: Fields<'_>) -> Result<ModelProto, Refused> {
        let mut model = ModelProto::default();
        while let Some(field) = fields.next()? {
            match field.number {
                1 | 5 => drop(field.varint()?),
                2 | 3 | 4 | 6 => drop(field.text()?),
                7 => {
                    if model.graph.is_some() {
                        let breach = Breach::new("graph", "stands there twice");
                        return Err(Refused::Breach(breach));
                    }
                    let mut graph = GraphProto::default();
                    self.graph(field.message("GraphProto")?, &mut graph)?;
                    model.graph = Some(graph);
                }
                8 => self.one(
                    &field,
                    "OperatorSetIdProto",
                    &mut model.opset_import,
                    Self::opset,
                )?,
                14 => self.one(&field, ENTRY, &mut model.metadata_props, Self::entry)?,
                20 => model.training_info += count(&field)?,
                25 => model.functions += count(&field)?,
                _ => {}
            }
        }
        Ok(model)
    }

    fn opset(&mut self, mut fields: Fields<'_>, opset: &mut OperatorSetIdProto) -> Done {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.text(&field, &mut opset.domain)?,
                2 => opset.version = field.int64()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn entry(&mut self, mut fields: Fields<'_>, entry: &mut StringStringEntryProto) -> Done {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.text(&field, &mut entry.key)?,
                2 => self.text(&field, &mut entry.value)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn graph(&mut self, mut fields: Fields<'_>, graph: &mut GraphProto) -> Done {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.one(&field, "NodeProto", &mut graph.node, Self::node)?,
                2 => self.text(&field, &mut graph.name)?,
                5 => self.one(&field, TENSOR, &mut graph.initializer, Self::tensor)?,
                10 => drop(field.text()?),
                11 => self.one(&field, VALUE, &mut graph.input, Self::value)?,
                12 => self.one(&field, VALUE, &mut graph.output, Self::value)?,
                13 => self.value(field.message(VALUE)?, &mut ValueInfoProto::default())?,
                14 => self.annotation(field.message("TensorAnnotation")?)?,
                15 => graph.sparse_initializer += count(&field)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn annotation(&mut self, mut fields: Fields<'_>) -> Done {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => drop(field.text()?),
                2 => self.entry(
                    field.message(ENTRY)?,
                    &mut StringStringEntryProto::default(),
                )?,
                _ => {}
            }
        }
        Ok(())
    }

    fn node(&mut self, mut fields: Fields<'_>, node: &mut NodeProto) -> Done {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.texts(&field, &mut node.input)?,
                2 => self.texts(&field, &mut node.output)?,
                3 => self.text(&field, &mut node.name)?,
                4 => self.text(&field, &mut node.op_type)?,
                5 => self.one(
                    &field,
                    "AttributeProto",
                    &mut node.attribute,
                    Self::attribute,
                )?,
                6 => drop(field.text()?),
                7 => self.text(&field, &mut node.domain)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn attribute(&mut self, mut fields: Fields<'_>, attr: &mut AttributeProto) -> Done {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.text(&field, &mut attr.name)?,
                2 => attr.f = field.float()?,
                3 => attr.i = field.int64()?,
                4 => self.bytes(&field, &mut attr.s)?,
                5 => self.tensor(field.message(TENSOR)?, attr.t.get_or_insert_default())?,
                6 => self.graph(field.message(GRAPH)?, attr.g.get_or_insert_default())?,
                7 => self.floats(&field, &mut attr.floats)?,
                8 => self.int64s(&field, &mut attr.ints)?,
                9 => self.byte_strings(&field, &mut attr.strings)?,
                10 => self.one(&field, TENSOR, &mut attr.tensors, Self::tensor)?,
                11 => self.one(&field, GRAPH, &mut attr.graphs, Self::graph)?,
                13 => drop(field.text()?),
                15 => attr.type_protos += count(&field)?,
                20 => attr.r#type = field.int32()?,
                21 => self.text(&field, &mut attr.ref_attr_name)?,
                22 => attr.sparse_tensor = count(&field)? == 1,
                23 => attr.sparse_tensors += count(&field)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn tensor(&mut self, mut fields: Fields<'_>, tensor: &mut TensorProto) -> Done {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.int64s(&field, &mut tensor.dims)?,
                2 => tensor.data_type = field.int32()?,
                3 => {
                    segment(field.message("TensorProto.Segment")?)?;
                    tensor.segment = true;
                }
                4 => self.floats(&field, &mut tensor.float_data)?,
                5 => self.int32s(&field, &mut tensor.int32_data)?,
                6 => self.byte_strings(&field, &mut tensor.string_data)?,
                7 => self.int64s(&field, &mut tensor.int64_data)?,
                8 => self.text(&field, &mut tensor.name)?,
                9 => self.bytes(&field, &mut tensor.raw_data)?,
                10 => self.doubles(&field, &mut tensor.double_data)?,
                11 => self.uint64s(&field, &mut tensor.uint64_data)?,
                12 => drop(field.text()?),
                13 => self.one(&field, ENTRY, &mut tensor.external_data, Self::entry)?,
                14 => tensor.data_location = field.int32()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn value(&mut self, mut fields: Fields<'_>, value: &mut ValueInfoProto) -> Done {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.text(&field, &mut value.name)?,
                2 => self.kind(
                    field.message("TypeProto")?,
                    value.r#type.get_or_insert_default(),
                )?,
                3 => drop(field.text()?),
                _ => {}
            }
        }
        Ok(())
    }

    fn kind(&mut self, mut fields: Fields<'_>, kind: &mut TypeProto) -> Done {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.tensor_type(
                    field.message("TypeProto.Tensor")?,
                    kind.tensor_type.get_or_insert_default(),
                )?,
                6 => drop(field.text()?),
                _ => {}
            }
        }
        Ok(())
    }

    fn tensor_type(&mut self, mut fields: Fields<'_>, kind: &mut TensorType) -> Done {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => kind.elem_type = field.int32()?,
                2 => self.shape(
                    field.message("TensorShapeProto")?,
                    kind.shape.get_or_insert_default(),
                )?,
                _ => {}
            }
        }
        Ok(())
    }

    fn shape(&mut self, mut fields: Fields<'_>, shape: &mut TensorShapeProto) -> Done {
        while let Some(field) = fields.next()? {
            if field.number == 1 {
                let name = "TensorShapeProto.Dimension";
                self.one(&field, name, &mut shape.dim, Self::dimension)?;
            }
        }
        Ok(())
    }

    fn dimension(&mut self, mut fields: Fields<'_>, dim: &mut Dimension) -> Done {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => *dim = Dimension::Value(field.int64()?),
                2 => {
                    let mut name = String::new();
                    self.text(&field, &mut name)?;
                    *dim = Dimension::Param(name);
                }
                3 => drop(field.text()?),
                _ => {}
            }
        }
        Ok(())
    }
}

const ENTRY: &str = "StringStringEntryProto";
const TENSOR: &str = "TensorProto";
const VALUE: &str = "ValueInfoProto";
const GRAPH: &str = "GraphProto";

/// One message that is not read.
fn count(field: &Field<'_>) -> Result<usize, Refused> {
    field.bytes().map(|_| 1)
}

fn segment(mut fields: Fields<'_>) -> Done {
    while let Some(field) = fields.next()? {
        if let 1 | 2 = field.number {
            field.varint()?;
        }
    }
    Ok(())
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

    fn breach(bytes: &[u8]) -> Breach {
        match read(bytes) {
            Err(Refused::Breach(breach)) => breach,
            other => panic!("not refused as a graph of no model: {other:?}"),
        }
    }

    fn broken(bytes: &[u8]) -> String {
        match read(bytes) {
            Err(Refused::Broken(what)) => what,
            other => panic!("not refused as no protobuf: {other:?}"),
        }
    }

    #[test]
    fn many_small_messages_are_refused() {
        let few = part(7, &part(1, &[]).repeat(1000));
        assert!(read(&few).is_ok());
        let many = part(7, &part(1, &[]).repeat(500_000));
        let found = breach(&many);
        assert_eq!(found.place, "file");
        assert!(found.what.contains("bytes of memory"), "{}", found.what);
        // Behind a group, too.
        let hidden = [&[0xfb, 0x06, 0xfc, 0x06][..], &many].concat();
        assert_eq!(breach(&hidden).place, "file");
    }

    #[test]
    fn numbers_of_one_byte_each_are_counted() {
        let dims = part(7, &part(5, &part(1, &vec![1; 8 << 20])));
        assert!(read(&dims).is_ok(), "eight for one is what they take");
        let node = part(7, &part(1, &part(1, &[]).repeat(4 << 20)));
        assert_eq!(
            breach(&node).place,
            "file",
            "names of no letters take 24 bytes"
        );
    }

    #[test]
    fn depth_and_doubles() {
        let mut nested = vec![];
        for _ in 0..9 {
            nested = part(1, &part(5, &part(6, &nested)));
        }
        assert!(read(&part(7, &nested)).is_ok());
        for _ in 0..3 {
            nested = part(1, &part(5, &part(6, &nested)));
        }
        let found = breach(&part(7, &nested));
        assert!(found.what.contains("nests"), "{}", found.what);
        assert_eq!(breach(&part(7, &[]).repeat(2)).place, "graph");
    }

    #[test]
    fn what_is_no_protobuf_is_named_with_its_place() {
        assert_eq!(read(&[]).unwrap(), ModelProto::default());
        let long = broken(&[0xff; 40]);
        assert_eq!(
            long,
            "byte 0, in ModelProto: a number has more than 64 bits"
        );
        let cut = broken(&[0x3a, 0x7f]);
        assert!(
            cut.starts_with("byte 1, in ModelProto: a length leaves"),
            "{cut}"
        );
        // A name of a node that is no text.
        let bad = part(7, &part(1, &part(4, &[0xff])));
        assert_eq!(
            broken(&bad),
            "byte 4, field 4 of NodeProto: is not text in UTF-8"
        );
        // Dimensions as a float.
        let bad = part(7, &part(5, &[0x0d, 0, 0, 0, 0]));
        assert_eq!(
            broken(&bad),
            "byte 4, field 1 of TensorProto: is not a whole number"
        );
        // Of fields that are left out the types count as well.
        assert_eq!(
            broken(&[0x12, 1, 0xff]),
            "byte 0, field 2 of ModelProto: is not text in UTF-8"
        );
        let short = part(7, &part(5, &part(4, &[0, 0, 0])));
        assert!(broken(&short).contains("a whole number of numbers"));
    }

    #[test]
    fn lists_stand_in_one_piece_or_one_by_one_and_the_last_of_one_counts() {
        let tensor = [
            part(1, &[2, 0x80, 1]),
            vec![0x08, 3],
            part(1, &[]),
            part(4, &1.5f32.to_le_bytes()),
            [&[0x25][..], &2.5f32.to_le_bytes()].concat(),
            // int32: the lower bits of ten bytes.
            part(5, &[&[0xff; 9][..], &[1]].concat()),
            vec![0x10, 7, 0x10, 1],
            part(8, b"first"),
            part(8, b"last"),
            // A field that no schema has.
            vec![0xf8, 0x07, 0x01],
        ]
        .concat();
        let model = read(&part(7, &part(5, &tensor))).unwrap();
        let graph = model.graph.unwrap();
        let [tensor] = &graph.initializer[..] else {
            panic!("one tensor");
        };
        assert_eq!(tensor.dims, [2, 128, 3]);
        assert_eq!(tensor.float_data, [1.5, 2.5]);
        assert_eq!(tensor.int32_data, [-1]);
        assert_eq!((tensor.data_type, &tensor.name[..]), (1, "last"));
    }

    #[test]
    fn messages_that_stand_twice_are_one() {
        let value = [
            part(2, &part(1, &[0x08, 1])),
            part(2, &part(1, &part(2, &part(1, &[0x08, 5])))),
        ]
        .concat();
        let model = read(&part(7, &part(11, &value))).unwrap();
        let graph = model.graph.unwrap();
        let found = graph.input[0].tensor_type().unwrap();
        assert_eq!(found.elem_type, 1);
        assert_eq!(found.shape.as_ref().unwrap().dim, [Dimension::Value(5)]);
    }
}
