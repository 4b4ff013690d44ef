use crate::config::{CellConfig, ModelConfig};
use crate::model::Model;

const GOOD: &str = "width = 8\nlayers = 1\n[input]\nvocab = 5\n[head]\nwidth = 5\n";

fn parse(text: &str) -> Result<ModelConfig, toml::de::Error> {
    toml::from_str(text)
}

#[test]
fn unknown_keys_are_refused_with_their_line() {
    for (text, line, key) in [
        ("width = 8\nlayer = 1\n", "line 2", "layer"),
        (
            "width = 8\nlayers = 1\n[cell]\nkind = 'min_gru'\nexpand = 2\n",
            "line 5",
            "expand",
        ),
        (
            "width = 8\nlayers = 1\n[mlp]\nactivation = 'relu'\n",
            "line 4",
            "relu",
        ),
        ("width = -8\nlayers = 1\n", "line 1", "width"),
    ] {
        let e = parse(text).expect_err("must be refused").to_string();
        assert!(e.contains(line) && e.contains(key), "{e}");
    }
}

#[test]
fn what_makes_no_model_is_refused_by_key() {
    for (change, key) in [
        ("width = 0", "width"),
        ("layers = 0", "layers"),
        ("layers = 1025", "layers"),
        ("dropout = 1.0", "dropout"),
        ("dropout = nan", "dropout"),
        ("norm_eps = 0.0", "norm_eps"),
        ("norm_eps = nan", "norm_eps"),
        ("cell = { expansion = 1.3 }", "cell.expansion"),
        ("cell = { expansion = -1 }", "cell.expansion"),
        ("cell = { expansion = nan }", "cell.expansion"),
        (
            "cell = { expansion = 2, output_projection = false }",
            "cell.output_projection",
        ),
        ("cell = { time_scale = [5, 1] }", "cell.time_scale"),
        ("cell = { time_scale = [0, 1] }", "cell.time_scale"),
        ("cell = { time_scale = [1e-300, 1.0] }", "cell.time_scale"),
        ("cell = { time_scale = [1.0, 1e300] }", "cell.time_scale"),
        ("cell = { time_scale = [1.0, nan] }", "cell.time_scale"),
        (
            "cell = { time_scale = [1, 2], bias = false }",
            "cell.time_scale",
        ),
        ("cell = { normalize_gates = false }", "cell.normalize_gates"),
        ("conv = { kernel = 0 }", "conv.kernel"),
        ("mlp = { expansion = 0.3 }", "mlp.expansion"),
        ("head = { width = 0 }", "head.width"),
        ("head = { bias = true }", "head.width"),
        ("input = { vocab = 0 }", "input.vocab"),
        ("input = { vocab = 5, features = 2 }", "input"),
        ("input = { vocab = 5, mean = [1.0] }", "input.mean"),
        ("input = { features = 2, std = [1.0, 0.0] }", "input.std"),
        ("input = { features = 2, mean = [1.0] }", "input.mean"),
        ("input = { features = 1, mean = [1e300] }", "input.mean"),
        ("input = { features = 1, std = [1e-40] }", "input.std"),
        ("input = { features = 2, names = ['a'] }", "input.names"),
        (
            "input = { features = 2, names = ['a', 'a'] }",
            "input.names",
        ),
        ("input = { features = 1, names = [''] }", "input.names"),
        ("input = { vocab = 5, names = ['a'] }", "input.names"),
        ("head = { width = 2, names = ['a'] }", "head.names"),
        ("head = { width = 1, mean = [0.0] }", "head.mean"),
        (
            "head = { width = 2, kind = 'values', std = [1.0] }",
            "head.std",
        ),
        (
            "head = { width = 1, kind = 'values', std = [0.0] }",
            "head.std",
        ),
    ] {
        let name = change.split(' ').next().expect("a key");
        let mut table: toml::Table = GOOD.parse().expect("it is TOML");
        let changed: toml::Table = change.parse().expect(change);
        table.insert(name.into(), changed[name].clone());
        let config: ModelConfig = table.try_into().expect(change);
        let e = Model::from_config(&config).expect_err(change).to_string();
        assert!(e.starts_with(&format!("{key}:")), "{change}: {e}");
    }
}

#[test]
fn a_third_number_of_a_pair_is_refused_by_key() {
    for numbers in ["[]", "[1]", "[1, 2, 3]"] {
        let text = format!("{GOOD}[cell]\ntime_scale = {numbers}\n");
        let e = parse(&text).expect_err(&text).to_string();
        assert!(e.contains("line 8") && e.contains("time_scale has"), "{e}");
        let json = serde_json::to_value(text.parse::<toml::Table>().expect("it is TOML"));
        let e = serde_json::from_value::<ModelConfig>(json.expect("plain data"));
        let e = e.expect_err(&text).to_string();
        assert!(e.contains("expected two"), "{e}");
    }
    let text = format!("{GOOD}[cell]\ntime_scale = [1, 64]\n");
    let config = parse(&text).expect("whole numbers too");
    let CellConfig::MinGru(keys) = config.cell else {
        panic!("{:?}", config.cell);
    };
    assert_eq!(keys.time_scale, Some([1.0, 64.0]));
}

