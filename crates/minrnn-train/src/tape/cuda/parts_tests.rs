//! Steps in parts on a GPU, with values that are known. They need a GPU; without one they say so and pass.

use minrnn_kernels::Elem;
use minrnn_kernels::cuda::{Gpu, Precision};
use minrnn_kernels::loss_scale::LossScale;
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;

use super::tests::gpu;
use super::{Engine, EngineOptions, Inputs, StepReport, Wanted};
use crate::tape::Part;
use crate::tape::tests::rule;

/// T.
const TIME: usize = 4;
const FEATURES: [f32; TIME] = [0.5, -1.0, 0.25, 2.0];
/// What one sequence is to be, and the other: an error of 3000 is a gradient of 1500 at each of its steps.
const NEAR: [f32; TIME] = [0.1, 0.2, -0.3, 0.4];
const FAR: [f32; TIME] = [3000.0; TIME];
const FACTOR: f32 = 64.0;

fn model() -> (Model, Params) {
    let text = "width = 6\nlayers = 1\n[input]\nfeatures = 1\n[head]\nwidth = 1\nkind = 'values'\nbias = true";
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    (model, params)
}

fn engine(gpu: &Gpu, compute: Elem, scale: f32, moves: bool) -> Engine {
    let (model, params) = model();
    let options = EngineOptions {
        compute,
        precision: Precision::F32,
        rule: rule(TIME + 1),
        seed: 1,
        tuned: false,
    };
    let mut engine = Engine::new(gpu, model.graph(), &params, options).unwrap();
    let interval = moves.then_some(2000);
    let good = 0;
    engine
        .set_loss_scale(LossScale {
            scale,
            good,
            interval,
        })
        .unwrap();
    engine
}

fn part(values: &[f32], share: f64) -> Part<'_> {
    Part {
        inputs: Inputs {
            batch: values.len() / TIME,
            time: TIME,
            ids: &[],
            features: &FEATURES,
            wanted: Wanted::Values(values),
            weights: None,
            lens: None,
        },
        share,
        seed: 1,
    }
}

fn report(engine: &mut Engine) -> StepReport {
    let (reports, error) = engine.reports().unwrap();
    assert!(error.is_none(), "{error:?}");
    reports[0]
}

fn step(engine: &mut Engine, parts: &[Part<'_>]) -> StepReport {
    engine.step_in_parts(parts, 0, 1, 1e-2).unwrap();
    report(engine)
}

/// All of a batch at once.
fn together(engine: &mut Engine, values: &[f32]) -> StepReport {
    let features = FEATURES.repeat(values.len() / TIME);
    let inputs = Inputs {
        features: &features,
        ..part(values, 1.0).inputs
    };
    engine.step(inputs, 0, 1, 1e-2).unwrap();
    report(engine)
}

fn near(got: f32, wanted: f32, part: f32) -> bool {
    (got - wanted).abs() <= part * wanted.abs()
}

#[test]
fn the_sum_of_the_parts_is_the_batch_in_every_type() {
    let Some(gpu) = gpu() else { return };
    let batch = [NEAR, NEAR.map(|v| -v), [1.0, 2.0, 3.0, 4.0]];
    let whole = together(&mut engine(&gpu, Elem::F32, 1.0, false), &batch.concat());
    for (compute, off) in [(Elem::F32, 1e-5), (Elem::Bf16, 0.03), (Elem::F16, 0.005)] {
        let mut engine = engine(&gpu, compute, FACTOR, compute == Elem::F16);
        let parts = batch.each_ref().map(|values| part(values, 1.0 / 3.0));
        let got = step(&mut engine, &parts);
        let said = format!("{compute:?}: {got:?}, at once {whole:?}");
        assert!(near(got.loss, whole.loss, off), "{said}");
        assert!(near(got.grad_norm, whole.grad_norm, off), "{said}");
        assert!(!got.skipped, "{said}");
    }
}

/// Whichever part it is, and however well the others do.
#[test]
fn an_overflow_in_one_part_leaves_the_whole_step_out() {
    let Some(gpu) = gpu() else { return };
    let at = |parts: &[Part<'_>]| {
        let mut engine = engine(&gpu, Elem::F16, FACTOR, true);
        let before = (engine.params().unwrap(), engine.slots().unwrap());
        let got = step(&mut engine, parts);
        let after = (engine.params().unwrap(), engine.slots().unwrap());
        assert_eq!(before == after, got.skipped, "{got:?}");
        assert_eq!(got.scale, Some(FACTOR));
        let factor = engine.loss_scale().unwrap().scale;
        let halved = if got.skipped { 0.5 } else { 1.0 };
        assert_eq!(factor, FACTOR * halved, "{got:?}");
        (engine, got)
    };
    // 1500 times 64 is beyond float16, 1500 times 32 is not.
    let (near_by, far_off) = (part(&NEAR, 0.5), part(&FAR, 0.5));
    let alone = |values: &'static [f32]| [part(values, 1.0)];
    assert!(!at(&alone(&NEAR)).1.skipped);
    assert!(at(&alone(&FAR)).1.skipped);
    let wanted = together(
        &mut engine(&gpu, Elem::F32, 1.0, false),
        &[NEAR, FAR].concat(),
    );
    for parts in [
        vec![near_by, far_off],
        vec![far_off, near_by],
        vec![part(&NEAR, 0.25), part(&FAR, 0.5), part(&NEAR, 0.25)],
    ] {
        let (mut engine, got) = at(&parts);
        assert!(got.skipped && got.loss.is_finite() && !got.grad_norm.is_finite());
        // Half the factor, and behind a step that was left out: the sums hold nothing of it.
        let mut got = step(&mut engine, &parts);
        while got.skipped {
            got = step(&mut engine, &parts);
        }
        assert!(near(got.loss, wanted.loss, 0.01), "{got:?} {wanted:?}");
        assert!(
            near(got.grad_norm, wanted.grad_norm, 0.02),
            "{got:?} {wanted:?}"
        );
    }
    // What runs for its states alone has no say.
    let (_, got) = at(&[part(&NEAR, 1.0), part(&FAR, 0.0)]);
    assert!(!got.skipped, "{got:?}");
}

#[test]
fn a_fixed_factor_that_is_too_large_for_a_part_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let mut engine = engine(&gpu, Elem::F16, FACTOR, false);
    let before = engine.params().unwrap();
    let parts = [part(&NEAR, 0.5), part(&FAR, 0.5)];
    engine.step_in_parts(&parts, 0, 1, 1e-2).unwrap();
    let (reports, error) = engine.reports().unwrap();
    let error = error.unwrap().to_string();
    assert!(
        reports.is_empty() && error.contains("of the loss times 64)"),
        "{error}"
    );
    assert_eq!(engine.params().unwrap(), before);
}
