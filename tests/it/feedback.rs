//! GRU, LSTM and feedback of one's own in files: no parallel form, said so by name; the others known, exact and verified.

use minrnn_cli::verify::{Options, Report};
use minrnn_model::config::ModelConfig;
use minrnn_model::graph::{FoldState, Graph, Input, OutputKind, StateInit, Unary, Value};
use minrnn_model::layers::Norm;
use minrnn_model::model::Model;
use minrnn_model::params::{Init, Params, Role};
use minrnn_onnx::assert_graph_snapshot;
use minrnn_onnx::export::{
    Activations, DirOptions, ExportError, ExportOptions, Form, Target, Weights, export_graph,
    write_export,
};
use minrnn_onnx::ir::{Attr, Model as File, Node};
use minrnn_runtime::Execution;

use crate::forged::Forged;

pub(crate) const MODELS: [(&str, &str); 4] = [
    (
        "gru",
        "width = 6\nlayers = 2\n[input]\nvocab = 5\n[cell]\nkind = 'gru'\nexpansion = 1.5\n[conv]\nkernel = 3\n[head]\nwidth = 3\n",
    ),
    (
        "lstm",
        "width = 6\nlayers = 2\n[input]\nfeatures = 2\n[cell]\nkind = 'lstm'\ninitial_state = 'learned'\n[mlp]\n[head]\nwidth = 3\nkind = 'values'\nsteps = 'last'\n",
    ),
    (
        "gru in Mamba's block",
        "width = 8\nlayers = 1\nblock = 'mamba'\n[input]\nfeatures = 2\n[cell]\nkind = 'gru'\ninitial_state = 'learned'\n[head]\nwidth = 3\nkind = 'values'\n",
    ),
    (
        "lstm without biases",
        "width = 8\nlayers = 1\nnorm = 'none'\n[input]\nvocab = 4\n[cell]\nkind = 'lstm'\nbias = false\noutput_projection = false\n[head]\nwidth = 4\n",
    ),
];

pub(crate) fn model(text: &str) -> (Model, Params) {
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    (model, params)
}

/// A body that no configuration has: two states, a matrix computed from a parameter, channels repeated and picked; what was before is
/// read behind it.
pub(crate) fn own() -> Model {
    let role = |bound| Role::Weight {
        init: Init::Uniform { bound },
        decay: true,
    };
    let input = Input::Features { width: 3 };
    let body = |g: &mut Graph, x: Value| {
        let first = g.param("first", &[4], role(1.0))?;
        let (u, v) = (
            g.param("u", &[4, 4], role(0.7))?,
            g.param("v", &[2, 3], role(0.7))?,
        );
        let wide = g.repeat(x, 1, 2)?;
        let drive = g.narrow(wide, 1, 4)?;
        let states = [
            FoldState {
                name: "h",
                width: 4,
                init: StateInit::Learned(first),
            },
            FoldState {
                name: "n",
                width: 2,
                init: StateInit::Constant(-0.5),
            },
        ];
        let mut inner = x;
        let made = g.fold(&states, |g, before| {
            let u = g.read(u)?;
            let moved = g.matmul_transposed(before[0], u)?;
            let sum = g.add(moved, drive)?;
            let sum = g.unary(Unary::Tanh, sum)?;
            let v = g.read(v)?;
            let v = g.unary(Unary::Sin, v)?;
            inner = g.matmul(before[1], v)?;
            let gate = g.add(inner, x)?;
            let gate = g.narrow(gate, 1, 1)?;
            let gate = g.unary(Unary::Sigmoid, gate)?;
            let h = g.mul(sum, gate)?;
            let halves = g.narrow(h, 1, 2)?;
            let n = g.repeat(halves, 1, 2)?;
            let n = g.mul(n, sum)?;
            let n = g.narrow(n, 1, 2)?;
            Ok(vec![h, n])
        })?;
        let before = g.before(made[0])?;
        let all = [made[0], made[1], before, inner];
        g.op(minrnn_model::graph::Op::Concat, &all)
    };
    let config = serde_json::json!({});
    Model::trace(input, OutputKind::Values, config, |g, x| {
        g.block(0, |g| body(g, x))
    })
    .unwrap()
}

/// A body that reduces over its channels: a norm of what the state was, and a sum of groups of channels.
pub(crate) fn normed() -> Model {
    let input = Input::Features { width: 4 };
    let body = |g: &mut Graph, x: Value| {
        let state = FoldState {
            name: "h",
            width: 4,
            init: StateInit::Constant(0.25),
        };
        let made = g.fold(&[state], |g, before| {
            let norm = Norm::Layer { eps: Norm::EPS };
            let unit = g.apply(&norm, before[0])?;
            let sum = g.add(unit, x)?;
            let groups = g.sum(sum, 2)?;
            let groups = g.repeat(groups, 1, 2)?;
            let h = g.sub(sum, groups)?;
            Ok(vec![g.unary(Unary::Tanh, h)?])
        })?;
        Ok(made[0])
    };
    let config = serde_json::json!({});
    Model::trace(input, OutputKind::Values, config, |g, x| {
        g.block(0, |g| body(g, x))
    })
    .unwrap()
}

