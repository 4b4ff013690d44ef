//! A whole model: embedding, blocks of convolution, cell and feed-forward layer, norm, head. Both layouts have this order,
//! `x + conv(x)` without a norm, then `x + cell(norm(x))`, then `x + ff(norm(x))`.

use minrnn_model::config::{
    BlockConfig, ConvConfig, HeadConfig, InitConfig, InputConfig, MlpConfig, ModelConfig,
    NormConfig,
};
use minrnn_model::layers::{Activation, Norm};
use minrnn_model::stated::Stated;

use super::error::{ImportProblem, Result};
use super::found::{self, CellFound, Layout, NormStyle, Tensors, shape};
use super::rows::{How, Rows};
use super::{Options, Plan, ratio};

/// `torch.nn.RMSNorm` without an epsilon of its own takes that of the type it runs in; here of float32.
pub(super) const F32_EPSILON: f64 = f32::EPSILON as f64;
/// `torch.nn.BatchNorm1d`.
const BATCH_EPSILON: f64 = 1e-5;
const EMBEDDING: &str = "token_emb.weight";

/// What the blocks are made of, as the first one shows.
struct Lm<'a> {
    tensors: &'a Tensors,
    cell: &'a CellFound,
    norm: NormStyle,
    eps: f64,
    /// k.
    conv: Option<usize>,
    ff: Option<FeedForward>,
    layers: usize,
}

struct FeedForward {
    hidden: usize,
    gated: bool,
    /// Whether the gated half is scaled channel by channel.
    scaled: bool,
}

/// The mapping of a whole model.
///
/// # Errors
/// Sizes that contradict each other, what the file does not say, options that it has no use for.
pub(super) fn whole(tensors: &Tensors, cell: &CellFound, options: &Options) -> Result<Plan> {
    let lm = Lm::find(tensors, cell, options)?;
    let mut rows = Rows::default();
    let input = lm.input(&mut rows, options)?;
    for i in 0..lm.layers {
        lm.block(&mut rows, i);
    }
    let outputs = lm.head(&mut rows, options)?;
    rows.check(cell.layout.name(), tensors)?;
    let mut notes = vec![];
    if lm.norm == NormStyle::Batch {
        notes.push("the batch norms are folded into the linear maps behind them, as they are in evaluation".into());
    }
    if !rows.unused.is_empty() {
        let unused: Vec<_> = rows.unused.iter().map(String::as_str).collect();
        notes.push(format!("not used by the model: {}", unused.join(", ")));
    }
    let what = match &input.vocab {
        Some(_) => "model over tokens",
        None => "model over features",
    };
    Ok(Plan {
        what: what.into(),
        config: lm.config(input, outputs, options)?,
        rows,
        notes,
    })
}

impl<'a> Lm<'a> {
    fn find(tensors: &'a Tensors, cell: &'a CellFound, options: &Options) -> Result<Self> {
        let norm = found::norm(tensors, "layers.0.1")?;
        if norm == NormStyle::Batch && !cell.biased() {
            return Err(ImportProblem::Unsupported {
                what: "a batch norm before a cell without biases".into(),
                message: "it belongs to no layout that is known".into(),
            });
        }
        if !cell.projection && cell.channels != cell.width {
            let message = format!(
                "is missing; the cell has {} channels, the model {}",
                cell.channels, cell.width
            );
            return Err(ImportProblem::tensor("layers.0.2.to_out.weight", message));
        }
        let own = match norm {
            NormStyle::Weight => F32_EPSILON,
            // x / max(|x|, 1e-12) in theirs: the same in float32 wherever |x| is above 1e-8, and 0 at 0.
            NormStyle::Gamma => 1e-24 / cell.width as f64,
            NormStyle::Batch => BATCH_EPSILON,
        };
        let depthwise = "layers.0.0.net.0.weight";
        let conv = match tensors.contains_key(depthwise) {
            true => Some(shape::<3>(tensors, depthwise)?[2]),
            false => None,
        };
        Ok(Self {
            tensors,
            cell,
            norm,
            eps: options.norm_eps.unwrap_or(own),
            conv,
            ff: feed_forward(tensors, cell, options)?,
            layers: found::layers(tensors)?,
        })
    }

    fn input(&self, rows: &mut Rows, options: &Options) -> Result<InputConfig> {
        let width = self.cell.width;
        if self.tensors.contains_key(EMBEDDING) {
            let [vocab, _] = shape(self.tensors, EMBEDDING)?;
            let from = vec![(EMBEDDING.into(), vec![vocab, width])];
            rows.add("input.embedding.weight", &[vocab, width], How::Copied, from);
            return Ok(InputConfig {
                vocab: Some(vocab),
                ..InputConfig::default()
            });
        }
        if options.vocabulary.is_some() {
            let message = "the model takes features, not tokens";
            return Err(ImportProblem::option("--vocab", message));
        }
        let name = match self.cell.layout {
            Layout::Lucidrains => EMBEDDING,
            _ => "layer_in.weight",
        };
        let [_, features] = shape(self.tensors, name)?;
        linear(
            rows,
            "layer_in",
            "input.projection",
            [width, features],
            vec![0],
        );
        Ok(InputConfig {
            features: Some(features),
            ..InputConfig::default()
        })
    }

