//! What plans are made of, and how much memory they take.

use minrnn_kernels::Elem;
use minrnn_model::config::ModelConfig;
use minrnn_model::graph::Graph;
use minrnn_model::model::Model;

use super::rule;
use crate::tape::copy::Copy;
use crate::tape::op::{AddDropout, Norm, WithVec};
use crate::tape::{Carry, Launch, NoScratch, Options, Plan, Recompute, Target};

/// Of the states of a state space, D N a step, a plan keeps those of some steps.
#[test]
fn plans_of_state_spaces_never_hold_the_states_of_all_steps() {
    let cells = [
        ("mamba", "kind = 'mamba'"),
        ("mamba", "kind = 'mamba2'\nhead_channels = 2"),
        ("plain", "kind = 's4d'"),
        ("plain", "kind = 'h3'\ntaps = 4"),
    ];
    for (block, cell) in cells {
        let text = format!(
            "width = 6\nlayers = 2\nblock = '{block}'\n[input]\nvocab = 5\n[head]\nwidth = 5\ntied = true\n[cell]\nstates = 64\n{cell}"
        );
        let config: ModelConfig = toml::from_str(&text).expect(&text);
        let model = Model::from_config(&config).expect(&text);
        let graph = model.graph();
        Plan::knows(graph).unwrap();
        let options = Options {
            carry: Carry::None,
            recompute: Recompute::Large,
            batch: 2,
            time: 1024,
            compute: Elem::F32,
            train: true,
            update: Some(rule(0).room()),
            input_gradient: false,
            target: Target::Classes,
            weights: false,
            lens: false,
        };
        let plan = Plan::new(graph, options, &NoScratch).unwrap();
        let wide = graph.states().iter().map(|s| s.width).max().unwrap();
        let all = wide * options.batch * options.time * 4;
        let largest = plan.buffers.iter().map(|b| b.bytes).max().unwrap();
        assert!(largest * 4 < all, "{cell}: {largest} of {all}");
    }
}

/// The language model of the benchmark: what a step launches, and how much memory it takes.
#[test]
fn a_block_is_few_launches_and_buffers_share_memory() {
    let text = "width = 8\nlayers = 3\ndropout = 0.2\n[input]\nvocab = 11\n[head]\nwidth = 11\n[conv]\nkernel = 4\n[cell]\nkind = 'min_gru'\nexpansion = 2.0\n[mlp]\nexpansion = 4.0";
    let config: ModelConfig = toml::from_str(text).expect(text);
    let model = Model::from_config(&config).unwrap();
    let options = Options {
        carry: Carry::None,
        recompute: Recompute::Large,
        batch: 4,
        time: 16,
        compute: Elem::Bf16,
        train: true,
        update: Some(rule(0).room()),
        input_gradient: false,
        target: Target::Classes,
        weights: false,
        lens: false,
    };
    let plan = Plan::new(model.graph(), options, &NoScratch).unwrap();
    let count = |f: fn(&Launch) -> bool| plan.launches.iter().filter(|l| f(l)).count();
    assert_eq!(count(|l| l.of::<Copy>().is_some()), 0, "no copies");
    assert_eq!(count(|l| l.of::<Norm>().is_some()), 10);
    assert_eq!(count(|l| l.of::<AddDropout>().is_some()), 0, "all fused");
    let separate: usize = plan.buffers.iter().map(|b| b.bytes).sum();
    assert!(
        plan.arena * 10 < separate * 7,
        "{} of {separate}",
        plan.arena
    );
}

/// bf16 around 1000 has steps of 4: what leads back to the units of the data, and what goes into it, are f32 in every compute type.
#[test]
fn values_in_the_units_of_the_data_are_never_rounded_to_the_compute_type() {
    let text = "width = 6\nlayers = 1\n[input]\nfeatures = 2\n[head]\nwidth = 2\nkind = 'values'\nmean = [1000.0, 0.0]\nstd = [3.0, 1.0]";
    let config: ModelConfig = toml::from_str(text).expect(text);
    let model = Model::from_config(&config).unwrap();
    let whole = model.graph();
    let inner = whole.normalised().unwrap();
    let plan = |graph: &Graph, train| {
        let options = Options {
            carry: Carry::None,
            recompute: Recompute::Large,
            batch: 2,
            time: 5,
            compute: Elem::Bf16,
            train,
            update: train.then(|| rule(0).room()),
            input_gradient: false,
            target: Target::Values,
            weights: false,
            lens: false,
        };
        Plan::new(graph, options, &NoScratch).unwrap()
    };
    let ends: Vec<Elem> = plan(whole, false)
        .launches
        .iter()
        .rev()
        .filter_map(|l| l.of::<WithVec>())
        .map(|l| [l.x.elem, l.y.elem])
        .take(2)
        .flatten()
        .collect();
    assert_eq!(ends, [Elem::F32; 4]);
    // A step ends in the normalised values, over the same parameters.
    let step = plan(&inner, true);
    assert!(
        !step.launches[..step.backward]
            .iter()
            .any(|l| l.of::<WithVec>().is_some())
    );
    assert_eq!(step.output.elem, Elem::F32);
    assert_eq!(step.layout, plan(whole, true).layout);
}