fn own_and_params() -> (Model, Params) {
    let model = own();
    let params = Params::init(model.graph(), 5);
    (model, params)
}

fn all() -> impl Iterator<Item = (&'static str, (Model, Params))> {
    let configured = MODELS.iter().map(|(name, text)| (*name, model(text)));
    let normed = normed();
    let params = Params::init(normed.graph(), 5);
    let made = [("own", own_and_params()), ("normed", (normed, params))];
    configured.chain(made)
}

#[test]
fn the_parallel_form_is_refused_by_name_and_the_others_are_exact() {
    for (name, (model, params)) in all() {
        let options = |form, more| ExportOptions {
            form,
            reset: more,
            lengths: more && form != Form::Step,
            target: Target::OnnxRuntime,
            ..ExportOptions::default()
        };
        let refused = export_graph(model.graph(), &params, &options(Form::Parallel, false));
        let error = refused.map(drop).unwrap_err();
        assert!(
            matches!(error, ExportError::Option { option: "form", .. }),
            "{error}"
        );
        let says = error.to_string();
        assert!(
            says.contains("choose the form scan or step, or all that the model has"),
            "{says}"
        );
        assert_eq!(Form::of(model.graph()), [Form::Scan, Form::Step]);
        for form in [Form::Scan, Form::Step] {
            for more in [false, true] {
                let file = export_graph(model.graph(), &params, &options(form, more)).unwrap();
                let (_, contract) = file
                    .metadata
                    .iter()
                    .find(|(k, _)| k == "minrnn.contract")
                    .unwrap();
                assert_eq!(contract, "2", "{name}");
                let opened = minrnn_runtime::Model::from_bytes(&file.encode());
                let opened = opened.unwrap_or_else(|e| panic!("{name} {form:?} {more}: {e}"));
                let why = opened.not_exact_because();
                assert_eq!(
                    opened.execution(),
                    Execution::Exact,
                    "{name} {form:?} {more}: {why:?}"
                );
            }
        }
    }
}

fn holds(name: &str, report: &Report) {
    let table = report.table();
    assert!(report.holds, "{name}\n{table}\n{:#?}", report.remarks());
}

#[test]
fn exports_hold_in_every_engine() {
    for (name, text) in MODELS {
        holds(name, &Forged::new(text, |_| {}).report(true).unwrap());
        let more = Forged::new(text, |o| {
            (o.options.reset, o.options.lengths) = (true, true)
        });
        holds(name, &more.report(true).unwrap());
    }
}

fn as_operators(o: &mut DirOptions) {
    o.options.fused_cells = true;
    o.options.target = Target::OnnxRuntime;
}

#[test]
fn exports_with_operators_hold_and_are_exact() {
    for (name, text) in MODELS {
        let report = Forged::new(text, as_operators).report(true).unwrap();
        holds(name, &report);
        let exact = report.rows.iter().any(|r| r.against == "referee");
        assert!(exact, "{name}\n{}", report.table());
    }
}

/// Some engines run no operator of one channel.
fn of_one_channel() -> (Model, Params) {
    let text = "width = 1\nlayers = 1\nnorm = 'none'\n[input]\nfeatures = 2\n[head]\nwidth = 1\nkind = 'values'\n[cell]\nkind = 'gru'\n";
    model(text)
}

fn operators(file: &File) -> Vec<&str> {
    let all = file.graph.nodes.iter().map(|n| n.op_type.as_str());
    all.filter(|op| ["GRU", "LSTM", "Scan"].contains(op))
        .collect()
}

#[test]
fn operators_stand_where_they_say_the_same() {
    let (model, params) = model(MODELS[0].1);
    let file = |change: &dyn Fn(&mut ExportOptions)| {
        let mut options = ExportOptions {
            form: Form::Scan,
            fused_cells: true,
            target: Target::OnnxRuntime,
            ..ExportOptions::default()
        };
        change(&mut options);
        export_graph(model.graph(), &params, &options).unwrap()
    };
    assert_eq!(operators(&file(&|_| ())), ["GRU", "GRU"]);
    let changes: [&dyn Fn(&mut ExportOptions); 5] = [
        &|o| o.reset = true,
        &|o| o.lengths = true,
        &|o| o.weights = Weights::F16,
        &|o| o.weights = Weights::Bf16,
        &|o| o.weights = Weights::Int8(Activations::Row),
    ];
    for change in changes {
        assert_eq!(operators(&file(change)), ["Scan", "Scan"]);
    }
    assert!(operators(&file(&|o| o.form = Form::Step)).is_empty());
    let (narrow, params) = of_one_channel();
    let options = ExportOptions {
        form: Form::Scan,
        fused_cells: true,
        target: Target::OnnxRuntime,
        ..ExportOptions::default()
    };
    let file = export_graph(narrow.graph(), &params, &options).unwrap();
    assert_eq!(operators(&file), ["Scan"]);
    let own = own_and_params();
    let options = ExportOptions {
        form: Form::Scan,
        fused_cells: true,
        target: Target::OnnxRuntime,
        ..ExportOptions::default()
    };
    let file = export_graph(own.0.graph(), &own.1, &options).unwrap();
    assert_eq!(operators(&file), ["Scan"]);
}

