//! candle against the oracle: values, states, gradients; with fused kernels and without.

use candle_core::{DType, Device, Tensor};
use minrnn_model::compare::Comparison;
use minrnn_model::config::ModelConfig;
use minrnn_model::graph::{Input, OutputKind, StateInit, Unary};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_model::testing::test_each;

use super::{Outcome, Run, Weights, run};

mod case;
mod primitives;

pub(super) use case::compare;
pub(crate) use case::{Case, floats};
use primitives::{beginnings, primitives};

pub(super) const TOKENS: &str = "[input]\nvocab = 5\n";
pub(super) const FEATURES: &str =
    "[input]\nfeatures = 3\nmean = [0.5, -1.0, 0.1]\nstd = [2.0, 0.5, 1.5]\n";

/// Every layer and option of the configuration appears in at least one.
pub(crate) fn variants() -> Vec<(&'static str, Model, Params)> {
    let cases = [
        (
            "gru",
            TOKENS,
            "kind = 'min_gru'\nexpansion = 2",
            "[conv]\nkernel = 4\n[mlp]\nexpansion = 2\n",
        ),
        (
            "gru-linear",
            FEATURES,
            "candidate = 'linear'\ninitial_state = 'learned'",
            "[mlp]\nactivation = 'silu'\ngated = true\n",
        ),
        (
            "gru-bare",
            TOKENS,
            "bias = false\noutput_projection = false",
            "",
        ),
        (
            "lstm",
            FEATURES,
            "kind = 'min_lstm'\ntime_scale = [2.0, 30.0]",
            "[conv]\nkernel = 2\npointwise = false\nnorm = false\n",
        ),
        (
            "lstm-free",
            TOKENS,
            "kind = 'min_lstm'\nnormalize_gates = false",
            "[mlp]\nactivation = 'gelu_tanh'\nbias = false\n",
        ),
        (
            "lstm-learned",
            TOKENS,
            "kind = 'min_lstm'\ncandidate = 'linear'\ninitial_state = 'learned'",
            "[conv]\nkernel = 1\n",
        ),
        (
            "signed",
            FEATURES,
            "kind = 'signed_min_gru'\nexpansion = 2",
            "[conv]\nkernel = 2\n",
        ),
        (
            "signed, bare",
            TOKENS,
            "kind = 'signed_min_gru'\ninitial_state = 'zero'\noutput_projection = false\nbias = false",
            "",
        ),
        (
            "gru in Mamba's block",
            TOKENS,
            "expansion = 1.5\ninitial_state = 'learned'",
            "[block]\nkind = 'mamba'\nkernel = 3\nbias = true\n",
        ),
    ];
    let mut all = configured(&cases);
    for (name, steps) in [("values", "every"), ("values, last", "last")] {
        let text = format!(
            "width = 6\nlayers = 1\n{FEATURES}[head]\nwidth = 3\nkind = 'values'\nbias = true\nsteps = '{steps}'\n\
             mean = [10.0, -3.0, 0.5]\nstd = [4.0, 0.5, 2.0]\n"
        );
        let config: ModelConfig = toml::from_str(&text).expect(&text);
        let model = Model::from_config(&config).expect(&text);
        let params = Params::init(model.graph(), 7);
        all.push((name, model, params));
    }
    all.push((
        "primitives",
        primitives(),
        Params::init(primitives().graph(), 0),
    ));
    all.push((
        "beginnings",
        beginnings(),
        Params::init(beginnings().graph(), 0),
    ));
    all
}

