//! Every launch of real plans on the CPU against the slow twin, whole steps against candle, and the same bits whatever the
//! number of threads.

use minrnn_kernels::Elem;
use minrnn_model::graph::Graph;
use minrnn_model::params::Params;
use std::sync::Arc;

use super::machine::Machine;
use super::{Engine, EngineOptions};
use crate::run::tests::{Case, of_state_spaces};
use crate::tape::op::{CopyColumns, KNOWN, Known};
use crate::tape::tests::{
    SEED, STEP, Wanted, beside, candle, host_of, models, options, rule, wanted,
};
use crate::tape::{Carry, Inputs, Launch, NoScratch, Options, Place, Plan, Recompute, Space, Twin};

const SHAPES: [(usize, usize); 4] = [(2, 7), (1, 1), (3, 40), (9, 130)];

fn is_word(space: Space) -> bool {
    matches!(space, Space::Ids | Space::Targets | Space::Lens)
}

/// A machine whose memory is poisoned, with the parameters and inputs of the twin.
fn machine(twin: &Twin, time: usize) -> Machine {
    let plan = twin.plan();
    let mut machine = Machine::new(plan.layout.clone(), rule(time));
    let addresses = machine.memory.addresses(plan);
    machine.memory.take(&Arc::new(addresses));
    machine.memory.poison();
    machine.seed_and_step = twin.seed_and_step;
    machine.rate = twin.rate;
    let total = Place::new(Space::Params, plan.layout.total, Elem::F32);
    copy_in(&mut machine, twin, total);
    for place in plan.launches.iter().flat_map(Launch::places) {
        let given = matches!(
            place.space,
            Space::Features | Space::TargetValues | Space::Weights | Space::Carried
        );
        if is_word(place.space) || given {
            copy_in(&mut machine, twin, place);
        }
    }
    machine
}

fn copy_in(machine: &mut Machine, twin: &Twin, place: Place) {
    if is_word(place.space) {
        return machine.words.set(place.space, &twin.read_u32(place));
    }
    let values: Vec<f32> = twin.read(place).iter().map(|v| *v as f32).collect();
    machine.memory.write(place, &values);
}

