//! A model: its graph and what it was made from.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::config::{HeadConfig, HeadSteps, InitConfig, ModelConfig, whole};
use crate::error::{ModelError, Result};
use crate::graph::{Graph, Input, Layer, Op, OutputKind, Param, Value};
use crate::layers::{CausalConv, Embedding, Linear, Mlp, Positions};
use crate::spec::{Init, Role};

/// A traced model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    graph: Graph,
    config: Json,
}

impl Model {
    /// From a configuration whose input and head are complete.
    ///
    /// # Errors
    /// The key whose value makes no model.
    pub fn from_config(config: &ModelConfig) -> Result<Self> {
        config.validate()?;
        let (width, layers, eps) = (config.width, config.layers, *config.norm_eps);
        let cell = (config.cell)
            .with_positions(config.positions)
            .with_dropout(config.dropout);
        let mixer = config.block.layer(&cell, width, layers, eps)?;
        let json = serde_json::to_value(config).expect("a configuration is plain data");
        Self::build(config, &*mixer, json)
    }

    /// From a configuration, with a recurrent layer of one's own in the place of the configured cell: from `[B, T, M]` to `[B, T, M]`.
    /// The configuration's `cell` is ignored; `name` stands in its place in what is exported.
    ///
    /// # Errors
    /// The key whose value makes no model, another block than the plain one; the errors of the layer.
    pub fn with_layer(config: &ModelConfig, name: &str, layer: &dyn Layer) -> Result<Self> {
        if !config.block.is_plain() {
            let what =
                "must be \"plain\": the layer stands in the place of the whole block's mixer";
            return Err(ModelError::config("block", what));
        }
        let mut json = serde_json::to_value(config).expect("a configuration is plain data");
        json["cell"] = json!({ "kind": "custom", "name": name });
        Self::build(config, layer, json)
    }

