//! From bytes to our types. Bytes are hostile until checked: every refusal names its place, nothing panics.

use prost::Message;

use super::tensor::element_count;
use super::{Attr, DType, DecodeError, DecodeErrorKind as Kind, Dim, External, Graph, Model, Node, Tensor, TensorData, ValueInfo};
use crate::pb::{self, attribute_proto::AttributeType, tensor_proto::DataLocation, tensor_shape_proto, type_proto};

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) fn model(bytes: &[u8]) -> Result<Model> {
    let m = pb::ModelProto::decode(bytes).map_err(|e| Kind::from(e).at("file"))?;
    if !m.functions.is_empty() {
        return Err(Kind::Unsupported("functions of the model").at("functions"));
    }
    if !m.training_info.is_empty() {
        return Err(Kind::Unsupported("training steps").at("training_info"));
    }
    let g = m.graph.ok_or_else(|| Kind::Missing("the graph").at("file"))?;
    Ok(Model {
        ir_version: m.ir_version,
        opsets: m.opset_import.into_iter().map(|o| (o.domain, o.version)).collect(),
        producer: m.producer_name,
        producer_version: m.producer_version,
        domain: m.domain,
        model_version: m.model_version,
        doc: m.doc_string,
        metadata: entries(m.metadata_props),
        graph: graph(g, "graph")?,
    })
}

/// Decodes every element, with its place in the list.
fn list<A, B>(items: Vec<A>, place: &str, name: impl Fn(&A) -> String, one: impl Fn(A, &str) -> Result<B>) -> Result<Vec<B>> {
    let each = |(i, item): (usize, A)| {
        let name = name(&item);
        let label = if name.is_empty() { String::new() } else { format!(" ({name})") };
        one(item, &format!("{place}[{i}]{label}"))
    };
    items.into_iter().enumerate().map(each).collect()
}

fn graph(g: pb::GraphProto, place: &str) -> Result<Graph> {
    if !g.sparse_initializer.is_empty() {
        return Err(Kind::Unsupported("sparse initializers").at(place));
    }
    let values = |items, part: &str| {
        list(items, &format!("{place}.{part}"), |v: &pb::ValueInfoProto| v.name.clone(), value_info)
    };
    Ok(Graph {
        inputs: values(g.input, "input")?,
        outputs: values(g.output, "output")?,
        value_info: values(g.value_info, "value_info")?,
        initializers: list(g.initializer, &format!("{place}.initializer"), |t| t.name.clone(), tensor)?,
        nodes: list(g.node, &format!("{place}.node"), |n| n.name.clone(), node)?,
        quantization: g
            .quantization_annotation
            .into_iter()
            .map(|a| (a.tensor_name, entries(a.quant_parameter_tensor_names)))
            .collect(),
        metadata: entries(g.metadata_props),
        name: g.name,
        doc: g.doc_string,
    })
}

fn node(n: pb::NodeProto, place: &str) -> Result<Node> {
    if !n.overload.is_empty() {
        return Err(Kind::Unsupported("overloads of functions").at(place));
    }
    let attributes = list(n.attribute, &format!("{place}.attribute"), |a| a.name.clone(), attribute)?;
    Ok(Node {
        op_type: n.op_type,
        domain: n.domain,
        name: n.name,
        inputs: n.input,
        outputs: n.output,
        attributes,
        doc: n.doc_string,
        metadata: entries(n.metadata_props),
    })
}

/// The value fields of an attribute that hold something, by name.
fn held(a: &pb::AttributeProto) -> Vec<&'static str> {
    let fields = [
        ("f", a.f.is_some()),
        ("i", a.i.is_some()),
        ("s", a.s.is_some()),
        ("t", a.t.is_some()),
        ("g", a.g.is_some()),
        ("floats", !a.floats.is_empty()),
        ("ints", !a.ints.is_empty()),
        ("strings", !a.strings.is_empty()),
        ("tensors", !a.tensors.is_empty()),
        ("graphs", !a.graphs.is_empty()),
        ("tp", a.tp.is_some()),
        ("type_protos", !a.type_protos.is_empty()),
        ("sparse_tensor", a.sparse_tensor.is_some()),
        ("sparse_tensors", !a.sparse_tensors.is_empty()),
    ];
    fields.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

