//! Targets: each file keeps the profile that it is written for, and each rule of a profile refuses what it is there for.

use std::collections::BTreeSet;

use super::models::{CONFIGS, model};
use crate::builder::Builder;
use crate::check::{Problem, TRAPS, check, conform, infer};
use crate::export::{ExportError, ExportOptions, Lowering, Target, Weights, export_graph};
use crate::ir::{Attr, DType, Dim, External, Model, Tensor, TensorData};

#[test]
fn every_target_takes_what_is_chosen_for_it() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        for target in Target::ALL {
            let choices = target.choices();
            for form in choices.forms {
                for dtype in choices.weights {
                    let options = ExportOptions {
                        form: *form,
                        lowering: choices.lowering,
                        block: choices.block,
                        opset: choices.opset,
                        fused_norms: choices.fused_norms,
                        fused_cells: choices.fused_cells,
                        weights: match *dtype {
                            "f16" => Weights::F16,
                            "bf16" => Weights::Bf16,
                            "int8" => Weights::Int8(crate::export::Activations::Row),
                            _ => Weights::F32,
                        },
                        target,
                        ..ExportOptions::default()
                    };
                    let made = export_graph(model.graph(), &params, &options);
                    assert!(
                        made.is_ok(),
                        "{name} {} {form:?} {dtype}: {made:?}",
                        target.name()
                    );
                }
            }
        }
    }
}

/// What each target says to each lowering with T free: an engine's name where it refuses.
#[test]
fn lowerings_by_target() {
    let (model, params) = model("gru");
    let mut lines = vec![];
    for target in Target::ALL {
        for lowering in Lowering::ALL {
            let options = ExportOptions {
                lowering,
                opset: lowering.opset().max(17),
                max_seq_len: 256,
                target,
                ..ExportOptions::default()
            };
            let said = match export_graph(model.graph(), &params, &options) {
                Ok(_) => "takes it".to_owned(),
                Err(ExportError::Target { source: e, .. }) => {
                    let rule = |p: &Problem| {
                        let (_, named) = p.detail.rsplit_once("(rule ").unwrap();
                        named.trim_end_matches(')').to_owned()
                    };
                    let all: BTreeSet<String> = e.problems.iter().map(rule).collect();
                    format!("refuses: {}", Vec::from_iter(all).join(", "))
                }
                Err(e) => panic!("{e}"),
            };
            lines.push(format!(
                "{:12} {:20} {said}",
                target.name(),
                lowering.name()
            ));
        }
    }
    insta::assert_snapshot!("lowerings_by_target", lines.join("\n"));
}

/// A graph of one operator that breaks one rule.
fn broken(rule: &str) -> (Model, Target) {
    let mut opset = 17;
    let dims = || vec![Dim::symbol("batch"), Dim::symbol("seq_len"), Dim::Fixed(4)];
    let mut b = Builder::new("broken");
    let x = b.input("x", DType::F32, dims());
    let mut out = dims();
    let (y, target) = match rule {
        "operator" => (b.node("Softplus", &[x], vec![]), Target::Candle),
        "pad-reflect-only" => (b.pad(x, &[0, 0, 0, 0, 0, 0], 0.0), Target::Candle),
        "pad-negative" => {
            out[2] = Dim::Fixed(3);
            (b.pad(x, &[0, 0, -1, 0, 0, 0], 0.0), Target::Tract)
        }
        "pad-axes" => {
            opset = 18;
            let (pads, zero, axes) = (b.i64s(&[0, 0]), b.f32(0.0), b.i64s(&[2]));
            (b.node("Pad", &[x, pads, zero, axes], vec![]), Target::Rten)
        }
        "one-axis" => {
            let axes = b.i64s(&[0, 1]);
            out = vec![
                Dim::Fixed(1),
                Dim::Fixed(1),
                out[0].clone(),
                out[1].clone(),
                out[2].clone(),
            ];
            (b.node("Unsqueeze", &[x, axes], vec![]), Target::Candle)
        }
        "mean-axes-attribute" => {
            opset = 18;
            out[2] = Dim::Fixed(1);
            let axes = b.i64s(&[2]);
            (b.node("ReduceMean", &[x, axes], vec![]), Target::Candle)
        }
        "logsumexp-axes" => {
            out[2] = Dim::Fixed(1);
            (
                b.node("ReduceL1", &[x], vec![("axes", Attr::Ints(vec![2]))]),
                Target::OpenVino,
            )
        }
        "domain" => (
            b.node_of("com.microsoft", "Gelu", &[x], 1, vec![])[0],
            Target::OpenVino,
        ),
        "softplus" => (b.node("Softplus", &[x], vec![]), Target::Tract),
        "integer-mod" => (
            b.node("Mod", &[x, x], vec![("fmod", Attr::Int(1))]),
            Target::Tract,
        ),
        "cumsum-axis" => {
            let axis = b.i64s(&[1]);
            (b.node("CumSum", &[x, axis], vec![]), Target::Tract)
        }
        "slice-within" => {
            out[1] = Dim::Unknown;
            (b.slice_at(x, 0, 32, 1), Target::Tract)
        }
        "bf16" => {
            let w = b.param(Tensor::bytes("w", DType::BF16, vec![4], vec![0; 8]));
            let wide = b.cast(w, DType::F32);
            (b.add(x, wide), Target::Tract)
        }
        "external-data" => {
            let mut w = Tensor::f32("w", vec![4], &[0.0; 4]);
            let location = "w.data".to_owned();
            w.data = TensorData::External(External {
                location,
                ..External::default()
            });
            let w = b.param(w);
            (b.add(x, w), Target::Candle)
        }
        "state-first" => {
            let row = vec![Dim::Unknown, Dim::Fixed(4)];
            let h0 = b.input("h0", DType::F32, vec![Dim::symbol("batch"), Dim::Fixed(4)]);
            let results = b.scan(&[(h0, row.clone())], &[(x, row.clone())], 1, |b, h, x| {
                let next = b.mul(x[0], h[0]);
                crate::builder::ScanBody {
                    states: vec![next],
                    outputs: vec![(next, row.clone())],
                }
            });
            (results[1], Target::OpenVino)
        }
        "opset" => {
            opset = 27;
            (b.relu(x), Target::Web)
        }
        other => panic!("no graph breaks {other}"),
    };
    b.output("y", y, DType::F32, out);
    let graph = b.finish().unwrap();
    let opsets = vec![(String::new(), opset), ("com.microsoft".into(), 1)];
    (
        Model {
            ir_version: 8,
            opsets,
            graph,
            ..Model::default()
        },
        target,
    )
}