/// Each with every norm: name, input, cell, further tables.
pub(super) fn configured(
    cases: &[(&'static str, &str, &str, &str)],
) -> Vec<(&'static str, Model, Params)> {
    let mut all = vec![];
    for (i, (name, input, cell, rest)) in cases.iter().enumerate() {
        for (j, head) in ["norm = 'rms'", "norm = 'layer'", "norm = 'none'"]
            .into_iter()
            .enumerate()
        {
            let steps = if (i + j) % 2 == 0 { "every" } else { "last" };
            let text = format!(
                "width = 6\nlayers = 2\n{head}\n{input}[head]\nwidth = 3\nbias = true\nsteps = '{steps}'\n[cell]\n{cell}\n{rest}"
            );
            let config: ModelConfig = toml::from_str(&text).expect(&text);
            let model = Model::from_config(&config).expect(&text);
            let mut params = Params::init(model.graph(), 7);
            let mut rng = Rng::named(9, &text);
            (0..params.len()).for_each(|p| {
                params
                    .get_mut(p)
                    .iter_mut()
                    .for_each(|v| *v += 0.3 * rng.range(-1.0, 1.0) as f32)
            });
            all.push((*name, model, params));
        }
    }
    all
}

/// [`variants`] and what only candle runs, as a table of cases.
pub(super) fn named() -> impl Iterator<Item = (String, (Model, Params))> {
    let named = |(i, (name, model, params))| (format!("{name} ({i})"), (model, params));
    variants().into_iter().chain(more()).enumerate().map(named)
}

/// Operations on parameters, groups, windows: what the tape does not plan.
fn more() -> Vec<(&'static str, Model, Params)> {
    let init = |bound| minrnn_model::params::Role::Weight {
        init: minrnn_model::params::Init::Uniform { bound },
        decay: true,
    };
    let tied = Model::trace(
        Input::Tokens { vocab: 5 },
        OutputKind::Logits,
        serde_json::Value::Null,
        |g, x| {
            use minrnn_model::graph::Op;
            let table = g.param("table", &[5, 4], init(1.0))?;
            let x = g.op(Op::Embed { table }, &[x])?;
            let h = g.block(0, |g| {
                // softplus of a step size, a decay a channel, both from parameters.
                let log = g.param("log", &[8], init(1.0))?;
                let log = g.read(log)?;
                let rate = g.unary(Unary::Exp, log)?;
                let size = g.unary(Unary::Abs, x)?;
                let minus = g.unary(Unary::Neg, size)?;
                let e = g.unary(Unary::Exp, minus)?;
                let more = g.affine(e, 1.0, 1.0)?;
                let low = g.unary(Unary::Log, more)?;
                let high = g.unary(Unary::Relu, x)?;
                let step = g.add(high, low)?;
                let step = g.repeat(step, 1, 2)?;
                let product = g.mul(step, rate)?;
                let decay = g.unary(Unary::Neg, product)?;
                let a = g.unary(Unary::Exp, decay)?;
                let b = g.repeat(x, 2, 2)?;
                let h0 = g.param("h0", &[8], init(1.0))?;
                let h = g.recurrence("h", a, b, StateInit::Learned(h0))?;
                g.sum(h, 2)
            })?;
            let table = g.read(table)?;
            g.matmul_transposed(h, table)
        },
    );
    let windows = Model::trace(
        Input::Features { width: 3 },
        OutputKind::Values,
        serde_json::Value::Null,
        |g, x| {
            use minrnn_model::graph::{Holds, Op};
            g.block(0, |g| {
                let begin = g.param("begin", &[3], init(1.0))?;
                let holds = Holds::Window { lag: 4 };
                let learned = g.state("a", 3, holds, StateInit::Learned(begin))?;
                let fixed = g.state("a", 3, Holds::Window { lag: 2 }, StateInit::Constant(0.5));
                assert!(fixed.is_err(), "of one layer");
                let fixed = g.scope("b", |g| {
                    g.state("a", 3, Holds::Window { lag: 2 }, StateInit::Constant(0.5))
                })?;
                let late = g.op(
                    Op::Delay {
                        state: learned,
                        by: 4,
                    },
                    &[x],
                )?;
                let early = g.op(
                    Op::Delay {
                        state: learned,
                        by: 1,
                    },
                    &[x],
                )?;
                let other = g.op(
                    Op::Delay {
                        state: fixed,
                        by: 2,
                    },
                    &[x],
                )?;
                let w = g.param("w", &[2, 3], init(1.0))?;
                let v = g.param("v", &[3, 6], init(1.0))?;
                let (w, v) = (g.read(w)?, g.read(v)?);
                let w = g.unary(Unary::Sin, w)?;
                let net = g.matmul(w, v)?;
                let net = g.unary(Unary::Cos, net)?;
                let row = g.op(Op::Row { row: 1 }, &[net])?;
                let half = g.mean(row, 2)?;
                let most = g.max(late, early)?;
                let sum = g.add(most, other)?;
                let sum = g.mul(sum, half)?;
                let back = g.matmul_transposed(sum, w)?;
                let wide = g.matmul(back, net)?;
                let two = g.constant(2.0)?;
                let wide = g.div(wide, two)?;
                let h = g.recurrence("h", wide, wide, StateInit::Constant(-0.25))?;
                let means = g.mean(h, 3)?;
                let whole = g.sum(h, 6)?;
                g.op(Op::Concat, &[means, whole])
            })
        },
    );
    let named = [("tied", tied), ("windows", windows), ("fold", folded())];
    let traced = named.map(|(name, model)| {
        let model = model.unwrap();
        let params = Params::init(model.graph(), 3);
        (name, model, params)
    });
    let traced = traced.into_iter().chain(of_feedback());
    let traced = traced.chain(of_state_spaces());
    let traced = traced.chain(super::attention_tests::models());
    traced.chain(of_convolutions()).collect()
}

/// A nonlinear body of two states of different widths, one of which begins with a learned row: with matrices that are parameters, and one
/// that is computed from these; what was before is read behind it, and a second fold stands behind the first.
fn folded() -> minrnn_model::Result<Model> {
    use minrnn_model::graph::{FoldState, Op};
    let input = Input::Features { width: 3 };
    Model::trace(
        input,
        OutputKind::Values,
        serde_json::Value::Null,
        |g, x| {
            let weight = |bound| minrnn_model::params::Role::Weight {
                init: minrnn_model::params::Init::Uniform { bound },
                decay: true,
            };
            g.block(0, |g| {
                let first = g.param("first", &[4], weight(1.0))?;
                let [u, v] =
                    [("u", [4, 4]), ("v", [2, 3])].map(|(n, s)| g.param(n, &s, weight(0.7)));
                let (u, v) = (u?, v?);
                let drive = g.op(Op::Concat, &[x, x])?;
                let drive = g.narrow(drive, 1, 4)?;
                let states = [
                    ("h", 4, StateInit::Learned(first)),
                    ("n", 2, StateInit::Constant(-0.5)),
                ];
                let states = states.map(|(name, width, init)| FoldState { name, width, init });
                let mut inner = x;
                let made = g.fold(&states, |g, before| {
                    let [h, n] = *before else {
                        unreachable!("two states")
                    };
                    let u = g.read(u)?;
                    let moved = g.matmul(h, u)?;
                    let sum = g.add(moved, drive)?;
                    let sum = g.unary(Unary::Tanh, sum)?;
                    let v = g.read(v)?;
                    let v = g.unary(Unary::Sin, v)?;
                    inner = g.matmul(n, v)?;
                    let gate = g.add(inner, x)?;
                    let gate = g.mean_of_all(gate)?;
                    let gate = g.unary(Unary::Sigmoid, gate)?;
                    let apart = g.sub(h, sum)?;
                    let apart = g.mul(apart, gate)?;
                    let h = g.add(sum, apart)?;
                    let halves = g.sum(h, 2)?;
                    let n = g.min(n, halves)?;
                    let n = g.affine(n, 0.5, 0.25)?;
                    Ok(vec![h, n, sum])
                })?;
                let before = g.before(made[0])?;
                let state = FoldState {
                    name: "k",
                    width: 3,
                    init: StateInit::Zero,
                };
                let late = g.fold(&[state], |g, k| {
                    let k = g.unary(Unary::Sin, k[0])?;
                    Ok(vec![g.sub(inner, k)?])
                })?;
                g.op(Op::Concat, &[made[0], made[1], made[2], before, late[0]])
            })
        },
    )
}

/// Convolutions whose taps are values, as many as the longest sequence of the tests that run these models.
const CONVOLVED: [(&str, &str, &str, &str); 3] = [
    (
        "hyena",
        FEATURES,
        "kind = 'hyena'\nlongest = 300\nfilter_width = 5\nbias = true",
        "[mlp]\nexpansion = 1\n",
    ),
    (
        "hyena, wide",
        TOKENS,
        "kind = 'hyena'\nlongest = 320\nfilter_width = 4\nexpansion = 1.5",
        "[conv]\nkernel = 2\n",
    ),
    (
        "hyena in Mamba's block",
        TOKENS,
        "kind = 'hyena'\nlongest = 310\nfilter_width = 3",
        "[block]\nkind = 'mamba'\n",
    ),
];

/// Convolutions whose taps are values.
pub(crate) fn of_convolutions() -> Vec<(&'static str, Model, Params)> {
    configured(&CONVOLVED)
}

/// Selective state spaces, and recurrences of other laws.
pub(crate) fn of_state_spaces() -> Vec<(&'static str, Model, Params)> {
    let others = configured(&OF_OTHER_LAWS);
    configured(&SELECTIVE).into_iter().chain(others).collect()
}

const FEEDBACK: [(&str, &str, &str, &str); 4] = [
    (
        "GRU",
        TOKENS,
        "kind = 'gru'\nexpansion = 1.5",
        "[conv]\nkernel = 3\n[mlp]\nexpansion = 1\n",
    ),
    (
        "GRU in Mamba's block",
        FEATURES,
        "kind = 'gru'\ninitial_state = 'learned'\nexpansion = 0.5",
        "[block]\nkind = 'mamba'\nkernel = 2\n",
    ),
    (
        "LSTM",
        FEATURES,
        "kind = 'lstm'\ninitial_state = 'learned'\nexpansion = 0.5",
        "[mlp]\nactivation = 'silu'\ngated = true\n",
    ),
    (
        "LSTM, bare",
        TOKENS,
        "kind = 'lstm'\noutput_projection = false\nbias = false",
        "",
    ),
];

/// GRU and LSTM.
pub(crate) fn of_feedback() -> Vec<(&'static str, Model, Params)> {
    configured(&FEEDBACK)
}

const SELECTIVE: [(&str, &str, &str, &str); 4] = [
    (
        "mamba",
        FEATURES,
        "kind = 'mamba'\nstates = 4\nrank = 2\nexpansion = 1",
        "[block]\nkind = 'mamba'\n[mlp]\nexpansion = 1\n",
    ),
    (
        "mamba, plain",
        TOKENS,
        "kind = 'mamba'\nstates = 3\nexpansion = 1.5\nbias = true",
        "[conv]\nkernel = 2\n",
    ),
    (
        "mamba2",
        TOKENS,
        "kind = 'mamba2'\nstates = 3\nhead_channels = 2\ngroups = 2\nexpansion = 2",
        "[block]\nkind = 'mamba'\nconv_bias = false\n",
    ),
    (
        "mamba2, plain",
        FEATURES,
        "kind = 'mamba2'\nstates = 3\nhead_channels = 3\nexpansion = 1",
        "",
    ),
];

/// Recurrences of other laws.
const OF_OTHER_LAWS: [(&str, &str, &str, &str); 5] = [
    (
        "aaren",
        FEATURES,
        "kind = 'aaren'\nhead_channels = 3\nbias = true",
        "[mlp]\nexpansion = 1\n",
    ),
    (
        "aaren in Mamba's block",
        TOKENS,
        "kind = 'aaren'\nexpansion = 0.5",
        "[block]\nkind = 'mamba'\n",
    ),
    (
        "s4d",
        FEATURES,
        "kind = 's4d'\nstates = 4\nstep = [0.1, 0.5]\ndiagonal = 'inv'",
        "[conv]\nkernel = 2\n",
    ),
    (
        "h3",
        TOKENS,
        "kind = 'h3'\nstates = 2\ntaps = 3\nstep = [0.1, 0.5]",
        "",
    ),
    (
        "s4d in Mamba's block",
        TOKENS,
        "kind = 's4d'\nstates = 6\nexpansion = 3",
        "[block]\nkind = 'mamba'\n",
    ),
];

#[test]
fn candle_equals_the_oracle() {
    test_each(named(), |name, (model, params)| {
        let graph = model.graph();
        for (seed, (batch, time)) in [(1, 1), (2, 1), (1, 2), (3, 9), (2, 33)]
            .into_iter()
            .enumerate()
        {
            for extras in [false, true] {
                let case = Case::new(graph, batch, time, seed as u64, extras);
                let want = case.oracle(graph, &params.to_f64());
                for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 2e-4)] {
                    let weights = Weights::new(graph, &params, dtype, &Device::Cpu).unwrap();
                    for fused in [false, true] {
                        let got = case.candle(graph, &weights, dtype, fused);
                        compare(
                            &format!("{name} B={batch} T={time} {dtype:?} fused={fused}"),
                            &got,
                            &want,
                            tolerance,
                        );
                    }
                }
            }
        }
    });
}

