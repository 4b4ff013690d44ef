//! A nanoGPT: its sizes are those of its tensors, the rest stands in the `model_args` beside them, or is given.

use minrnn_model::layers::Activation;

use super::{Biases, Named};
use crate::import::error::{ImportProblem, Result};
use crate::import::found::{Layout, shape};
use crate::import::settings::{Gpt2, POSITIONS};
use crate::import::source::Argument;
use crate::import::{Options, Plan};

/// What a nanoGPT is made by. Dropout changes nothing of what a finished model computes.
const KNOWN: [&str; 7] = [
    "n_layer",
    "n_head",
    "n_embd",
    "block_size",
    "bias",
    "vocab_size",
    "dropout",
];

/// What is in a file of nanoGPT beside the weights, or is given.
pub(in crate::import) struct Beside {
    /// Its `model_args`.
    pub(in crate::import) arguments: Vec<(String, Argument)>,
    /// Whether the head is the table of embeddings, bit for bit, or is not there.
    pub(in crate::import) tied: bool,
}

impl Named<'_> {
    /// A model of nanoGPT: its sizes are those of its tensors.
    ///
    /// # Errors
    /// Options that it has no use for; a number of heads that nobody says, or two of them; sizes that do not fit each other.
    pub(in crate::import) fn of_nano_gpt(
        &self,
        beside: &Beside,
        options: &Options,
    ) -> Result<Plan> {
        let unused = [
            ("--normalize-gates", options.normalize_gates.is_some()),
            ("--tie", options.tie),
        ];
        if let Some((flag, _)) = unused.iter().find(|(_, given)| *given) {
            let message = "a nanoGPT has no use for it; leave it out";
            return Err(ImportProblem::option(flag, message));
        }
        beside.all_known()?;
        let s = self.sizes(beside, options)?;
        let all = self.biases(beside, s.layers)?;
        let biases = Biases {
            linear: all,
            norms: all,
        };
        let mut notes = vec![];
        if options.activation.is_none() {
            notes.push(
                "GELU by the error function is taken, as nanoGPT has it since 2023; of a model by its earlier code, whose GELU is by tanh, say --activation gelu_tanh"
                    .to_owned(),
            );
        }
        if !biases.norms {
            notes.push("its norms have no biases: ours are zeros".to_owned());
        }
        self.plan(&s, biases, Layout::NanoGpt, notes)
    }

    /// Whether its linear maps and norms have biases: `bias` of a nanoGPT is for all of them.
    fn biases(&self, beside: &Beside, layers: usize) -> Result<bool> {
        let parts = [
            "ln_1",
            "attn.c_attn",
            "attn.c_proj",
            "ln_2",
            "mlp.c_fc",
            "mlp.c_proj",
        ];
        let layer = |i: usize| parts.iter().map(move |part| format!("h.{i}.{part}.bias"));
        let names = (0..layers).flat_map(layer).chain(["ln_f.bias".to_owned()]);
        let names = names.map(|rest| self.name(&rest));
        let (there, missing): (Vec<_>, Vec<_>) =
            names.partition(|name| self.tensors.contains_key(name));
        if let (Some(there), Some(missing)) = (there.first(), missing.first()) {
            return Err(ImportProblem::tensor(
                missing,
                format!(
                    "is missing, and `{there}` is there: a nanoGPT has biases in all linear maps and norms (`bias` = True) or in none; save the whole state_dict, with zeros where there is no bias"
                ),
            ));
        }
        let found = missing.is_empty();
        match (beside.flag("bias")?, there.first().or(missing.first())) {
            (Some(said), Some(name)) if said != found => Err(ImportProblem::tensor(
                name,
                format!(
                    "is {}, and model_args says `bias` = {}: weights and model_args are of two models; save both of one",
                    if found { "there" } else { "missing" },
                    if found { "False" } else { "True" }
                ),
            )),
            _ => Ok(found),
        }
    }

    fn sizes(&self, beside: &Beside, options: &Options) -> Result<Gpt2> {
        let [vocab, width] = shape(self.tensors, &self.table())?;
        let table = self.name("wpe.weight");
        let [positions, _] = shape(self.tensors, &table)?;
        if !POSITIONS.contains(&positions) {
            let mend = match positions < *POSITIONS.start() {
                true => "a model of one position sees nothing before it, and has no equal here",
                false => "save fewer rows of it",
            };
            return Err(ImportProblem::tensor(
                &table,
                format!(
                    "has {positions} rows, and a step sees as many steps as there are positions, {} to {}; {mend}",
                    POSITIONS.start(),
                    POSITIONS.end()
                ),
            ));
        }
        let [inner, _] = shape(self.tensors, &self.name("h.0.mlp.c_fc.weight"))?;
        let layers = self.layers();
        for (key, found) in [
            ("n_layer", layers),
            ("n_embd", width),
            ("vocab_size", vocab),
            ("block_size", positions),
        ] {
            if let Some(said) = beside.count(key)?.filter(|said| *said != found) {
                return Err(ImportProblem::format(format!(
                    "model_args says `{key}` = {said}, and the weights have {found}: they are of two models; save both of one"
                )));
            }
        }
        Ok(Gpt2 {
            vocab,
            width,
            layers,
            heads: heads(beside.count("n_head")?, options.heads, width)?,
            positions,
            inner,
            activation: options.activation.unwrap_or(Activation::Gelu),
            eps: options.norm_eps.unwrap_or(1e-5),
            tied: beside.tied,
        })
    }

    /// Names of the masks, `[1, 1, N, N]`, that earlier versions save beside the weights.
    pub(in crate::import) fn masks(&self) -> impl Iterator<Item = String> {
        let name = |i: usize| self.name(&format!("h.{i}.attn.bias"));
        let masks = (0..self.layers()).map(name);
        masks.filter(|name| {
            self.tensors
                .get(name)
                .is_some_and(|mask| mask.shape.len() == 4)
        })
    }

    /// Blocks, counted by their first weight.
    fn layers(&self) -> usize {
        let layer = |i: &usize| {
            let name = self.name(&format!("h.{i}.attn.c_attn.weight"));
            self.tensors.contains_key(&name)
        };
        (0..).take_while(layer).count()
    }
}

