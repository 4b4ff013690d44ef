//! Models are as large as their files.

use minrnn_model::model::Model;
use minrnn_model::oracle::{self, Data, Run};
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;

use super::super::{Imported, Options};
use super::{Shapes, imported_from, refused, shapes, source, source_of};

/// The tensors of a torch.nn.GRU (3 gates) or LSTM (4).
fn torch(gates: usize, inputs: usize, hidden: usize, layers: usize, bias: bool) -> Shapes {
    let mut all = Shapes::new();
    for layer in 0..layers {
        let own = if layer == 0 { inputs } else { hidden };
        let mut add = |name: &str, shape: &[usize]| {
            all.insert(format!("{name}_l{layer}"), shape.to_vec());
        };
        add("weight_ih", &[gates * hidden, own]);
        add("weight_hh", &[gates * hidden, hidden]);
        if bias {
            add("bias_ih", &[gates * hidden]);
            add("bias_hh", &[gates * hidden]);
        }
    }
    all
}

fn made(imported: &Imported) -> usize {
    let params = imported.checkpoint.params.values();
    params.map(|t| t.data.len()).sum()
}

/// Whatever their sizes, layers of torch.nn are imported, and no map around them is much larger than what the file has.
#[test]
fn layers_of_torch_of_any_sizes_are_imported() {
    let mut rng = Rng::named(0, "sizes");
    for _ in 0..200 {
        let gates = 3 + rng.below(2);
        let mut size = || {
            let most = 1 << rng.below(9);
            1 + rng.below(most)
        };
        let (inputs, hidden) = (size(), size());
        let (layers, bias) = (1 + rng.below(3), rng.below(2) == 0);
        let all = torch(gates, inputs, hidden, layers, bias);
        let values: usize = all.values().map(|s| s.iter().product::<usize>()).sum();
        let what = format!("{gates} gates, {inputs} inputs, {hidden} hidden, {layers} layers");
        let imported = imported_from(&source(&all), &Options::default()).expect(&what);
        let made = made(&imported);
        assert!(made <= 8 * values, "{what}: {made} from {values}");
    }
}

/// 8192 inputs into few channels: the file has some 100 KB, and maps of ones around it would have 268 MB.
#[test]
fn many_inputs_into_few_channels_are_imported() {
    let all = torch(3, 8192, 1, 1, true);
    let imported = imported_from(&source(&all), &Options::default()).unwrap();
    assert_eq!(imported.config.width, 3);
    assert!(made(&imported) < 25_000);
}

/// Inputs that no gate reads change nothing, also where there are so many that the model around the layers is another one.
#[test]
fn both_models_around_layers_of_torch_are_one_function() {
    let (hidden, few, many, time) = (3, 5, 23, 7);
    let mut rng = Rng::named(0, "features");
    let features: Vec<f32> = (0..time * many).map(|_| rng.normal() as f32).collect();
    let steps = features.chunks_exact(many);
    let less: Vec<f32> = steps.flat_map(|step| &step[..few]).copied().collect();
    for gates in [3, 4] {
        let run = |inputs: usize, features: &[f32]| {
            let all = torch(gates, inputs, hidden, 2, true);
            let value = |name: &str, i: usize| match name {
                "weight_ih_l0" if i % inputs >= few => 0.0,
                "weight_ih_l0" => 0.3 * ((i / inputs * few + i % inputs) as f32).sin(),
                _ => 0.3 * (1.7 * i as f32 + name.len() as f32).sin(),
            };
            let imported = imported_from(&source_of(&all, value), &Options::default()).unwrap();
            let model = Model::from_config(&imported.config).unwrap();
            let params = imported.checkpoint.params.into_iter();
            let params = params.map(|(n, t)| (n, (t.shape, t.data))).collect();
            let params = Params::from_named(model.graph(), params).unwrap();
            let run = Run::new(1, time, Data::Features(features));
            oracle::run(model.graph(), &params, &run)
                .unwrap()
                .output
                .data
        };
        let (own, wide) = (run(few, &less), run(many, &features));
        assert!(own.iter().any(|v| v.abs() > 0.1));
        assert_eq!(own, wide, "{gates} gates");
    }
}

#[test]
fn small_files_make_no_large_models() {
    // A layer of one channel over 30,000 inputs would need identities of 900 million values.
    let wide = shapes([("to_hidden_and_gate.weight", &[2, 30_000][..])]);
    refused(
        &wide,
        &Options::default(),
        &[
            "the 60000 weights of the file would make a model of",
            "`input.projection.weight` has 900000000",
        ],
    );
}

/// A layer of torch.nn inside of another model is offered by its prefix, with what wrappers add; one without the layer before it is named.
#[test]
fn layers_of_torch_elsewhere_are_named() {
    let mut inside: Shapes = torch(3, 4, 2, 1, true)
        .into_iter()
        .map(|(name, shape)| (format!("model.encoder.rnn.{name}"), shape))
        .collect();
    inside.insert("model.head.weight".into(), vec![2, 2]);
    let wanted = "--prefix model.encoder.rnn takes";
    refused(&inside, &Options::default(), &["of torch.nn", wanted]);
    let options = Options {
        prefix: Some("model.encoder.rnn".into()),
        ..Options::default()
    };
    imported_from(&source(&inside), &options).unwrap();
    let mut gap = torch(4, 4, 2, 3, false);
    gap.retain(|name, _| !name.ends_with("_l1"));
    refused(
        &gap,
        &Options::default(),
        &["`weight_ih_l1` is missing", "there is `weight_ih_l2`"],
    );
    let mut headless = torch(4, 4, 2, 3, false);
    headless.retain(|name, _| !name.ends_with("_l0"));
    refused(
        &headless,
        &Options::default(),
        &["`weight_ih_l0` is missing", "there is `weight_ih_l2`"],
    );
}