/// A scalar that depends on the output and on every state, each value with a weight of its own.
fn scalar(values: &[&[f64]]) -> f64 {
    let mut rng = Rng::named(5, "cotangent");
    values
        .iter()
        .flat_map(|v| v.iter())
        .map(|v| v * rng.range(-1.0, 1.0))
        .sum()
}

fn scalar_tensor(out: &Outcome) -> Tensor {
    let mut rng = Rng::named(5, "cotangent");
    let mut sum = Tensor::zeros((), DType::F64, &Device::Cpu).unwrap();
    for t in std::iter::once(&out.output).chain(&out.states) {
        let r: Vec<f64> = (0..t.elem_count()).map(|_| rng.range(-1.0, 1.0)).collect();
        let r = Tensor::from_vec(r, t.shape(), &Device::Cpu).unwrap();
        sum = (sum + (t * r).unwrap().sum_all().unwrap()).unwrap();
    }
    sum
}

#[test]
fn gradients_of_every_parameter_equal_finite_differences_of_the_oracle() {
    test_each(named(), |name, (model, params)| {
        let graph = model.graph();
        for (seed, extras) in [(0, false), (2, true), (3, true)] {
            let case = Case::new(graph, 2, 5, seed, extras);
            let loss = |p: &[Vec<f64>]| {
                let trace = case.oracle(graph, p);
                let all: Vec<&[f64]> = std::iter::once(&trace.output)
                    .chain(&trace.states)
                    .map(|t| t.data.as_slice())
                    .collect();
                scalar(&all)
            };
            let grads = [false, true].map(|fused| {
                let weights = Weights::new(graph, &params, DType::F64, &Device::Cpu).unwrap();
                let outcome = case.candle(graph, &weights, DType::F64, fused);
                let grads = scalar_tensor(&outcome).backward().unwrap();
                (fused, weights, grads)
            });
            // All values of a parameter move at once, each by a step of its own: no entry's gradient is left out.
            let mut rng = Rng::named(seed, "direction");
            let mut base = params.to_f64();
            for (i, spec) in graph.params().iter().enumerate() {
                let way: Vec<f64> = (0..spec.len()).map(|_| rng.range(-1.0, 1.0)).collect();
                let keep = base[i].clone();
                let mut at = |eps: f64| {
                    base[i] = keep.iter().zip(&way).map(|(v, d)| v + eps * d).collect();
                    loss(&base)
                };
                let eps = 1e-5;
                let want = (at(eps) - at(-eps)) / (2.0 * eps);
                base[i] = keep;
                for (fused, weights, grads) in &grads {
                    let Some((_, var)) = weights.vars().find(|(k, _)| *k == i) else {
                        continue;
                    };
                    let got = grads.get(var).map_or(vec![0.0; spec.len()], floats);
                    let got: f64 = got.iter().zip(&way).map(|(g, d)| g * d).sum();
                    let mut c = Comparison::default();
                    c.push(got, want, 1e-6 * (1.0 + want.abs()));
                    assert!(
                        c.holds(),
                        "{name} {} fused={fused} seed={seed}: {c:?}",
                        spec.name
                    );
                }
            }
        }
    });
}

