//! Values in the units of the data, and the statistics by which the model computes.

use std::path::Path;

use minrnn_model::config::ModelConfig;

use super::*;
use crate::checkpoint::{load_model, take_model};

/// Sequences of two targets a step: a wave around 1000, and one a thousand times smaller. `scaled`: by hand, as the trainer does it.
fn series(scaled: Option<&ModelConfig>) -> String {
    let mut text = String::from("id,x,wave,small\n");
    for id in 0..40 {
        for t in 0..(10 + id % 3) {
            let x = f64::from(t) * 0.4 + f64::from(id);
            let [wave, small] =
                [1000.0 + 25.0 * libm::sin(x), 0.03 * libm::cos(x)].map(|v| v as f32);
            let of = |i: usize, v: f32| match scaled.map(|m| (&m.head.mean, &m.head.std)) {
                Some((Some(mean), Some(std))) if i < mean.len() => {
                    ((f64::from(v) - f64::from(mean[i])) / f64::from(std[i])) as f32
                }
                _ => v,
            };
            text += &format!(
                "{id},{},{},{}\n",
                libm::sin(x - 0.4),
                of(0, wave),
                of(1, small)
            );
        }
    }
    text
}

fn series_config(path: &Path, targets: &str, more: &str, steps: u64) -> TrainConfig {
    let text = format!(
        "[task]\nkind = 'sequences'\npath = '{}'\nid_column = 'id'\nfeature_columns = ['x']\n\
         target_columns = {targets}\nignore_columns = ['*']\ntarget = 'values'\nper = 'step'\n{more}\n\
         [model]\nwidth = 16\nlayers = 1\ndropout = 0.1\nhead = {{ bias = true }}\n\
         [train]\nsteps = {steps}\nbatch = 8\nlr = 1e-2\noptimizer = {{ clip_norm = 1.0 }}\n",
        path.display()
    );
    toml::from_str(&text).expect(&text)
}

#[test]
fn targets_around_1000_train_as_those_scaled_by_hand_bit_for_bit() {
    scaled_targets(&Device::Cpu);
}

#[cfg(feature = "cuda")]
#[test]
fn targets_around_1000_train_on_a_gpu_as_those_scaled_by_hand_bit_for_bit() {
    let Ok(gpu) = minrnn_kernels::cuda::Gpu::new(0) else {
        return;
    };
    scaled_targets(&Device::Cuda(gpu));
}

fn scaled_targets(device: &Device) {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let raw = put("raw.csv", series(None));
    for (targets, steps) in [("['wave']", 120), ("['wave', 'small']", 12)] {
        let config = series_config(&raw, targets, "", steps);
        let (mut ours, losses) = trained_on(device, &config, steps);
        let statistics = ours.config().model.clone();
        let by_hand = put("scaled.csv", series(Some(&statistics)));
        let config = series_config(&by_hand, targets, "normalize_targets = false", steps);
        let (mut theirs, want) = trained_on(device, &config, steps);
        assert_eq!(losses, want, "{targets}");
        let named = |t: &Trainer| t.params().unwrap().to_named(t.model().graph());
        let (mut ours_named, theirs_named) = (named(&ours), named(&theirs));
        let std = ours_named.remove("head.scale").expect("a buffer").1;
        ours_named.remove("head.shift").expect("a buffer");
        assert!(ours_named == theirs_named, "{targets}");
        // Reports are in the units of the data.
        let evaluate = |t: &mut Trainer| t.evaluate(Split::Validation, 0).unwrap().loss;
        let (raw_loss, scaled_loss) = (evaluate(&mut ours), evaluate(&mut theirs));
        if targets == "['wave']" {
            assert!(scaled_loss < 0.2, "{scaled_loss} of a variance");
            let wanted = scaled_loss * f64::from(std[0]).powi(2);
            assert!(
                (raw_loss / wanted - 1.0).abs() < 1e-3,
                "{raw_loss} {wanted}"
            );
            let off = series_config(&raw, targets, "normalize_targets = false", 12);
            let plain = evaluate(&mut trained_on(device, &off, 12).0);
            assert!(raw_loss < 100.0 && plain > 100_000.0, "{raw_loss} {plain}");
        }
    }
}