#[test]
fn values_end_in_the_units_of_the_data_and_the_graph_knows_where_they_are_not() {
    use crate::oracle::{self, Data, Run};
    use crate::params::Params;
    let text = |head: &str| {
        format!(
            "width = 8\nlayers = 1\n[input]\nfeatures = 2\n[head]\nwidth = 2\nkind = 'values'\n{head}"
        )
    };
    let model = |head: &str| Model::from_config(&parse(&text(head)).expect(head)).expect(head);
    let plain = model("");
    assert_eq!(plain.graph().denormalisation(), None);
    assert!(plain.graph().normalised().is_none());
    for (steps, mean, std) in [
        ("every", "mean = [1000.0, -3.0]", "std = [10.0, 0.5]"),
        ("last", "mean = [1000.0, -3.0]", "std = [10.0, 0.5]"),
        ("every", "mean = [1000.0, -3.0]", ""),
        ("last", "", "std = [10.0, 0.5]"),
    ] {
        let model = model(&format!("steps = '{steps}'\n{mean}\n{std}\n"));
        let graph = model.graph();
        let inner = graph.normalised().expect("it has statistics");
        assert_eq!(inner.normalised(), None);
        assert_eq!(
            (inner.params(), inner.states()),
            (graph.params(), graph.states())
        );
        let end = graph.denormalisation().expect("it has statistics");
        assert_eq!(
            (end.shift.is_some(), end.scale.is_some()),
            (!mean.is_empty(), !std.is_empty())
        );
        let params = Params::init(graph, 3);
        let run = |g| {
            let x = [0.5, -1.0, 2.0, 0.25, 1.0, -0.5];
            let run = Run::new(1, 3, Data::Features(&x));
            oracle::run(g, &params, &run).expect("it runs").output.data
        };
        let (whole, inner) = (run(graph), run(&inner));
        let mean = if mean.is_empty() {
            [0.0; 2]
        } else {
            [1000.0, -3.0]
        };
        let std = if std.is_empty() {
            [1.0; 2]
        } else {
            [10.0, 0.5]
        };
        assert_eq!(whole.len(), inner.len());
        for (i, (y, x)) in whole.iter().zip(&inner).enumerate() {
            assert!(
                (y - (x * std[i % 2] + mean[i % 2])).abs() < 1e-9,
                "{i}: {y} {x}"
            );
        }
    }
}

#[test]
fn a_configuration_survives_json() {
    let text =
        format!("{GOOD}[cell]\nkind = 'min_lstm'\ntime_scale = [1.0, 20.0]\n[conv]\nkernel = 3\n");
    let config = parse(&text).expect("good");
    let model = Model::from_config(&config).expect("good");
    let again: ModelConfig = serde_json::from_value(model.config().clone()).expect("its own JSON");
    assert_eq!(Model::from_config(&again).expect("good"), model);
}

#[test]
fn every_quotient_of_channels_is_a_factor() {
    use crate::config::whole;
    for width in 1..400 {
        for part in (1..2000).step_by(7) {
            let factor = part as f64 / width as f64;
            assert_eq!(
                whole("", width, factor).ok(),
                Some(part),
                "{part} of {width}"
            );
        }
        assert!(whole("", width, (width as f64 + 0.001) / width as f64).is_err());
    }
    // No float64 times 73 is 2910.
    assert_ne!(2910.0 / 73.0 * 73.0, 2910.0);
}

#[test]
fn younger_keys_are_written_only_where_they_say_something() {
    let keys = |text: &str| {
        let model = Model::from_config(&parse(text).expect("good")).expect("good");
        let config = model.config().clone();
        let again: ModelConfig = serde_json::from_value(config.clone()).expect("its own JSON");
        assert_eq!(Model::from_config(&again).expect("good"), model);
        let names: Vec<_> = model.graph().params().iter().map(|p| &p.name).collect();
        let normed = names.iter().any(|n| *n == "layers.0.conv.norm.weight");
        let (eps, norm) = (config.get("norm_eps"), config["conv"].get("norm"));
        (eps.cloned(), norm.cloned(), normed)
    };
    let conv = format!("{GOOD}[conv]\nkernel = 3\n");
    assert_eq!(keys(&conv), (None, None, true));
    let plain = format!("norm_eps = 1.1920928955078125e-7\n{conv}norm = false\n");
    let eps = 1.192_092_895_507_812_5e-7;
    assert_eq!(keys(&plain), (Some(eps.into()), Some(false.into()), false));
}

