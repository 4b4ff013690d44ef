use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device};
use serde_json::Value as Json;

use super::*;
use crate::optim::{Optimizer, OptimizerConfig, Parameter};

const LR: f64 = 0.01;
const SHAPES: [&[usize]; 3] = [&[12, 30], &[25, 8], &[9]];

fn wave(len: usize, k: f64) -> Vec<f64> {
    (0..len).map(|i| (i as f64 * k + 0.3).sin()).collect()
}

fn config() -> OptimizerConfig {
    OptimizerConfig {
        clip_norm: Some(2.0),
        weight_decay: 0.3,
        muon: Some(MuonConfig {
            lr: Some(0.02),
            ..MuonConfig::default()
        }),
        ..OptimizerConfig::default()
    }
}

fn gradient(which: usize, step: usize) -> Vec<f64> {
    let len = SHAPES[which].iter().product();
    wave(len, 0.9 + which as f64 + 0.37 * step as f64)
}

/// Two matrices, of which one decays, and a vector, by the rule of `config` with the learning rate [`LR`].
fn setup(config: &OptimizerConfig) -> Optimizer {
    let parameter = |i: usize| {
        let values = wave(SHAPES[i].iter().product(), 0.7 + i as f64).into_iter();
        let values: Vec<f32> = values.map(|v| v as f32).collect();
        Parameter {
            name: ["wide", "tall", "bias"][i].to_owned(),
            var: Var::from_vec(values, SHAPES[i], &Device::Cpu).unwrap(),
            kind: Kind {
                decay: i == 0,
                hidden: i < 2,
            },
        }
    };
    Optimizer::new((0..3).map(parameter).collect(), config.rule(LR).unwrap()).unwrap()
}

fn step(optimizer: &mut Optimizer, step: usize) {
    let mut grads = GradStore::default();
    for (i, p) in optimizer.parameters().iter().enumerate() {
        let grad: Vec<f32> = gradient(i, step).into_iter().map(|v| v as f32).collect();
        let grad = Tensor::from_vec(grad, p.var.dims(), &Device::Cpu).unwrap();
        grads.insert(p.var.as_tensor(), grad);
    }
    optimizer.step(&grads, LR).unwrap();
}

fn values(optimizer: &Optimizer) -> Vec<Vec<f32>> {
    let each = optimizer.parameters().iter();
    each.map(|p| p.var.flatten_all().unwrap().to_vec1().unwrap())
        .collect()
}

/// Rows of numbers, as the textbook multiplies them.
type Matrix = Vec<Vec<f64>>;

fn times(a: &Matrix, b: &Matrix) -> Matrix {
    let element = |row: &[f64], j: usize| row.iter().zip(b).map(|(x, b)| x * b[j]).sum();
    let row = |row: &Vec<f64>| (0..b[0].len()).map(|j| element(row, j)).collect();
    a.iter().map(row).collect()
}

fn turned(a: &Matrix) -> Matrix {
    let column = |j: usize| a.iter().map(|row| row[j]).collect();
    (0..a[0].len()).map(column).collect()
}

fn sum(parts: [(f64, &Matrix); 3]) -> Matrix {
    let mut all = vec![vec![0.0; parts[0].1[0].len()]; parts[0].1.len()];
    for (factor, part) in parts {
        for (to, from) in all.iter_mut().zip(part) {
            to.iter_mut().zip(from).for_each(|(t, f)| *t += factor * f);
        }
    }
    all
}

/// The published iteration, on the matrix or its transpose, whichever is wide.
fn zeroth_power(u: &[f64], [rows, cols]: [usize; 2]) -> Vec<f64> {
    let norm = u.iter().map(|v| v * v).sum::<f64>().sqrt();
    let x: Matrix = u
        .chunks(cols)
        .map(|r| r.iter().map(|v| v / norm).collect())
        .collect();
    let mut x = if rows > cols { turned(&x) } else { x };
    for _ in 0..5 {
        let a = times(&x, &turned(&x));
        let ax = times(&a, &x);
        let aax = times(&a, &ax);
        x = sum([(3.4445, &x), (-4.7750, &ax), (2.0315, &aax)]);
    }
    let x = if rows > cols { turned(&x) } else { x };
    x.into_iter().flatten().collect()
}