    /// From any function that traces a graph; `config` is carried into what is exported.
    ///
    /// # Errors
    /// Those of `body`, and of a graph that does not hold together, or has a parameter that nothing reads.
    pub fn trace(
        input: Input,
        kind: OutputKind,
        config: Json,
        body: impl FnOnce(&mut Graph, Value) -> Result<Value>,
    ) -> Result<Self> {
        let graph = Graph::trace(input, kind, body)?;
        graph.check_all_read()?;
        Ok(Self { graph, config })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What it was made from. Has `input.vocab` for models that take tokens.
    pub fn config(&self) -> &Json {
        &self.config
    }

    fn build(config: &ModelConfig, recurrent: &dyn Layer, json: Json) -> Result<Self> {
        config.validate()?;
        let Some(head) = config.head.width else {
            return Err(ModelError::config(
                "head.width",
                "is missing: the number of classes or values that come out",
            ));
        };
        if head == 0 {
            return Err(ModelError::config("head.width", "must be at least 1"));
        }
        let input = input_of(config)?;
        check_head(config, head)?;
        check_tied(&config.head, input, head)?;
        let mut model = Self::trace(input, *config.head.kind, json, |g, x| {
            let (mut x, table) = g.scope("input", |g| embed(g, config, input, x))?;
            for index in 0..config.layers {
                x = g.block(index, |g| block(g, config, recurrent, x))?;
            }
            if config.head.steps == HeadSteps::Last {
                x = g.op(Op::Last, &[x])?;
            }
            g.scope("head", |g| {
                let x = norm(g, config, x)?;
                let x = match table {
                    Some(table) => tied(g, config, table, x)?,
                    None => g.apply(&Linear::new("", head, config.head.bias), x)?,
                };
                denormalize(g, config, x)
            })
        })?;
        if config.init == InitConfig::Gpt2 {
            let parts = [config.conv.is_some(), true, config.mlp.is_some()];
            let parts = parts.iter().filter(|there| **there).count();
            model.graph.begin_as_gpt2(parts * config.layers);
        }
        Ok(model)
    }
}

/// Statistics of the head have one number a value, names are one a class or value.
fn check_head(config: &ModelConfig, width: usize) -> Result<()> {
    let head = &config.head;
    names("head.names", head.names.as_deref(), width)?;
    for (key, values) in [("head.mean", &head.mean), ("head.std", &head.std)] {
        if values.is_some() && head.kind == OutputKind::Logits {
            return Err(ModelError::config(key, "is for values, not for classes"));
        }
        statistics(key, values.as_deref(), width)?;
    }
    Ok(())
}

/// A tied head is a table of embeddings.
fn check_tied(head: &HeadConfig, input: Input, width: usize) -> Result<()> {
    let fail = |what: String| Err(ModelError::config("head.tied", what));
    match input {
        _ if !head.tied => Ok(()),
        Input::Features { .. } => {
            fail("is for models that take tokens: it reads their table of embeddings".into())
        }
        Input::Tokens { vocab } if vocab != width => fail(format!(
            "takes as many classes as there are tokens, {vocab}; head.width is {width}"
        )),
        Input::Tokens { .. } => Ok(()),
    }
}

/// One finite number for each of `width` channels; standard deviations are positive.
fn statistics(key: &str, values: Option<&[f32]>, width: usize) -> Result<()> {
    let Some(values) = values else { return Ok(()) };
    if values.len() != width || !values.iter().all(|v| v.is_finite()) {
        let what = format!("must have {width} finite numbers, one a channel");
        return Err(ModelError::config(key, what));
    }
    // The inverse of a standard deviation must be a number too.
    let usable = |v: &f32| *v > 0.0 && (1.0 / v).is_finite();
    if key.ends_with(".std") && !values.iter().all(usable) {
        return Err(ModelError::config(key, "must be positive, 3e-39 or more"));
    }
    Ok(())
}

/// Standard deviation of the first values of a table that the logits are made by, as in Mamba's and GPT-2's code.
const TIED: f64 = 0.02;

/// Bytes of a name.
const NAME: usize = 1000;

/// A name that is not empty for each of `width` channels, none twice.
fn names(key: &str, names: Option<&[String]>, width: usize) -> Result<()> {
    let Some(names) = names else { return Ok(()) };
    let fail = |what| Err(ModelError::config(key, what));
    if names.len() != width {
        return fail(format!("has {} names for {width} channels", names.len()));
    }
    let mut seen = BTreeSet::new();
    match names
        .iter()
        .find(|n| n.is_empty() || n.len() > NAME || !seen.insert(*n))
    {
        Some(name) if name.is_empty() => fail("has an empty name".into()),
        Some(name) if name.len() > NAME => fail(format!(
            "has a name of {} bytes, the most is {NAME}",
            name.len()
        )),
        Some(name) => fail(format!("has `{name}` twice")),
        None => Ok(()),
    }
}

fn input_of(config: &ModelConfig) -> Result<Input> {
    let missing = || {
        ModelError::config(
            "input",
            "is missing: set input.vocab (token ids) or input.features (real values)",
        )
    };
    let input = config.input.as_ref().ok_or_else(missing)?;
    match (input.vocab, input.features) {
        (Some(vocab), None) => {
            let given = [
                ("input.mean", input.mean.is_some()),
                ("input.std", input.std.is_some()),
                ("input.names", input.names.is_some()),
            ];
            if let Some((key, _)) = given.iter().find(|(_, given)| *given) {
                let what = "is for features, not for token ids";
                return Err(ModelError::config(*key, what));
            }
            Ok(Input::Tokens { vocab })
        }
        (None, Some(width)) => {
            names("input.names", input.names.as_deref(), width)?;
            statistics("input.mean", input.mean.as_deref(), width)?;
            statistics("input.std", input.std.as_deref(), width)?;
            Ok(Input::Features { width })
        }
        (None, None) => Err(missing()),
        _ => Err(ModelError::config(
            "input",
            "has both vocab and features; a model takes one of them",
        )),
    }
}

/// The embedded input and, if the head is tied to it, the table.
fn embed(
    g: &mut Graph,
    config: &ModelConfig,
    input: Input,
    x: Value,
) -> Result<(Value, Option<Param>)> {
    let (x, table) = match input {
        Input::Tokens { vocab } if config.head.tied => {
            let table = g.scope("embedding", |g| {
                let init = Init::Normal { std: TIED };
                let role = Role::Weight { init, decay: false };
                g.param("weight", &[vocab, config.width], role)
            })?;
            (g.op(Op::Embed { table }, &[x])?, Some(table))
        }
        Input::Tokens { vocab } => {
            let layer = Embedding {
                name: "embedding".into(),
                vocab,
                width: config.width,
            };
            (g.apply(&layer, x)?, None)
        }
        Input::Features { .. } => {
            let x = normalize(g, config, x)?;
            let layer = Linear::new("projection", config.width, true);
            (g.apply(&layer, x)?, None)
        }
    };
    let x = match config.positions {
        Some(count) => g.apply(&Positions { count }, x)?,
        None => x,
    };
    Ok((dropout(g, config, x)?, table))
}

/// Products with the rows of the table of embeddings.
fn tied(g: &mut Graph, config: &ModelConfig, table: Param, x: Value) -> Result<Value> {
    let width = g.param_spec(table).shape[0];
    let table = g.read(table)?;
    let y = g.matmul_transposed(x, table)?;
    if !config.head.bias {
        return Ok(y);
    }
    let init = Init::Constant(0.0);
    let bias = g.param("bias", &[width], Role::Weight { init, decay: false })?;
    let bias = g.read(bias)?;
    g.add(y, bias)
}

/// `(x - mean) / std` by buffers `shift = -mean` and `scale = 1 / std`.
fn normalize(g: &mut Graph, config: &ModelConfig, mut x: Value) -> Result<Value> {
    let Some(input) = &config.input else {
        return Ok(x);
    };
    let width = g.width(x);
    if let Some(mean) = &input.mean {
        let values = mean.iter().map(|m| -m).collect();
        let param = g.param("shift", &[width], Role::Buffer { values })?;
        let by = g.read(param)?;
        x = g.add(x, by)?;
    }
    if let Some(std) = &input.std {
        let values = std.iter().map(|s| 1.0 / s).collect();
        let param = g.param("scale", &[width], Role::Buffer { values })?;
        let by = g.read(param)?;
        x = g.mul(x, by)?;
    }
    Ok(x)
}

/// `x * std + mean` by buffers `scale = std` and `shift = mean`: values leave the model in the units of the data.
fn denormalize(g: &mut Graph, config: &ModelConfig, mut x: Value) -> Result<Value> {
    let width = g.width(x);
    if let Some(std) = &config.head.std {
        let values = std.clone();
        let param = g.param("scale", &[width], Role::Buffer { values })?;
        let by = g.read(param)?;
        x = g.mul(x, by)?;
    }
    if let Some(mean) = &config.head.mean {
        let values = mean.clone();
        let param = g.param("shift", &[width], Role::Buffer { values })?;
        let by = g.read(param)?;
        x = g.add(x, by)?;
    }
    Ok(x)
}

/// The paper's block (appendix C.2): convolution, recurrent layer, feed-forward layer, each optional but the second, each `x + f(norm(x))`;
/// the convolution also as `x + f(x)`.
fn block(
    g: &mut Graph,
    config: &ModelConfig,
    recurrent: &dyn Layer,
    mut x: Value,
) -> Result<Value> {
    if let Some(conv) = &config.conv {
        x = part(g, config, "conv", *conv.norm, x, |g, x| {
            let y = g.apply(
                &CausalConv {
                    kernel: conv.kernel,
                    bias: conv.bias,
                },
                x,
            )?;
            if conv.pointwise {
                g.apply(&Linear::new("pointwise", config.width, conv.bias), y)
            } else {
                Ok(y)
            }
        })?;
    }
    x = part(g, config, "", true, x, |g, x| {
        let y = g.apply(recurrent, x)?;
        if g.width(y) == config.width {
            return Ok(y);
        }
        let what = format!(
            "gives {} channels, the model's width is {}",
            g.width(y),
            config.width
        );
        Err(ModelError::Shape {
            scope: "layers".into(),
            op: recurrent.name().into(),
            what,
        })
    })?;
    if let Some(mlp) = &config.mlp {
        let hidden = whole("mlp.expansion", config.width, mlp.expansion)?;
        let layer = Mlp {
            hidden,
            activation: mlp.activation,
            gated: mlp.gated,
            bias: mlp.bias,
        };
        x = part(g, config, "ff", true, x, |g, x| g.apply(&layer, x))?;
    }
    Ok(x)
}

/// `x + dropout(body(norm(x)))`, as far as the configuration has each.
fn part(
    g: &mut Graph,
    config: &ModelConfig,
    name: &str,
    normed: bool,
    x: Value,
    body: impl FnOnce(&mut Graph, Value) -> Result<Value>,
) -> Result<Value> {
    let inner = |g: &mut Graph| {
        let y = if normed { norm(g, config, x)? } else { x };
        let y = body(g, y)?;
        let y = dropout(g, config, y)?;
        if config.residual { g.add(x, y) } else { Ok(y) }
    };
    if name.is_empty() {
        inner(g)
    } else {
        g.scope(name, inner)
    }
}

fn norm(g: &mut Graph, config: &ModelConfig, x: Value) -> Result<Value> {
    match config.norm.layer(*config.norm_eps) {
        Some(layer) => g.apply(&layer, x),
        None => Ok(x),
    }
}

fn dropout(g: &mut Graph, config: &ModelConfig, x: Value) -> Result<Value> {
    if config.dropout == 0.0 {
        Ok(x)
    } else {
        g.op(Op::Dropout { p: config.dropout }, &[x])
    }
}