#[test]
fn every_rule_refuses_its_trap_and_says_so() {
    let mut said = vec![];
    for trap in TRAPS {
        let (model, target) = broken(trap.name);
        let (types, problems) = infer(&model);
        // The standard has nothing against these; the checker may not know all of the operators, and is stricter with CumSum.
        assert!(
            problems
                .iter()
                .all(|p| p.detail.contains("not known here") || trap.name == "cumsum-axis"),
            "{}: {problems:?}",
            trap.name
        );
        let error = conform(&model, &types, target).unwrap_err();
        let rule = format!("(rule {})", trap.name);
        assert!(
            error.problems.iter().any(|p| p.detail.contains(&rule)),
            "{}: {error}",
            trap.name
        );
        said.push(format!("{:20} {}", trap.name, error.problems[0]));
        let fine = Target::ALL
            .into_iter()
            .filter(|t| !trap.targets.contains(t) && *t != Target::Portable);
        for other in fine {
            let others = conform(&model, &types, other);
            let blamed = others.is_err_and(|e| e.problems.iter().any(|p| p.detail.contains(&rule)));
            assert!(!blamed, "{} does not concern {}", trap.name, other.name());
        }
    }
    insta::assert_snapshot!("traps", said.join("\n"));
}

#[test]
fn a_good_graph_keeps_every_profile() {
    let mut b = Builder::new("fine");
    let dims = vec![Dim::symbol("batch"), Dim::Fixed(4)];
    let x = b.input("x", DType::F32, dims.clone());
    let y = b.relu(x);
    b.output("y", y, DType::F32, dims);
    let model = Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        graph: b.finish().unwrap(),
        ..Model::default()
    };
    let types = check(&model).unwrap();
    for target in Target::ALL {
        conform(&model, &types, target).unwrap();
    }
}

/// One table: what the code chooses is what the docs print.
#[test]
fn the_docs_print_the_tables() {
    let docs = include_str!("../../../../../docs/export.md");
    for target in Target::ALL {
        let c = target.choices();
        let forms: Vec<&str> = c.forms.iter().map(|f| f.name()).collect();
        let row = format!(
            "| `{}` | {} | `{}`, C = {} | {} | {} | {} | {} | {} |",
            target.name(),
            forms.join(", "),
            c.lowering.name(),
            c.block,
            c.opset,
            if c.fused_norms {
                "LayerNormalization"
            } else {
                "primitives"
            },
            if c.fused_cells { "GRU, LSTM" } else { "Scan" },
            c.weights.join(", "),
            if c.external { "yes" } else { "no" }
        );
        assert!(docs.contains(&row), "docs/export.md lacks {row}");
    }
    for trap in TRAPS {
        let targets: Vec<&str> = trap.targets.iter().map(|t| t.name()).collect();
        let row = format!(
            "| `{}` | {} | {} |",
            trap.name,
            targets.join(", "),
            trap.why
        );
        assert!(docs.contains(&row), "docs/export.md lacks {row}");
    }
}