/// The textbook, in float64.
fn textbook(steps: usize) -> Vec<Vec<f64>> {
    let mut w: Vec<Vec<f64>> = (0..3)
        .map(|i| wave(SHAPES[i].iter().product(), 0.7 + i as f64))
        .collect();
    let mut first: Vec<Vec<f64>> = w.iter().map(|w| vec![0.0; w.len()]).collect();
    let mut second = first.clone();
    for t in 0..steps {
        let mut g: Vec<Vec<f64>> = (0..3).map(|i| gradient(i, t)).collect();
        let norm = g.iter().flatten().map(|v| v * v).sum::<f64>().sqrt();
        assert!(norm > 2.0, "clipping is tried");
        g.iter_mut().flatten().for_each(|v| *v *= 2.0 / norm);
        for i in 0..2 {
            let size = [SHAPES[i][0], SHAPES[i][1]];
            let mut u = vec![0.0; g[i].len()];
            for j in 0..u.len() {
                first[i][j] = 0.95 * first[i][j] + 0.05 * g[i][j];
                u[j] = 0.05 * g[i][j] + 0.95 * first[i][j];
            }
            let rate = 0.02 * 0.2 * (size[0].max(size[1]) as f64).sqrt();
            let decay = if i == 0 { 0.3 } else { 0.0 };
            for (w, x) in w[i].iter_mut().zip(zeroth_power(&u, size)) {
                *w = *w - 0.02 * decay * *w - rate * x;
            }
        }
        for j in 0..g[2].len() {
            let (m, v) = (&mut first[2][j], &mut second[2][j]);
            *m = 0.9 * *m + 0.1 * g[2][j];
            *v = 0.999 * *v + 0.001 * g[2][j] * g[2][j];
            let t = t as i32 + 1;
            let (m, v) = (*m / (1.0 - 0.9f64.powi(t)), *v / (1.0 - 0.999f64.powi(t)));
            w[2][j] -= LR * m / (v.sqrt() + 1e-8);
        }
    }
    w
}

#[track_caller]
fn assert_close(found: &[Vec<f32>], wanted: &[Vec<f64>], bound: f64) {
    assert_eq!(found.len(), wanted.len());
    for (k, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        for (i, (f, w)) in found.iter().zip(wanted).enumerate() {
            let error = (f64::from(*f) - w).abs();
            assert!(error <= bound, "tensor {k}, element {i}: {f}, expected {w}");
        }
    }
}

#[test]
fn agrees_with_the_float64_textbook() {
    let mut optimizer = setup(&config());
    (0..8).for_each(|t| step(&mut optimizer, t));
    assert_close(&values(&optimizer), &textbook(8), 3e-6);
}

#[test]
fn tensor_operations_and_the_twin_do_what_the_passes_do() {
    let rule = config().rule(LR).unwrap();
    for (i, shape) in SHAPES.iter().enumerate() {
        let kind = Kind {
            decay: i == 0,
            hidden: i < 2,
        };
        let len = shape.iter().product();
        let start = wave(len, 0.7 + i as f64);
        let narrow = |v: &[f64]| v.iter().map(|v| *v as f32).collect::<Vec<_>>();
        let var = Var::from_vec(narrow(&start), *shape, &Device::Cpu).unwrap();
        let zeros = Tensor::zeros(*shape, DType::F32, &Device::Cpu).unwrap();
        let mut tensors = vec![zeros; rule.slots(kind).len()];
        let mut twin = start;
        let mut slots = vec![vec![0.0; len]; tensors.len()];
        for t in 0..4 {
            let step = Step {
                number: t as u64 + 1,
                lr: LR,
                clip: 0.5,
            };
            let grad = gradient(i, t);
            let tensor = Tensor::from_vec(narrow(&grad), *shape, &Device::Cpu).unwrap();
            rule.update_tensors(step, kind, &var, &tensor, &mut tensors)
                .unwrap();
            let leaf = Leaf {
                shape,
                kind,
                values: &mut twin,
                grad: &grad,
                slots: slots.iter_mut().map(Vec::as_mut_slice).collect(),
            };
            rule.twin(step, leaf);
        }
        let found = var.flatten_all().unwrap().to_vec1().unwrap();
        assert_close(&[found], &[twin], 3e-6);
    }
}