fn read(machine: &Machine, place: Place) -> Vec<f64> {
    if place.space == Space::Correct {
        return vec![f64::from(machine.words.correct)];
    }
    let values = machine.memory.read(place).iter();
    values.map(|v| f64::from(*v)).collect()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

/// Runs both, launch by launch; before each launch the machine gets the twin's values, so that every launch is judged alone.
fn side_by_side(what: &str, mut twin: Twin, tolerance: f64) {
    let mut machine = machine(&twin, twin.plan().options.time);
    let launches = twin.plan().launches.clone();
    for (i, launch) in launches.iter().enumerate() {
        for place in launch.places() {
            let own = matches!(place.space, Space::Scan | Space::Correct | Space::Loss);
            if !own {
                copy_in(&mut machine, &twin, place);
            }
        }
        // What is added to may cancel.
        let finite = |values: Vec<f64>| norm(values.into_iter().filter(|v| v.is_finite()));
        let before = launch.writes().into_iter().map(|p| match p.space {
            Space::Scan => 0.0,
            _ => finite(twin.read(p)),
        });
        let before: Vec<f64> = before.collect();
        twin.launch(launch);
        machine.launch(launch);
        if twin.report() != (0.0, 0.0) {
            machine.report.clip = twin.report().1;
        }
        for (place, before) in launch.writes().into_iter().zip(before) {
            if place.space == Space::Scan {
                continue;
            }
            let (mut want, mut got) = (twin.read(place), read(&machine, place));
            if launch.of::<CopyColumns>().is_some() {
                // Columns that others write are poison on both sides.
                for (w, g) in want.iter_mut().zip(&mut got) {
                    if w.is_nan() && g.is_nan() {
                        (*w, *g) = (0.0, 0.0);
                    }
                }
            }
            let size = norm(want.iter().copied()).max(before);
            let size = size.max(beside(launch, &twin));
            let error = norm(want.iter().zip(&got).map(|(w, g)| w - g));
            assert!(
                error <= tolerance * (size + 1e-6 * (want.len() as f64).sqrt()),
                "{what}, launch {i} {launch:?}: {place:?}: error {error:e} of {size:e}"
            );
        }
    }
}

fn twin(
    graph: &Graph,
    params: &Params,
    (case, w): (&Case, &Wanted),
    options: Options,
    known: &Known,
) -> Twin {
    let plan = Plan::with(graph, options, &NoScratch, known).unwrap();
    host_of(plan, graph, params, case, w)
}

/// Calls `f` for all models and shapes, with and without weights of targets.
fn each(shapes: &[(usize, usize)], mut f: impl FnMut(&str, &Graph, &Params, &Case, &Wanted)) {
    for (name, model, params) in models() {
        let graph = model.graph();
        for (seed, (batch, time)) in shapes.iter().copied().enumerate() {
            let mut case = Case::new(graph, batch, time, seed as u64, seed == 0);
            (case.states, case.reset) = (None, None);
            let w = wanted(graph, &case, seed % 2 == 0 && !graph.is_last_step());
            let what = format!("{name} B={batch} T={time}");
            f(&what, graph, &params, &case, &w);
        }
    }
}

#[test]
fn every_launch_gives_what_the_slow_twin_gives() {
    let alone = Known {
        layers: &[],
        ..KNOWN
    };
    each(&SHAPES[..3], |what, graph, params, case, w| {
        // Sums of a few primitives cancel.
        for (known, tolerance) in [(&KNOWN, 3e-6), (&alone, 5e-5)] {
            for (train, carry) in [
                (true, Carry::None),
                (true, Carry::Begin),
                (true, Carry::On),
                (false, Carry::None),
            ] {
                let options = Options {
                    train,
                    carry,
                    update: train.then(|| rule(case.time).room()),
                    ..options(graph, case, w, Elem::F32)
                };
                // Not every layer is made of primitives that the tape knows.
                let plan = Plan::with(graph, options, &NoScratch, known);
                if known.layers.is_empty() && plan.is_err() {
                    continue;
                }
                let twin = twin(graph, params, (case, w), options, known);
                side_by_side(what, twin, tolerance);
            }
        }
    });
}

/// More steps than those after which a scan keeps its states: the backward pass begins again from them.
#[test]
fn scans_over_kept_states_give_what_the_slow_twin_gives() {
    for (name, model, params) in of_state_spaces() {
        let graph = model.graph();
        let mut case = Case::new(graph, 2, 135, 1, false);
        (case.states, case.reset) = (None, None);
        let w = wanted(graph, &case, false);
        let options = options(graph, &case, &w, Elem::F32);
        let twin = twin(graph, &params, (&case, &w), options, &KNOWN);
        side_by_side(name, twin, 1e-5);
    }
}

/// Loss, the states that are kept, the gradients of the input and of all parameters: the bits that a plan leaves.
fn left(twin: &Twin, graph: &Graph) -> Vec<u32> {
    let plan = twin.plan();
    let mut machine = machine(twin, plan.options.time);
    for launch in &plan.launches {
        machine.launch(launch);
    }
    let mut places = vec![Place::new(Space::Loss, 1, Elem::F32)];
    places.extend(plan.input_gradient);
    let trained = plan.layout.trained.iter();
    places.extend(trained.map(|i| plan.layout.leaf(Space::Grads, *i)));
    let states = graph.states().iter().map(|s| s.len()).sum::<usize>() * plan.options.batch;
    if plan.options.carry != Carry::None && states > 0 {
        places.push(Place::new(Space::Next, states, Elem::F32));
    }
    let values = places.iter().flat_map(|p| machine.memory.read(*p));
    values.map(|v| v.to_bits()).collect()
}

#[test]
fn what_is_computed_again_changes_no_bit() {
    let alone = Known {
        layers: &[],
        ..KNOWN
    };
    let (mut again, mut smaller) = (0, 0);
    each(
        &[(2, 7), (1, 1), (3, 40)],
        |what, graph, params, case, w| {
            for known in [&KNOWN, &alone] {
                for carry in [Carry::None, Carry::On] {
                    let plan = |recompute| {
                        let options = Options {
                            carry,
                            recompute,
                            input_gradient: case.features.len() > 1,
                            ..options(graph, case, w, Elem::F32)
                        };
                        Plan::with(graph, options, &NoScratch, known)
                    };
                    let plans = [Recompute::Nothing, Recompute::All].map(plan);
                    let [Ok(kept), Ok(computed)] = plans else {
                        assert!(known.layers.is_empty(), "{what}");
                        continue;
                    };
                    again += computed.recomputed;
                    smaller += usize::from(computed.arena < kept.arena);
                    let twins = [kept, computed].map(|p| host_of(p, graph, params, case, w));
                    let [want, got] = twins.map(|twin| left(&twin, graph));
                    assert!(
                        want.iter().all(|b| f32::from_bits(*b).is_finite()),
                        "{what}"
                    );
                    assert!(want == got, "{what}");
                }
            }
        },
    );
    assert!(
        again > 500 && smaller > 50,
        "{again} launches, {smaller} plans"
    );
}

fn engine(graph: &Graph, params: &Params, time: usize) -> Engine {
    let options = EngineOptions {
        rule: rule(time),
        seed: SEED,
    };
    Engine::new(graph, params, options).unwrap()
}

fn inputs<'a>(
    graph: &Graph,
    case: &'a Case,
    w: &'a Wanted,
    lens: &'a Option<Vec<u32>>,
) -> Inputs<'a> {
    use minrnn_model::graph::OutputKind;
    Inputs {
        batch: case.batch,
        time: case.time,
        ids: &case.ids,
        features: &case.features,
        wanted: match graph.output().kind {
            OutputKind::Logits => crate::tape::Wanted::Classes(&w.classes),
            OutputKind::Values => crate::tape::Wanted::Values(&w.values),
        },
        weights: w.weights.as_deref(),
        lens: lens.as_deref(),
    }
}

