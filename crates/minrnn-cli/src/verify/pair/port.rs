//! What a file says about its inputs and outputs, read from the file itself.

use minrnn_onnx::ir;
pub(crate) use minrnn_onnx::ir::DType as Elem;

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    /// `None` if it is not declared.
    pub(crate) elem: Option<Elem>,
    /// `None` if not even their number is declared.
    pub(crate) dims: Option<Vec<Dim>>,
}

/// A dimension as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dim {
    Fixed(usize),
    /// Equal names are equal dimensions.
    Symbol(String),
    Unknown,
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(n) => write!(f, "{n}"),
            Self::Symbol(s) => f.write_str(s),
            Self::Unknown => f.write_str("?"),
        }
    }
}

impl Port {
    fn of(info: &ir::ValueInfo) -> Self {
        let dim = |d: &ir::Dim| match d {
            // Some exporters write -1 for what is free.
            ir::Dim::Fixed(n) => usize::try_from(*n).map_or(Dim::Unknown, Dim::Fixed),
            ir::Dim::Symbol(s) if !s.is_empty() => Dim::Symbol(s.clone()),
            _ => Dim::Unknown,
        };
        Self {
            name: info.name.clone(),
            elem: info.dtype,
            dims: info.dims.as_ref().map(|d| d.iter().map(dim).collect()),
        }
    }
}

/// The integers that a type holds, as far as options can say them: of floats those without gaps. `None`: it holds none that are drawn.
pub(super) fn integers(elem: Elem) -> Option<(i64, i64)> {
    Some(match elem {
        Elem::I8 => (i8::MIN.into(), i8::MAX.into()),
        Elem::I16 => (i16::MIN.into(), i16::MAX.into()),
        Elem::I32 => (i32::MIN.into(), i32::MAX.into()),
        Elem::I64 => (i64::MIN, i64::MAX),
        Elem::U8 => (0, u8::MAX.into()),
        Elem::U16 => (0, u16::MAX.into()),
        Elem::U32 => (0, u32::MAX.into()),
        Elem::U64 => (0, i64::MAX),
        Elem::F64 => (-(1 << 53), 1 << 53),
        Elem::F32 => (-(1 << 24), 1 << 24),
        Elem::F16 => (-(1 << 11), 1 << 11),
        Elem::BF16 => (-(1 << 8), 1 << 8),
        _ => return None,
    })
}

/// What a caller must give: an input that is a constant as well has its value already.
pub(super) fn inputs(graph: &ir::Graph) -> Vec<Port> {
    let free = graph.inputs.iter().filter(|i| !is_known(graph, &i.name));
    free.map(Port::of).collect()
}

/// What a caller may give. Before version 4 of the format, every constant had to be listed among the inputs: it says nothing.
pub(super) fn defaults(model: &ir::Model) -> Vec<Port> {
    let graph = &model.graph;
    let known = graph.inputs.iter().filter(|i| is_known(graph, &i.name));
    known
        .filter(|_| model.ir_version >= 4)
        .map(Port::of)
        .collect()
}

fn is_known(graph: &ir::Graph, name: &str) -> bool {
    let sparse = graph.sparse_initializers.iter().map(|t| &t.values.name);
    let mut all = graph.initializers.iter().map(|t| &t.name).chain(sparse);
    all.any(|n| n == name)
}

pub(super) fn outputs(graph: &ir::Graph) -> Vec<Port> {
    graph.outputs.iter().map(Port::of).collect()
}