/// `tests/golden/optimizer/muon.py` wrote the file.
#[test]
fn agrees_with_pytorch() {
    let text = include_str!("../../../../tests/golden/optimizer/muon.json");
    let golden: Json = serde_json::from_str(text).unwrap();
    let number = |key: &str| golden[key].as_f64().unwrap();
    let config = OptimizerConfig {
        muon: Some(MuonConfig {
            weight_decay: Some(number("weight_decay")),
            momentum: number("momentum"),
            lr: None,
        }),
        ..OptimizerConfig::default()
    };
    let rule = config.rule(number("lr")).unwrap();
    let kind = Kind {
        decay: true,
        hidden: true,
    };
    let shapes: Vec<Vec<usize>> = serde_json::from_value(golden["shapes"].clone()).unwrap();
    for (i, shape) in shapes.iter().enumerate() {
        let len = shape.iter().product();
        let narrow = |k: f64| wave(len, k).into_iter().map(|v| v as f32).collect();
        let mut values: Vec<f32> = narrow(0.7 + i as f64);
        let mut momentum = vec![0.0; len];
        let (mut packed, mut work) = (minrnn_kernels::product::Scratch::default(), vec![]);
        for t in 0..golden["steps"].as_u64().unwrap() {
            let grad: Vec<f32> = narrow(0.9 + i as f64 + 0.37 * t as f64);
            let leaf = Leaf {
                shape,
                kind,
                values: &mut values,
                grad: &grad,
                slots: vec![&mut momentum],
            };
            let step = Step {
                number: t + 1,
                lr: number("lr"),
                clip: 1.0,
            };
            let mut work = Work {
                packed: &mut packed,
                values: &mut work,
            };
            rule.update(step, leaf, &mut work);
        }
        let of =
            |key: &str| -> Vec<f64> { serde_json::from_value(golden[key][i].clone()).unwrap() };
        assert_close(&[values.clone()], &[of("float64")], 2e-6);
        // Its own iterations are in bfloat16, whose rounding they amplify: an eighth of the way of 4 steps, 0.03 * 0.2 sqrt(7) each.
        assert_close(&[values], &[of("published")], 8e-3);
    }
}

#[test]
fn a_state_holds_what_each_kind_remembers_and_goes_on_bit_for_bit() {
    let mut first = setup(&config());
    (0..3).for_each(|t| step(&mut first, t));
    let state = first.state_dict().unwrap();
    let of = |slot: &str| state.slots[slot].keys().cloned().collect::<Vec<_>>();
    assert_eq!(of("momentum"), ["tall", "wide"]);
    assert_eq!(
        (of("first"), of("second")),
        (vec!["bias".to_owned()], vec!["bias".to_owned()])
    );
    let mut second = setup(&config());
    for (from, to) in first.parameters().iter().zip(second.parameters()) {
        to.var.set(&from.var.as_tensor().copy().unwrap()).unwrap();
    }
    second.load_state_dict(&state).unwrap();
    for optimizer in [&mut first, &mut second] {
        (3..6).for_each(|t| step(optimizer, t));
    }
    assert_eq!(values(&first), values(&second));
}

#[test]
fn a_state_of_the_other_optimizer_is_refused_by_name() {
    let adamw = OptimizerConfig {
        muon: None,
        ..config()
    };
    for (of, to) in [(&adamw, &config()), (&config(), &adamw)] {
        let state = setup(of).state_dict().unwrap();
        let error = setup(to).load_state_dict(&state).unwrap_err().to_string();
        assert!(
            error.contains("`wide`") && error.contains("train.optimizer"),
            "{error}"
        );
    }
}

/// Matrices have their own rate, which follows that of a step; by default it is the same.
#[test]
fn the_learning_rate_of_matrices_is_theirs() {
    let control = |lr: Option<f64>| {
        let config = OptimizerConfig {
            muon: Some(MuonConfig {
                lr,
                ..MuonConfig::default()
            }),
            ..OptimizerConfig::default()
        };
        let rule: Arc<dyn Rule> = config.rule(0.01).unwrap();
        let all = rule.control(1, 0.005);
        [all[0], all[3]]
    };
    assert_eq!(control(None), [0.005, 0.005]);
    assert_eq!(control(Some(0.04)), [0.005, 0.02]);
}
