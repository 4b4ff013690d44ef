//! Hashes of values by what computes them: operator, attributes, and the hashes of what goes in.
//!
//! Values of equal colour compute the same in the same way. Nodes that reach no output are ordered and named by
//! colour; `diff` finds by colour what one graph has and the other has not. sha256, so that the order is the same
//! with every compiler and on every machine.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::scope::{Const, Def, Ref, Scope};
use super::value::{attribute, shape_of, tensor};
use crate::ir::{Attr, Node, Tensor, is_standard};

/// 128 bits of a sha256.
pub(crate) type Colour = [u8; 16];

/// The colours of a graph and of those around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outer<'e> {
    pub(crate) colours: &'e [Colour],
    pub(crate) around: Option<&'e Outer<'e>>,
}

/// Which constants are told apart by their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// All.
    Whole,
    /// All but weights: see [`is_weight`].
    NoWeights,
}

/// Whether a constant is a weight: of floats, or too long to be a parameter of an operator.
pub(crate) fn is_weight(t: &Tensor) -> bool {
    const PARAMETER: usize = 16;
    t.dtype.is_float() || t.len().is_ok_and(|n| n > PARAMETER)
}

/// Hashes parts so that no two lists of parts run together.
struct Mix(Sha256);

impl Mix {
    fn new(kind: &str) -> Self {
        Self(Sha256::new()).add(kind.as_bytes())
    }

    fn add(mut self, part: &[u8]) -> Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    fn number(self, n: usize) -> Self {
        self.add(&(n as u64).to_le_bytes())
    }

    fn end(self) -> Colour {
        let mut colour = [0; 16];
        colour.copy_from_slice(&self.0.finalize()[..16]);
        colour
    }
}

/// Operator and attributes, without sub-graphs: what a node is apart from its place.
pub(crate) fn signature(node: &Node, content: Content) -> String {
    let domain = if is_standard(&node.domain) {
        ""
    } else {
        &node.domain
    };
    let value = |a: &Attr| match (a, content) {
        (Attr::Tensor(t), Content::NoWeights) if is_weight(t) => shape_of(t),
        _ => attribute(a).unwrap_or_else(|| a.kind().into()),
    };
    let each = node.attributes.iter();
    let mut attributes: Vec<_> = each
        .map(|(name, a)| format!("{name:?}={}", value(a)))
        .collect();
    attributes.sort();
    let attributes = attributes.join(",");
    format!(
        "{domain:?} {:?} {:?} {attributes}",
        node.op_type, node.overload
    )
}

fn constant(c: Const<'_>, content: Content) -> Colour {
    let whole = |t: &Tensor| match content {
        Content::NoWeights if is_weight(t) => shape_of(t),
        _ => tensor(t),
    };
    let text = match c {
        Const::Dense(t) => whole(t),
        Const::Sparse(s) => format!("{:?} {} {}", s.dims, whole(&s.values), whole(&s.indices)),
    };
    Mix::new("constant").add(text.as_bytes()).end()
}

pub(crate) fn read(r: Ref<'_>, here: &[Colour], around: Option<&Outer<'_>>) -> Colour {
    match r {
        Ref::Omitted => Mix::new("omitted").end(),
        Ref::Undefined(name) => Mix::new("undefined").add(name.as_bytes()).end(),
        Ref::Value { up: 0, index } => here[index],
        Ref::Value { up, index } => {
            let mut outer = around;
            for _ in 1..up {
                outer = outer.and_then(|e| e.around);
            }
            outer.map_or([0; 16], |e| e.colours[index])
        }
    }
}

/// Colours of the values and of the nodes of a graph by what computes them; inputs of the outermost graph by name,
/// of others by place.
pub(crate) fn by_content(
    scope: &Scope<'_>,
    around: Option<&Outer<'_>>,
    content: Content,
) -> (Vec<Colour>, Vec<Colour>) {
    let mut colours: Vec<Colour> = scope
        .values
        .iter()
        .map(|v| match v.def {
            Def::Input(i, _) => input(scope, i),
            Def::Const(c) => constant(c, content),
            Def::Node(..) => [0; 16],
        })
        .collect();
    let mut nodes = vec![[0; 16]; scope.source.nodes.len()];
    for node in scope.order.iter().chain(&scope.unused) {
        nodes[*node] = set(scope, *node, &mut colours, around, content);
    }
    (colours, nodes)
}

/// Names of the model's own inputs are its interface; of others they are of no consequence.
fn input(scope: &Scope<'_>, position: usize) -> Colour {
    if scope.depth == 0 && scope.source.declared.is_some() {
        let name = scope.source.inputs[position];
        return Mix::new("input").add(name.as_bytes()).end();
    }
    Mix::new("formal")
        .number(scope.depth)
        .number(position)
        .end()
}