    fn block(&self, rows: &mut Rows, i: usize) {
        let (m, theirs, ours) = (
            self.cell.width,
            format!("layers.{i}."),
            format!("layers.{i}."),
        );
        if let Some(k) = self.conv {
            let name = |n: u8, end: &str| format!("{theirs}0.net.{n}.{end}");
            let own = |part: &str, end: &str| format!("{ours}conv.{part}.{end}");
            let bias = vec![m];
            rows.add(
                own("depthwise", "weight"),
                &[k, m],
                How::Depthwise,
                vec![(name(0, "weight"), vec![m, 1, k])],
            );
            rows.add(
                own("depthwise", "bias"),
                &[m],
                How::Copied,
                vec![(name(0, "bias"), bias.clone())],
            );
            rows.add(
                own("pointwise", "weight"),
                &[m, m],
                How::Transposed(vec![0]),
                vec![(name(1, "weight"), vec![m, m, 1])],
            );
            rows.add(
                own("pointwise", "bias"),
                &[m],
                How::Copied,
                vec![(name(1, "bias"), bias)],
            );
        }
        let (cell, rnn) = (format!("{theirs}2."), format!("{ours}rnn."));
        if self.norm == NormStyle::Batch {
            let packed = format!("{cell}{}", self.cell.packed);
            let outputs = self.cell.order().len() * self.cell.channels;
            self.folded(
                rows,
                &format!("{theirs}1"),
                &packed,
                &format!("{rnn}in"),
                outputs,
                self.cell.order(),
                true,
            );
            self.cell.rest(rows, &cell, &rnn, m);
        } else {
            self.norm(rows, &format!("{theirs}1"), &ours);
            self.cell.rows(rows, &cell, &rnn, m);
        }
        match &self.ff {
            Some(ff) => self.feed_forward(rows, ff, &theirs, &format!("{ours}ff.")),
            None => self.unused_norm(rows, &format!("{theirs}3")),
        }
    }

    fn feed_forward(&self, rows: &mut Rows, ff: &FeedForward, theirs: &str, ours: &str) {
        let (m, h) = (self.cell.width, ff.hidden);
        // Theirs activates the second half, ours the first.
        let (outputs, order) = if ff.gated {
            (2 * h, vec![1, 0])
        } else {
            (h, vec![0])
        };
        let (norm, up) = (format!("{theirs}3"), format!("{theirs}4.0"));
        if self.norm == NormStyle::Batch {
            self.folded(
                rows,
                &norm,
                &up,
                &format!("{ours}mlp.up"),
                outputs,
                order,
                true,
            );
        } else {
            self.norm(rows, &norm, ours);
            linear(rows, &up, &format!("{ours}mlp.up"), [outputs, m], order);
        }
        let mut down = vec![(format!("{theirs}4.2.weight"), vec![m, h])];
        let mut how = How::Transposed(vec![0]);
        if ff.scaled {
            down.push((format!("{theirs}4.1.mult_bias"), vec![h]));
            how = How::Scaled;
        }
        rows.add(format!("{ours}mlp.down.weight"), &[h, m], how, down);
        let bias = vec![(format!("{theirs}4.2.bias"), vec![m])];
        rows.add(format!("{ours}mlp.down.bias"), &[m], How::Copied, bias);
    }

    /// C.
    fn head(&self, rows: &mut Rows, options: &Options) -> Result<usize> {
        let own = match self.cell.layout {
            Layout::Lucidrains => "to_logits",
            _ => "to_out",
        };
        let there = self.tensors.contains_key(&format!("{own}.weight"));
        let theirs = match (there, options.tie) {
            (true, true) => {
                let message = format!("the file has a head of its own, `{own}.weight`");
                return Err(ImportProblem::option("--tie", message));
            }
            (false, true) => "token_emb",
            (false, false) if self.tensors.contains_key(EMBEDDING) => {
                return Err(ImportProblem::Ambiguous {
                    what: format!(
                        "`{own}.weight` is missing: where it is the embedding itself (tied weights)"
                    ),
                    flag: "--tie",
                });
            }
            _ => own,
        };
        let [outputs, _] = shape(self.tensors, &format!("{theirs}.weight"))?;
        if self.norm == NormStyle::Batch {
            self.folded(rows, "norm", theirs, "head", outputs, vec![0], false);
        } else {
            self.norm(rows, "norm", "head.");
            let from = vec![(format!("{theirs}.weight"), vec![outputs, self.cell.width])];
            rows.add(
                "head.weight",
                &[self.cell.width, outputs],
                How::Transposed(vec![0]),
                from,
            );
        }
        Ok(outputs)
    }

