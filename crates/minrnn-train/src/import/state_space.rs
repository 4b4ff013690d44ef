//! Mamba and Mamba-2 as the package transformers saves them: every block is Mamba's, a norm before it.

use minrnn_model::config::{
    BlockConfig, CellConfig, GatedConfig, HeadConfig, InitConfig, InputConfig, Mamba, Mamba2,
    ModelConfig, NormConfig,
};
use minrnn_model::stated::Stated;

use super::error::{ImportProblem, Result};
use super::found::{Layout, Tensors};
use super::rows::{How, Rows};
use super::settings::{Family, Settings};
use super::{Options, Plan, ratio};

const TABLE: &str = "backbone.embeddings.weight";
/// The head of a model that is not tied.
pub(super) const HEAD: &str = "lm_head.weight";

/// Whether the tensors are named so.
pub(super) fn is(tensors: &Tensors) -> bool {
    let there = |n: &String| n.starts_with("backbone.layers.") && n.contains(".mixer.");
    tensors.keys().any(there)
}

/// The mapping of a whole model.
///
/// # Errors
/// Options that it has no use for; tensors that are missing, unexpected or of another shape than the settings say.
pub(super) fn whole(tensors: &Tensors, s: &Settings, options: &Options) -> Result<Plan> {
    let given = [
        ("--norm-eps", options.norm_eps.is_some()),
        ("--activation", options.activation.is_some()),
        ("--normalize-gates", options.normalize_gates.is_some()),
        ("--tie", options.tie),
    ];
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
        let message = "config.json beside the weights says everything; leave it out";
        return Err(ImportProblem::option(flag, message));
    }
    let mut rows = Rows::default();
    let table = vec![s.vocab, s.width];
    rows.add(
        "input.embedding.weight",
        &table,
        How::Copied,
        vec![(TABLE.into(), table.clone())],
    );
    for i in 0..s.layers {
        s.block(&mut rows, i);
    }
    let norm = vec![("backbone.norm_f.weight".into(), vec![s.width])];
    rows.add("head.norm.weight", &[s.width], How::Copied, norm);
    if s.tied {
        // The same table again, if it is there; the caller compares the two.
        rows.unused.insert(HEAD.into());
    } else {
        let from = vec![(HEAD.into(), table)];
        rows.add(
            "head.weight",
            &[s.width, s.vocab],
            How::Transposed(vec![0]),
            from,
        );
    }
    rows.check(Layout::Transformers.name(), tensors)?;
    Ok(Plan {
        what: s.words(),
        config: s.config(),
        notes: s.notes(),
        rows,
    })
}

/// Where one block's tensors come from and go to.
struct Names {
    theirs: String,
    ours: String,
}

impl Names {
    fn copied(&self, rows: &mut Rows, theirs: &str, ours: &str, shape: &[usize]) {
        let flat = [shape.iter().product()];
        let from = vec![(format!("{}{theirs}", self.theirs), shape.to_vec())];
        rows.add(format!("{}{ours}", self.ours), &flat, How::Copied, from);
    }

    /// A linear map from k to n channels, its bias if there is one, in blocks of `order`.
    fn linear(
        &self,
        rows: &mut Rows,
        theirs: &str,
        ours: &str,
        [n, k]: [usize; 2],
        bias: bool,
        order: &[usize],
    ) {
        let name =
            |end: &str, shape: Vec<usize>| vec![(format!("{}{theirs}.{end}", self.theirs), shape)];
        let own = |end: &str| format!("{}{ours}.{end}", self.ours);
        let how = How::Transposed(order.to_vec());
        rows.add(own("weight"), &[k, n], how, name("weight", vec![n, k]));
        if bias {
            let how = How::Reordered(order.to_vec());
            rows.add(own("bias"), &[n], how, name("bias", vec![n]));
        }
    }
}

