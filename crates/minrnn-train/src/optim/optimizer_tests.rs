use super::*;
use crate::optim::AdamWConfig;
use candle_core::Device;
use proptest::prelude::*;

const LR: f64 = 0.01;

fn new(parameters: Vec<Parameter>, config: AdamWConfig) -> Result<Optimizer> {
    Optimizer::new(parameters, config.rule()?)
}

fn wave(i: usize, k: f64) -> f64 {
    (i as f64 * k + 0.3).sin()
}

/// Two parameters, one of which decays. Their gradients at step `s` are waves.
fn setup(sizes: [usize; 2], config: AdamWConfig) -> Optimizer {
    let parameter = |name: &str, size: usize, k: f64, decay| {
        let values: Vec<f32> = (0..size).map(|i| wave(i, k) as f32).collect();
        Parameter {
            name: name.to_owned(),
            var: Var::from_vec(values, size, &Device::Cpu).unwrap(),
            kind: Kind {
                decay,
                hidden: false,
            },
        }
    };
    new(
        vec![
            parameter("w", sizes[0], 0.7, true),
            parameter("b", sizes[1], 1.3, false),
        ],
        config,
    )
    .unwrap()
}

fn gradient(which: usize, size: usize, step: usize) -> Vec<f32> {
    (0..size)
        .map(|i| (wave(i + 17 * step, 0.9 + which as f64) * (1.0 + step as f64)) as f32)
        .collect()
}

fn store(optimizer: &Optimizer, step: usize) -> GradStore {
    let mut grads = GradStore::default();
    for (which, p) in optimizer.parameters().iter().enumerate() {
        let g = gradient(which, p.var.elem_count(), step);
        grads.insert(
            p.var.as_tensor(),
            Tensor::from_vec(g, p.var.dims(), &Device::Cpu).unwrap(),
        );
    }
    grads
}

fn values(optimizer: &Optimizer) -> Vec<Vec<f32>> {
    optimizer
        .parameters()
        .iter()
        .map(|p| p.var.to_vec1().unwrap())
        .collect()
}

/// The textbook, in float64 and one element after the other.
fn textbook(sizes: [usize; 2], steps: usize, config: &AdamWConfig) -> Vec<Vec<f64>> {
    let start = |which: usize| {
        (0..sizes[which])
            .map(|i| f64::from(wave(i, [0.7, 1.3][which]) as f32))
            .collect()
    };
    let mut w: Vec<Vec<f64>> = vec![start(0), start(1)];
    let mut m = [vec![0.0; sizes[0]], vec![0.0; sizes[1]]];
    let mut v = m.clone();
    for step in 0..steps {
        let mut g: Vec<Vec<f64>> = (0..2)
            .map(|k| {
                gradient(k, sizes[k], step)
                    .into_iter()
                    .map(f64::from)
                    .collect()
            })
            .collect();
        let norm = g.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
        if let Some(limit) = config.clip_norm.filter(|c| norm > *c) {
            g.iter_mut().flatten().for_each(|x| *x *= limit / norm);
        }
        let t = step as i32 + 1;
        for k in 0..2 {
            for i in 0..sizes[k] {
                m[k][i] = config.beta1 * m[k][i] + (1.0 - config.beta1) * g[k][i];
                v[k][i] = config.beta2 * v[k][i] + (1.0 - config.beta2) * g[k][i] * g[k][i];
                let m_hat = m[k][i] / (1.0 - config.beta1.powi(t));
                let v_hat = v[k][i] / (1.0 - config.beta2.powi(t));
                if k == 0 {
                    w[k][i] -= LR * config.weight_decay * w[k][i];
                }
                w[k][i] -= LR * m_hat / (v_hat.sqrt() + config.eps);
            }
        }
    }
    w
}

/// Every element within `steps` roundings of values of size 2.
fn assert_close(found: &[Vec<f32>], wanted: &[Vec<f64>], steps: usize) {
    let bound = 4.0 * steps as f64 * f64::from(f32::EPSILON);
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(found.len(), wanted.len());
        for (i, (f, w)) in found.iter().zip(wanted).enumerate() {
            assert!(
                (f64::from(*f) - w).abs() <= bound,
                "element {i}: {f}, expected {w}"
            );
        }
    }
}

#[test]
fn agrees_with_the_float64_textbook() {
    let sizes = [40_000, 37];
    for clip_norm in [None, Some(0.5), Some(1e9)] {
        let config = AdamWConfig {
            clip_norm,
            weight_decay: 0.3,
            beta2: 0.95,
            ..AdamWConfig::default()
        };
        let mut optimizer = setup(sizes, config.clone());
        for step in 0..12 {
            let report = optimizer.step(&store(&optimizer, step), LR).unwrap();
            assert_eq!(report.clip < 1.0, clip_norm == Some(0.5));
        }
        assert_close(&values(&optimizer), &textbook(sizes, 12, &config), 12);
    }
}