/// Holds a mask of a nanoGPT to what all of ours have: a step sees itself and all before it. A changed training may have had another one.
///
/// # Errors
/// A mask of another shape, or one that hides an earlier step or shows a later one.
pub(in crate::import) fn check_mask(name: &str, shape: &[usize], values: &[f32]) -> Result<()> {
    let fail = |what: String| {
        let mend = "ours see all steps up to their own; a model trained with another mask has no equal here, and if this one was never used, save the weights without it";
        Err(ImportProblem::tensor(name, format!("{what}: {mend}")))
    };
    let &[1, 1, rows, columns] = shape else {
        return fail(format!(
            "has shape {shape:?}, which is no mask [1, 1, N, N]"
        ));
    };
    if rows != columns {
        return fail(format!(
            "has shape {shape:?}, which is no mask [1, 1, N, N]"
        ));
    }
    let sees = |at: usize| at % columns <= at / columns;
    match (0..values.len()).find(|at| values[*at] != f32::from(u8::from(sees(*at)))) {
        None => Ok(()),
        Some(at) => fail(format!(
            "has {} at row {}, column {} (counted from 0), and a causal mask has {}",
            values[at],
            at / columns,
            at % columns,
            u8::from(sees(at))
        )),
    }
}

impl Beside {
    fn said(&self, key: &str) -> Option<&Argument> {
        let mut all = self.arguments.iter();
        all.find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// A whole number, 1 or more.
    fn count(&self, key: &str) -> Result<Option<usize>> {
        match self.said(key) {
            None => Ok(None),
            Some(Argument::Count(n)) if *n > 0 => Ok(Some(*n)),
            Some(other) => Err(ImportProblem::format(format!(
                "model_args says `{key}` = {other}, and it is a whole number of at least 1: save the model_args of the training"
            ))),
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.said(key) {
            None => Ok(None),
            Some(Argument::Flag(said)) => Ok(Some(*said)),
            Some(Argument::Count(n @ 0..=1)) => Ok(Some(*n == 1)),
            Some(other) => Err(ImportProblem::format(format!(
                "model_args says `{key}` = {other}, and it is True or False: save the model_args of the training"
            ))),
        }
    }

    /// # Errors
    /// An argument that no nanoGPT has: it may change what the model computes.
    fn all_known(&self) -> Result<()> {
        let mut all = self.arguments.iter();
        match all.find(|(name, _)| !KNOWN.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, value)) => Err(ImportProblem::Unsupported {
                what: format!("`{name}` = {value} in model_args"),
                message: format!(
                    "a nanoGPT has {}, and this might change what the model computes; take it out of model_args if it does not",
                    KNOWN.join(", ")
                ),
            }),
        }
    }
}

/// How many heads: no shape tells.
fn heads(said: Option<usize>, given: Option<usize>, width: usize) -> Result<usize> {
    let fail = |message: String| Err(ImportProblem::option("--heads", message));
    let heads = match (said, given) {
        (Some(said), Some(given)) if said != given => {
            return fail(format!(
                "{given}: model_args in the file says `n_head` = {said}"
            ));
        }
        (Some(heads), _) | (None, Some(heads)) => heads,
        (None, None) => {
            return fail(
                "is needed: neither the weights nor a `model_args` beside them say how many heads the attention has (n_head of the training)".into(),
            );
        }
    };
    if let (Some(said), false) = (said, width.is_multiple_of(heads)) {
        return Err(ImportProblem::format(format!(
            "model_args says `n_head` = {said}, which does not divide the width {width}: weights and model_args are of two models; save both of one"
        )));
    }
    if heads == 0 || !width.is_multiple_of(heads) {
        return fail(format!(
            "{heads} heads do not divide the width {width}; give the n_head of the training"
        ));
    }
    Ok(heads)
}
