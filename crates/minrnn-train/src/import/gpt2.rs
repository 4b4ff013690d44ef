//! GPT-2 as the package transformers saves it, and nanoGPT, whose names are the same: its linear weights are `[out, in]`, those of transformers
//! `[in, out]`, and it has no `config.json`.

use minrnn_model::config::{
    Attention, BlockConfig, CellConfig, HeadConfig, InitConfig, InputConfig, MlpConfig,
    ModelConfig, NormConfig,
};
use minrnn_model::layers::Activation;
use minrnn_model::stated::Stated;

use super::error::{ImportProblem, Result};
use super::found::{Layout, Tensors, shape};
use super::rows::{How, Rows};
use super::settings::{Gpt2, POSITIONS};
use super::state_space::HEAD;
use super::{Options, Plan, ratio};

/// What transformers and nanoGPT put before the names of all but the head; files of the model without it have none.
const WRAPPED: &str = "transformer.";
const FIRST: &str = "h.0.attn.c_attn.weight";

/// A file with their names.
pub(super) struct Named<'a> {
    tensors: &'a Tensors,
    before: &'static str,
}

/// What is in a file of nanoGPT beside the weights, or is given.
pub(super) struct Beside {
    /// The whole numbers of its `model_args`; True is 1, as in Python.
    pub(super) arguments: Vec<(String, usize)>,
    /// Whether the head is the table of embeddings, bit for bit, or is not there.
    pub(super) tied: bool,
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

    /// A model of nanoGPT: its sizes are those of its tensors.
    ///
    /// # Errors
    /// Options that it has no use for; a number of heads that nobody says, or two of them; sizes that do not fit each other.
    pub(super) fn of_nano_gpt(&self, beside: &Beside, options: &Options) -> Result<Plan> {
        let unused = [
            ("--normalize-gates", options.normalize_gates.is_some()),
            ("--tie", options.tie),
        ];
        if let Some((flag, _)) = unused.iter().find(|(_, given)| *given) {
            let message = "a nanoGPT has no use for it; leave it out";
            return Err(ImportProblem::option(flag, message));
        }
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
        match (beside.said("bias"), there.first().or(missing.first())) {
            (Some(said), Some(name)) if (said != 0) != found => Err(ImportProblem::tensor(
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
            return Err(ImportProblem::tensor(
                &table,
                format!(
                    "has {positions} rows, and a step sees as many steps as there are positions, {} to {}; save fewer rows of it",
                    POSITIONS.start(),
                    POSITIONS.end()
                ),
            ));
        }
        let [inner, _] = shape(self.tensors, &self.name("h.0.mlp.c_fc.weight"))?;
        let layer = |i: &usize| {
            let name = self.name(&format!("h.{i}.attn.c_attn.weight"));
            self.tensors.contains_key(&name)
        };
        let layers = (0..).take_while(layer).count();
        for (key, found) in [
            ("n_layer", layers),
            ("n_embd", width),
            ("vocab_size", vocab),
            ("block_size", positions),
        ] {
            if let Some(said) = beside.said(key).filter(|said| *said != found) {
                return Err(ImportProblem::format(format!(
                    "model_args says `{key}` = {said}, and the weights have {found}: they are of two models; save both of one"
                )));
            }
        }
        Ok(Gpt2 {
            vocab,
            width,
            layers,
            heads: heads(beside.said("n_head"), options.heads, width)?,
            positions,
            inner,
            activation: options.activation.unwrap_or(Activation::Gelu),
            eps: options.norm_eps.unwrap_or(1e-5),
            tied: beside.tied,
        })
    }

    fn plan(&self, s: &Gpt2, biases: Biases, layout: Layout, notes: Vec<String>) -> Result<Plan> {
        let map = Map {
            before: self.before,
            turned: layout == Layout::NanoGpt,
            biases,
            rows: Rows::default(),
        };
        let mut rows = map.whole(s);
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
            config: config(s, biases),
            rows,
            notes,
        })
    }

