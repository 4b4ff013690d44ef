//! What of an ONNX file this crate looks at: the messages of the schema, each with the fields that are read, under the schema's
//! own names. [`read`] makes them of bytes; nothing else in this crate sees bytes of a graph.

mod fields;
mod kinds;
mod read;
#[cfg(feature = "tract")]
mod tract;

#[cfg(all(test, feature = "tract"))]
pub(crate) use fields::Refused;
pub(crate) use kinds::{AttributeType, DataType};
pub(crate) use read::read;
#[cfg(feature = "tract")]
pub(crate) use tract::model as for_tract;

/// The file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ModelProto {
    pub(crate) graph: Option<GraphProto>,
    pub(crate) opset_import: Vec<OperatorSetIdProto>,
    pub(crate) metadata_props: Vec<StringStringEntryProto>,
    /// How many there are; what is in them is not read, since no file with one is taken.
    pub(crate) training_info: usize,
    /// As `training_info`.
    pub(crate) functions: usize,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OperatorSetIdProto {
    pub(crate) domain: String,
    pub(crate) version: i64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StringStringEntryProto {
    pub(crate) key: String,
    pub(crate) value: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GraphProto {
    pub(crate) node: Vec<NodeProto>,
    pub(crate) name: String,
    pub(crate) initializer: Vec<TensorProto>,
    /// As `ModelProto::training_info`.
    pub(crate) sparse_initializer: usize,
    pub(crate) input: Vec<ValueInfoProto>,
    pub(crate) output: Vec<ValueInfoProto>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct NodeProto {
    pub(crate) input: Vec<String>,
    pub(crate) output: Vec<String>,
    pub(crate) name: String,
    pub(crate) op_type: String,
    pub(crate) domain: String,
    pub(crate) attribute: Vec<AttributeProto>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AttributeProto {
    pub(crate) name: String,
    pub(crate) ref_attr_name: String,
    /// An [`AttributeType`].
    pub(crate) r#type: i32,
    pub(crate) f: f32,
    pub(crate) i: i64,
    pub(crate) s: Vec<u8>,
    pub(crate) t: Option<TensorProto>,
    pub(crate) g: Option<GraphProto>,
    pub(crate) floats: Vec<f32>,
    pub(crate) ints: Vec<i64>,
    pub(crate) strings: Vec<Vec<u8>>,
    pub(crate) tensors: Vec<TensorProto>,
    pub(crate) graphs: Vec<GraphProto>,
    /// Whether there is one; as `ModelProto::training_info`.
    pub(crate) sparse_tensor: bool,
    /// As `ModelProto::training_info`.
    pub(crate) sparse_tensors: usize,
    /// As `ModelProto::training_info`.
    pub(crate) type_protos: usize,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TensorProto {
    pub(crate) dims: Vec<i64>,
    /// A [`DataType`].
    pub(crate) data_type: i32,
    /// Whether there is one: a part of a tensor is none of ours.
    pub(crate) segment: bool,
    pub(crate) float_data: Vec<f32>,
    pub(crate) int32_data: Vec<i32>,
    pub(crate) string_data: Vec<Vec<u8>>,
    pub(crate) int64_data: Vec<i64>,
    pub(crate) name: String,
    pub(crate) raw_data: Vec<u8>,
    pub(crate) double_data: Vec<f64>,
    pub(crate) uint64_data: Vec<u64>,
    pub(crate) external_data: Vec<StringStringEntryProto>,
    /// 0 in the file, [`EXTERNAL`] beside it.
    pub(crate) data_location: i32,
}

/// `TensorProto::data_location` of what lies beside the file.
pub(crate) const EXTERNAL: i32 = 1;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ValueInfoProto {
    pub(crate) name: String,
    pub(crate) r#type: Option<TypeProto>,
}

/// A type; `None` in a [`TypeProto`] is one that is no tensor.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TypeProto {
    pub(crate) tensor_type: Option<TensorType>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TensorType {
    /// A [`DataType`].
    pub(crate) elem_type: i32,
    pub(crate) shape: Option<TensorShapeProto>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TensorShapeProto {
    pub(crate) dim: Vec<Dimension>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Dimension {
    #[default]
    Unknown,
    Value(i64),
    Param(String),
}

impl ValueInfoProto {
    /// The type, where it is that of a tensor.
    pub(crate) fn tensor_type(&self) -> Option<&TensorType> {
        self.r#type.as_ref()?.tensor_type.as_ref()
    }
}
