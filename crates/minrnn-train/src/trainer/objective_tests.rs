use candle_core::{Device, Var};

use super::*;
use crate::task::Targets;
use crate::task::{Batch, Input};
use crate::trainer::loss::Tensors;

fn batch(targets: Targets, weights: Option<Vec<f32>>) -> Batch {
    Batch {
        batch: 1,
        time: 3,
        input: Input::Tokens { ids: vec![0; 3] },
        targets,
        weights,
        lens: None,
        reset: None,
    }
}

/// The loss, and its gradient by each output.
fn loss(config: &LossConfig, batch: &Batch, outputs: &[f32]) -> (f64, Vec<f32>) {
    let tensors = Tensors::new(batch, &Device::Cpu).unwrap();
    let width = outputs.len() / 3;
    let outputs = Var::from_slice(outputs, (1, 3, width), &Device::Cpu).unwrap();
    let loss = tensors.objective(&outputs, config).unwrap();
    let grads = loss.backward().unwrap();
    let grad = grads
        .get(&outputs)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    (f64::from(loss.to_vec0::<f32>().unwrap()), grad)
}

/// Gradients against differences of the loss.
fn check_slopes(config: &LossConfig, batch: &Batch, outputs: &[f32]) {
    let (_, grads) = loss(config, batch, outputs);
    for i in 0..outputs.len() {
        let at = |by: f32| {
            let mut moved = outputs.to_vec();
            moved[i] += by;
            loss(config, batch, &moved).0
        };
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        assert!(
            (f64::from(grads[i]) - slope).abs() < 2e-3,
            "{config:?}, {i}: {} {slope}",
            grads[i]
        );
    }
}

const LOGITS: [f32; 9] = [0.5, -1.0, 2.0, 0.0, 1.0, -0.5, 1.5, 0.25, -2.0];

/// The definition in float64, a target after the other.
fn by_hand(smoothing: f64, classes: [f64; 3], rows: [f64; 3]) -> f64 {
    let ids = [2, 0, 1];
    let (mut total, mut whole) = (0.0, 0.0);
    for (t, id) in ids.into_iter().enumerate() {
        let row: Vec<f64> = LOGITS[t * 3..t * 3 + 3]
            .iter()
            .map(|x| f64::from(*x))
            .collect();
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        let nll = |c: usize| sum.ln() - row[c];
        let smooth: f64 = (0..3).map(|c| classes[c] * nll(c)).sum();
        total += rows[t] * ((1.0 - smoothing) * classes[id] * nll(id) + smoothing / 3.0 * smooth);
        whole += rows[t] * classes[id];
    }
    total / whole
}

#[test]
fn cross_entropy_is_smoothed_and_weighted() {
    let targets = || Targets::Classes {
        ids: vec![2, 0, 1],
        per_step: true,
    };
    for (smoothing, classes) in [
        (0.0, None),
        (0.1, None),
        (0.0, Some([1.0, 5.0, 0.5])),
        (0.3, Some([1.0, 5.0, 0.5])),
    ] {
        let config = LossConfig {
            label_smoothing: smoothing,
            class_weights: classes
                .map(|c| c.map(|w| w as f32).to_vec())
                .unwrap_or_default(),
            ..LossConfig::default()
        };
        for rows in [None, Some([1.0, 0.0, 1.0])] {
            let batch = batch(
                targets(),
                rows.map(|r: [f64; 3]| r.map(|w| w as f32).to_vec()),
            );
            let wanted = by_hand(
                smoothing,
                classes.unwrap_or([1.0; 3]),
                rows.unwrap_or([1.0; 3]),
            );
            let (found, _) = loss(&config, &batch, &LOGITS);
            assert!(
                (found - wanted).abs() < 1e-6,
                "{smoothing} {classes:?} {rows:?}: {found} {wanted}"
            );
            check_slopes(&config, &batch, &LOGITS);
        }
    }
}

