//! Lies of the files' metadata, the same in all files and in the manifest.

use minrnn_onnx::export::{ExportOptions, Lowering};
use minrnn_onnx::ir;
use serde_json::{Value as Json, json};

use super::{FORMS, Forged, TOKENS, said, say};

/// In a file and in the manifest.
fn longest(forged: &Forged, form: &str, n: u64) {
    forged.file(form, &|f| {
        say(f, "minrnn.max_seq_len", Some(&n.to_string()))
    });
    forged.manifest(|m| m["forms"][form]["max_seq_len"] = n.into());
}

#[test]
fn a_longest_length_that_hides_the_others_is_a_breach() {
    for lowering in [Lowering::Blocked, Lowering::OddEven] {
        let make = || Forged::new(TOKENS, |o| o.options.lowering = lowering);
        make().holds();
        let forged = make();
        longest(&forged, "parallel", 5);
        forged.breaks("takes T = 6, and metadata `minrnn.max_seq_len` says 5");
    }
    let forged = Forged::tokens();
    longest(&forged, "scan", 5);
    forged.breaks("metadata `minrnn.max_seq_len` is 5, and by its form and lowering absent");
    let forged = Forged::tokens();
    forged.file("parallel", &|f| say(f, "minrnn.max_seq_len", None));
    forged.manifest(|m| m["forms"]["parallel"]["max_seq_len"] = Json::Null);
    forged.breaks("is absent, and by its form and lowering a number");
}

#[test]
fn a_fixed_length_is_the_longest() {
    let fixed = |n| {
        move |o: &mut minrnn_onnx::export::DirOptions| {
            o.options = ExportOptions {
                seq_len: Some(n),
                ..ExportOptions::default()
            };
        }
    };
    for n in [7, 16] {
        Forged::new(TOKENS, fixed(n)).holds();
    }
    let forged = Forged::new(TOKENS, fixed(7));
    longest(&forged, "parallel", 9);
    forged.breaks("metadata `minrnn.max_seq_len` is 9, and by its form and lowering 7");
}

#[test]
fn types_and_targets_that_are_not_theirs_are_breaches() {
    for word in ["f16", "bf16", "int8"] {
        let forged = Forged::tokens();
        forged.files(&|f| {
            say(f, "minrnn.dtype", Some(word));
            say(f, "minrnn.activations", Some("\"row\""));
        });
        forged.manifest(|m| {
            m["dtype"] = word.into();
            m["activations"] = "row".into();
        });
        forged.breaks(&format!(
            "is f32, and by `minrnn.dtype` ({word}) it would be"
        ));
    }
    let forged = Forged::narrow(minrnn_onnx::export::Weights::Bf16);
    forged.files(&|f| say(f, "minrnn.target", Some("tract")));
    forged.manifest(|m| m["target"] = "tract".into());
    forged.breaks("says that it is for tract, whose rules it breaks");
    let forged = Forged::tokens();
    forged.files(&|f| say(f, "minrnn.target", Some("all")));
    forged.manifest(|m| m["target"] = "all".into());
    forged.breaks("`minrnn.target` is `all`, which is not known here");
}

#[test]
fn padding_is_that_of_the_graph() {
    for (form, wrong, right) in [
        ("parallel", "false", "true"),
        ("scan", "true", "false"),
        ("step", "true", "false"),
    ] {
        let forged = Forged::tokens();
        forged.file(form, &|f| say(f, "minrnn.padded", Some(wrong)));
        forged.breaks(&format!(
            "`minrnn.padded` is {wrong}, and by the graph {right}"
        ));
    }
    let forged = Forged::new(TOKENS, |o| o.options.seq_len = Some(7));
    forged.file("parallel", &|f| say(f, "minrnn.padded", Some("false")));
    forged.breaks("`minrnn.padded` is false, and by the graph true");
}

#[test]
fn recurrences_that_are_left_out_are_breaches() {
    let two = TOKENS.replace("layers = 1", "layers = 2");
    for form in FORMS {
        let forged = Forged::tokens();
        forged.file(form, &|f| say(f, "minrnn.recurrences", Some("[]")));
        forged.breaks("metadata `minrnn.recurrences` has 0 entries, and the model 1");
        let forged = Forged::new(&two, |_| ());
        forged.file(form, &|f| {
            let mut all = said(f, "minrnn.recurrences");
            all.as_array_mut().unwrap().pop();
            say(f, "minrnn.recurrences", Some(&all.to_string()));
        });
        forged.breaks("has 1 entries, and the model 2");
    }
}

/// Puts nodes between the first recurrence's b and what makes it: operator, inputs, output; `early` is what was b, `late` will be.
fn between(f: &mut ir::Model, value: f32, nodes: &[(&str, [&str; 2], &str)]) {
    let name = said(f, "minrnn.recurrences")[0]["b"]
        .as_str()
        .unwrap()
        .to_owned();
    let makes = |n: &ir::Node| n.outputs.contains(&name);
    let at = f.graph.nodes.iter().position(makes).unwrap();
    f.graph.nodes[at].outputs[0] = "early".into();
    f.graph
        .initializers
        .push(ir::Tensor::f32("value", vec![], &[value]));
    let real = |to: &str| {
        if to == "late" {
            name.clone()
        } else {
            to.to_owned()
        }
    };
    let node = |(op, inputs, to): &(&str, [&str; 2], &str)| ir::Node {
        op_type: (*op).into(),
        name: format!("strange/{to}"),
        inputs: inputs
            .iter()
            .filter(|i| !i.is_empty())
            .map(|i| (*i).to_owned())
            .collect(),
        outputs: vec![real(to)],
        ..ir::Node::default()
    };
    let all: Vec<ir::Node> = nodes.iter().map(node).collect();
    f.graph.nodes.splice(at + 1..at + 1, all);
}

