//! Which matrices are of hidden layers.

use super::{Graph, Op};
use crate::spec::{Init, Role};

/// Deviation of GPT-2's first values.
const GPT2: f64 = 0.02;

impl Graph {
    /// Matrices of products and tables begin normal with deviation 0.02; those that end one of `parts` parts of blocks, whose results are
    /// added up, with that over the root of `parts`: the last matrix in a part before what is added.
    pub(crate) fn begin_as_gpt2(&mut self, parts: usize) {
        let uses = self.uses();
        for (spec, of) in self.params.iter_mut().zip(uses) {
            let matrix =
                of.is_narrow() || (spec.shape.len() == 2 && spec.name.ends_with(".weight"));
            if let (Role::Weight { init, .. }, true) = (&mut spec.role, matrix) {
                let ends = [".out.weight", ".down.weight", ".pointwise.weight"];
                let last = ends.iter().any(|end| spec.name.ends_with(end));
                let by = if last { (parts as f64).sqrt() } else { 1.0 };
                *init = Init::Normal { std: GPT2 / by };
            }
        }
    }
    /// Of every parameter, in the graph's order, whether it is the matrix of a hidden layer: a trained matrix that is only ever
    /// a factor of products, behind another trained matrix or table (which reads the input) and before another trained matrix
    /// (the head). Embeddings, heads, tied tables, taps of convolutions and whatever is read as a value are none.
    pub fn hidden_matrices(&self) -> Vec<bool> {
        let learned = |i: usize| {
            let node = &self.nodes()[i];
            matches!(node.op, Op::Embed { .. }) || self.weight(node).is_some()
        };
        let count = self.nodes().len();
        // Behind a learned map; before one.
        let (mut behind, mut before) = (vec![false; count], vec![false; count]);
        for i in 0..count {
            let inputs = self.nodes()[i].inputs.iter();
            behind[i] = inputs.map(|v| v.index()).any(|j| behind[j] || learned(j));
        }
        for i in (0..count).rev() {
            let on = before[i] || learned(i);
            for input in &self.nodes()[i].inputs {
                before[input.index()] |= on;
            }
        }
        let uses = self.uses();
        let specs = self.params().iter().zip(&uses);
        let mut hidden: Vec<bool> = specs
            .map(|(spec, of)| {
                let trained = matches!(spec.role, Role::Weight { .. });
                trained && spec.shape.len() == 2 && of.is_narrow()
            })
            .collect();
        for (i, node) in self.nodes().iter().enumerate() {
            if let Op::Embed { table } = node.op {
                hidden[table.index()] = false;
            }
            if let Some(weight) = self.weight(node) {
                hidden[weight.index()] &= behind[i] && before[i];
            }
        }
        hidden
    }
}

#[cfg(test)]
mod tests {
    use crate::config::ModelConfig;
    use crate::model::Model;

    fn hidden(text: &str) -> Vec<String> {
        let config: ModelConfig = toml::from_str(text).expect(text);
        let model = Model::from_config(&config).expect(text);
        let graph = model.graph();
        let all = graph.params().iter().zip(graph.hidden_matrices());
        let names = all.filter(|(_, hidden)| *hidden).map(|(p, _)| &p.name);
        names.cloned().collect()
    }

    #[test]
    fn the_first_and_the_last_matrix_are_none_whatever_reads_the_input() {
        let maps = [
            "conv.pointwise",
            "rnn.in",
            "rnn.out",
            "ff.mlp.up",
            "ff.mlp.down",
        ];
        let layer = |i: usize| maps.map(|n| format!("layers.{i}.{n}.weight"));
        let of = |input: &str| {
            hidden(&format!(
                "width = 8\nlayers = 2\n[input]\n{input}\n[head]\nwidth = 5\n[conv]\nkernel = 3\n[cell]\nkind = 'min_gru'\nexpansion = 2.0\n[mlp]\n"
            ))
        };
        let mut wanted = [layer(0), layer(1)].concat();
        wanted.sort();
        for input in ["vocab = 11", "features = 3"] {
            let mut found = of(input);
            found.sort();
            assert_eq!(found, wanted, "{input}");
        }
    }

    #[test]
    fn a_model_that_is_one_map_and_a_head_has_none() {
        let text = "width = 8\nlayers = 1\nnorm = 'none'\n[input]\nfeatures = 3\n[head]\nwidth = 2\n[cell]\nkind = 'min_gru'\n";
        let names = hidden(text);
        assert!(
            names.iter().all(|n| n.starts_with("layers.0.rnn")),
            "{names:?}"
        );
    }
}