#[test]
fn a_resumed_run_keeps_the_statistics_and_names_that_it_has_or_has_not() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw.csv");
    std::fs::write(&raw, series(None)).unwrap();
    let path = folder.path().join("checkpoint");
    for (more, has) in [("", true), ("normalize_targets = false", false)] {
        let config = series_config(&raw, "['wave', 'small']", more, 8);
        let (whole, losses) = trained(&config, 8);
        let (first, _) = trained(&config, 5);
        let mut checkpoint = first.checkpoint().unwrap();
        let head = &mut checkpoint.config["model"]["head"];
        assert_eq!(head.get("mean").is_some(), has);
        assert_eq!(head["names"], serde_json::json!(["wave", "small"]));
        assert_eq!(
            checkpoint.config["model"]["input"]["names"],
            serde_json::json!(["x"])
        );
        if !has {
            // As an older version made it, which knew of neither.
            checkpoint.config["model"]["head"]
                .as_object_mut()
                .unwrap()
                .remove("names");
            checkpoint.config["model"]["input"]
                .as_object_mut()
                .unwrap()
                .remove("names");
            checkpoint.config["task"]
                .as_object_mut()
                .unwrap()
                .remove("normalize_targets");
        }
        // The file says nothing: the checkpoint decides.
        let config = series_config(&raw, "['wave', 'small']", "", 8);
        let mut second = Trainer::resume(
            &config,
            &checkpoint,
            &path,
            &Device::Cpu,
            ResumeOptions::default(),
        )
        .unwrap();
        for wanted in &losses[5..] {
            assert_eq!(second.step().unwrap().loss, *wanted);
        }
        assert!(second.params().unwrap() == whole.params().unwrap());
        let graph = second.model().graph();
        assert_eq!(graph.denormalisation().is_some(), has);
        // Names are learned where the checkpoint has none.
        assert!(second.config().model.head.names.is_some());
        if has {
            let other = series_config(&raw, "['small', 'wave']", "", 8);
            let refused = Trainer::resume(
                &other,
                &checkpoint,
                &path,
                &Device::Cpu,
                ResumeOptions::default(),
            );
            let found = refused.expect_err("targets in another order").to_string();
            assert!(found.contains("wave"), "{found}");
        }
    }
}

#[test]
fn statistics_that_the_tensors_do_not_have_are_refused_by_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw.csv");
    std::fs::write(&path, series(None)).unwrap();
    let config = series_config(&path, "['wave']", "", 2);
    let good = trained(&config, 1).0.checkpoint().unwrap();
    assert!(load_model(&good, &path).is_ok());
    for (key, tensor) in [
        ("/model/head/mean/0", "head.shift"),
        ("/model/head/std/0", "head.scale"),
        ("/model/input/mean/0", "input.shift"),
        ("/model/input/std/0", "input.scale"),
    ] {
        let mut bad = good.clone();
        *bad.config.pointer_mut(key).unwrap() = serde_json::json!(5.0);
        let resumed = Trainer::resume(&config, &bad, &path, &Device::Cpu, ResumeOptions::default());
        let errors = [
            load_model(&bad, &path).map(|_| ()).unwrap_err(),
            take_model(&mut bad.clone(), &path).map(|_| ()).unwrap_err(),
            resumed.map(|_| ()).unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains(tensor), "{key}: {error}");
        }
    }
}

#[test]
fn names_that_are_not_those_of_the_data_are_refused_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw.csv");
    std::fs::write(&raw, series(None)).unwrap();
    let mut config = series_config(&raw, "['wave']", "", 8);
    config.model.head.names = Some(vec!["waves".into()]);
    let found = Trainer::new(&config, &Device::Cpu)
        .expect_err("another name")
        .to_string();
    assert!(found.contains("model.head.names"), "{found}");
}
