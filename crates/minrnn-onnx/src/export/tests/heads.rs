//! Selective scans with heads as one operator of ONNX Runtime's own.

use super::models::{Case, export, model, right};
use crate::export::{
    ExportError, ExportOptions, Form, Lowering, Target, deviation, export_graph, options, read,
};
use crate::ir::{Attr, Model, Node};
use crate::text::text;

fn attention(o: &mut ExportOptions) {
    (o.lowering, o.target) = (Lowering::LinearAttention, Target::OnnxRuntime);
}

fn operators(file: &Model) -> Vec<&Node> {
    let all = file.graph.nodes.iter();
    all.filter(|n| n.op_type == "LinearAttention").collect()
}

#[test]
fn a_scan_with_heads_is_one_operator_in_sequences_and_in_steps() {
    let (model, params) = model("mamba2");
    for form in [Form::Parallel, Form::Step] {
        let file = export(&model, &params, |o| {
            attention(o);
            o.form = form;
        });
        assert_eq!(file.metadata("minrnn.lowering"), Some("linear-attention"));
        assert_eq!(file.metadata("minrnn.recurrences"), Some("[]"));
        let sets = [(String::new(), 17), ("com.microsoft".to_owned(), 1)];
        assert_eq!(file.opsets, sets);
        let all = operators(&file);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].domain, "com.microsoft");
        // Of 8 channels in heads of 2; two groups have a key and a query each.
        assert_eq!(all[0].attr("kv_num_heads"), Some(&Attr::Int(4)));
        assert_eq!(all[0].attr("q_num_heads"), Some(&Attr::Int(2)));
        assert_eq!(options(&file).unwrap().lowering, Lowering::LinearAttention);
    }
    let scan = export(&model, &params, |o| {
        attention(o);
        o.form = Form::Scan;
    });
    assert_eq!(scan.metadata("minrnn.lowering"), Some("scan"));
    assert_eq!(operators(&scan).len(), 0);
}

#[test]
fn the_text_of_both_forms() {
    let (model, params) = model("mamba2");
    for form in [Form::Parallel, Form::Step] {
        let file = export(&model, &params, |o| {
            attention(o);
            (o.form, o.reset, o.lengths) = (form, true, form == Form::Parallel);
            o.config = serde_json::json!({});
        });
        insta::assert_snapshot!(format!("mamba2_by_operator.{}", form.name()), text(&file));
    }
}

/// Whole, in pieces, and step by step, by the meaning of the operators.
#[test]
fn pieces_and_steps_give_what_the_whole_gives() {
    let (model, params) = model("mamba2");
    let graph = model.graph();
    let [whole, step] = [Form::Parallel, Form::Step].map(|form| {
        export(&model, &params, |o| {
            attention(o);
            o.form = form;
        })
    });
    let case = Case::new(graph, 2, 37, 3);
    let want = case.oracle(graph, &params);
    for file in [&whole, &step] {
        let length = if std::ptr::eq(file, &step) { 1 } else { 5 };
        let (mut states, mut at, mut output) = (case.states.clone(), 0, vec![]);
        while at < case.time {
            let to = (at + length).min(case.time);
            let out = case.piece(at, to, states).run(graph, file).unwrap();
            (states, output, at) = (out.states, out.output, to);
        }
        right("output", &output, &want.output);
        for (i, s) in graph.states().iter().enumerate() {
            right(&s.name, &states[i], &want.states[i]);
        }
    }
}

#[test]
fn a_file_that_computes_another_scan_deviates() {
    let (model, params) = model("mamba2");
    let made = |form: Form| {
        export(&model, &params, |o| {
            attention(o);
            o.form = form;
        })
    };
    let found = |file: &Model| {
        let stored = read(file, model.graph(), std::path::Path::new(".")).unwrap();
        deviation(file, model.graph(), &stored.params, &options(file).unwrap()).unwrap()
    };
    for form in [Form::Parallel, Form::Step] {
        assert_eq!(found(&made(form)), None);
        let change = |edit: &dyn Fn(&mut Node)| {
            let mut file = made(form);
            let nodes = file.graph.nodes.iter_mut();
            nodes
                .filter(|n| n.op_type == "LinearAttention")
                .for_each(edit);
            found(&file).expect("another graph")
        };
        for said in [
            change(&|n| n.inputs.swap(0, 1)),
            change(&|n| n.attributes[1].1 = Attr::Int(4)),
            change(&|n| n.attributes[2].1 = Attr::Float(0.5)),
            change(&|n| n.domain.clear()),
        ] {
            assert!(said.contains("LinearAttention"), "{said}");
        }
    }
}

#[test]
fn what_the_operator_cannot_do_is_refused_by_name() {
    let refused = |name: &str, change: &dyn Fn(&mut ExportOptions)| {
        let (model, params) = model(name);
        let mut o = ExportOptions::default();
        attention(&mut o);
        change(&mut o);
        let error = export_graph(model.graph(), &params, &o).unwrap_err();
        match &error {
            ExportError::Target { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        }
    };
    let said = refused("mamba", &|o| o.opset = 27);
    for words in [
        "option lowering",
        "a decay for each of its states",
        "choose blocked, or the form scan",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert!(refused("gru", &|_| ()).contains("linear-attention needs 27"));
    for target in [
        Target::Portable,
        Target::Tract,
        Target::Candle,
        Target::OpenVino,
        Target::Rten,
    ] {
        let said = refused("mamba2", &|o| o.target = target);
        assert!(said.contains("of `com.microsoft` (rule domain)"), "{said}");
    }
    let (model, params) = model("mamba2");
    let web = export(&model, &params, |o| {
        attention(o);
        o.target = Target::Web;
    });
    assert_eq!(operators(&web).len(), 1);
}
