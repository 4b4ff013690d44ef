//! Every launch of real plans on the GPU against the slow twin, and whole trainings.
//!
//! They need a GPU; without one they say so and pass.

use std::sync::Arc;

use minrnn_kernels::Elem;
use minrnn_kernels::cuda::{Gpu, Precision};
use minrnn_kernels::elementwise::cuda as elementwise;
use minrnn_model::graph::Graph;
use minrnn_model::params::Params;

use super::machine::GpuScratch;
use super::{Machine, Store};
use crate::run::tests::Case;
use crate::tape::op::CopyColumns;
use crate::tape::tests::{Wanted, beside, host, models, options, rule, wanted};
use crate::tape::{Launch, Options, Place, Plan, Space, Twin};

/// The GPU, or a message.
#[allow(clippy::print_stderr, reason = "tests say why they did nothing")]
pub(super) fn gpu() -> Option<Gpu> {
    match Gpu::new(0) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// A machine whose memory is poisoned, with everything of the host in place.
fn machine(gpu: &Gpu, graph: &Graph, host: &Twin, options: Options) -> Machine {
    let plan = Plan::new(graph, options, &GpuScratch(gpu)).unwrap();
    let store = Store::new(gpu, plan.layout.clone(), options.compute, 2).unwrap();
    let machine = Machine::new(
        gpu,
        plan,
        Arc::new(store),
        Precision::F32,
        rule(options.time),
    )
    .unwrap();
    machine.poison().unwrap();
    for place in inputs(machine.plan()) {
        copy_in(&machine, host, place, place);
    }
    let total = machine.plan().layout.total;
    let mut flats = vec![Space::Params];
    if options.compute != Elem::F32 {
        flats.push(Space::Shadow);
    }
    for space in flats {
        let elem = if space == Space::Params {
            Elem::F32
        } else {
            options.compute
        };
        let place = Place::new(space, total, elem);
        copy_in(&machine, host, place, place);
    }
    let mut control = [0u32; 16];
    let (seed, step) = host.seed_and_step;
    control[..4].copy_from_slice(&[
        seed as u32,
        (seed >> 32) as u32,
        step as u32,
        (step >> 32) as u32,
    ]);
    let (lr, t) = host.rate;
    let numbers = rule(options.time).control(t, lr);
    for (word, number) in control[4..].iter_mut().zip(numbers) {
        *word = number.to_bits();
    }
    machine
        .store
        .view(Space::Control)
        .unwrap()
        .write(gpu, &control)
        .unwrap();
    machine
}

fn inputs(plan: &Plan) -> Vec<Place> {
    let mut all: Vec<Place> = vec![];
    for place in plan.launches.iter().flat_map(|l| l.places()) {
        let given = matches!(
            place.space,
            Space::Ids
                | Space::Features
                | Space::Targets
                | Space::TargetValues
                | Space::Weights
                | Space::Lens
                | Space::Carried
        );
        if given && !all.contains(&place) {
            all.push(place);
        }
    }
    all
}

fn copy_in(machine: &Machine, host: &Twin, from: Place, to: Place) {
    let gpu = &machine.gpu;
    let view = machine.view(to).unwrap();
    if from.elem == Elem::U32 {
        return view.write(gpu, &host.read_u32(from)).unwrap();
    }
    let values: Vec<f32> = host.read(from).iter().map(|v| *v as f32).collect();
    elementwise::write(gpu, view, &values).unwrap();
}

fn read(machine: &Machine, place: Place) -> Vec<f64> {
    let view = machine.view(place).unwrap();
    if place.elem == Elem::U32 {
        let values = view.read::<u32>(&machine.gpu).unwrap();
        return values.into_iter().map(f64::from).collect();
    }
    let values = elementwise::read(&machine.gpu, view).unwrap();
    values.into_iter().map(f64::from).collect()
}

/// What a launch writes.
fn results(launch: &Launch) -> Vec<Place> {
    let writes = |p: &Place| !matches!(p.space, Space::Scan | Space::Ids | Space::Targets);
    launch.writes().into_iter().filter(writes).collect()
}

/// Runs host and GPU side by side, launch by launch; before each launch the GPU gets the host's values, so that every
/// launch is judged alone. Errors are judged by the norm.
fn side_by_side(
    gpu: &Gpu,
    what: &str,
    graph: &Graph,
    params: &Params,
    case: &Case,
    w: &Wanted,
    options: Options,
) {
    let mut host = host(graph, params, case, w, options);
    let machine = machine(gpu, graph, &host, options);
    let twin = host.plan().clone();
    assert_eq!(twin.launches.len(), machine.plan().launches.len());
    let tolerance = match options.compute {
        Elem::F32 => 3e-6,
        Elem::F16 => 2e-3,
        _ => 1.2e-2,
    };
    for (i, (ours, theirs)) in twin
        .launches
        .iter()
        .zip(&machine.plan().launches)
        .enumerate()
    {
        for (from, to) in ours.places().into_iter().zip(theirs.places()) {
            let scratch = from.len != to.len || matches!(from.space, Space::Scan);
            let fixed = matches!(from.space, Space::Loss | Space::Correct);
            if !scratch && !fixed {
                copy_in(&machine, &host, from, to);
            }
        }
        host.launch(ours);
        machine.launch(theirs).unwrap();
        gpu.synchronize().unwrap();
        for (from, to) in results(ours).into_iter().zip(results(theirs)) {
            let (mut want, mut got) = (host.read(from), read(&machine, to));
            if ours.of::<CopyColumns>().is_some() {
                // Columns that others write are poison on both sides.
                for (w, g) in want.iter_mut().zip(&mut got) {
                    if w.is_nan() && g.is_nan() {
                        (*w, *g) = (0.0, 0.0);
                    }
                }
            }
            let size = want.iter().map(|v| v * v).sum::<f64>().sqrt();
            let size = size.max(beside(ours, &host));
            let error = want
                .iter()
                .zip(&got)
                .map(|(w, g)| (w - g).powi(2))
                .sum::<f64>()
                .sqrt();
            assert!(
                error <= tolerance * (size + 1e-6 * (want.len() as f64).sqrt()),
                "{what}, launch {i} {theirs:?}: {from:?}: error {error:e} of {size:e}"
            );
        }
    }
}

#[test]
fn every_launch_gives_what_the_slow_twin_gives() {
    let Some(gpu) = gpu() else { return };
    for (name, model, params) in models() {
        let graph = model.graph();
        for (seed, (batch, time)) in [(2, 7), (1, 1), (3, 40)].into_iter().enumerate() {
            for compute in [Elem::F32, Elem::Bf16, Elem::F16] {
                let mut case = Case::new(graph, batch, time, seed as u64, seed == 0);
                (case.states, case.reset) = (None, None);
                let w = wanted(graph, &case, seed % 2 == 0 && !graph.is_last_step());
                let options = Options {
                    update: Some(rule(time).room()),
                    ..options(graph, &case, &w, compute)
                };
                let what = format!("{name} B={batch} T={time} {compute:?}");
                side_by_side(&gpu, &what, graph, &params, &case, &w, options);
            }
        }
    }
}

/// A captured step does what its launches do, bit for bit, time after time.
#[test]
fn a_captured_step_gives_the_bits_of_its_launches() {
    let Some(gpu) = gpu() else { return };
    for (name, model, params) in models() {
        let graph = model.graph();
        let mut case = Case::new(graph, 3, 300, 0, false);
        (case.states, case.reset) = (None, None);
        let w = wanted(graph, &case, false);
        let options = options(graph, &case, &w, Elem::Bf16);
        let host = host(graph, &params, &case, &w, options);
        let mut machine = machine(&gpu, graph, &host, options);
        machine.launch_all().unwrap();
        let first = machine
            .store
            .view(Space::Grads)
            .unwrap()
            .read::<f32>(&gpu)
            .unwrap();
        assert!(first.iter().all(|g| g.is_finite()), "{name}");
        machine.capture().unwrap();
        for _ in 0..3 {
            machine.poison().unwrap();
            machine.run().unwrap();
            let again = machine
                .store
                .view(Space::Grads)
                .unwrap()
                .read::<f32>(&gpu)
                .unwrap();
            let bits = |v: &[f32]| v.iter().map(|g| g.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&again), bits(&first), "{name}");
        }
    }
}