    fn norm(&self, rows: &mut Rows, theirs: &str, ours: &str) {
        let (end, how) = match self.norm {
            NormStyle::Gamma => ("gamma", How::PlusOne),
            _ => ("weight", How::Copied),
        };
        let shape = [self.cell.width];
        let from = vec![(format!("{theirs}.{end}"), shape.to_vec())];
        rows.add(format!("{ours}norm.weight"), &shape, how, from);
    }

    /// A linear map `theirs` behind the batch norm `norm`.
    #[expect(clippy::too_many_arguments, reason = "names and sizes on both sides")]
    fn folded(
        &self,
        rows: &mut Rows,
        norm: &str,
        theirs: &str,
        ours: &str,
        outputs: usize,
        order: Vec<usize>,
        bias: bool,
    ) {
        let m = self.cell.width;
        let mut from = vec![(format!("{theirs}.weight"), vec![outputs, m])];
        let parts = ["weight", "bias", "running_mean", "running_var"];
        from.extend(parts.map(|end| (format!("{norm}.norm.{end}"), vec![m])));
        rows.unused
            .insert(format!("{norm}.norm.num_batches_tracked"));
        let how = How::Folded(order.clone(), self.eps);
        rows.add(format!("{ours}.weight"), &[m, outputs], how, from.clone());
        if bias {
            from.push((format!("{theirs}.bias"), vec![outputs]));
        }
        rows.add(
            format!("{ours}.bias"),
            &[outputs],
            How::FoldedBias(order, self.eps),
            from,
        );
    }

    /// The norm of a feed-forward layer that is not there.
    fn unused_norm(&self, rows: &mut Rows, norm: &str) {
        let batch = [
            "weight",
            "bias",
            "running_mean",
            "running_var",
            "num_batches_tracked",
        ];
        let ends = match self.norm {
            NormStyle::Weight => vec!["weight".to_owned()],
            NormStyle::Gamma => vec!["gamma".to_owned()],
            NormStyle::Batch => batch.iter().map(|end| format!("norm.{end}")).collect(),
        };
        rows.unused
            .extend(ends.iter().map(|end| format!("{norm}.{end}")));
    }

    fn config(&self, input: InputConfig, outputs: usize, options: &Options) -> Result<ModelConfig> {
        let width = self.cell.width;
        let batch = self.norm == NormStyle::Batch;
        let mlp = |ff: &FeedForward| MlpConfig {
            expansion: ratio(ff.hidden, width),
            activation: options.activation.unwrap_or(Activation::Gelu),
            gated: ff.gated,
            bias: true,
        };
        Ok(ModelConfig {
            width,
            layers: self.layers,
            input: Some(input),
            cell: self.cell.config(width, options)?,
            block: BlockConfig::Plain,
            norm: if batch {
                NormConfig::None
            } else {
                NormConfig::Rms
            },
            norm_eps: Stated::left_out(if batch { Norm::EPS } else { self.eps }),
            conv: self.conv.map(|kernel| ConvConfig {
                kernel,
                pointwise: true,
                bias: true,
                norm: Stated::left_out(false),
            }),
            mlp: self.ff.as_ref().map(mlp),
            residual: true,
            dropout: 0.0,
            positions: None,
            init: InitConfig::Usual,
            head: HeadConfig {
                width: Some(outputs),
                bias: batch,
                ..HeadConfig::default()
            },
        })
    }
}

/// A linear map with a bias, `[N, K]` on their side.
fn linear(rows: &mut Rows, theirs: &str, ours: &str, [n, k]: [usize; 2], order: Vec<usize>) {
    let weight = vec![(format!("{theirs}.weight"), vec![n, k])];
    rows.add(
        format!("{ours}.weight"),
        &[k, n],
        How::Transposed(order.clone()),
        weight,
    );
    let bias = vec![(format!("{theirs}.bias"), vec![n])];
    rows.add(format!("{ours}.bias"), &[n], How::Reordered(order), bias);
}

fn feed_forward(
    tensors: &Tensors,
    cell: &CellFound,
    options: &Options,
) -> Result<Option<FeedForward>> {
    let (up, down) = ("layers.0.4.0.weight", "layers.0.4.2.weight");
    let there = tensors.contains_key(up) || tensors.contains_key(down);
    if !there && cell.layout == Layout::Minrnns {
        return match options.activation {
            Some(_) => Err(ImportProblem::option(
                "--activation",
                "the model has no feed-forward layer",
            )),
            None => Ok(None),
        };
    }
    let [outputs, _] = shape(tensors, up)?;
    let [_, hidden] = shape(tensors, down)?;
    let scaled = tensors.contains_key("layers.0.4.1.mult_bias");
    let gated = outputs != hidden;
    if gated && (outputs != 2 * hidden || cell.layout != Layout::Minrnns) || scaled && !gated {
        let message = format!(
            "has {outputs} rows, and `{down}` has {hidden} columns: no feed-forward layer of the layout `{}`",
            cell.layout.name()
        );
        return Err(ImportProblem::tensor(up, message));
    }
    Ok(Some(FeedForward {
        hidden,
        gated,
        scaled,
    }))
}