#[test]
fn tensor_operations_do_what_the_fused_pass_does() {
    let config = AdamWConfig {
        clip_norm: Some(0.5),
        weight_decay: 0.3,
        ..AdamWConfig::default()
    };
    let mut optimizer = setup([300, 7], config.clone());
    for (p, slots) in optimizer.parameters.iter().zip(&mut optimizer.slots) {
        let zeros = Tensor::zeros(p.var.dims(), DType::F32, &Device::Cpu).unwrap();
        *slots = Slots::Device(vec![zeros; 2]);
    }
    for step in 0..8 {
        optimizer.step(&store(&optimizer, step), LR).unwrap();
    }
    assert_close(&values(&optimizer), &textbook([300, 7], 8, &config), 8);
    assert_eq!(
        optimizer.state_dict().unwrap().slots["first"]["w"].shape,
        [300]
    );
}

/// A slot that remembers how its gradient came about keeps the activations of every step.
#[test]
fn slots_of_tensor_operations_forget_what_gradients_were_made_of() {
    let var = Var::new(&[1.0f32, 2.0], &Device::Cpu).unwrap();
    let other = Var::new(&[0.5f32, -1.0], &Device::Cpu).unwrap();
    let loss = var.mul(other.as_tensor()).unwrap().sum_all().unwrap();
    let grads = loss.backward().unwrap();
    let grad = grads.get(&var).unwrap();
    assert!(grad.track_op(), "what candle gives now is free of its past");
    let zeros = || Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
    let mut slots = [zeros(), zeros()];
    let rule = AdamWConfig::default();
    let step = Step {
        number: 1,
        lr: LR,
        clip: 1.0,
    };
    rule.update_tensors(step, Kind::default(), &var, grad, &mut slots)
        .unwrap();
    assert!(slots.iter().all(|s| !s.track_op()));
}

#[test]
fn number_of_threads_does_not_change_a_bit() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut optimizer = setup(
                [100_003, 5],
                AdamWConfig {
                    clip_norm: Some(1.0),
                    ..AdamWConfig::default()
                },
            );
            for step in 0..3 {
                optimizer.step(&store(&optimizer, step), LR).unwrap();
            }
            (values(&optimizer), optimizer.state_dict().unwrap())
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn a_resumed_run_is_bit_equal(cut in 0_usize..6, size in 1_usize..300) {
        let config = AdamWConfig { clip_norm: Some(1.0), ..AdamWConfig::default() };
        let mut whole = setup([size, 3], config.clone());
        let mut first = setup([size, 3], config.clone());
        for step in 0..6 {
            whole.step(&store(&whole, step), LR).unwrap();
        }
        for step in 0..cut {
            first.step(&store(&first, step), LR).unwrap();
        }
        let mut second = setup([size, 3], config);
        for (to, from) in second.parameters.iter().zip(&first.parameters) {
            to.var.set(&from.var.as_tensor().copy().unwrap()).unwrap();
        }
        second.load_state_dict(&first.state_dict().unwrap()).unwrap();
        prop_assert_eq!(second.steps_done(), cut as u64);
        for step in cut..6 {
            second.step(&store(&second, step), LR).unwrap();
        }
        prop_assert_eq!(values(&second), values(&whole));
        prop_assert_eq!(second.state_dict().unwrap(), whole.state_dict().unwrap());
    }
}

#[test]
fn bad_gradients_are_named_and_change_nothing() {
    let mut optimizer = setup([10, 4], AdamWConfig::default());
    optimizer.step(&store(&optimizer, 0), LR).unwrap();
    let before = (values(&optimizer), optimizer.state_dict().unwrap());
    let b = optimizer.parameters[1].var.as_tensor().clone();
    let with = |grad: Option<Tensor>| {
        let mut grads = store(&optimizer, 1);
        grads.remove(&b);
        grad.map(|g| grads.insert(&b, g));
        grads
    };
    let tensor = |v: Vec<f32>| Tensor::new(v, &Device::Cpu).unwrap();
    let cases = [
        (with(None), "parameter `b` received no gradient at step 1"),
        (
            with(Some(tensor(vec![0.0, f32::NAN, 0.0, 0.0]))),
            "the gradient of `b` at step 1 is not finite",
        ),
        (
            with(Some(tensor(vec![0.0, 1e20, 0.0, 0.0]))),
            "the squared gradient of `b` at step 1 is not finite",
        ),
        (
            with(Some(tensor(vec![0.0, 1.0]))),
            "tensor `b`: its gradient is F32 [2]",
        ),
    ];
    for (grads, wanted) in cases {
        let found = optimizer.step(&grads, LR).unwrap_err().to_string();
        assert!(found.contains(wanted), "wanted {wanted:?} in {found:?}");
    }
    assert!(optimizer.step(&store(&optimizer, 1), f64::NAN).is_err());
    assert_eq!(
        before,
        (values(&optimizer), optimizer.state_dict().unwrap())
    );
}