fn lens(case: &Case) -> Option<Vec<u32>> {
    let lens = case.lens.as_ref()?;
    Some(lens.iter().map(|l| *l as u32).collect())
}

#[test]
fn a_step_gives_the_loss_and_the_gradients_that_candle_gives() {
    each(&SHAPES, |what, graph, params, case, w| {
        if graph.normalised().is_some() {
            return;
        }
        let (want, grads) = candle(graph, params, case, w);
        let (mut engine, lens) = (engine(graph, params, case.time), lens(case));
        let report = engine.step(inputs(graph, case, w, &lens), STEP, 1, 0.01);
        let got = report.unwrap();
        let error = (f64::from(got.loss) - want).abs();
        assert!(
            error <= 1e-5 * (1.0 + want.abs()),
            "{what}: loss {got:?} {want}"
        );
        let all = norm(grads.iter().flatten().flatten().copied());
        let error = (got.grad_norm - all).abs();
        assert!(error <= 2e-5 * (all + 1e-3), "{what}: {got:?} {all}");
        for ((p, grad), got) in grads.iter().enumerate().zip(engine.gradients()) {
            let Some(grad) = grad else { continue };
            let error = norm(got.iter().zip(grad).map(|(g, w)| f64::from(*g) - w));
            let name = &graph.params()[p].name;
            assert!(
                error <= 2e-5 * (all + 1e-3),
                "{what} {name}: error {error:e} of {all:e}"
            );
        }
    });
}

/// Three steps and an evaluation: every bit of losses, parameters and slots.
fn bits(graph: &Graph, params: &Params, case: &Case, w: &Wanted) -> Vec<u32> {
    let (mut engine, lens) = (engine(graph, params, case.time), lens(case));
    let mut all = vec![];
    for step in 0..3 {
        let report = engine.step(inputs(graph, case, w, &lens), step, step + 1, 0.01);
        all.push(report.unwrap().loss);
    }
    all.push(engine.evaluate(inputs(graph, case, w, &lens)).unwrap().0);
    all.extend(engine.output().unwrap());
    for i in 0..graph.params().len() {
        all.extend(engine.params().get(i));
    }
    all.extend(engine.slots().into_iter().flat_map(|s| s.1).flatten());
    all.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let pool = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap()
    };
    let pools = [1, 2, 3].map(pool);
    each(&SHAPES[2..], |what, graph, params, case, w| {
        let [one, two, three] = pools
            .each_ref()
            .map(|pool| pool.install(|| bits(graph, params, case, w)));
        assert!(one == two && one == three, "{what}");
    });
}
