//! The factor on the loss of plans in float16, in the slow twin.

use minrnn_kernels::Elem;
use minrnn_kernels::loss_scale::{HIGHEST, LossScale};
use minrnn_model::graph::Graph;
use minrnn_model::params::Params;

use super::tests::{Wanted, host, host_of, options, rule, wanted};
use super::{NoScratch, Options, Place, Plan, Space, Twin};
use crate::run::tests::{Case, variants};

/// Of AdamW: five steps.
const TIME: usize = 5;

fn run(
    (graph, params): (&Graph, &Params),
    (case, w): (&Case, &Wanted),
    compute: Elem,
    scale: f64,
) -> Twin {
    let options = Options {
        update: Some(rule(TIME).room()),
        ..options(graph, case, w, compute)
    };
    let mut host = host(graph, params, case, w, options);
    host.set_loss_scale(LossScale {
        scale: scale as f32,
        ..LossScale::default()
    });
    host.run();
    host
}

fn flat(host: &Twin, space: Space) -> Vec<f64> {
    host.read(Place::new(space, host.plan().layout.trained_len, Elem::F32))
}

/// Distance over the size of what is wanted.
fn off(got: &[f64], want: &[f64]) -> f64 {
    let size = |all: &mut dyn Iterator<Item = f64>| all.map(|v| v * v).sum::<f64>().sqrt();
    let error = size(&mut got.iter().zip(want).map(|(g, w)| g - w));
    error / size(&mut want.iter().copied())
}

fn each(mut check: impl FnMut(&str, (&Graph, &Params), (&Case, &Wanted))) {
    for (name, model, params) in variants() {
        let graph = model.graph();
        let mut case = Case::new(graph, 2, TIME, 0, false);
        (case.states, case.reset) = (None, None);
        let w = wanted(graph, &case, false);
        // What the tape has no file for, and what has nothing to train.
        let trains = super::Layout::new(graph).trained_len > 0;
        if trains && super::Plan::knows(graph).is_ok() {
            check(name, (graph, &params), (&case, &w));
        }
    }
}

/// A factor far below 1 makes the gradients as small as a mean over so many more steps would.
#[test]
fn small_gradients_are_lost_in_float16_and_kept_by_a_factor() {
    let mut tried = 0;
    each(|name, model, data| {
        let exact = flat(&run(model, data, Elem::F32, 1.0), Space::Slot(0));
        let of = |scale| {
            let host = run(model, data, Elem::F16, scale);
            off(&flat(&host, Space::Slot(0)), &exact)
        };
        let (kept, lost) = (of(256.0), of(2f64.powi(-20)));
        assert!(kept < 0.01, "{name}: {kept:e}");
        // Of some models all gradients are f32.
        if kept > 1e-4 {
            let what = format!("{name}: {lost:e}, with a factor {kept:e}");
            assert!(lost > 3.0 * kept, "{what}");
            tried += 1;
        }
    });
    assert!(tried > 5);
}

#[test]
fn norm_clipping_and_what_is_remembered_are_those_of_the_gradients_without_it() {
    each(|name, model, data| {
        let [plain, scaled] = [1.0, 1024.0].map(|s| run(model, data, Elem::F16, s));
        let grads = flat(&scaled, Space::Grads);
        let times: Vec<f64> = grads.iter().map(|g| g / 1024.0).collect();
        let error = off(&times, &flat(&plain, Space::Grads));
        assert!(error < 0.01, "{name}: {error:e}, {:?}", scaled.report());
        let [(norm, clip), (other, factor)] = [plain.report(), scaled.report()];
        assert!((other / norm - 1.0).abs() < 0.01, "{name}: {norm} {other}");
        assert!(
            (factor * 1024.0 / clip - 1.0).abs() < 0.01,
            "{name}: {clip} {factor}"
        );
        let [one, two] = [&plain, &scaled].map(|host| flat(host, Space::Slot(0)));
        assert!(off(&two, &one) < 0.01, "{name}");
    });
}

#[test]
fn a_factor_that_is_too_large_leaves_the_step_out_and_is_halved() {
    let (_, model, params) = variants().remove(0);
    let graph = model.graph();
    let mut case = Case::new(graph, 2, TIME, 0, false);
    (case.states, case.reset) = (None, None);
    let w = wanted(graph, &case, false);
    let options = Options {
        update: Some(rule(TIME).room()),
        ..options(graph, &case, &w, Elem::F16)
    };
    let mut host = host(graph, &params, &case, &w, options);
    let mut wanted = LossScale {
        scale: HIGHEST,
        good: 0,
        interval: Some(3),
    };
    host.set_loss_scale(wanted);
    let spaces = [Space::Params, Space::Slot(0), Space::Slot(1)];
    let first = spaces.map(|space| flat(&host, space));
    let mut skipped = 0;
    loop {
        host.run();
        let words = host.loss_scale();
        let out = words[4] == 1.0;
        wanted = wanted.after(!out).unwrap();
        assert_eq!(LossScale::of(&words), wanted);
        let now = spaces.map(|space| flat(&host, space));
        assert_eq!(now == first, out);
        if !out {
            break;
        }
        skipped += 1;
        assert_eq!(words[5], skipped as f32);
    }
    assert!((5..40).contains(&skipped), "{skipped}");
    assert_eq!(
        (wanted.good, f64::from(wanted.scale)),
        (1, 2f64.powi(40 - skipped))
    );
}

/// The optimizer's plan of steps in parts is the end of a whole step's: from the same gradients the same parameters; and one sum that is
/// not finite leaves everything as it is.
#[test]
fn the_optimizer_alone_does_what_it_does_in_a_step() {
    for (_, model, params) in variants().into_iter().step_by(7) {
        let graph = model.graph();
        let mut case = Case::new(graph, 2, TIME, 0, false);
        (case.states, case.reset) = (None, None);
        let w = wanted(graph, &case, false);
        for compute in [Elem::F32, Elem::F16] {
            let whole = run((graph, &params), (&case, &w), compute, 256.0);
            let room = rule(TIME).room();
            let plan = || Plan::update(graph, compute, room, &NoScratch);
            let after = |break_it: bool| {
                let mut alone = host_of(plan(), graph, &params, &case, &w);
                alone.set_loss_scale(LossScale {
                    scale: 256.0,
                    good: 0,
                    interval: Some(9),
                });
                let mut grads: Vec<f32> = flat(&whole, Space::Grads)
                    .iter()
                    .map(|g| *g as f32)
                    .collect();
                if break_it {
                    grads[1] = f32::INFINITY;
                }
                grads.resize(whole.plan().layout.total, 0.0);
                alone.set_f32(Space::Grads, &grads);
                alone.run();
                let factor = f64::from(alone.loss_scale()[0]);
                (
                    flat(&alone, Space::Params),
                    flat(&alone, Space::Slot(0)),
                    factor,
                )
            };
            let (values, slot, factor) = after(false);
            assert_eq!(values, flat(&whole, Space::Params));
            assert_eq!(slot, flat(&whole, Space::Slot(0)));
            assert_eq!(factor, 256.0);
            if compute == Elem::F16 {
                let (values, slot, factor) = after(true);
                let first = host_of(plan(), graph, &params, &case, &w);
                assert_eq!(values, flat(&first, Space::Params));
                assert!(slot.iter().all(|v| *v == 0.0));
                assert_eq!(factor, 128.0);
            }
        }
    }
}