#[test]
fn errors_are_squared_sized_or_both() {
    let targets = Targets::Values {
        values: vec![1.0, 2.0, 3.0],
        width: 1,
        per_step: true,
    };
    // Errors 0.5, -3 and 1.5.
    let outputs = [1.5, -1.0, 4.5];
    let of = |kind, delta| LossConfig {
        kind,
        delta,
        ..LossConfig::default()
    };
    let huber = Some(LossKind::Huber);
    for (config, each) in [
        (of(None, None), [0.25, 9.0, 2.25]),
        (of(Some(LossKind::Mse), None), [0.25, 9.0, 2.25]),
        (of(Some(LossKind::Mae), None), [0.5, 3.0, 1.5]),
        (of(huber, None), [0.125, 2.5, 1.0]),
        (of(huber, Some(2.0)), [0.125, 4.0, 1.125]),
        (of(huber, Some(1e10)), [0.125, 4.5, 1.125]),
    ] {
        let all = batch(targets.clone(), None);
        let (found, _) = loss(&config, &all, &outputs);
        assert!(
            (found - each.iter().sum::<f64>() / 3.0).abs() < 1e-6,
            "{config:?}: {found}"
        );
        check_slopes(&config, &all, &outputs);
        let some = batch(targets.clone(), Some(vec![1.0, 1.0, 0.0]));
        let (found, _) = loss(&config, &some, &outputs);
        assert!(
            (found - (each[0] + each[1]) / 2.0).abs() < 1e-6,
            "{config:?}: {found}"
        );
    }
}

#[test]
fn what_does_not_fit_the_task_is_refused_by_name() {
    use minrnn_model::graph::Input;
    let shape = |output| TaskShape {
        input: Input::Features { width: 1 },
        output,
        width: 2,
        per_step: true,
    };
    let (classes, values) = (shape(OutputKind::Logits), shape(OutputKind::Values));
    for (text, shape, words) in [
        (
            "kind = 'huber'",
            classes,
            "`train.loss.kind`: is huber, and the task has classes",
        ),
        (
            "kind = 'cross_entropy'",
            values,
            "the task has values, of which it is mse, mae or huber",
        ),
        (
            "delta = 2.0",
            values,
            "`train.loss.delta`: is of kind = \"huber\"",
        ),
        (
            "kind = 'huber'\ndelta = -1.0",
            values,
            "`train.loss.delta`: is -1",
        ),
        (
            "label_smoothing = 0.1",
            values,
            "`train.loss.label_smoothing`: is of classes",
        ),
        (
            "label_smoothing = 1.0",
            classes,
            "`train.loss.label_smoothing`: is 1",
        ),
        (
            "class_weights = [1.0, 2.0]",
            values,
            "`train.loss.class_weights`: are of classes",
        ),
        (
            "class_weights = [1.0, 2.0, 3.0]",
            classes,
            "has 3 numbers, and the task has 2 classes",
        ),
        ("class_weights = [1.0, 0.0]", classes, "has 0 for class 1"),
        ("class_weights = [2.0, 2.0]", classes, "are all equal"),
    ] {
        let config: LossConfig = toml::from_str(text).unwrap();
        let error = config.validate(shape).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    for (text, shape) in [
        ("", classes),
        ("", values),
        ("kind = 'huber'\ndelta = 0.5", values),
        ("label_smoothing = 0.1\nclass_weights = [1.0, 2.0]", classes),
    ] {
        toml::from_str::<LossConfig>(text)
            .unwrap()
            .validate(shape)
            .unwrap();
    }
}

#[test]
fn a_name_is_a_table_with_its_kind_alone() {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(default, deserialize_with = "LossConfig::read")]
        loss: LossConfig,
    }
    let read = |text: &str| {
        let file: std::result::Result<File, _> = toml::from_str(text);
        file.map(|file| file.loss).map_err(|e| e.to_string())
    };
    assert_eq!(read("").unwrap(), LossConfig::default());
    for name in ["cross_entropy", "mse", "mae", "huber"] {
        let short = read(&format!("loss = '{name}'")).unwrap();
        assert_eq!(short, read(&format!("[loss]\nkind = '{name}'")).unwrap());
        assert!(short.kind.is_some());
    }
    let wrong = read("loss = 'l1'").unwrap_err();
    assert!(wrong.contains("l1") && wrong.contains("\"mae\""), "{wrong}");
    let key = read("[loss]\nkinds = 'mae'").unwrap_err();
    assert!(
        key.contains("kinds") && key.contains("label_smoothing"),
        "{key}"
    );
}
