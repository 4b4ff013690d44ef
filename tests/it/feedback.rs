//! GRU, LSTM and feedback of one's own in files: no parallel form, said so by name; the others known, exact and verified.

use minrnn_cli::verify::{Options, Report};
use minrnn_model::config::ModelConfig;
use minrnn_model::graph::{FoldState, Graph, Input, OutputKind, StateInit, Unary, Value};
use minrnn_model::model::Model;
use minrnn_model::params::{Init, Params, Role};
use minrnn_onnx::export::{
    Activations, DirOptions, ExportError, ExportOptions, Form, Target, Weights, export_graph,
    write_export,
};
use minrnn_runtime::Execution;

use crate::forged::Forged;

/// Name and configuration.
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

/// A body that no configuration has: two states, a matrix computed from a parameter, channels repeated and picked (tract does
/// not plan reductions in a Scan's body); what was before is
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

fn own_and_params() -> (Model, Params) {
    let model = own();
    let params = Params::init(model.graph(), 5);
    (model, params)
}

fn all() -> impl Iterator<Item = (&'static str, (Model, Params))> {
    let configured = MODELS.iter().map(|(name, text)| (*name, model(text)));
    configured.chain([("own", own_and_params())])
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
        assert!(says.contains("choose the forms scan and step"), "{says}");
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
    let (model, params) = own_and_params();
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
        write_export(dir.path(), &model, &params, &options).unwrap();
        let export = minrnn_cli::verify::Export::open(dir.path()).unwrap();
        let options = Options {
            longest: Some(300),
            probe_steps: 64,
            ..Options::quick()
        };
        let report =
            minrnn_cli::verify::verify(&export, &model, &params, &options, &mut |_, _, _| ());
        holds("own", &report.unwrap());
    }
}
