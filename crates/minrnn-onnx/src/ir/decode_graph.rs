//! Graphs from bytes: nodes, functions, and attributes, which hold graphs again.

use super::decode_parts::{Named, Result, entries, list, opsets};
use super::decode_tensor::{sparse, tensor};
use super::decode_type::{ty, value_info};
use super::{Attr, AttrKind, DecodeErrorKind as Kind, Function, Graph, Node, ValueInfo};
use crate::pb;

fn values(items: Vec<pb::ValueInfoProto>, place: &str, part: &str) -> Result<Vec<ValueInfo>> {
    list(
        items,
        &format!("{place}.{part}"),
        |v| v.name.clone(),
        value_info,
    )
}

pub(super) fn graph(g: pb::GraphProto, place: &str) -> Result<Graph> {
    let values = |items, part: &str| values(items, place, part);
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
        sparse_initializers: list(
            g.sparse_initializer,
            &format!("{place}.sparse_initializer"),
            |t| t.values.as_ref().map_or(String::new(), |v| v.name.clone()),
            sparse,
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
    let (attributes, attribute_docs) = attributes(n.attribute, place)?;
    Ok(Node {
        op_type: n.op_type,
        domain: n.domain,
        overload: n.overload,
        name: n.name,
        inputs: n.input,
        outputs: n.output,
        attributes,
        attribute_docs,
        doc: n.doc_string,
        metadata: entries(n.metadata_props),
        devices: n.device_configurations,
    })
}

pub(super) fn function(f: pb::FunctionProto, place: &str) -> Result<Function> {
    let (defaults, default_docs) = attributes(f.attribute_proto, place)?;
    Ok(Function {
        domain: f.domain,
        name: f.name,
        overload: f.overload,
        inputs: f.input,
        outputs: f.output,
        attributes: f.attribute,
        defaults,
        default_docs,
        nodes: list(f.node, &format!("{place}.node"), |n| n.name.clone(), node)?,
        opsets: opsets(f.opset_import),
        value_info: values(f.value_info, place, "value_info")?,
        doc: f.doc_string,
        metadata: entries(f.metadata_props),
    })
}

/// The attributes of a node or function, and the texts of those that have one.
fn attributes(items: Vec<pb::AttributeProto>, place: &str) -> Result<(Named<Attr>, Named<String>)> {
    let docs = items
        .iter()
        .filter(|a| !a.doc_string.is_empty())
        .map(|a| (a.name.clone(), a.doc_string.clone()))
        .collect();
    let place = format!("{place}.attribute");
    Ok((list(items, &place, |a| a.name.clone(), attribute)?, docs))
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
    let code = i64::from(a.r#type);
    let kind = AttrKind::from_code(a.r#type).ok_or_else(|| {
        match code {
            0 => Kind::Missing("the type of the attribute"),
            code => Kind::Code {
                what: "attribute type",
                code,
            },
        }
        .at(place)
    })?;
    let held = held(&a);
    let name = a.name.clone();
    let (field, attr) = if a.ref_attr_name.is_empty() {
        value(a, kind, place)?
    } else {
        let attribute = a.ref_attr_name;
        ("ref_attr_name", Attr::Ref { attribute, kind })
    };
    if let Some(other) = held.iter().find(|h| **h != field) {
        return Err(Kind::Value(format!(
            "is of type {}, but has a value in `{other}`",
            kind.name()
        ))
        .at(place));
    }
    Ok((name, attr))
}

/// The value, and the field that has it.
fn value(a: pb::AttributeProto, kind: AttrKind, place: &str) -> Result<(&'static str, Attr)> {
    let missing = || Kind::Missing("the value of the attribute").at(place);
    // A number or string that is left out is zero or empty: proto3 writers leave out what is zero.
    Ok(match kind {
        AttrKind::Float => ("f", Attr::Float(a.f.unwrap_or_default())),
        AttrKind::Int => ("i", Attr::Int(a.i.unwrap_or_default())),
        AttrKind::Str => ("s", Attr::Str(a.s.unwrap_or_default())),
        AttrKind::Tensor => ("t", Attr::Tensor(tensor(a.t.ok_or_else(missing)?, place)?)),
        AttrKind::Graph => {
            let g = graph(a.g.ok_or_else(missing)?, place)?;
            ("g", Attr::Graph(Box::new(g)))
        }
        AttrKind::Floats => ("floats", Attr::Floats(a.floats)),
        AttrKind::Ints => ("ints", Attr::Ints(a.ints)),
        AttrKind::Strs => ("strings", Attr::Strs(a.strings)),
        AttrKind::Tensors => {
            let all = list(a.tensors, place, |t| t.name.clone(), tensor)?;
            ("tensors", Attr::Tensors(all))
        }
        AttrKind::Graphs => {
            let all = list(a.graphs, place, |g| g.name.clone(), graph)?;
            ("graphs", Attr::Graphs(all))
        }
        AttrKind::SparseTensor => {
            let s = sparse(a.sparse_tensor.ok_or_else(missing)?, place)?;
            ("sparse_tensor", Attr::SparseTensor(Box::new(s)))
        }
        AttrKind::SparseTensors => {
            let all = list(a.sparse_tensors, place, |_| String::new(), sparse)?;
            ("sparse_tensors", Attr::SparseTensors(all))
        }
        AttrKind::Type => ("tp", Attr::Type(ty(a.tp.ok_or_else(missing)?, place)?)),
        AttrKind::Types => {
            let all = list(a.type_protos, place, |_| String::new(), ty)?;
            ("type_protos", Attr::Types(all))
        }
    })
}
