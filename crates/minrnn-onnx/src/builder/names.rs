//! The one authority on names. Values and nodes have a namespace each; sub-graphs share both with the graph around them.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Names {
    values: BTreeSet<String>,
    nodes: BTreeMap<String, usize>,
}

impl Names {
    /// Takes a name for a value; `false` if it is taken.
    pub(super) fn claim_value(&mut self, name: &str) -> bool {
        self.values.insert(name.to_owned())
    }

    /// `wanted`, or the first of `wanted_1`, `wanted_2`, .. that is free.
    pub(super) fn unique_value(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut n = 0;
        while !self.values.insert(name.clone()) {
            n += 1;
            name = format!("{wanted}_{n}");
        }
        name
    }

    /// `base` for the first node of that scope and operator, then `base_1`, `base_2`, ..
    pub(super) fn unique_node(&mut self, base: &str) -> String {
        loop {
            let uses = self.nodes.entry(base.to_owned()).or_insert(0);
            *uses += 1;
            let name = if *uses == 1 {
                base.to_owned()
            } else {
                format!("{base}_{}", *uses - 1)
            };
            // A scope may itself be called `Mul_1`.
            if name == base || !self.nodes.contains_key(&name) {
                self.nodes.entry(name.clone()).or_insert(1);
                return name;
            }
        }
    }
}