/// 1 / (1 / b): other bits.
pub(super) fn turned_over(f: &mut ir::Model) {
    let turn = [
        ("Div", ["value", "early"], "turned"),
        ("Div", ["value", "turned"], "late"),
    ];
    between(f, 1.0, &turn);
}

/// b + 0 sign(b): the same bits, by an operator that the executor does not know.
fn beyond_the_executor(f: &mut ir::Model) {
    let nothing = [
        ("Sign", ["early", ""], "sign"),
        ("Mul", ["sign", "value"], "nothing"),
        ("Add", ["early", "nothing"], "late"),
    ];
    between(f, 0.0, &nothing);
}

/// A graph that the executor does not know makes no rows vanish.
#[test]
fn rows_that_a_change_makes_impossible_do_not_hold() {
    for form in FORMS {
        let forged = Forged::tokens();
        forged.file(form, &beyond_the_executor);
        for checkpoint in [false, true] {
            forged.fails(checkpoint, &format!("minrnn {form} against"));
        }
    }
}

/// Positions, which a state that counts is read by, beside states that do not count.
const COUNTS: &str = "width = 8\nlayers = 1\npositions = 40\n[input]\nvocab = 4\n[head]\nwidth = 4\n[conv]\nkernel = 3\n";

/// Which states count follows from the model: said of another, and not said, is a breach by name, and another graph.
#[test]
fn states_that_count_are_those_of_the_model() {
    let make = || Forged::new(COUNTS, |_| {});
    make().holds();
    let counter = |s: &Json| s["input"] == "state.0.n";
    let conv = |s: &Json| s["input"] == "state.0.conv";
    for (of, counts) in [
        (&counter as &dyn Fn(&Json) -> bool, None),
        (&conv, Some(true)),
        (&conv, Some(false)),
    ] {
        let change = |states: &mut Json| {
            let mut all = states.as_array_mut().unwrap().iter_mut();
            let state = all.find(|s| of(s)).unwrap().as_object_mut().unwrap();
            match counts {
                Some(counts) => state.insert("counts".into(), counts.into()),
                None => state.remove("counts"),
            };
        };
        let everywhere = |forged: &Forged| {
            forged.files(&|f| {
                let mut states = said(f, "minrnn.states");
                change(&mut states);
                say(f, "minrnn.states", Some(&states.to_string()));
            });
            forged.manifest(|m| change(&mut m["states"]));
        };
        let forged = make();
        everywhere(&forged);
        forged.breaks("metadata `minrnn.states` is");
        let one = make();
        one.file("step", &|f| {
            let mut states = said(f, "minrnn.states");
            change(&mut states);
            say(f, "minrnn.states", Some(&states.to_string()));
        });
        one.breaks("`minrnn.states`");
    }
}

#[test]
fn states_are_those_of_the_model() {
    let turned = Forged::tokens();
    let turn = |states: &mut Json| states.as_array_mut().unwrap().reverse();
    turned.files(&|f| {
        let mut states = said(f, "minrnn.states");
        turn(&mut states);
        say(f, "minrnn.states", Some(&states.to_string()));
    });
    turned.manifest(|m| turn(&mut m["states"]));
    turned.breaks("metadata `minrnn.states` is");
    // Zeros by the configuration, and something else by all metadata.
    let zero = Forged::new(&TOKENS.replace("learned", "zero"), |_| {});
    let begin = |states: &mut Json| {
        let width = states[1]["shape"][0].as_u64().unwrap() as usize;
        states[1]["init"] = json!(vec![0.5; width]);
    };
    zero.files(&|f| {
        let mut states = said(f, "minrnn.states");
        begin(&mut states);
        say(f, "minrnn.states", Some(&states.to_string()));
    });
    zero.manifest(|m| begin(&mut m["states"]));
    zero.breaks("metadata `minrnn.states` is");
}

#[test]
fn statistics_of_the_configuration_are_those_of_the_graph() {
    let config = "width = 8\nlayers = 1\n[input]\nfeatures = 2\nmean = [5.0, 1.0]\nstd = [2.0, 3.0]\n[head]\nwidth = 2\nkind = \"values\"\n";
    let forged = Forged::new(config, |_| {});
    forged.holds();
    let other = |config: &mut Json| config["input"]["mean"][1] = json!(1.5);
    forged.files(&|f| {
        let mut config = said(f, "minrnn.config");
        other(&mut config);
        say(f, "minrnn.config", Some(&config.to_string()));
    });
    forged.manifest(|m| other(&mut m["config"]));
    forged.breaks_with(
        false,
        "`input.shift` is not what the statistics in the configuration give",
    );
    forged.breaks_with(
        true,
        "`input.mean` [5.0,1.5], the checkpoint with [5.0,1.0]",
    );
}

#[test]
fn an_input_that_one_form_lacks_is_a_breach() {
    // A learned begin would be a parameter of the files with resets alone.
    let config = TOKENS.replace("learned", "zero");
    let forged = Forged::new(&config, |o| o.options.reset = true);
    forged.holds();
    let plain = Forged::new(&config, |_| {});
    let bytes = std::fs::read(plain.path().join("model.scan.onnx")).unwrap();
    let other = minrnn_onnx::ir::Model::decode(&bytes).unwrap();
    forged.file("scan", &|f| *f = other.clone());
    forged.manifest(|m| {
        let inputs = m["forms"]["scan"]["inputs"].as_array_mut().unwrap();
        inputs.retain(|i| i["name"] != "reset");
    });
    forged.breaks("differs from the parallel file in its batch, or whether it takes `reset`");
}
