//! `torch.nn.GRU` and `torch.nn.LSTM`: their order of gates is ours, so that weights are turned and nothing else.
//!
//! Our model around the layers has maps of zeros and ones only, which change no value. Its width holds the larger of their input and
//! hidden sizes; where there are more inputs than gates have rows, these maps would be larger than the file, and the model's input projection
//! is the first layer's `weight_ih` instead, so that ours is never more than a few times what lies in the file.

use minrnn_model::config::{
    BlockConfig, CellConfig, HeadConfig, InputConfig, ModelConfig, NormConfig, Rnn,
};
use minrnn_model::graph::OutputKind;
use minrnn_model::stated::Stated;

use super::error::{ImportProblem, Result};
use super::found::{Layout, Tensors, shape};
use super::rows::{How, Rows};
use super::{Options, Plan, ratio};

/// The tensor that every such file has.
const FIRST: &str = "weight_ih_l0";

/// Whether the file has such layers.
pub(super) fn is(tensors: &Tensors) -> bool {
    tensors.keys().any(|n| layer(n).is_some())
}

/// The number of the layer whose inputs a tensor weighs.
fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("weight_ih_l")?.parse().ok()
}

/// The name that such layers lie under, inside of a larger model, and what they are.
pub(super) fn below(tensors: &Tensors) -> Option<(&str, &'static str)> {
    let find = |end: &str| tensors.keys().find_map(|n| n.strip_suffix(end));
    let prefix = find(".weight_ih_l0").filter(|at| {
        let hidden = format!("{at}.weight_hh_l0");
        tensors.contains_key(&hidden)
    });
    prefix.map(|prefix| (prefix, "a recurrent layer of torch.nn"))
}

/// The name of a cell that is called step by step, of GRUCell or LSTMCell: its rows are those of a layer, under other names.
pub(super) fn cell(tensors: &Tensors) -> Option<&str> {
    let mut prefixes = tensors.keys().filter_map(|n| n.strip_suffix("weight_ih"));
    prefixes.find(|at| {
        let hidden = format!("{at}weight_hh");
        tensors.contains_key(&hidden) && (at.is_empty() || at.ends_with('.'))
    })
}

/// What the layers are.
struct Found {
    kind: &'static str,
    /// Gates, each with H rows of the weights.
    gates: usize,
    inputs: usize,
    hidden: usize,
    layers: usize,
    bias: bool,
}

/// All layers, `[B, T, I]` to `[B, T, H]`.
///
/// # Errors
/// What no model of ours has: both directions, projections, torch.nn.RNN; tensors too many or too few; options without a use.
pub(super) fn whole(tensors: &Tensors, options: &Options) -> Result<Plan> {
    unused(options)?;
    let found = found(tensors)?;
    let width = found.width();
    let mut rows = Rows::default();
    let (how, from) = match found.is_wide() {
        true => (How::Transposed(vec![0]), found.inputs_of(0)),
        false => (How::Identity, vec![]),
    };
    let projection = [found.inputs, width];
    rows.add("input.projection.weight", &projection, how, from);
    rows.add("input.projection.bias", &[width], How::Zeros, vec![]);
    for layer in 0..found.layers {
        found.rows(&mut rows, layer, width);
    }
    let head = [width, found.hidden];
    rows.add("head.weight", &head, How::Identity, vec![]);
    rows.check(Layout::Torch.name(), tensors)?;
    let keys = Rnn {
        expansion: ratio(found.hidden, width),
        bias: found.bias,
        output_projection: width != found.hidden,
        ..Rnn::default()
    };
    let config = ModelConfig {
        width,
        layers: found.layers,
        input: Some(InputConfig {
            features: Some(found.inputs),
            ..InputConfig::default()
        }),
        cell: match found.gates {
            3 => CellConfig::Gru(keys),
            _ => CellConfig::Lstm(keys),
        },
        block: BlockConfig::Plain,
        norm: NormConfig::None,
        norm_eps: Stated::left_out(minrnn_model::layers::Norm::EPS),
        conv: None,
        mlp: None,
        residual: false,
        positions: None,
        init: Default::default(),
        dropout: 0.0,
        head: HeadConfig {
            width: Some(found.hidden),
            kind: OutputKind::Values.into(),
            ..HeadConfig::default()
        },
    };
    Ok(Plan {
        what: format!(
            "torch.nn.{}({}, {}, num_layers={})",
            found.kind, found.inputs, found.hidden, found.layers
        ),
        config,
        rows,
        notes: vec![
            "what it gives is the last layer's output of each step, [B, T, H]; dropout between layers is not in the file, train with `dropout` of ours".into(),
        ],
    })
}

