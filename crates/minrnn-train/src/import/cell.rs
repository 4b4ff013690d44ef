//! The recurrent layer, in a model and alone.
//!
//! minGRU of both layouts packs `[hidden | gate]`, ours is `[gate | hidden]`; minLSTM packs `[hidden | forget | input]`, ours is
//! `[forget | input | hidden]`. Both have g on the candidate.

use minrnn_model::config::{
    BlockConfig, CellConfig, HeadConfig, InitConfig, InitialState, InputConfig, Minimal,
    ModelConfig, NormConfig,
};
use minrnn_model::graph::OutputKind;
use minrnn_model::stated::Stated;

use super::error::{ImportProblem, Result};
use super::found::{CellFound, Layout, PaperCell, Tensors};
use super::rows::{How, Rows};
use super::{Options, Plan};

impl CellFound {
    /// Order of their blocks in ours.
    pub(super) fn order(&self) -> Vec<usize> {
        match self.kind {
            PaperCell::MinGru => vec![1, 0],
            PaperCell::MinLstm => vec![1, 2, 0],
        }
    }

    pub(super) fn biased(&self) -> bool {
        self.layout == Layout::Minrnns
    }

    /// Our cell; `width` is our model's.
    ///
    /// # Errors
    /// Gates of which the file does not say whether they are normalised.
    pub(super) fn config(&self, width: usize, options: &Options) -> Result<CellConfig> {
        let flag = "--normalize-gates";
        let normalize_gates = match (self.kind, self.layout, options.normalize_gates) {
            (PaperCell::MinGru, _, Some(_)) => {
                return Err(ImportProblem::option(
                    flag,
                    "is for minLSTM; the file has a minGRU",
                ));
            }
            (_, Layout::Lucidrains, Some(false)) => {
                let message = "minLSTM of minGRU-pytorch always normalises its gates";
                return Err(ImportProblem::option(flag, message));
            }
            (PaperCell::MinLstm, Layout::Minrnns, None) => {
                return Err(ImportProblem::Ambiguous {
                    what: "the weights do not say whether the gates of minLSTM are normalised: `use_coeff_norm` of the training run, \
                           whose default is False"
                        .into(),
                    flag: "--normalize-gates true or --normalize-gates false",
                });
            }
            (_, _, given) => given.unwrap_or(true),
        };
        let keys = Minimal {
            expansion: super::ratio(self.channels, width),
            normalize_gates,
            bias: self.biased(),
            initial_state: if self.learned {
                InitialState::Learned
            } else {
                InitialState::Zero
            },
            output_projection: self.projection || self.channels != width,
            ..Minimal::default()
        };
        Ok(match self.kind {
            PaperCell::MinGru => CellConfig::MinGru(keys),
            PaperCell::MinLstm => CellConfig::MinLstm(keys),
        })
    }

    /// Rows of the packed weights, the initial state and the projection; `width` is our model's, `theirs` and `ours` are
    /// prefixes of names.
    pub(super) fn rows(&self, rows: &mut Rows, theirs: &str, ours: &str, width: usize) {
        let packed = self.order().len() * self.channels;
        let name = |end: &str| format!("{theirs}{}.{end}", self.packed);
        let from = vec![(name("weight"), vec![packed, self.width])];
        rows.add(
            format!("{ours}in.weight"),
            &[width, packed],
            How::Transposed(self.order()),
            from,
        );
        if self.biased() {
            let from = vec![(name("bias"), vec![packed])];
            rows.add(
                format!("{ours}in.bias"),
                &[packed],
                How::Reordered(self.order()),
                from,
            );
        }
        self.rest(rows, theirs, ours, width);
    }

    /// The same without the packed weights.
    pub(super) fn rest(&self, rows: &mut Rows, theirs: &str, ours: &str, width: usize) {
        if self.learned {
            let from = vec![(format!("{theirs}init_hidden_state"), vec![self.channels])];
            rows.add(format!("{ours}h0"), &[self.channels], How::Activated, from);
        }
        let (out, shape) = (format!("{ours}out.weight"), [self.channels, width]);
        if self.projection {
            let from = vec![(format!("{theirs}to_out.weight"), vec![width, self.channels])];
            rows.add(out, &shape, How::Transposed(vec![0]), from);
            if self.biased() {
                let from = vec![(format!("{theirs}to_out.bias"), vec![width])];
                rows.add(format!("{ours}out.bias"), &[width], How::Copied, from);
            }
        } else if self.channels != width {
            rows.add(out, &shape, How::Identity, vec![]);
        }
    }
}

/// A layer alone, `[B, T, dim]` to `[B, T, C]`: our model around it has maps of zeros and ones only, which change no value.
///
/// # Errors
/// What the file does not say; options that such a file has no use for.
pub(super) fn alone(tensors: &Tensors, cell: &CellFound, options: &Options) -> Result<Plan> {
    for (flag, given) in [
        ("--norm-eps", options.norm_eps.is_some()),
        ("--activation", options.activation.is_some()),
        ("--vocab", options.vocabulary.is_some()),
        ("--tie", options.tie),
    ] {
        if given {
            let message = "the file has a recurrent layer alone, which has no use for it";
            return Err(ImportProblem::option(flag, message));
        }
    }
    // Without a projection the channels come out as they are, so that our width must hold them.
    let width = match cell.projection {
        true => cell.width,
        false => cell.width.max(cell.channels),
    };
    let outputs = if cell.projection {
        cell.width
    } else {
        cell.channels
    };
    let mut rows = Rows::default();
    rows.add(
        "input.projection.weight",
        &[cell.width, width],
        How::Identity,
        vec![],
    );
    rows.add("input.projection.bias", &[width], How::Zeros, vec![]);
    cell.rows(&mut rows, "", "layers.0.rnn.", width);
    rows.add("head.weight", &[width, outputs], How::Identity, vec![]);
    rows.check(cell.layout.name(), tensors)?;
    let config = ModelConfig {
        width,
        layers: 1,
        input: Some(InputConfig {
            features: Some(cell.width),
            ..InputConfig::default()
        }),
        cell: cell.config(width, options)?,
        block: BlockConfig::Plain,
        norm: NormConfig::None,
        norm_eps: Stated::left_out(minrnn_model::layers::Norm::EPS),
        conv: None,
        mlp: None,
        residual: false,
        dropout: 0.0,
        positions: None,
        init: InitConfig::Usual,
        head: HeadConfig {
            width: Some(outputs),
            kind: OutputKind::Values.into(),
            ..HeadConfig::default()
        },
    };
    Ok(Plan {
        what: "recurrent layer alone".into(),
        config,
        rows,
        notes: vec![],
    })
}
