//! Canonical names.

use std::collections::{BTreeMap, HashMap};

use super::colour::{Classes, Colour, Content, Outer, unused};
use super::scope::{Def, Ref, Scope};
use super::value::name;

/// The names of the values of a graph, between those of the graphs around it and inside it.
pub(super) struct Level<'n, 'a> {
    pub(super) scope: &'n Scope<'a>,
    colours: &'n [Colour],
    around: Option<(&'n Level<'n, 'a>, &'n Outer<'n>)>,
    /// By index of the value.
    pub(super) names: Vec<String>,
    /// By index of the node: what the names of values in its sub-graphs begin with.
    pub(super) prefixes: Vec<String>,
    /// Nodes of no use.
    pub(super) unused: Classes,
    /// Constants that no used node reads, in order of their content, and how many are equal to each.
    pub(super) unused_constants: Vec<(usize, usize)>,
}

impl<'n, 'a> Level<'n, 'a> {
    /// Names of the values of a graph: what all begin with, and the number of the last one before them.
    pub(super) fn new(
        scope: &'n Scope<'a>,
        colours: &'n [Colour],
        around: Option<(&'n Level<'n, 'a>, &'n Outer<'n>)>,
        prefix: &str,
        counter: &mut usize,
    ) -> Self {
        let outer = around.map(|(_, outer)| outer);
        let mut level = Self {
            scope,
            colours,
            around,
            names: vec![String::new(); scope.values.len()],
            prefixes: vec![String::new(); scope.source.nodes.len()],
            unused: unused(scope, colours, outer, Content::Whole),
            unused_constants: vec![],
        };
        level.number(prefix, counter);
        level.number_unused(prefix);
        level
    }

    /// Colours as the graphs inside see them.
    pub(super) fn outer(&self) -> Outer<'n> {
        Outer {
            colours: self.colours,
            around: self.around.map(|(_, outer)| outer),
        }
    }

    fn number(&mut self, prefix: &str, counter: &mut usize) {
        let scope = self.scope;
        // In the outermost graph the inputs have names of their own.
        for input in 0..scope.source.inputs.len() {
            if scope.depth > 0 || scope.source.declared.is_none() {
                *counter += 1;
                self.names[input] = format!("%{prefix}{counter}");
            }
        }
        for (i, value) in scope.constants.iter().enumerate() {
            self.names[*value] = format!("%{prefix}c{}", i + 1);
        }
        for node in &scope.order {
            self.results(*node, prefix, "", counter);
        }
    }

    /// A number for each result, and one for a node without.
    fn results(&mut self, node: usize, prefix: &str, kind: &str, counter: &mut usize) {
        let written = &self.scope.written[node];
        self.prefixes[node] = format!("{prefix}{kind}{}.", *counter + 1);
        for (i, value) in written.iter().enumerate() {
            if let Some(value) = value {
                self.names[*value] = format!("%{prefix}{kind}{}", *counter + i + 1);
            }
        }
        *counter += written.len().max(1);
    }

    fn number_unused(&mut self, prefix: &str) {
        let classes = std::mem::take(&mut self.unused);
        let mut last = 0;
        for nodes in classes.values() {
            let first = last;
            for node in nodes {
                last = first;
                self.results(*node, prefix, "u", &mut last);
            }
        }
        self.unused = classes;
        self.number_unused_constants(prefix);
    }

    fn number_unused_constants(&mut self, prefix: &str) {
        let mut classes: BTreeMap<Colour, Vec<usize>> = BTreeMap::new();
        for (i, value) in self.scope.values.iter().enumerate() {
            if matches!(value.def, Def::Const(_)) && self.scope.labels[i].is_none() {
                classes.entry(self.colours[i]).or_default().push(i);
            }
        }
        for (number, equal) in classes.into_values().enumerate() {
            for i in &equal {
                self.names[*i] = format!("%{prefix}uc{}", number + 1);
            }
            self.unused_constants.push((equal[0], equal.len()));
        }
    }

    /// Inputs and outputs keep their names, in quotes where these look like ours.
    pub(super) fn keep_interface(&mut self) {
        let inputs = 0..self.scope.source.inputs.len();
        let outputs = self.scope.outputs.iter().filter_map(|r| match r {
            Ref::Value { up: 0, index } => Some(*index),
            _ => None,
        });
        for index in inputs.chain(outputs) {
            let own = self.scope.values[index].name;
            self.names[index] = if like_ours(own) {
                format!("%{own:?}")
            } else {
                name(own)
            };
        }
    }

    /// The name of what a node reads.
    pub(super) fn name(&self, r: Ref<'_>) -> String {
        match r {
            Ref::Omitted => "_".to_owned(),
            Ref::Undefined(n) => format!("undefined({n:?})"),
            Ref::Value { up: 0, index } => self.names[index].clone(),
            Ref::Value { up, index } => match self.around {
                Some((level, _)) => level.name(Ref::Value { up: up - 1, index }),
                None => "_".to_owned(),
            },
        }
    }

    /// Canonical names by those of the file.
    pub(super) fn by_name(&self) -> HashMap<&'a str, &str> {
        let mut all = HashMap::new();
        for (value, name) in self.scope.values.iter().zip(&self.names) {
            all.entry(value.name).or_insert(name.as_str());
        }
        all
    }
}

/// Replaces names of values in JSON text.
pub(super) fn rename(json: &mut serde_json::Value, names: &HashMap<&str, &str>) {
    match json {
        serde_json::Value::String(s) => {
            if let Some(name) = names.get(s.as_str()) {
                *s = (*name).to_owned();
            }
        }
        serde_json::Value::Array(all) => all.iter_mut().for_each(|v| rename(v, names)),
        serde_json::Value::Object(all) => all.values_mut().for_each(|v| rename(v, names)),
        _ => {}
    }
}

/// Whether a name could be one of ours: `7`, `c7`, `u7`, `uc7`, or such parts with dots between them.
fn like_ours(name: &str) -> bool {
    let part = |p: &str| {
        let p = p.strip_prefix('u').unwrap_or(p);
        let p = p.strip_prefix('c').unwrap_or(p);
        !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit())
    };
    name.split('.').all(part)
}