impl Settings {
    fn block(&self, rows: &mut Rows, i: usize) {
        let (m, d) = (self.width, self.channels);
        let block = Names {
            theirs: format!("backbone.layers.{i}."),
            ours: format!("layers.{i}."),
        };
        block.copied(rows, "norm.weight", "norm.weight", &[m]);
        let mixer = Names {
            theirs: format!("backbone.layers.{i}.mixer."),
            ours: format!("layers.{i}.mixer."),
        };
        let along = match self.family {
            Family::Mamba => 0,
            Family::Mamba2 => 2 * self.groups * self.states,
        };
        // Ours is [z | x | b c | dt]; theirs is [x | z], and the same as ours in Mamba-2.
        let (inner, order) = match self.family {
            Family::Mamba => (2 * d, &[1, 0][..]),
            Family::Mamba2 => (2 * d + along + self.heads(), &[0][..]),
        };
        mixer.linear(rows, "in_proj", "in", [inner, m], self.bias, order);
        let (k, wide) = (self.kernel, d + along);
        let kernel = vec![(format!("{}conv1d.weight", mixer.theirs), vec![wide, 1, k])];
        let own = format!("{}depthwise.weight", mixer.ours);
        rows.add(own, &[k, wide], How::Depthwise, kernel);
        if self.conv_bias {
            mixer.copied(rows, "conv1d.bias", "depthwise.bias", &[wide]);
        }
        match self.family {
            Family::Mamba => {
                let (r, n) = (self.rank, self.states);
                mixer.linear(rows, "x_proj", "ssm.x", [r + 2 * n, d], false, &[0]);
                mixer.linear(rows, "dt_proj", "ssm.dt", [d, r], true, &[0]);
                mixer.copied(rows, "A_log", "ssm.A_log", &[d, n]);
                mixer.copied(rows, "D", "ssm.D", &[d]);
            }
            Family::Mamba2 => {
                for (theirs, ours) in [
                    ("dt_bias", "ssm.dt_bias"),
                    ("A_log", "ssm.A_log"),
                    ("D", "ssm.D"),
                ] {
                    mixer.copied(rows, theirs, ours, &[self.heads()]);
                }
                mixer.copied(rows, "norm.weight", "norm.weight", &[d]);
            }
        }
        mixer.linear(rows, "out_proj", "out", [m, d], self.bias, &[0]);
    }

    fn heads(&self) -> usize {
        self.channels / self.head_channels
    }

    fn config(&self) -> ModelConfig {
        let expansion = ratio(self.channels, self.width);
        let cell = match self.family {
            Family::Mamba => CellConfig::Mamba(Mamba {
                expansion,
                states: self.states,
                rank: Some(self.rank),
                ..Mamba::default()
            }),
            Family::Mamba2 => CellConfig::Mamba2(Mamba2 {
                expansion,
                states: self.states,
                head_channels: self.head_channels,
                groups: self.groups,
                ..Mamba2::default()
            }),
        };
        ModelConfig {
            width: self.width,
            layers: self.layers,
            input: Some(InputConfig {
                vocab: Some(self.vocab),
                ..InputConfig::default()
            }),
            cell,
            block: BlockConfig::Mamba(GatedConfig {
                kernel: self.kernel,
                conv_bias: self.conv_bias,
                bias: self.bias,
            }),
            norm: NormConfig::Rms,
            norm_eps: Stated::left_out(self.eps),
            conv: None,
            mlp: None,
            residual: true,
            dropout: 0.0,
            positions: None,
            init: InitConfig::Usual,
            head: HeadConfig {
                width: Some(self.vocab),
                tied: self.tied,
                ..HeadConfig::default()
            },
        }
    }

    fn words(&self) -> String {
        let (name, states) = match self.family {
            Family::Mamba => ("Mamba", format!("{} states a channel", self.states)),
            Family::Mamba2 => (
                "Mamba-2",
                format!(
                    "{} heads of {} channels and {} states",
                    self.heads(),
                    self.head_channels,
                    self.states
                ),
            ),
        };
        format!("{name}, model over tokens, {states}")
    }

    fn notes(&self) -> Vec<String> {
        if self.groups == 1 {
            return vec![];
        }
        vec![
            "the gated norm takes each of the groups by itself, as mamba_ssm and transformers 5 do; earlier versions of transformers \
             took all channels together"
                .into(),
        ]
    }
}