#[test]
fn states_of_other_models_are_refused_by_name() {
    let mut optimizer = setup([10, 4], AdamWConfig::default());
    let good = optimizer.state_dict().unwrap();
    type All = std::collections::BTreeMap<String, TensorData>;
    let change = |slot: &str, f: &dyn Fn(&mut All)| {
        let mut state = good.clone();
        f(state.slots.get_mut(slot).unwrap());
        state
    };
    let data = |shape: &[usize], value: f32| TensorData {
        shape: shape.to_vec(),
        data: vec![value; shape.iter().product()],
    };
    let cases = [
        (
            change("second", &|s| drop(s.remove("w"))),
            "`w`: its second moment is not",
        ),
        (
            change("first", &|s| drop(s.insert("x".into(), data(&[1], 0.0)))),
            "`x`: is in the optimizer's state",
        ),
        (
            change("first", &|s| drop(s.insert("b".into(), data(&[2, 2], 0.0)))),
            "has shape [2, 2], expected [4]",
        ),
        (
            change("first", &|s| {
                drop(s.insert("b".into(), data(&[4], f32::INFINITY)))
            }),
            "has inf",
        ),
        (
            change("second", &|s| drop(s.insert("b".into(), data(&[4], -1.0)))),
            "has -1",
        ),
    ];
    for (state, wanted) in cases {
        let found = optimizer.load_state_dict(&state).unwrap_err().to_string();
        assert!(found.contains(wanted), "wanted {wanted:?} in {found:?}");
    }
}

#[test]
fn gradients_of_candle_in_any_layout_train() {
    let var = Var::from_vec(vec![1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], (2, 3), &Device::Cpu).unwrap();
    let parameters = vec![Parameter {
        name: "w".into(),
        var: var.clone(),
        kind: Kind {
            decay: true,
            hidden: false,
        },
    }];
    let mut optimizer = new(
        parameters,
        AdamWConfig {
            weight_decay: 0.0,
            ..AdamWConfig::default()
        },
    )
    .unwrap();
    for _ in 0..400 {
        let loss = (var.as_tensor().t().unwrap() - 0.5)
            .unwrap()
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap();
        optimizer.step(&loss.backward().unwrap(), 0.05).unwrap();
    }
    for value in var.flatten_all().unwrap().to_vec1::<f32>().unwrap() {
        assert!((value - 0.5).abs() < 0.05, "{value}");
    }
}

#[test]
fn options_and_parameters_are_checked() {
    let bad = |f: &dyn Fn(&mut AdamWConfig)| {
        let mut config = AdamWConfig::default();
        f(&mut config);
        config.validate().unwrap_err().to_string()
    };
    assert!(bad(&|c| c.beta1 = 1.0).contains("`beta1`"));
    assert!(bad(&|c| c.beta2 = f64::NAN).contains("`beta2`"));
    assert!(bad(&|c| c.eps = 1e-60).contains("`eps`"));
    assert!(bad(&|c| c.weight_decay = -1.0).contains("`weight_decay`"));
    assert!(bad(&|c| c.clip_norm = Some(0.0)).contains("`clip_norm`"));
    assert!(toml::from_str::<AdamWConfig>("betas = 1").is_err());
    let var = |dtype| Var::zeros(3, dtype, &Device::Cpu).unwrap();
    let parameter = |dtype| Parameter {
        name: "p".into(),
        var: var(dtype),
        kind: Kind {
            decay: false,
            hidden: false,
        },
    };
    let twice = vec![parameter(DType::F32), parameter(DType::F32)];
    assert!(
        new(twice, AdamWConfig::default())
            .unwrap_err()
            .to_string()
            .contains("twice")
    );
    let tied = [1, 2].map(|i| Parameter {
        name: format!("p{i}"),
        ..parameter(DType::F32)
    });
    let tied = vec![
        tied[0].clone(),
        Parameter {
            var: tied[0].var.clone(),
            ..tied[1].clone()
        },
    ];
    let error = new(tied, AdamWConfig::default()).unwrap_err().to_string();
    assert!(
        error.contains("`p2`: shares its values with `p1`"),
        "{error}"
    );
    assert!(
        new(vec![parameter(DType::F64)], AdamWConfig::default())
            .unwrap_err()
            .to_string()
            .contains("F64")
    );
}
