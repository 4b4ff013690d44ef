//! Models with attention, which candle alone runs.

use candle_core::{DType, Device, Tensor};
use minrnn_model::graph::{Input, OutputKind};
use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data};
use minrnn_model::params::Params;

use super::tests::{FEATURES, TOKENS, configured, floats};
use super::{Run, Weights, run};

/// Windows shorter and longer than sequences, with and without positions.
const CONFIGURED: [(&str, &str, &str, &str); 4] = [
    (
        "attention",
        TOKENS,
        "kind = 'attention'\nheads = 2\nwindow = 5\nbias = true",
        "[mlp]\n",
    ),
    (
        "attention, long",
        FEATURES,
        "kind = 'attention'\nheads = 3\nwindow = 150\nexpansion = 2",
        "",
    ),
    (
        "attention in Mamba's block",
        TOKENS,
        "kind = 'attention'\nwindow = 2",
        "[block]\nkind = 'mamba'\n",
    ),
    (
        "attention, dropout",
        "dropout = 0.3\n[input]\nvocab = 5\n",
        "kind = 'attention'\nheads = 3\nwindow = 4",
        "",
    ),
];

/// nanoGPT's block.
pub(super) const NANO: &str = "width = 8\nlayers = 2\nnorm = 'layer'\npositions = 64\ninit = 'gpt2'\n[input]\nvocab = 5\n\
    [head]\nwidth = 5\ntied = true\n[cell]\nkind = 'attention'\nheads = 2\nbias = true\n[mlp]\n";

pub(super) fn models() -> Vec<(&'static str, Model, Params)> {
    with_nano(NANO)
}

/// The same with more positions, and everything of nanoGPT's block: for long sequences.
pub(crate) fn long() -> Vec<(&'static str, Model, Params)> {
    let text = NANO.replace("positions = 64", "positions = 320\ndropout = 0.2");
    with_nano(&text)
}

fn with_nano(text: &str) -> Vec<(&'static str, Model, Params)> {
    let config = toml::from_str(text).unwrap();
    let nano = Model::from_config(&config).unwrap();
    let params = Params::init(nano.graph(), 3);
    let mut all = configured(&CONFIGURED);
    all.push(("nano", nano, params));
    all
}

/// Longer than a block of queries, which a sequence of a short window is cut into.
#[test]
fn a_long_sequence_is_computed_in_blocks() {
    let (_, model, params) = models().remove(0);
    let graph = model.graph();
    let ids: Vec<u32> = (0..2 * 300).map(|i| i * i % 5).collect();
    let want = oracle::Run::new(2, 300, Data::Tokens(&ids));
    let want = oracle::run(graph, &params.to_f64(), &want).unwrap();
    let weights = Weights::new(graph, &params, DType::F64, &Device::Cpu).unwrap();
    let input = Tensor::from_slice(&ids, (2, 300), &Device::Cpu).unwrap();
    let got = floats(&run(graph, &weights, &Run::new(&input)).unwrap().output);
    let off = got.iter().zip(&want.output.data);
    assert!(off.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 1e-12);
}

/// The table of positions has 64 rows: one step more is an error, also when it is the first of a run, and a reset begins anew.
#[test]
fn beyond_the_positions_is_an_error() {
    let (_, model, params) = models().pop().unwrap();
    let graph = model.graph();
    let weights = Weights::new(graph, &params, DType::F32, &Device::Cpu).unwrap();
    let input = |t: usize| Tensor::zeros((1, t), DType::U32, &Device::Cpu).unwrap();
    let whole = run(graph, &weights, &Run::new(&input(64))).unwrap();
    let next = input(1);
    let one = |reset| Run {
        states: Some(&whole.states),
        reset,
        ..Run::new(&next)
    };
    for r in [Run::new(&input(65)), one(None)] {
        let e = run(graph, &weights, &r).unwrap_err().to_string();
        assert!(
            e.contains("input.position.weight") && e.contains("64"),
            "{e}"
        );
    }
    run(graph, &weights, &one(Some(&[true]))).unwrap();
    let data = [0; 65];
    let all = oracle::Run::new(1, 65, Data::Tokens(&data));
    let e = oracle::run(graph, &params.to_f64(), &all)
        .unwrap_err()
        .to_string();
    assert!(
        e.contains("row 64 of `input.position.weight`, which has 64"),
        "{e}"
    );
}

/// A model of one's own whose attention counts something else.
#[test]
fn attention_takes_the_graphs_own_counter() {
    let traced = |wrong: bool| {
        Model::trace(
            Input::Features { width: 4 },
            OutputKind::Values,
            serde_json::Value::Null,
            |g, x| {
                g.block(0, |g| {
                    let kv = g.repeat(x, 4, 2)?;
                    let n = match wrong {
                        true => g.narrow(x, 0, 1)?,
                        false => g.steps(x)?,
                    };
                    g.attend("window", [x, kv, n], 2, 3)
                })
            },
        )
    };
    assert!(traced(false).is_ok());
    let e = traced(true).unwrap_err().to_string();
    assert!(e.contains("Graph::steps"), "{e}");
}