/// Colours of the values of a graph by their labels; those that reach no output by what computes them.
pub(crate) fn by_label(
    scope: &Scope<'_>,
    around: Option<&Outer<'_>>,
    content: Content,
) -> Vec<Colour> {
    let mut colours: Vec<Colour> = scope
        .values
        .iter()
        .zip(&scope.labels)
        .map(|(value, label)| match (label, value.def) {
            (_, Def::Input(i, _)) => input(scope, i),
            (Some(n), _) => Mix::new("label").number(scope.depth).number(*n).end(),
            (None, Def::Const(c)) => constant(c, content),
            (None, _) => [0; 16],
        })
        .collect();
    for node in &scope.unused {
        set(scope, *node, &mut colours, around, content);
    }
    colours
}

/// Gives the results of a node their colours.
fn set(
    scope: &Scope<'_>,
    node: usize,
    colours: &mut [Colour],
    around: Option<&Outer<'_>>,
    content: Content,
) -> Colour {
    let colour = node_colour(scope, node, colours, around, content);
    for (slot, index) in scope.written[node].iter().enumerate() {
        if let Some(index) = index {
            colours[*index] = Mix::new("result").add(&colour).number(slot).end();
        }
    }
    colour
}

/// The colour of a node, from those of what it reads.
pub(crate) fn node_colour(
    scope: &Scope<'_>,
    node: usize,
    colours: &[Colour],
    around: Option<&Outer<'_>>,
    content: Content,
) -> Colour {
    let written = &scope.written[node];
    let mut mix = Mix::new("node").add(signature(scope.node(node), content).as_bytes());
    mix = mix.number(written.len());
    for output in written {
        mix = mix.number(usize::from(output.is_some()));
    }
    mix = mix.number(scope.inputs[node].len());
    for r in &scope.inputs[node] {
        mix = mix.add(&read(*r, colours, around));
    }
    let outer = Outer { colours, around };
    for body in &scope.bodies[node] {
        mix = mix.add(&graph_colour(&body.scope, Some(&outer), content));
    }
    mix.end()
}

/// The colour of a graph: equal for equal canonical texts. Declared types count in sub-graphs only.
pub(crate) fn graph_colour(
    scope: &Scope<'_>,
    around: Option<&Outer<'_>>,
    content: Content,
) -> Colour {
    let colours = by_label(scope, around, content);
    let mut mix = Mix::new("graph").number(scope.source.inputs.len());
    let declared = scope.source.declared.filter(|_| scope.depth > 0);
    for v in declared.into_iter().flat_map(|(i, o)| i.iter().chain(o)) {
        mix = mix.add(super::type_of(v).as_bytes());
    }
    for value in &scope.values {
        if let Def::Input(_, Some(default)) = value.def {
            mix = mix.add(&constant(default, content));
        }
    }
    for index in &scope.constants {
        if let Def::Const(c) = scope.values[*index].def {
            mix = mix.add(&constant(c, content));
        }
    }
    for node in &scope.order {
        mix = mix.add(&node_colour(scope, *node, &colours, around, content));
    }
    for r in &scope.outputs {
        mix = mix.add(&read(*r, &colours, around));
    }
    let idle = scope.values.iter().zip(&scope.labels).zip(&colours);
    let idle = idle.filter(|((v, label), _)| matches!(v.def, Def::Const(_)) && label.is_none());
    let mut idle: Vec<_> = idle.map(|(_, colour)| colour).collect();
    idle.sort();
    for colour in idle {
        mix = mix.add(colour);
    }
    for ((_, colour), nodes) in unused(scope, &colours, around, content) {
        mix = mix.add(&colour).number(nodes.len());
    }
    mix.end()
}

/// Nodes by depth and colour, so that producers come first.
pub(crate) type Classes = BTreeMap<(usize, Colour), Vec<usize>>;

/// Nodes that reach no output, those of one colour together.
pub(crate) fn unused(
    scope: &Scope<'_>,
    colours: &[Colour],
    around: Option<&Outer<'_>>,
    content: Content,
) -> Classes {
    let mut depth: BTreeMap<usize, usize> = BTreeMap::new();
    let mut classes = Classes::new();
    for node in &scope.unused {
        let below = scope
            .reads_all(*node)
            .filter_map(|r| depth.get(&scope.producer(r)?))
            .max();
        let level = below.map_or(0, |d| d + 1);
        depth.insert(*node, level);
        let colour = node_colour(scope, *node, colours, around, content);
        classes.entry((level, colour)).or_default().push(*node);
    }
    classes
}
