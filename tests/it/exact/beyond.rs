//! Beyond the tests' usual sizes and machines: more values than an f32 can count, and tract's kernels of other CPUs.

use std::process::Command;

use minrnn_model::rng::Rng;
use minrnn_onnx::export::ExportOptions;
use minrnn_runtime::Session;

use super::{exported, same, same_states};
use crate::runs::{drawn, run};

/// T M above 2^24: a place that went through f32 would be another place.
#[test]
fn more_values_than_an_f32_can_count() {
    let config = "width = 16\nlayers = 1\n[input]\nfeatures = 2\n[cell]\nexpansion = 1.0\n[conv]\nkernel = 3\n\
                  [head]\nwidth = 3\nkind = \"values\"\n";
    let dir = exported(config, 9, |_| ExportOptions {
        max_seq_len: 1 << 21,
        ..ExportOptions::default()
    });
    let open = |form: &str| {
        let path = dir.path().join(format!("model.{form}.onnx"));
        minrnn_runtime::Model::open(path).unwrap()
    };
    let step = open("step");
    let time = (1 << 20) + 77;
    let case = drawn(step.info().input, (1, time), &mut Rng::named(41, "beyond"));
    let mut session = Session::new(step.into(), 1).unwrap();
    let mut want = vec![0.0; 3 * time];
    for (x, y) in case.features.chunks_exact(2).zip(want.chunks_exact_mut(3)) {
        session.step_features_into(x, y).unwrap();
    }
    for form in ["scan", "parallel"] {
        let model = open(form);
        let start = model.initial_state(1).unwrap();
        let (out, next) = run(&model, &case, &start).unwrap();
        same(form, &out.values, &want);
        same_states(form, &next, session.state());
    }
}

/// tract picks its kernels by the vendor that this variable names. The referee runs in tract, exact execution must not care.
#[test]
fn whatever_cpu_tract_takes_the_machine_for() {
    let test = "exact::referee::at_every_width_exact_execution_equals_the_referee";
    for kind in ["intel", "amd", "other"] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let done = child
            .arg("--exact")
            .arg(test)
            .env("TRACT_X86_KIND", kind)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{kind}: {text}");
        assert!(text.contains("1 passed"), "{kind}: {text}");
    }
}
