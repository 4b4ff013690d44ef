//! GPT-2 as the package transformers saves it, and nanoGPT, whose names are the same: its linear weights are `[out, in]`, those of transformers
//! `[in, out]`, and it has no `config.json`.

mod mapping;
mod nano;

use super::error::{ImportProblem, Result};
use super::found::{Layout, Tensors, shape};
use super::rows::Rows;
use super::settings::Gpt2;
use super::{Options, Plan};
pub(super) use nano::{Beside, check_mask};

/// What transformers and nanoGPT put before the names of all but the head; files of the model without it have none.
const WRAPPED: &str = "transformer.";
const FIRST: &str = "h.0.attn.c_attn.weight";

/// A file with their names.
pub(super) struct Named<'a> {
    tensors: &'a Tensors,
    before: &'static str,
}

/// The tensors, if they are named so.
pub(super) fn find(tensors: &Tensors) -> Option<Named<'_>> {
    let before = [WRAPPED, ""];
    let before = before
        .into_iter()
        .find(|before| tensors.contains_key(&format!("{before}{FIRST}")))?;
    Some(Named { tensors, before })
}

/// The name that such a model lies under, inside of a larger one, and what it is.
pub(super) fn below(tensors: &Tensors) -> Option<(&str, &'static str)> {
    let prefix = tensors.keys().find_map(|n| n.strip_suffix(FIRST))?;
    let prefix = prefix.strip_suffix(WRAPPED).unwrap_or(prefix);
    let prefix = prefix.strip_suffix('.').filter(|p| !p.is_empty())?;
    Some((prefix, "a GPT-2 or nanoGPT"))
}

/// Which biases there are.
#[derive(Clone, Copy)]
struct Biases {
    linear: bool,
    norms: bool,
}

impl Named<'_> {
    fn name(&self, rest: &str) -> String {
        format!("{}{rest}", self.before)
    }

    /// The name of the first linear weight.
    pub(super) fn first(&self) -> String {
        self.name(FIRST)
    }

    /// The name of the table of embeddings.
    pub(super) fn table(&self) -> String {
        self.name("wte.weight")
    }

    /// Whether linear weights are `[in, out]`, as transformers has them: of a packed `[q | k | v]` no two sizes are equal.
    ///
    /// # Errors
    /// A weight or a table that is missing, or of other sizes.
    pub(super) fn is_of_transformers(&self) -> Result<bool> {
        let [_, width] = shape(self.tensors, &self.table())?;
        let name = self.name(FIRST);
        match shape(self.tensors, &name)? {
            [k, n] if k == width && Some(n) == width.checked_mul(3) => Ok(true),
            [n, k] if k == width && Some(n) == width.checked_mul(3) => Ok(false),
            found => {
                let message = format!(
                    "has shape {found:?}; of width {width}, that of the embedding, it is [{width}, 3 {width}] in transformers and [3 {width}, {width}] in nanoGPT"
                );
                Err(ImportProblem::tensor(&name, message))
            }
        }
    }

    /// A model of transformers.
    ///
    /// # Errors
    /// Options that it has no use for; tensors that are missing, unexpected or of another shape than the settings say.
    pub(super) fn of_transformers(&self, s: &Gpt2, options: &Options) -> Result<Plan> {
        let given = [
            ("--norm-eps", options.norm_eps.is_some()),
            ("--activation", options.activation.is_some()),
            ("--heads", options.heads.is_some()),
            ("--normalize-gates", options.normalize_gates.is_some()),
            ("--tie", options.tie),
        ];
        if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
            let message = "config.json beside the weights says everything; leave it out";
            return Err(ImportProblem::option(flag, message));
        }
        let all = Biases {
            linear: true,
            norms: true,
        };
        self.plan(s, all, Layout::Transformers, vec![])
    }

    fn plan(&self, s: &Gpt2, biases: Biases, layout: Layout, notes: Vec<String>) -> Result<Plan> {
        let mut rows = mapping::rows(self.before, s, biases, layout == Layout::NanoGpt);
        self.leave_out_masks(&mut rows, s.layers);
        rows.check(layout.name(), self.tensors)?;
        let name = match layout {
            Layout::NanoGpt => "nanoGPT",
            _ => "GPT-2",
        };
        let heads = match s.heads {
            1 => "1 head".to_owned(),
            n => format!("{n} heads"),
        };
        Ok(Plan {
            what: format!(
                "{name}, model over tokens, {heads}, {} positions",
                s.positions
            ),
            config: mapping::config(s, biases),
            rows,
            notes,
        })
    }

    /// Masks, which earlier versions save beside the weights, `[1, 1, N, N]` and a number. Those of transformers are always causal; those of a
    /// nanoGPT are held to it ([`Named::masks`]).
    fn leave_out_masks(&self, rows: &mut Rows, layers: usize) {
        for i in 0..layers {
            for (rest, rank) in [("bias", 4), ("masked_bias", 0)] {
                let name = self.name(&format!("h.{i}.attn.{rest}"));
                let mask = self.tensors.get(&name);
                if mask.is_some_and(|mask| mask.shape.len() == rank) {
                    rows.unused.insert(name);
                }
            }
        }
    }
}