#[test]
fn wrong_runs_are_refused_by_name() {
    let (_, model, params) = variants().remove(0);
    let weights = Weights::new(model.graph(), &params, DType::F32, &Device::Cpu).unwrap();
    let ids = Tensor::zeros((2, 3), DType::U32, &Device::Cpu).unwrap();
    let check = |r: Run, wanted: &str| {
        let e = run(model.graph(), &weights, &r)
            .expect_err("must be refused")
            .to_string();
        assert!(e.contains(wanted), "{e}");
    };
    check(
        Run {
            lens: Some(&[3, 4]),
            ..Run::new(&ids)
        },
        "lengths must have",
    );
    check(
        Run {
            reset: Some(&[true]),
            ..Run::new(&ids)
        },
        "reset must have",
    );
    check(
        Run {
            states: Some(&[]),
            ..Run::new(&ids)
        },
        "0 states given",
    );
    let wide = Tensor::zeros((2, 3, 4), DType::F32, &Device::Cpu).unwrap();
    check(Run::new(&wide), "got an input of shape");
    let beyond = Tensor::full(5u32, (1, 1), &Device::Cpu).unwrap();
    assert!(
        run(model.graph(), &weights, &Run::new(&beyond)).is_err(),
        "an id beyond the vocabulary"
    );
}