fn attribute(a: pb::AttributeProto, place: &str) -> Result<(String, Attr)> {
    if !a.ref_attr_name.is_empty() {
        return Err(Kind::Unsupported("attributes that refer to a function's").at(place));
    }
    let code = i64::from(a.r#type);
    let kind = AttributeType::try_from(a.r#type).map_err(|_| Kind::Code { what: "attribute type", code }.at(place))?;
    let held = held(&a);
    let missing = || Kind::Missing("the tensor or graph of the attribute").at(place);
    // A number or string that is left out is zero or empty: proto3 writers leave out what is zero.
    let (field, value) = match kind {
        AttributeType::Undefined => return Err(Kind::Missing("the type of the attribute").at(place)),
        AttributeType::Float => ("f", Attr::Float(a.f.unwrap_or_default())),
        AttributeType::Int => ("i", Attr::Int(a.i.unwrap_or_default())),
        AttributeType::String => ("s", Attr::Str(a.s.unwrap_or_default())),
        AttributeType::Tensor => ("t", Attr::Tensor(tensor(a.t.ok_or_else(missing)?, place)?)),
        AttributeType::Graph => ("g", Attr::Graph(Box::new(graph(a.g.ok_or_else(missing)?, place)?))),
        AttributeType::Floats => ("floats", Attr::Floats(a.floats)),
        AttributeType::Ints => ("ints", Attr::Ints(a.ints)),
        AttributeType::Strings => ("strings", Attr::Strs(a.strings)),
        AttributeType::Tensors => ("tensors", Attr::Tensors(list(a.tensors, place, |t| t.name.clone(), tensor)?)),
        AttributeType::Graphs => ("graphs", Attr::Graphs(list(a.graphs, place, |g| g.name.clone(), graph)?)),
        AttributeType::SparseTensor | AttributeType::SparseTensors => {
            return Err(Kind::Unsupported("sparse tensors").at(place));
        }
        AttributeType::TypeProto | AttributeType::TypeProtos => {
            return Err(Kind::Unsupported("types as attributes").at(place));
        }
    };
    if let Some(other) = held.iter().find(|h| **h != field) {
        return Err(Kind::Value(format!("is of type {}, but has a value in `{other}`", value.kind())).at(place));
    }
    Ok((a.name, value))
}

fn tensor(t: pb::TensorProto, place: &str) -> Result<Tensor> {
    let fail = |kind: Kind| kind.at(place);
    let code = i64::from(t.data_type);
    let dtype = DType::from_code(t.data_type).ok_or_else(|| fail(Kind::Code { what: "element type", code }))?;
    if t.segment.is_some() {
        return Err(fail(Kind::Unsupported("tensors in segments")));
    }
    element_count(&t.dims).map_err(fail)?;
    let data = data(&t, dtype).map_err(fail)?;
    let tensor = Tensor { name: t.name, dtype, dims: t.dims, data, doc: t.doc_string };
    tensor.validate().map_err(fail)?;
    Ok(tensor)
}

/// The values of a tensor, from the one field that has them.
fn data(t: &pb::TensorProto, dtype: DType) -> std::result::Result<TensorData, Kind> {
    let lists = [
        ("raw_data", t.raw_data.as_ref().is_some_and(|d| !d.is_empty())),
        ("float_data", !t.float_data.is_empty()),
        ("int32_data", !t.int32_data.is_empty()),
        ("string_data", !t.string_data.is_empty()),
        ("int64_data", !t.int64_data.is_empty()),
        ("double_data", !t.double_data.is_empty()),
        ("uint64_data", !t.uint64_data.is_empty()),
    ];
    let held: Vec<&str> = lists.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
    if held.len() > 1 {
        return Err(Kind::Value(format!("has values in {} and in {}; one field may have them", held[0], held[1])));
    }
    let code = i64::from(t.data_location);
    let location = DataLocation::try_from(t.data_location).map_err(|_| Kind::Code { what: "data location", code })?;
    if location == DataLocation::External {
        if let Some(field) = held.first() {
            return Err(Kind::Value(format!("is in another file, but has values in {field}")));
        }
        return external(&t.external_data).map(TensorData::External);
    }
    let wrong = |field: &str| Kind::Value(format!("has values in {field}, which is not for {dtype}"));
    use DType as D;
    Ok(match held.first().copied() {
        None if dtype == D::Str => TensorData::Strings(vec![]),
        None => TensorData::Bytes(vec![]),
        Some("raw_data") => TensorData::Bytes(t.raw_data.clone().unwrap_or_default()),
        Some("string_data") if dtype == D::Str => TensorData::Strings(t.string_data.clone()),
        Some("float_data") if matches!(dtype, D::F32 | D::C64) => little_endian(&t.float_data, |v| v.to_le_bytes()),
        Some("double_data") if matches!(dtype, D::F64 | D::C128) => little_endian(&t.double_data, |v| v.to_le_bytes()),
        Some("int64_data") if dtype == D::I64 => little_endian(&t.int64_data, |v| v.to_le_bytes()),
        Some("uint64_data") if dtype == D::U64 => little_endian(&t.uint64_data, |v| v.to_le_bytes()),
        Some("uint64_data") if dtype == D::U32 => narrow(&t.uint64_data, 4, dtype)?,
        Some("int32_data") => match dtype.bits() {
            Some(32) if dtype == D::I32 => little_endian(&t.int32_data, |v| v.to_le_bytes()),
            Some(16) => narrow(&t.int32_data, 2, dtype)?,
            Some(bits) if bits <= 8 => narrow(&t.int32_data, 1, dtype)?,
            _ => return Err(wrong("int32_data")),
        },
        Some(field) => return Err(wrong(field)),
    })
}

fn little_endian<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> TensorData {
    TensorData::Bytes(values.iter().flat_map(|v| bytes(*v)).collect())
}

/// The low `width` bytes of each value, which must be all that it has.
fn narrow<T: Copy + Into<i128>>(values: &[T], width: usize, dtype: DType) -> std::result::Result<TensorData, Kind> {
    let bits = 8 * width as u32;
    let (low, high) = match dtype {
        d if d.is_signed() => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        DType::Bool => (0, 1),
        _ => (0, (1i128 << bits) - 1),
    };
    let mut bytes = Vec::with_capacity(values.len() * width);
    for value in values {
        let value: i128 = (*value).into();
        if !(low..=high).contains(&value) {
            return Err(Kind::Value(format!("has the value {value}, which is out of range for {dtype}")));
        }
        bytes.extend_from_slice(&value.to_le_bytes()[..width]);
    }
    Ok(TensorData::Bytes(bytes))
}

fn external(entries: &[pb::StringStringEntryProto]) -> std::result::Result<External, Kind> {
    let get = |key: &str| entries.iter().find(|e| e.key == key).map(|e| e.value.clone());
    let number = |key: &str| {
        let fail = |text: &str| Kind::Value(format!("{key} of the values in another file is `{text}`, not a number"));
        get(key).map(|text| text.parse::<u64>().map_err(|_| fail(&text))).transpose()
    };
    Ok(External {
        location: get("location").ok_or(Kind::Missing("the location of the values in another file"))?,
        offset: number("offset")?,
        length: number("length")?,
        checksum: get("checksum"),
    })
}

fn value_info(v: pb::ValueInfoProto, place: &str) -> Result<ValueInfo> {
    let (dtype, dims) = match v.r#type.and_then(|t| t.value) {
        None => (None, None),
        Some(type_proto::Value::TensorType(t)) => {
            let code = i64::from(t.elem_type);
            let dtype = match t.elem_type {
                0 => None,
                n => Some(DType::from_code(n).ok_or_else(|| Kind::Code { what: "element type", code }.at(place))?),
            };
            let dims = t.shape.map(|s| s.dim.into_iter().map(|d| dim(d, place)).collect::<Result<_>>()).transpose()?;
            (dtype, dims)
        }
        Some(_) => return Err(Kind::Unsupported("values that are not tensors").at(place)),
    };
    Ok(ValueInfo { name: v.name, dtype, dims, doc: v.doc_string })
}

fn dim(d: tensor_shape_proto::Dimension, place: &str) -> Result<Dim> {
    use tensor_shape_proto::dimension::Value;
    match d.value {
        Some(Value::DimValue(n)) if n < 0 => Err(Kind::Value(format!("has the dimension {n}")).at(place)),
        Some(Value::DimValue(n)) => Ok(Dim::Fixed(n)),
        Some(Value::DimParam(s)) if s.is_empty() => Ok(Dim::Unknown),
        Some(Value::DimParam(s)) => Ok(Dim::Symbol(s)),
        None => Ok(Dim::Unknown),
    }
}

fn entries(pairs: Vec<pb::StringStringEntryProto>) -> Vec<(String, String)> {
    pairs.into_iter().map(|e| (e.key, e.value)).collect()
}