    /// Masks, which earlier versions save beside the weights, `[1, 1, N, N]` and a number.
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

impl Beside {
    fn said(&self, key: &str) -> Option<usize> {
        let mut all = self.arguments.iter();
        all.find(|(name, _)| name == key).map(|(_, value)| *value)
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
    if heads == 0 || !width.is_multiple_of(heads) {
        return fail(format!(
            "{heads} heads do not divide the width {width}; give the n_head of the training"
        ));
    }
    Ok(heads)
}

/// The mapping in the making.
struct Map {
    before: &'static str,
    /// Whether their linear weights are `[out, in]`.
    turned: bool,
    biases: Biases,
    rows: Rows,
}

impl Map {
    fn whole(mut self, s: &Gpt2) -> Rows {
        let (m, inner) = (s.width, s.inner);
        self.copied("wte.weight", "input.embedding.weight", &[s.vocab, m]);
        self.copied("wpe.weight", "input.position.weight", &[s.positions, m]);
        for i in 0..s.layers {
            self.norm(&format!("h.{i}.ln_1"), &format!("layers.{i}.norm"), m);
            self.norm(&format!("h.{i}.ln_2"), &format!("layers.{i}.ff.norm"), m);
            for (theirs, ours, sizes) in [
                ("attn.c_attn", "mixer.in", [m, 3 * m]),
                ("attn.c_proj", "mixer.out", [m, m]),
                ("mlp.c_fc", "ff.mlp.up", [m, inner]),
                ("mlp.c_proj", "ff.mlp.down", [inner, m]),
            ] {
                self.linear(
                    &format!("h.{i}.{theirs}"),
                    &format!("layers.{i}.{ours}"),
                    sizes,
                );
            }
        }
        self.norm("ln_f", "head.norm", m);
        if s.tied {
            // The same table again, if it is there; the caller compares the two.
            self.rows.unused.insert(HEAD.into());
        } else {
            let from = vec![(HEAD.to_owned(), vec![s.vocab, m])];
            let how = How::Transposed(vec![0]);
            self.rows.add("head.weight", &[m, s.vocab], how, from);
        }
        self.rows
    }

    fn copied(&mut self, theirs: &str, ours: &str, sizes: &[usize]) {
        let from = vec![(format!("{}{theirs}", self.before), sizes.to_vec())];
        self.rows.add(ours, sizes, How::Copied, from);
    }

    fn norm(&mut self, theirs: &str, ours: &str, width: usize) {
        self.copied(
            &format!("{theirs}.weight"),
            &format!("{ours}.weight"),
            &[width],
        );
        let bias = format!("{ours}.bias");
        if self.biases.norms {
            self.copied(&format!("{theirs}.bias"), &bias, &[width]);
        } else {
            self.rows.add(bias, &[width], How::Zeros, vec![]);
        }
    }

    /// A linear map from k to n channels.
    fn linear(&mut self, theirs: &str, ours: &str, [k, n]: [usize; 2]) {
        let (weight, own) = (format!("{theirs}.weight"), format!("{ours}.weight"));
        if self.turned {
            let from = vec![(format!("{}{weight}", self.before), vec![n, k])];
            self.rows.add(own, &[k, n], How::Transposed(vec![0]), from);
        } else {
            self.copied(&weight, &own, &[k, n]);
        }
        if self.biases.linear {
            self.copied(&format!("{theirs}.bias"), &format!("{ours}.bias"), &[n]);
        }
    }
}

fn config(s: &Gpt2, biases: Biases) -> ModelConfig {
    ModelConfig {
        width: s.width,
        layers: s.layers,
        input: Some(InputConfig {
            vocab: Some(s.vocab),
            ..InputConfig::default()
        }),
        cell: CellConfig::Attention(Attention {
            heads: s.heads,
            bias: biases.linear,
            ..Attention::default()
        }),
        block: BlockConfig::Plain,
        norm: NormConfig::Layer,
        norm_eps: Stated::left_out(s.eps),
        conv: None,
        mlp: Some(MlpConfig {
            expansion: ratio(s.inner, s.width),
            activation: s.activation,
            gated: false,
            bias: biases.linear,
        }),
        residual: true,
        dropout: 0.0,
        positions: Some(s.positions),
        init: InitConfig::Gpt2,
        head: HeadConfig {
            width: Some(s.vocab),
            tied: s.tied,
            ..HeadConfig::default()
        },
    }
}