fn unused(options: &Options) -> Result<()> {
    for (flag, given) in [
        ("--norm-eps", options.norm_eps.is_some()),
        ("--activation", options.activation.is_some()),
        ("--normalize-gates", options.normalize_gates.is_some()),
        ("--vocab", options.vocabulary.is_some()),
        ("--tie", options.tie),
    ] {
        if given {
            let message = "the file has layers of torch.nn alone, which have no use for it";
            return Err(ImportProblem::option(flag, message));
        }
    }
    Ok(())
}

fn found(tensors: &Tensors) -> Result<Found> {
    let unsupported = |what: &str, name: &str, message: &str| {
        Err(ImportProblem::Unsupported {
            what: format!("{what} (tensor `{name}`)"),
            message: message.into(),
        })
    };
    if let Some(name) = tensors.keys().find(|n| n.ends_with("_reverse")) {
        let message = "a layer that reads a sequence from its end has no step form; train it with bidirectional=False";
        return unsupported("a bidirectional layer", name, message);
    }
    if let Some(name) = tensors.keys().find(|n| n.starts_with("weight_hr_l")) {
        let message =
            "no cell of ours projects its state within the step; train it with proj_size=0";
        return unsupported("an LSTM with proj_size", name, message);
    }
    let layers = (0..).take_while(|i| tensors.contains_key(&format!("weight_ih_l{i}")));
    let layers = layers.count();
    if let Some(last) = tensors
        .keys()
        .filter_map(|n| layer(n))
        .max()
        .filter(|last| *last >= layers)
    {
        let message = format!(
            "is missing, and there is `weight_ih_l{last}`: a layer reads what the one before it gives; save the whole state_dict"
        );
        return Err(ImportProblem::tensor(
            &format!("weight_ih_l{layers}"),
            message,
        ));
    }
    // The other layers are held to the first by their names.
    let [rows, inputs] = shape(tensors, FIRST)?;
    let [same, hidden] = shape(tensors, "weight_hh_l0")?;
    let gates = rows.checked_div(hidden).unwrap_or(0);
    if same != rows || gates * hidden != rows {
        let message = format!("has {rows} rows, and weight_hh_l0 {same} of {hidden} columns");
        return Err(ImportProblem::tensor(FIRST, message));
    }
    let kind = match gates {
        3 => "GRU",
        4 => "LSTM",
        1 => {
            let message = "its cell is not known; torch.nn.GRU and torch.nn.LSTM are";
            return unsupported("torch.nn.RNN", FIRST, message);
        }
        _ => {
            let message =
                format!("has {gates} gates of {hidden} rows; torch.nn.GRU has 3, torch.nn.LSTM 4");
            return Err(ImportProblem::tensor(FIRST, message));
        }
    };
    Ok(Found {
        kind,
        gates,
        inputs,
        hidden,
        layers,
        bias: tensors.contains_key("bias_ih_l0"),
    })
}

impl Found {
    /// Whether there are more inputs than rows of the gates.
    fn is_wide(&self) -> bool {
        self.inputs > self.gates * self.hidden
    }

    /// M.
    fn width(&self) -> usize {
        match self.is_wide() {
            true => self.gates * self.hidden,
            false => self.inputs.max(self.hidden),
        }
    }

    /// The weight of a layer's inputs, as it is in the file.
    fn inputs_of(&self, layer: usize) -> Vec<(String, Vec<usize>)> {
        let inputs = if layer == 0 { self.inputs } else { self.hidden };
        let shape = vec![self.gates * self.hidden, inputs];
        vec![(format!("weight_ih_l{layer}"), shape)]
    }

    fn rows(&self, rows: &mut Rows, layer: usize, width: usize) {
        let (h, wide) = (self.hidden, self.gates * self.hidden);
        let ours = |name: &str| format!("layers.{layer}.rnn.{name}");
        let turned = || How::Transposed(vec![0]);
        let into = match layer == 0 && self.is_wide() {
            true => (How::Identity, vec![]),
            false => (turned(), self.inputs_of(layer)),
        };
        let hidden = vec![(format!("weight_hh_l{layer}"), vec![wide, h])];
        for (name, theirs, columns, (how, from)) in [
            ("in", "ih", width, into),
            ("hidden", "hh", h, (turned(), hidden)),
        ] {
            rows.add(ours(&format!("{name}.weight")), &[columns, wide], how, from);
            if self.bias {
                let from = vec![(format!("bias_{theirs}_l{layer}"), vec![wide])];
                rows.add(ours(&format!("{name}.bias")), &[wide], How::Copied, from);
            }
        }
        if width != h {
            rows.add(ours("out.weight"), &[h, width], How::Identity, vec![]);
            if self.bias {
                rows.add(ours("out.bias"), &[width], How::Zeros, vec![]);
            }
        }
    }
}
