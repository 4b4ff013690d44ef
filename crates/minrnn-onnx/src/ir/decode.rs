//! From bytes to our types. Bytes are hostile until checked: every refusal names its place, nothing panics.

use prost::Message;

use super::decode_tensor::tensor;
use super::{
    Attr, DType, DecodeError, DecodeErrorKind as Kind, Dim, Graph, Model, Node, ValueInfo,
};
use crate::pb::{self, attribute_proto::AttributeType, tensor_shape_proto, type_proto};

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) fn model(bytes: &[u8]) -> Result<Model> {
    let m = pb::ModelProto::decode(bytes).map_err(|e| Kind::from(e).at("file"))?;
    if !m.functions.is_empty() {
        return Err(Kind::Unsupported("functions of the model").at("functions"));
    }
    if !m.training_info.is_empty() {
        return Err(Kind::Unsupported("training steps").at("training_info"));
    }
    let g = m
        .graph
        .ok_or_else(|| Kind::Missing("the graph").at("file"))?;
    Ok(Model {
        ir_version: m.ir_version,
        opsets: m
            .opset_import
            .into_iter()
            .map(|o| (o.domain, o.version))
            .collect(),
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
fn list<A, B>(
    items: Vec<A>,
    place: &str,
    name: impl Fn(&A) -> String,
    one: impl Fn(A, &str) -> Result<B>,
) -> Result<Vec<B>> {
    let each = |(i, item): (usize, A)| {
        let name = name(&item);
        let label = if name.is_empty() {
            String::new()
        } else {
            format!(" ({name})")
        };
        one(item, &format!("{place}[{i}]{label}"))
    };
    items.into_iter().enumerate().map(each).collect()
}

fn graph(g: pb::GraphProto, place: &str) -> Result<Graph> {
    if !g.sparse_initializer.is_empty() {
        return Err(Kind::Unsupported("sparse initializers").at(place));
    }
    let values = |items, part: &str| {
        list(
            items,
            &format!("{place}.{part}"),
            |v: &pb::ValueInfoProto| v.name.clone(),
            value_info,
        )
    };
    Ok(Graph {
        inputs: values(g.input, "input")?,
        outputs: values(g.output, "output")?,
        value_info: values(g.value_info, "value_info")?,
        initializers: list(
            g.initializer,
            &format!("{place}.initializer"),
            |t| t.name.clone(),
            tensor,
        )?,
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
    let attributes = list(
        n.attribute,
        &format!("{place}.attribute"),
        |a| a.name.clone(),
        attribute,
    )?;
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
    fields
        .into_iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| name)
        .collect()
}

fn attribute(a: pb::AttributeProto, place: &str) -> Result<(String, Attr)> {
    if !a.ref_attr_name.is_empty() {
        return Err(Kind::Unsupported("attributes that refer to a function's").at(place));
    }
    let code = i64::from(a.r#type);
    let kind = AttributeType::try_from(a.r#type).map_err(|_| {
        Kind::Code {
            what: "attribute type",
            code,
        }
        .at(place)
    })?;
    let held = held(&a);
    let missing = || Kind::Missing("the tensor or graph of the attribute").at(place);
    // A number or string that is left out is zero or empty: proto3 writers leave out what is zero.
    let (field, value) = match kind {
        AttributeType::Undefined => {
            return Err(Kind::Missing("the type of the attribute").at(place));
        }
        AttributeType::Float => ("f", Attr::Float(a.f.unwrap_or_default())),
        AttributeType::Int => ("i", Attr::Int(a.i.unwrap_or_default())),
        AttributeType::String => ("s", Attr::Str(a.s.unwrap_or_default())),
        AttributeType::Tensor => ("t", Attr::Tensor(tensor(a.t.ok_or_else(missing)?, place)?)),
        AttributeType::Graph => (
            "g",
            Attr::Graph(Box::new(graph(a.g.ok_or_else(missing)?, place)?)),
        ),
        AttributeType::Floats => ("floats", Attr::Floats(a.floats)),
        AttributeType::Ints => ("ints", Attr::Ints(a.ints)),
        AttributeType::Strings => ("strings", Attr::Strs(a.strings)),
        AttributeType::Tensors => (
            "tensors",
            Attr::Tensors(list(a.tensors, place, |t| t.name.clone(), tensor)?),
        ),
        AttributeType::Graphs => (
            "graphs",
            Attr::Graphs(list(a.graphs, place, |g| g.name.clone(), graph)?),
        ),
        AttributeType::SparseTensor | AttributeType::SparseTensors => {
            return Err(Kind::Unsupported("sparse tensors").at(place));
        }
        AttributeType::TypeProto | AttributeType::TypeProtos => {
            return Err(Kind::Unsupported("types as attributes").at(place));
        }
    };
    if let Some(other) = held.iter().find(|h| **h != field) {
        return Err(Kind::Value(format!(
            "is of type {}, but has a value in `{other}`",
            value.kind()
        ))
        .at(place));
    }
    Ok((a.name, value))
}

fn value_info(v: pb::ValueInfoProto, place: &str) -> Result<ValueInfo> {
    let (dtype, dims) = match v.r#type.and_then(|t| t.value) {
        None => (None, None),
        Some(type_proto::Value::TensorType(t)) => {
            let code = i64::from(t.elem_type);
            let dtype = match t.elem_type {
                0 => None,
                n => Some(DType::from_code(n).ok_or_else(|| {
                    Kind::Code {
                        what: "element type",
                        code,
                    }
                    .at(place)
                })?),
            };
            let dims = t
                .shape
                .map(|s| {
                    s.dim
                        .into_iter()
                        .map(|d| dim(d, place))
                        .collect::<Result<_>>()
                })
                .transpose()?;
            (dtype, dims)
        }
        Some(_) => return Err(Kind::Unsupported("values that are not tensors").at(place)),
    };
    Ok(ValueInfo {
        name: v.name,
        dtype,
        dims,
        doc: v.doc_string,
    })
}

fn dim(d: tensor_shape_proto::Dimension, place: &str) -> Result<Dim> {
    use tensor_shape_proto::dimension::Value;
    match d.value {
        Some(Value::DimValue(n)) if n < 0 => {
            Err(Kind::Value(format!("has the dimension {n}")).at(place))
        }
        Some(Value::DimValue(n)) => Ok(Dim::Fixed(n)),
        Some(Value::DimParam(s)) if s.is_empty() => Ok(Dim::Unknown),
        Some(Value::DimParam(s)) => Ok(Dim::Symbol(s)),
        None => Ok(Dim::Unknown),
    }
}

fn entries(pairs: Vec<pb::StringStringEntryProto>) -> Vec<(String, String)> {
    pairs.into_iter().map(|e| (e.key, e.value)).collect()
}
