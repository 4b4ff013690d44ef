//! Tied tables and computed parameters where weights are stored in narrower types.

use minrnn_model::graph::{Graph, Input, Op, OutputKind, Unary};
use minrnn_model::oracle;
use minrnn_model::params::{Init, Params, Role};
use minrnn_onnx::eval::Session;
use minrnn_onnx::export::{Activations, ExportOptions, Form, Weights, export_graph, read};

use super::{Case, tensors};

/// A table that embeds and gives the logits; a matrix that is a value, too.
fn graph() -> Graph {
    let role = || Role::Weight {
        init: Init::Uniform { bound: 1.0 },
        decay: true,
    };
    let traced = Graph::trace(Input::Tokens { vocab: 5 }, OutputKind::Logits, |g, ids| {
        let table = g.param("table", &[5, 8], role())?;
        let x = g.op(Op::Embed { table }, &[ids])?;
        let value = g.param("value", &[8, 8], role())?;
        let value = g.read(value)?;
        let row = g.op(Op::Row { row: 2 }, &[value])?;
        let gate = g.unary(Unary::Sigmoid, row)?;
        let y = g.matmul(x, value)?;
        let y = g.mul(y, gate)?;
        let x = g.add(x, y)?;
        let table = g.read(table)?;
        g.matmul_transposed(x, table)
    });
    traced.unwrap()
}

#[test]
fn a_tied_table_is_narrow_and_what_is_a_value_is_not() {
    let graph = graph();
    let params = Params::init(&graph, 5);
    let case = Case::new(&graph, (2, 9), false, false, 3);
    for (weights, stored, off) in [
        (Weights::F16, "f16", 4e-3),
        (Weights::Bf16, "bf16", 1e-6),
        (Weights::Int8(Activations::Row), "u8", 1e-5),
    ] {
        for form in [Form::Parallel, Form::Step] {
            let options = ExportOptions {
                form,
                weights: weights.clone(),
                target: minrnn_onnx::export::Target::OnnxRuntime,
                ..ExportOptions::default()
            };
            let model = export_graph(&graph, &params, &options).unwrap();
            let dtype = |name: &str| {
                let tensor = model.graph.initializers.iter().find(|t| t.name == name);
                tensor.unwrap().dtype.to_string()
            };
            assert_eq!(dtype("table"), stored);
            assert_eq!(dtype("value"), "f32", "it is read as a value");
            let file = read(&model, &graph, std::path::Path::new(".")).unwrap();
            let rounding = file.weights.rounding(&graph);
            let case = match form {
                Form::Step => case.piece((4, 5), vec![]),
                _ => case.piece((0, 9), vec![]),
            };
            let run = oracle::Run {
                rounding: rounding.as_ref(),
                ..oracle::Run::new(case.batch, case.time, case.data(&graph))
            };
            let want = oracle::run(&graph, &file.params, &run).unwrap();
            let session = Session::open(&model, None).unwrap();
            let got = case.judge(&graph, &session, form != Form::Step);
            for (a, b) in std::iter::zip(&got[0][0], &tensors(&want)[0].data) {
                assert!(
                    (a - b).abs() <= off * (1.0 + b.abs()),
                    "{stored} {form:?}: {a} for {b}"
                );
            }
        }
    }
}