fn maker<'f>(file: &'f mut File, at: usize, op: &str) -> &'f mut Node {
    let nodes = &file.graph.nodes;
    let cell = nodes
        .iter()
        .find(|n| ["GRU", "LSTM"].contains(&n.op_type.as_str()));
    let mut name = cell.unwrap().inputs[at].clone();
    loop {
        let found = nodes
            .iter()
            .position(|n| n.outputs.contains(&name))
            .unwrap();
        if nodes[found].op_type == op {
            return &mut file.graph.nodes[found];
        }
        name = nodes[found].inputs[0].clone();
    }
}

fn gates_exchanged(file: &mut File) {
    maker(file, 1, "Concat").inputs.swap(0, 1);
}

fn biases_exchanged(file: &mut File) {
    maker(file, 3, "Concat").inputs.swap(0, 1);
}

fn reset_before_the_product(file: &mut File) {
    let mut nodes = file.graph.nodes.iter_mut();
    let cell = nodes.find(|n| n.op_type == "GRU").unwrap();
    let flag = cell
        .attributes
        .iter_mut()
        .find(|(n, _)| n == "linear_before_reset");
    flag.unwrap().1 = Attr::Int(0);
}

#[test]
fn operators_that_say_something_else_do_not_hold() {
    type Change = fn(&mut File);
    let faults: [(&str, usize, Change); 5] = [
        ("gates of a GRU exchanged", 0, gates_exchanged),
        ("biases of a GRU exchanged", 0, biases_exchanged),
        ("another GRU", 0, reset_before_the_product),
        ("gates of an LSTM exchanged", 1, gates_exchanged),
        ("states of an LSTM exchanged", 1, |file| {
            let mut nodes = file.graph.nodes.iter_mut();
            let cell = nodes.find(|n| n.op_type == "LSTM").unwrap();
            cell.inputs.swap(5, 6);
        }),
    ];
    for (what, of, change) in faults {
        for older in [false, true] {
            let forged = Forged::new(MODELS[of].1, as_operators);
            forged.file("scan", &|file| {
                change(file);
                if older {
                    file.producer_version = "0.0.9".into();
                }
            });
            let found = forged.report(true);
            assert!(
                found.is_err() || found.is_ok_and(|r| !r.holds),
                "{what}, by another version: {older}"
            );
        }
    }
}

#[test]
fn graphs_in_canonical_text() {
    let one = |cell: &str| {
        format!(
            "width = 4\nlayers = 1\nnorm = 'none'\nresidual = false\n[input]\nfeatures = 3\n[head]\nwidth = 2\nkind = 'values'\n[cell]\nkind = '{cell}'\noutput_projection = false\n"
        )
    };
    for cell in ["gru", "lstm"] {
        let (model, params) = model(&one(cell));
        for (kind, form, fused_cells) in [
            ("scan", Form::Scan, false),
            ("operator", Form::Scan, true),
            ("step", Form::Step, false),
        ] {
            let options = ExportOptions {
                form,
                fused_cells,
                config: model.config().clone(),
                target: Target::OnnxRuntime,
                ..ExportOptions::default()
            };
            let file = export_graph(model.graph(), &params, &options).unwrap();
            assert_graph_snapshot!(format!("{cell}.{kind}"), &file);
        }
    }
}

#[test]
fn exports_with_narrow_weights_hold() {
    for weights in [Weights::F16, Weights::Bf16, Weights::Int8(Activations::Row)] {
        for (name, text) in &MODELS[..2] {
            let forged = Forged::new(text, |o| {
                o.options.weights = weights.clone();
                o.options.target = Target::OnnxRuntime;
            });
            holds(
                &format!("{name} {weights:?}"),
                &forged.report(true).unwrap(),
            );
        }
    }
}

#[test]
fn a_body_of_ones_own_holds() {
    for (name, (model, params)) in all().skip(MODELS.len()) {
        held(name, &model, &params);
    }
}

fn held(name: &str, model: &Model, params: &Params) {
    for more in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let options = DirOptions {
            options: ExportOptions {
                reset: more,
                lengths: more,
                target: Target::OnnxRuntime,
                ..ExportOptions::default()
            },
            ..DirOptions::default()
        };
        write_export(dir.path(), model, params, &options).unwrap();
        let export = minrnn_cli::verify::Export::open(dir.path()).unwrap();
        let options = Options {
            longest: Some(300),
            probe_steps: 64,
            ..Options::quick()
        };
        let report =
            minrnn_cli::verify::verify(&export, model, params, &options, &mut |_, _, _| ());
        holds(name, &report.unwrap());
    }
}
