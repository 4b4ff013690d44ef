//! Attributes of nodes, whatever the operator.

use crate::metadata::short;
use crate::proto::{AttributeProto, AttributeType};

/// Every value field that is set must be the one that the type names: readers that look at different fields would read
/// different values.
pub(super) fn one_value(attr: &AttributeProto) -> Result<(), String> {
    use AttributeType::*;
    let set = [
        (Float, attr.f != 0.0),
        (Int, attr.i != 0),
        (String, !attr.s.is_empty()),
        (Tensor, attr.t.is_some()),
        (Graph, attr.g.is_some()),
        (SparseTensor, attr.sparse_tensor),
        (Floats, !attr.floats.is_empty()),
        (Ints, !attr.ints.is_empty()),
        (Strings, !attr.strings.is_empty()),
        (Tensors, !attr.tensors.is_empty()),
        (Graphs, !attr.graphs.is_empty()),
        (SparseTensors, attr.sparse_tensors > 0),
        (TypeProtos, attr.type_protos > 0),
    ];
    let name = short(&attr.name);
    if !attr.ref_attr_name.is_empty() {
        return Err(format!("attribute `{name}` refers to one of a function"));
    }
    if let Some((kind, _)) = set.iter().find(|(k, set)| *set && *k as i32 != attr.r#type) {
        let found = AttributeType::try_from(attr.r#type).map_or("no type", |t| t.as_str_name());
        let what = format!(
            "attribute `{name}` is {found} and holds {}",
            kind.as_str_name()
        );
        return Err(what);
    }
    if matches!(
        AttributeType::try_from(attr.r#type),
        Ok(SparseTensor | SparseTensors | Tensors | Graphs | TypeProto | TypeProtos)
    ) {
        return Err(format!(
            "attribute `{name}` is of a type that no operator takes"
        ));
    }
    Ok(())
}
