//! Blocks and mixers: their texts, what is refused, their parameters, states and first values.

use crate::config::ModelConfig;
use crate::model::Model;
use crate::params::{Params, Role};

const GOOD: &str = "width = 8\nlayers = 1\n[input]\nvocab = 5\n[head]\nwidth = 5\n";

fn parse(text: &str) -> Result<ModelConfig, toml::de::Error> {
    toml::from_str(text)
}

fn model(rest: &str) -> Model {
    let text = format!("{GOOD}{rest}");
    Model::from_config(&parse(&text).expect(&text)).expect(&text)
}

/// Configurations are in checkpoints, exports and hashes: their text stays what it was.
#[test]
fn blocks_and_state_spaces_are_written_as_they_always_were() {
    let json = |rest: &str| {
        let config = parse(&format!("width = 8\nlayers = 1\n{rest}")).expect(rest);
        let json = serde_json::to_value(&config).expect("plain data");
        let text = |key: &str| json.get(key).map(ToString::to_string);
        (text("block"), text("cell").expect("always there"))
    };
    let gru = r#"{"bias":true,"candidate":"g","expansion":1.0,"initial_state":"zero","kind":"min_gru","normalize_gates":true,"output_projection":true}"#;
    let mamba = r#"{"bias":false,"expansion":2.0,"kind":"mamba","states":16,"step":[0.001,0.1]}"#;
    let mamba2 = r#"{"bias":false,"expansion":2.0,"groups":1,"head_channels":64,"kind":"mamba2","rate":[1.0,16.0],"states":128,"step":[0.001,0.1]}"#;
    let block = r#"{"bias":false,"conv_bias":true,"kernel":4,"kind":"mamba"}"#;
    assert_eq!(json(""), (None, gru.into()));
    assert_eq!(json("block = 'plain'\n"), (None, gru.into()));
    assert_eq!(json("block = { kind = 'plain' }\n"), (None, gru.into()));
    let of = |cell: &str| (Some(block.into()), cell.into());
    assert_eq!(json("block = 'mamba'\n"), of(gru));
    assert_eq!(
        json("[block]\nkind = 'mamba'\n[cell]\nkind = 'mamba'\n"),
        of(mamba)
    );
    assert_eq!(
        json("block = 'mamba'\ncell = { kind = 'mamba2' }\n"),
        of(mamba2)
    );
    let all = "kind = 'mamba2'\nexpansion = 1\nstates = 3\nhead_channels = 2\ngroups = 2\nnorm_groups = 1\nstep = [1, 2]\nrate = [2, 3]\nbias = true\n";
    let text = r#"{"bias":true,"expansion":1.0,"groups":2,"head_channels":2,"kind":"mamba2","norm_groups":1,"rate":[2.0,3.0],"states":3,"step":[1.0,2.0]}"#;
    assert_eq!(json(&format!("[cell]\n{all}")), (None, text.into()));
    let signed = r#"{"bias":true,"expansion":1.0,"initial_state":"learned","kind":"signed_min_gru","output_projection":true}"#;
    assert_eq!(
        json("cell = { kind = 'signed_min_gru' }\n"),
        (None, signed.into())
    );
    for (kind, text) in [
        ("aaren", r#"{"bias":false,"expansion":1.0,"kind":"aaren"}"#),
        (
            "hyena",
            r#"{"bias":false,"expansion":1.0,"filter_width":64,"kind":"hyena","longest":1024}"#,
        ),
        (
            "attention",
            r#"{"bias":false,"expansion":1.0,"heads":1,"kind":"attention"}"#,
        ),
        (
            "gru",
            r#"{"bias":true,"expansion":1.0,"initial_state":"zero","kind":"gru","output_projection":true}"#,
        ),
        (
            "lstm",
            r#"{"bias":true,"expansion":1.0,"initial_state":"zero","kind":"lstm","output_projection":true}"#,
        ),
        (
            "s4d",
            r#"{"bias":false,"diagonal":"lin","expansion":1.0,"kind":"s4d","states":64,"step":[0.001,0.1]}"#,
        ),
        (
            "h3",
            r#"{"bias":false,"diagonal":"lin","expansion":1.0,"kind":"h3","states":64,"step":[0.001,0.1],"taps":64}"#,
        ),
    ] {
        assert_eq!(
            json(&format!("cell = {{ kind = '{kind}' }}\n")),
            (None, text.into())
        );
    }
    let all = "kind = 'h3'\nstates = 4\ntaps = 2\ndiagonal = 'inv'\nstep = [1, 2]\n";
    let text = r#"{"bias":false,"diagonal":"inv","expansion":1.0,"kind":"h3","states":4,"step":[1.0,2.0],"taps":2}"#;
    assert_eq!(json(&format!("[cell]\n{all}")), (None, text.into()));
    let text = r#"{"bias":true,"expansion":2.0,"head_channels":4,"kind":"aaren"}"#;
    let all = "kind = 'aaren'\nexpansion = 2\nhead_channels = 4\nbias = true\n";
    assert_eq!(json(&format!("[cell]\n{all}")), (None, text.into()));
    let all = "kind = 'attention'\nexpansion = 2\nheads = 4\nwindow = 9\nbias = true\n";
    let text = r#"{"bias":true,"expansion":2.0,"heads":4,"kind":"attention","window":9}"#;
    assert_eq!(json(&format!("[cell]\n{all}")), (None, text.into()));
    let all = "kind = 'mamba'\nrank = 3\n";
    let text =
        r#"{"bias":false,"expansion":2.0,"kind":"mamba","rank":3,"states":16,"step":[0.001,0.1]}"#;
    assert_eq!(json(&format!("[cell]\n{all}")), (None, text.into()));
}

#[test]
fn keys_of_another_kind_are_refused_with_their_line() {
    for (rest, line, says) in [
        (
            "[cell]\nkind = 'mamba'\ngroups = 2\n",
            "",
            "groups is no key of mamba",
        ),
        (
            "[cell]\nkind = 'min_gru'\nstates = 2\n",
            "",
            "states is no key of min_gru",
        ),
        (
            "[cell]\nkind = 'signed_min_gru'\ncandidate = 'linear'\n",
            "",
            "candidate is no key of signed_min_gru",
        ),
        (
            "[cell]\nkind = 'gru'\ncandidate = 'linear'\n",
            "",
            "candidate is no key of gru",
        ),
        (
            "[cell]\nkind = 'lstm'\ntime_scale = [1, 2]\n",
            "",
            "time_scale is no key of lstm",
        ),
        (
            "[cell]\nkind = 'aaren'\nstates = 4\n",
            "",
            "states is no key of aaren",
        ),
        (
            "[cell]\nkind = 'hyena'\ntaps = 4\n",
            "",
            "taps is no key of hyena",
        ),
        (
            "[cell]\nkind = 'aaren'\nlongest = 4\n",
            "",
            "longest is no key of aaren",
        ),
        (
            "[cell]\nkind = 's4d'\ntaps = 4\n",
            "",
            "taps is no key of s4d",
        ),
        (
            "[cell]\nkind = 's4d'\ndiagonal = 'legs'\n",
            "line 5",
            "legs",
        ),
        (
            "[cell]\nkind = 'mamba2'\nrank = 2\n",
            "",
            "rank is no key of mamba2",
        ),
        (
            "[cell]\nkind = 'mamba'\nstep = [1, 2, 3]\n",
            "line 5",
            "step has 3 numbers",
        ),
        (
            "[cell]\nkind = 'mamba2'\nrate = [1]\n",
            "line 5",
            "rate has 1 numbers",
        ),
        ("block = 'gated'\n", "line 3", "gated"),
        ("block = 3\n", "line 3", "a block"),
        (
            "[block]\nkind = 'plain'\nkernel = 3\n",
            "line 3",
            "kernel is no key of the plain block",
        ),
        ("[block]\nkind = 'mamba'\nwidth = 3\n", "line 5", "width"),
        ("[block]\nkernel = 3\n", "line 3", "kind"),
    ] {
        let text = format!("width = 8\nlayers = 1\n{rest}");
        let e = parse(&text).expect_err(rest).to_string();
        assert!(e.contains(line) && e.contains(says), "{rest}: {e}");
    }
}

#[test]
fn what_makes_no_block_is_refused_by_key() {
    for (rest, key) in [
        ("block = { kind = 'mamba', kernel = 0 }", "block.kernel"),
        ("cell = { kind = 'hyena', longest = 1 }", "cell.longest"),
        (
            "cell = { kind = 'hyena', filter_width = 0 }",
            "cell.filter_width",
        ),
        (
            "cell = { kind = 'hyena', bias = true }\nblock = 'mamba'",
            "cell.bias",
        ),
        (
            "cell = { kind = 'mamba', expansion = 0.3 }",
            "cell.expansion",
        ),
        ("cell = { kind = 'mamba', states = 0 }", "cell.states"),
        ("cell = { kind = 'mamba', states = 1000000 }", "cell.states"),
        ("cell = { kind = 'mamba', rank = 0 }", "cell.rank"),
        ("cell = { kind = 'mamba', rank = 17 }", "cell.rank"),
        ("cell = { kind = 'mamba', step = [0.1, 0.01] }", "cell.step"),
        (
            "cell = { kind = 'mamba', step = [0.00001, 0.1] }",
            "cell.step",
        ),
        ("cell = { kind = 'mamba', step = [nan, 0.1] }", "cell.step"),
        (
            "cell = { kind = 'signed_min_gru', time_scale = [2, 1] }",
            "cell.time_scale",
        ),
        (
            "cell = { kind = 'signed_min_gru', expansion = 2, output_projection = false }",
            "cell.output_projection",
        ),
        (
            "cell = { kind = 'aaren', head_channels = 3 }",
            "cell.head_channels",
        ),
        (
            "cell = { kind = 'aaren', head_channels = 0 }",
            "cell.head_channels",
        ),
        ("cell = { kind = 'attention' }", "cell.window"),
        ("cell = { kind = 'attention', window = 1 }", "cell.window"),
        (
            "positions = 4\ncell = { kind = 'attention', heads = 3 }",
            "cell.heads",
        ),
        (
            "positions = 4\ncell = { kind = 'attention', heads = 0 }",
            "cell.heads",
        ),
        ("positions = 1\ncell = { kind = 'min_gru' }", "positions"),
        (
            "positions = 4\nblock = 'mamba'\ncell = { kind = 'attention', bias = true }",
            "cell.bias",
        ),
        (
            "cell = { kind = 'gru', expansion = 2, output_projection = false }",
            "cell.output_projection",
        ),
        (
            "block = 'mamba'\ncell = { kind = 'lstm', output_projection = false }",
            "cell.output_projection",
        ),
        ("cell = { kind = 's4d', states = 3 }", "cell.states"),
        ("cell = { kind = 's4d', states = 0 }", "cell.states"),
        ("cell = { kind = 'h3', states = 5 }", "cell.states"),
        ("cell = { kind = 'h3', taps = 0 }", "cell.taps"),
        ("cell = { kind = 'h3', step = [2, 1] }", "cell.step"),
        (
            "block = 'mamba'\ncell = { kind = 's4d', bias = true }",
            "cell.bias",
        ),
        ("cell = { kind = 'mamba2' }", "cell.head_channels"),
        (
            "cell = { kind = 'mamba2', head_channels = 0 }",
            "cell.head_channels",
        ),
        (
            "cell = { kind = 'mamba2', head_channels = 4, groups = 3 }",
            "cell.groups",
        ),
        (
            "cell = { kind = 'mamba2', head_channels = 4, rate = [0, 1] }",
            "cell.rate",
        ),
        (
            "cell = { kind = 'mamba2', head_channels = 4, norm_groups = 2 }",
            "cell.norm_groups",
        ),
        (
            "block = 'mamba'\ncell = { kind = 'mamba2', head_channels = 4, norm_groups = 3 }",
            "cell.norm_groups",
        ),
        (
            "block = 'mamba'\ncell = { kind = 'mamba', bias = true }",
            "cell.bias",
        ),
        (
            "block = 'mamba'\ncell = { kind = 'min_gru', output_projection = false }",
            "cell.output_projection",
        ),
        ("head = { width = 4, tied = true }", "head.tied"),
        (
            "input = { features = 5 }\nhead = { width = 5, tied = true }",
            "head.tied",
        ),
    ] {
        let mut table: toml::Table = GOOD.parse().expect("it is TOML");
        let changed: toml::Table = rest.parse().expect(rest);
        table.extend(changed);
        let config: ModelConfig = table.try_into().expect(rest);
        let e = Model::from_config(&config).expect_err(rest).to_string();
        assert!(e.starts_with(&format!("{key}:")), "{rest}: {e}");
    }
    let config = parse(&format!("block = 'mamba'\n{GOOD}")).expect("good");
    let layer = crate::layers::Linear::new("own", 8, false);
    let e = Model::with_layer(&config, "own", &layer).expect_err("one thing in one place");
    assert!(e.to_string().starts_with("block:"), "{e}");
}

/// Names and shapes are in checkpoints and files.
#[test]
fn parameters_and_states_have_the_papers_shapes() {
    let of = |rest: &str| {
        let model = model(rest);
        let params = model.graph().params().iter();
        let params: Vec<String> = params
            .filter_map(|p| {
                let name = p.name.strip_prefix("layers.0.")?;
                Some(format!("{name} {:?}", p.shape))
            })
            .collect();
        let states = model.graph().states().iter();
        let states: Vec<String> = states
            .map(|s| format!("{} {:?}", s.name, s.shape()))
            .collect();
        (params.join(", "), states.join(", "))
    };
    let (params, states) = of("[block]\nkind = 'mamba'\n[cell]\nkind = 'mamba'\nstates = 4\n");
    assert_eq!(
        params,
        "norm.weight [8], mixer.in.weight [8, 32], mixer.depthwise.weight [4, 16], mixer.depthwise.bias [16], \
         mixer.ssm.x.weight [16, 9], mixer.ssm.dt.weight [1, 16], mixer.ssm.dt.bias [16], mixer.ssm.A_log [64], mixer.ssm.D [16], \
         mixer.out.weight [16, 8]"
    );
    assert_eq!(states, "0.conv [3, 16], 0.h [64]");
    let (params, states) = of(
        "[block]\nkind = 'mamba'\nbias = true\nconv_bias = false\n[cell]\nkind = 'mamba2'\nstates = 3\nhead_channels = 4\ngroups = 2\n",
    );
    assert_eq!(
        params,
        "norm.weight [8], mixer.in.weight [8, 48], mixer.in.bias [48], mixer.depthwise.weight [4, 28], mixer.ssm.dt_bias [4], \
         mixer.ssm.A_log [4], mixer.ssm.D [4], mixer.norm.weight [16], mixer.out.weight [16, 8], mixer.out.bias [8]"
    );
    assert_eq!(states, "0.conv [3, 28], 0.h [48]");
    let (params, states) = of("[block]\nkind = 'mamba'\n[cell]\nexpansion = 2\n");
    assert_eq!(
        params,
        "norm.weight [8], mixer.in.weight [8, 32], mixer.depthwise.weight [4, 16], mixer.depthwise.bias [16], \
         mixer.rnn.in.weight [16, 32], mixer.rnn.in.bias [32], mixer.out.weight [16, 8]"
    );
    assert_eq!(states, "0.conv [3, 16], 0.h [16]");
    let (params, states) = of("[cell]\nkind = 'mamba'\nstates = 2\n");
    assert_eq!(
        params,
        "norm.weight [8], mixer.in.weight [8, 16], mixer.ssm.x.weight [16, 5], mixer.ssm.dt.weight [1, 16], mixer.ssm.dt.bias [16], \
         mixer.ssm.A_log [32], mixer.ssm.D [16], mixer.out.weight [16, 8]"
    );
    assert_eq!(states, "0.h [32]");
    let (params, states) = of("[cell]\nkind = 'signed_min_gru'\nexpansion = 2\n");
    assert_eq!(
        params,
        "norm.weight [8], rnn.in.weight [8, 48], rnn.in.bias [48], rnn.h0 [16], rnn.out.weight [16, 8], rnn.out.bias [8]"
    );
    assert_eq!(states, "0.h [16]");
    let (params, states) = of("[cell]\nkind = 'aaren'\nhead_channels = 2\n");
    assert_eq!(
        params,
        "norm.weight [8], mixer.in.weight [8, 16], mixer.attend.query [8], mixer.out.weight [8, 8]"
    );
    assert_eq!(states, "0.m [4], 0.c [4], 0.h [8]");
    let (params, states) = of("[cell]\nkind = 'attention'\nwindow = 5\nheads = 2\n");
    assert_eq!(
        params,
        "norm.weight [8], mixer.in.weight [8, 24], mixer.out.weight [8, 8]"
    );
    assert_eq!(states, "0.n [1], 0.window [4, 16]");
    let space = "log_dt [8], A_log [16], A_im [16], C [32], D [8]";
    let named = |scope: &str| {
        let of = |p: &str| format!("mixer.{scope}.{p}");
        space.split(", ").map(of).collect::<Vec<_>>().join(", ")
    };
    // In the order in which they are read.
    let (params, states) = of("[cell]\nkind = 's4d'\nstates = 4\n");
    let all = named("ssm");
    assert_eq!(
        params,
        format!("norm.weight [8], mixer.in.weight [8, 8], {all}, mixer.out.weight [8, 8]")
    );
    assert_eq!(states, "0.h [32]");
    let (params, states) = of("[cell]\nkind = 'h3'\nstates = 4\ntaps = 3\n");
    let all = named("h3");
    assert_eq!(
        params,
        format!(
            "norm.weight [8], mixer.in.weight [8, 24], mixer.h3.shift.depthwise.weight [3, 8], {all}, mixer.out.weight [8, 8]"
        )
    );
    assert_eq!(states, "0.conv [2, 8], 0.h [32]");
    let (params, states) = of("[cell]\nkind = 'hyena'\nlongest = 9\nfilter_width = 5\n");
    let filter = [
        "code [9, 3]",
        "frequency [5]",
        "in.weight [3, 5]",
        "in.bias [5]",
        "inner.0.weight [5, 5]",
        "inner.0.bias [5]",
        "inner.1.weight [5, 5]",
        "inner.1.bias [5]",
        "out.weight [5, 8]",
        "rate [8]",
        "bias [8]",
    ];
    let filter = filter.map(|p| format!("mixer.hyena.filter.{p}")).join(", ");
    assert_eq!(
        params,
        format!(
            "norm.weight [8], mixer.in.weight [8, 24], mixer.hyena.short.depthwise.weight [3, 24], \
             mixer.hyena.short.depthwise.bias [24], {filter}, mixer.out.weight [8, 8]"
        )
    );
    assert_eq!(states, "0.conv [2, 24], 0.filter.conv [8, 8], 0.n [1]");
    // Two windows in one block.
    let (_, states) = of("[conv]\nkernel = 3\n[block]\nkind = 'mamba'\n[cell]\nkind = 'mamba'\n");
    assert_eq!(states, "0.conv [2, 8], 0.depthwise.conv [3, 16], 0.h [256]");
}

#[test]
fn first_values_are_those_of_the_papers_code() {
    let values = |model: &Model, name: &str| {
        let at = model.graph().params().iter().position(|p| p.name == name);
        Params::init(model.graph(), 3).get(at.expect(name)).to_vec()
    };
    let softplus = |v: &f32| f64::from(*v).exp().ln_1p();
    let within = |v: &[f32], bound: f64| {
        let largest = v.iter().fold(0.0, |m: f64, v| m.max(f64::from(v.abs())));
        assert!(
            largest <= bound && largest > 0.8 * bound,
            "{largest} of {bound}"
        );
    };
    let text = |cell: &str| format!("[block]\nkind = 'mamba'\n[cell]\nkind = {cell}\n");
    let mamba = parse(
        &format!("{GOOD}{}", text("'mamba'\nstates = 4")).replace("layers = 1", "layers = 4"),
    );
    let mamba = Model::from_config(&mamba.expect("good")).expect("good");
    let name = |end: &str| format!("layers.0.mixer.{end}");
    let ln = |n: f64| n.ln() as f32;
    let rates = values(&mamba, &name("ssm.A_log"));
    assert!(
        rates
            .chunks(4)
            .all(|c| c == [0.0, ln(2.0), ln(3.0), ln(4.0)]),
        "{rates:?}"
    );
    assert_eq!(values(&mamba, &name("ssm.D")), [1.0; 16]);
    let steps = values(&mamba, &name("ssm.dt.bias"));
    let steps: Vec<f64> = steps.iter().map(softplus).collect();
    assert!(
        steps.iter().all(|s| (0.00099..0.101).contains(s)),
        "{steps:?}"
    );
    assert!(
        steps.iter().any(|s| *s < 0.01) && steps.iter().any(|s| *s > 0.02),
        "{steps:?}"
    );
    // U(R^-1/2), R = 1; out by the root of the number of blocks.
    within(&values(&mamba, &name("ssm.dt.weight")), 1.0);
    within(&values(&mamba, &name("in.weight")), 1.0 / 8f64.sqrt());
    within(&values(&mamba, &name("out.weight")), 0.5 / 16f64.sqrt());
    let signed = model("[cell]\nkind = 'signed_min_gru'\ntime_scale = [2, 50]\n");
    assert_eq!(values(&signed, "layers.0.rnn.h0"), [1.0; 8]);
    let biases = values(&signed, "layers.0.rnn.in.bias");
    let (gates, rest) = biases.split_at(8);
    assert_eq!(rest, [0.0; 16]);
    let scales: Vec<f64> = gates
        .iter()
        .map(|k| -1.0 / f64::from(*k).tanh().ln())
        .collect();
    assert!(
        scales.iter().all(|s| (1.999..50.01).contains(s)),
        "{scales:?}"
    );
    for (diagonal, wanted) in [
        ("lin", [0.0, 1.0, 2.0].map(|n| std::f64::consts::PI * n)),
        // N = 6: 6 / pi (6 / (2n + 1) - 1).
        (
            "inv",
            [5.0, 1.0, 0.2].map(|f| 6.0 / std::f64::consts::PI * f),
        ),
    ] {
        let s4d = model(&format!(
            "[cell]\nkind = 's4d'\nstates = 6\nstep = [0.01, 0.2]\ndiagonal = '{diagonal}'\n"
        ));
        let name = |end: &str| format!("layers.0.mixer.ssm.{end}");
        let frequencies = values(&s4d, &name("A_im"));
        let wanted = wanted.map(|v| v as f32);
        assert!(
            frequencies.chunks(3).all(|c| c == wanted),
            "{frequencies:?}"
        );
        let rates = values(&s4d, &name("A_log"));
        assert!(rates.iter().all(|v| *v == 0.5f64.ln() as f32), "{rates:?}");
        let steps = values(&s4d, &name("log_dt"));
        let steps: Vec<f64> = steps.iter().map(|v| f64::from(*v).exp()).collect();
        assert!(
            steps.iter().all(|s| (0.0099..0.201).contains(s)),
            "{steps:?}"
        );
    }
    let mamba2 = model(&text("'mamba2'\nstates = 2\nhead_channels = 1"));
    let rates = values(&mamba2, &name("ssm.A_log"));
    let rates: Vec<f64> = rates.iter().map(|v| f64::from(*v).exp()).collect();
    assert!(
        rates.iter().all(|r| (0.999..16.001).contains(r)),
        "{rates:?}"
    );
    assert!(
        rates.iter().any(|r| *r < 6.0) && rates.iter().any(|r| *r > 11.0),
        "{rates:?}"
    );
    let decaying = |model: &Model| {
        let params = model.graph().params().iter();
        let params = params.filter(|p| matches!(p.role, Role::Weight { decay: true, .. }));
        params
            .map(|p| p.name.replace("layers.0.mixer.", ""))
            .collect::<Vec<_>>()
    };
    let all = ["in.weight", "depthwise.weight", "out.weight", "head.weight"];
    assert_eq!(decaying(&mamba2), all);
}

#[test]
fn a_step_size_is_exact_in_f32_where_it_is_small() {
    use crate::graph::{Graph, Input, OutputKind};
    use crate::oracle::{self, Data, Run};
    let graph = Graph::trace(
        Input::Features { width: 1 },
        OutputKind::Values,
        crate::layers::softplus,
    );
    let graph = graph.expect("good");
    let params: Vec<Vec<f64>> = vec![];
    let x = [-60f32, -20.0, -9.0, -2.0, 0.0, 0.5, 7.0, 30.0, 90.0];
    let run = Run::new(1, x.len(), Data::Features(&x));
    let got = oracle::run(&graph, &params, &run)
        .expect("runs")
        .output
        .data;
    for (x, y) in x.iter().zip(got) {
        let x = f64::from(*x);
        let want = x.max(0.0) + (-x.abs()).exp().ln_1p();
        assert!((y / want - 1.0).abs() < 1e-14, "{x}: {y} {want}");
    }
    // As f32 does it, every result rounded: 1 + e drops most of a small e, which the last summand gives back.
    for x in [-14.0f32, -9.0, -6.5, -2.0, 0.0, 3.0] {
        let e = (-x.abs()).exp();
        let u = 1.0 + e;
        let y = x.max(0.0) + (u.ln() + (e - (u - 1.0)) / u);
        let x = f64::from(x);
        let want = x.max(0.0) + (-x.abs()).exp().ln_1p();
        assert!((f64::from(y) / want - 1.0).abs() < 5e-7, "{x}: {y} {want}");
    }
}
