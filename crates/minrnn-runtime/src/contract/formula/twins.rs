//! Recurrences of one formula: the layers of a model are lowered alike, so what is known of one is known of the others.

use crate::proto::NodeProto;

use crate::names::ByName;

/// What a node reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source<'a> {
    /// A seed, or what a node of the recurrence makes, in order.
    Own(usize),
    /// What stands outside of it, which is the same for two recurrences only if it is the same tensor.
    Other(&'a str),
}

/// The nodes of a recurrence, each behind what it reads. Two that are equal make the same of seeds of the same shapes.
#[derive(Debug)]
pub(super) struct Outline<'a> {
    nodes: Vec<&'a NodeProto>,
    sources: Vec<Source<'a>>,
    own: ByName<&'a str, usize>,
}

impl<'a> Outline<'a> {
    pub(super) fn of(seeds: &[&'a str]) -> Self {
        let mut outline = Self {
            nodes: vec![],
            sources: vec![],
            own: ByName::default(),
        };
        for name in seeds.iter().copied() {
            outline.number(name);
            outline.end(name);
        }
        outline
    }

    /// Whether it is a seed, or a node that is there makes it.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.own.contains_key(name)
    }

    pub(super) fn push(&mut self, node: &'a NodeProto) {
        for name in &node.input {
            self.end(name);
        }
        for name in &node.output {
            self.number(name);
        }
        self.nodes.push(node);
    }

    /// What is read next.
    pub(super) fn end(&mut self, name: &'a str) {
        let own = self.own.get(name);
        self.sources
            .push(own.map_or(Source::Other(name), |at| Source::Own(*at)));
    }

    fn number(&mut self, name: &'a str) {
        let next = self.own.len();
        self.own.entry(name).or_insert(next);
    }
}

impl PartialEq for Outline<'_> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&&NodeProto, &&NodeProto)| {
            a.op_type == b.op_type
                && a.domain == b.domain
                && a.attribute == b.attribute
                && a.input.len() == b.input.len()
                && a.output.len() == b.output.len()
        };
        self.nodes.len() == other.nodes.len()
            && self.sources == other.sources
            && self.nodes.iter().zip(&other.nodes).all(same)
    }
}