#[test]
fn gates_begin_with_the_wanted_time_scale() {
    use crate::params::Params;
    for (kind, parts, sign) in [("min_gru", 2, -1.0), ("min_lstm", 3, 1.0)] {
        let text = format!(
            "width = 64\nlayers = 1\n[input]\nvocab = 5\n[head]\nwidth = 5\n[cell]\nkind = '{kind}'\ntime_scale = [2.0, 200.0]\n"
        );
        let model = Model::from_config(&parse(&text).expect("good")).expect("good");
        let params = Params::init(model.graph(), 1);
        let at = model
            .graph()
            .params()
            .iter()
            .position(|p| p.name == "layers.0.rnn.in.bias")
            .expect("a bias");
        let bias = params.get(at);
        assert_eq!(bias.len(), parts * 64);
        let scales: Vec<f64> = bias[..64]
            .iter()
            .map(|k| -1.0 / (1.0 / (1.0 + (-sign * f64::from(*k)).exp())).ln())
            .collect();
        assert!(
            scales.iter().all(|t| (1.99..200.1).contains(t)),
            "{kind} {scales:?}"
        );
        assert!(
            scales.iter().any(|t| *t < 10.0) && scales.iter().any(|t| *t > 50.0),
            "{kind}: spread over the range"
        );
        assert!(
            bias[(parts - 1) * 64..].iter().all(|b| *b == 0.0),
            "{kind}: the candidate begins without bias"
        );
    }
}

#[test]
fn gates_norms_biases_and_states_do_not_decay() {
    use crate::params::Role;
    let text = format!("{GOOD}[cell]\ninitial_state = 'learned'\n[conv]\nkernel = 3\n[mlp]\n");
    let model = Model::from_config(&parse(&text).expect("good")).expect("good");
    let decaying = model
        .graph()
        .params()
        .iter()
        .filter(|p| matches!(p.role, Role::Weight { decay: true, .. }));
    let names: Vec<_> = decaying.map(|p| p.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "layers.0.conv.depthwise.weight",
            "layers.0.conv.pointwise.weight",
            "layers.0.rnn.out.weight",
            "layers.0.ff.mlp.up.weight",
            "layers.0.ff.mlp.down.weight",
            "head.weight"
        ]
    );
}

/// Configurations are in checkpoints, exports and hashes: their text stays what it was.
#[test]
fn a_mixer_is_written_as_it_always_was() {
    let text = |cell: &str| {
        let config = parse(&format!("width = 8\nlayers = 1\n{cell}")).expect(cell);
        serde_json::to_string(&config.cell).expect("plain data")
    };
    let plain = r#"{"kind":"min_gru","expansion":1.0,"candidate":"g","normalize_gates":true,"bias":true,"initial_state":"zero","output_projection":true}"#;
    assert_eq!(text(""), plain);
    assert_eq!(text("[cell]\nexpansion = 1\n"), plain);
    let lstm = r#"{"kind":"min_lstm","expansion":2.0,"candidate":"linear","normalize_gates":false,"bias":true,"time_scale":[1.0,8.0],"initial_state":"learned","output_projection":true}"#;
    let keys = "expansion = 2\ncandidate = 'linear'\nnormalize_gates = false\ntime_scale = [1, 8]\ninitial_state = 'learned'";
    assert_eq!(text(&format!("[cell]\n{keys}\nkind = 'min_lstm'\n")), lstm);
    let e = parse("width = 8\nlayers = 1\n[cell]\nkind = 'min_rnn'\n")
        .expect_err("no such kind")
        .to_string();
    assert!(e.contains("line 4") && e.contains("min_rnn"), "{e}");
    let null = r#"{"width":8,"layers":1,"cell":{"expansion":null}}"#;
    assert!(
        serde_json::from_str::<ModelConfig>(null).is_err(),
        "null is no number"
    );
}

#[test]
fn first_values_follow_their_rules() {
    use crate::params::{Init, Params, Role};
    let init = |init: Init| {
        let role = Role::Weight { init, decay: false };
        let graph = crate::graph::Graph::trace(
            crate::graph::Input::Features { width: 6 },
            crate::graph::OutputKind::Values,
            |g, x| {
                let w = g.param("w", &[6], role)?;
                let w = g.read(w)?;
                g.mul(x, w)
            },
        );
        Params::init(&graph.expect("good"), 1).get(0).to_vec()
    };
    let ln = |n: f64| n.ln() as f32;
    assert_eq!(
        init(Init::LogRange { count: 3 }),
        [0.0, ln(2.0), ln(3.0), 0.0, ln(2.0), ln(3.0)]
    );
    let normal = init(Init::Normal { std: 0.5 });
    assert!(
        normal.iter().all(|v| v.abs() < 3.0) && normal.iter().any(|v| *v < 0.0),
        "{normal:?}"
    );
    let rule = |floor| Init::InverseSoftplus {
        min: 0.001,
        max: 0.1,
        floor,
    };
    let softplus = |v: &f32| f64::from(*v).exp().ln_1p();
    let steps: Vec<f64> = init(rule(1e-4)).iter().map(softplus).collect();
    assert!(
        steps.iter().all(|s| (0.00099..0.1001).contains(s)),
        "{steps:?}"
    );
    assert!(
        init(rule(0.2))
            .iter()
            .map(softplus)
            .all(|s| (s - 0.2).abs() < 1e-6)
    );
}
