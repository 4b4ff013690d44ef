//! How much memory the plans of large steps take, without a step.

use minrnn_kernels::Elem;
use minrnn_model::config::ModelConfig;
use minrnn_model::graph::{Graph, Input, OutputKind};
use minrnn_model::layers::{Gated, S6};
use minrnn_model::model::Model;

use super::{Carry, NoScratch, Options, Plan, Recompute, Target};

const MB: usize = 1_000_000;

/// The step of a layer as `bench train` measures it: with the gradient of its input.
fn layer(graph: &Graph, [batch, time]: [usize; 2], recompute: Recompute) -> Plan {
    let options = Options {
        batch,
        time,
        compute: Elem::F32,
        train: true,
        update: None,
        input_gradient: true,
        target: Target::Zeros,
        weights: false,
        lens: false,
        carry: Carry::None,
        recompute,
    };
    Plan::new(graph, options, &NoScratch).unwrap()
}

fn mamba(width: usize) -> Model {
    let layer = Gated {
        mixer: Box::new(S6 {
            channels: 2 * width,
            states: 16,
            rank: width.div_ceil(16),
            step: (1e-3, 1e-1),
        }),
        channels: 2 * width,
        kernel: 4,
        conv_bias: true,
        bias: false,
        layers: 1,
    };
    let body = |g: &mut Graph, x| g.block(0, |g| g.apply(&layer, x));
    Model::trace(
        Input::Features { width },
        OutputKind::Values,
        serde_json::Value::Null,
        body,
    )
    .unwrap()
}

/// mamba_ssm takes 10214 MB for this step; 0.6 of that is to be enough.
#[test]
fn a_layer_of_mamba_takes_six_tenths_of_what_mamba_ssm_takes() {
    let model = mamba(384);
    let plan = |recompute| layer(model.graph(), [64, 4096], recompute);
    let (plan, kept) = (plan(Recompute::Large), plan(Recompute::Nothing));
    let input = 64 * 4096 * 384 * Elem::F32.size();
    // Parameters with their gradients, and on a GPU the scan's sums over blocks: 201 MB for b and c, 6 of states.
    let beside = input
        + 8 * model
            .graph()
            .params()
            .iter()
            .map(|p| p.len())
            .sum::<usize>()
        + 213 * MB;
    assert!(
        plan.arena + beside < 6128 * MB,
        "{} and {beside} bytes",
        plan.arena
    );
    assert!(kept.arena + beside > 8000 * MB && kept.recomputed == 0);
    // What is made a second time: the convolution, and the step sizes before and behind their softplus.
    let again: Vec<String> = plan.launches[plan.backward..plan.optimizer]
        .iter()
        .map(super::Launch::title)
        .filter(|title| ["Conv", "Map1"].contains(&&title[..]) || title.contains(",24] x [24,"))
        .collect();
    assert_eq!(again, ["Matmul [262144,24] x [24,768]", "Map1", "Conv"]);
    assert_eq!(plan.recomputed, again.len());
}

#[test]
fn steps_that_are_not_large_compute_nothing_again() {
    for (width, shape) in [(64, [64, 4096]), (384, [64, 512]), (384, [8, 4096])] {
        let model = mamba(width);
        let plan = layer(model.graph(), shape, Recompute::Large);
        assert_eq!(
            plan.recomputed, 0,
            "{width} {shape:?}: {} bytes",
            plan.arena
        );
    }
}

/// The states of all layers are kept at once: what they are made of need not be.
#[test]
fn deep_models_keep_less_of_each_layer() {
    let cells = [
        ("mamba", "kind = 'mamba'"),
        (
            "plain",
            "kind = 'min_gru'\nexpansion = 2.0\n[conv]\nkernel = 4\n[mlp]\nexpansion = 4.0",
        ),
    ];
    for (block, cell) in cells {
        let text = format!(
            "width = 384\nlayers = 12\ndropout = 0.1\nblock = '{block}'\n[input]\nvocab = 65\n[head]\nwidth = 65\n[cell]\n{cell}"
        );
        let config: ModelConfig = toml::from_str(&text).unwrap();
        let model = Model::from_config(&config).unwrap();
        let plan = |recompute| {
            let options = Options {
                batch: 64,
                time: 1024,
                compute: Elem::F32,
                train: true,
                update: None,
                input_gradient: false,
                target: Target::Classes,
                weights: false,
                lens: false,
                carry: Carry::None,
                recompute,
            };
            Plan::new(model.graph(), options, &NoScratch).unwrap()
        };
        let (plan, kept) = (plan(Recompute::Large), plan(Recompute::Nothing));
        assert!(
            plan.recomputed >= 12 && plan.arena * 10 < kept.arena * 9,
            "{block}: {} again, {} of {} bytes",
            plan.recomputed,
            plan.arena,
            kept.arena
        );
    }
}
