//! Operations that no value reaches: only the graph itself shows them.

use minrnn_onnx::export::{Lowering, Target};
use minrnn_onnx::ir;

use super::{FORMS, Forged, TOKENS, wrong};

/// Puts nodes between the logits and what makes them: operator, inputs, output; `early` is what were the logits.
fn after(f: &mut ir::Model, constants: &[(&str, f32)], nodes: &[(&str, &[&str], &str)]) {
    let makes = |n: &ir::Node| n.outputs.iter().any(|o| o == "logits");
    let at = f.graph.nodes.iter().position(makes).unwrap();
    f.graph.nodes[at].outputs[0] = "early".into();
    for (name, value) in constants {
        let constant = ir::Tensor::f32(*name, vec![], &[*value]);
        f.graph.initializers.push(constant);
    }
    for (op, inputs, output) in nodes {
        let mut node = ir::Node {
            op_type: (*op).into(),
            name: format!("strange/{output}"),
            inputs: inputs.iter().map(|i| (*i).to_owned()).collect(),
            outputs: vec![(*output).to_owned()],
            ..ir::Node::default()
        };
        let more = match *op {
            "Cast" => Some(("to", ir::Attr::Int(1))),
            "ReduceMax" => Some(("axes", ir::Attr::Ints(vec![1]))),
            _ => None,
        };
        let more = more.map(|(key, value)| (key.to_owned(), value));
        node.attributes.extend(more);
        f.graph.nodes.push(node);
    }
}

/// A clip far out.
fn clipped(f: &mut ir::Model) {
    after(f, &[("far", 30.0)], &[("Min", &["early", "far"], "logits")]);
}

/// 1000 max(B - 16, 0) on top: more rows than are tried.
fn many_rows(f: &mut ir::Model) {
    let rows = ir::Tensor::i64("rows", vec![1], &[0]);
    f.graph.initializers.push(rows);
    let constants = [
        ("nothing", 0.0),
        ("one", 1.0),
        ("few", 16.0),
        ("much", 1000.0),
    ];
    let nodes: [(&str, &[&str], &str); 9] = [
        ("Cast", &["input_ids"], "numbers"),
        ("Mul", &["numbers", "nothing"], "zeros"),
        ("Add", &["zeros", "one"], "ones"),
        ("ReduceSum", &["ones", "rows"], "sums"),
        ("ReduceMax", &["sums"], "batch"),
        ("Sub", &["batch", "few"], "over"),
        ("Relu", &["over"], "beyond"),
        ("Mul", &["beyond", "much"], "term"),
        ("Add", &["early", "term"], "logits"),
    ];
    after(f, &constants, &nodes);
}

fn older(f: &mut ir::Model) {
    f.producer_version = "0.0.9".into();
}

/// Nothing but the rows of these graphs shows it, whatever runs, and the note names the node.
#[track_caller]
fn shows(forged: &Forged, forms: &[&str], node: &str) {
    let reports = [
        forged.report(true).unwrap(),
        forged.files_alone(false).unwrap(),
    ];
    for report in reports {
        let rows: Vec<String> = forms
            .iter()
            .map(|form| format!("files {form} against new export"))
            .collect();
        assert_eq!(wrong(&report), rows, "{}", report.table());
        let said = report.remarks().join("\n");
        let words = format!("which this version does not write: `{node}");
        assert!(said.contains(&words), "{said}");
        assert!(
            said.contains(concat!(
                "minrnn ",
                env!("CARGO_PKG_VERSION"),
                ", which it names as its writer"
            )),
            "{said}"
        );
    }
}

#[test]
fn a_clip_far_out_in_all_forms_is_not_what_this_version_writes() {
    let forged = Forged::tokens();
    forged.files(&clipped);
    shows(
        &forged,
        &FORMS,
        "%logits = Min(%early, %far)  # strange/logits`",
    );
}

#[test]
fn a_term_for_many_rows_in_a_form_that_is_not_exact_is_not_what_this_version_writes() {
    let forged = Forged::new(TOKENS, |o| {
        o.options.lowering = Lowering::KoggeStone;
        o.options.target = Target::OnnxRuntime;
    });
    forged.files_hold();
    forged.file("parallel", &many_rows);
    shows(&forged, &["parallel"], "%numbers = Cast(%input_ids)");
}

#[test]
fn a_file_of_another_version_passes_with_a_remark() {
    let forged = Forged::tokens();
    forged.files(&|f| {
        clipped(f);
        older(f);
    });
    for checkpoint in [false, true] {
        let report = forged.files_alone(checkpoint).unwrap();
        assert!(report.holds, "{}", report.table());
        let said = report.remarks().join("\n");
        for form in FORMS {
            let words = format!(
                "{form}: not the graph that this version writes (minrnn 0.0.9 wrote it), so that what values do not reach is not known: it has node `strange/logits`"
            );
            assert!(said.contains(&words), "{said}");
        }
    }
}

/// Another version that writes the same graph, under other names, in another order, with a constant more.
#[test]
fn a_graph_that_is_the_same_has_no_remark() {
    let forged = Forged::tokens();
    forged.files(&|f| {
        f.graph.initializers.reverse();
        f.graph
            .nodes
            .iter_mut()
            .for_each(|n| n.name = format!("other/{}", n.name));
        f.graph.value_info.clear();
        f.graph
            .initializers
            .push(ir::Tensor::f32("of no use", vec![], &[1.0]));
    });
    forged.files_hold();
    for other in [false, true] {
        if other {
            forged.files(&older);
        }
        let said = forged.files_alone(true).unwrap().remarks().join("\n");
        assert!(!said.contains("this version"), "{said}");
    }
}
