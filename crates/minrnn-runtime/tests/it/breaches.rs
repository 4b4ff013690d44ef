//! Each way in which a file can break the contract, and what is said about it.

use minrnn_runtime::{Error, ErrorKind, Model};

use crate::support::build::{Form, Spec};
use crate::support::proto::{Dim, F64, File, I64};

pub(crate) fn spec() -> Spec {
    Spec {
        conv: true,
        ..Spec::gated(Form::Scan)
    }
}

pub(crate) fn error(file: &File) -> Error {
    match Model::from_bytes(&file.to_bytes()) {
        Err(error) => error,
        Ok(_) => panic!("the file was taken"),
    }
}

/// `change` must be refused as a breach at `place` with `words` in its text.
#[track_caller]
pub(crate) fn breach(place: &str, words: &str, change: impl FnOnce(&mut File)) {
    breach_of(&spec(), place, words, change);
}

#[track_caller]
pub(crate) fn breach_of(spec: &Spec, place: &str, words: &str, change: impl FnOnce(&mut File)) {
    let mut file = spec.file();
    change(&mut file);
    let error = error(&file);
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Contract, "{text}");
    assert!(
        error.place().is_some_and(|p| p.contains(place)),
        "place: {text}"
    );
    assert!(text.contains(words), "words: {text}");
}

/// A state that is taken and never read: a stream would begin anew with each call, silently.
#[test]
fn a_state_that_no_output_depends_on() {
    for made_of in [&["state.0.conv"][..], &["state.1.w"]] {
        let change = |f: &mut File| {
            let mut port = f.input("state.0.conv").clone();
            port.name = "state.1.w".into();
            f.graph.inputs.push(port);
            let mut port = f.output("next_state.0.conv").clone();
            port.name = "next_state.1.w".into();
            f.graph.outputs.push(port);
            let mut copy = f.node("Identity").clone();
            copy.inputs = made_of.iter().map(|i| (*i).to_owned()).collect();
            copy.outputs = vec!["next_state.1.w".into()];
            f.graph.nodes.push(copy);
            let states = f.props.iter().find(|(k, _)| k == "minrnn.states");
            let states = states.unwrap().1.clone();
            let mut all: serde_json::Value = serde_json::from_str(&states).unwrap();
            let all = all.as_array_mut().unwrap();
            let conv = all.iter().find(|s| s["input"] == "state.0.conv");
            let mut more = conv.unwrap().clone();
            more["input"] = "state.1.w".into();
            more["output"] = "next_state.1.w".into();
            all.push(more);
            let all = serde_json::to_string(&all).unwrap();
            f.prop("minrnn.states", &all);
        };
        if made_of == ["state.1.w"] {
            let mut file = spec().file();
            change(&mut file);
            crate::support::taken(&file.to_bytes());
        } else {
            breach("input `state.1.w`", "no output depends on it", change);
        }
    }
}

#[test]
fn the_untouched_files_are_taken() {
    for form in [Form::Step, Form::Scan, Form::KoggeStone(32)] {
        for conv in [false, true] {
            for vocab in [None, Some(3)] {
                let spec = Spec {
                    conv,
                    vocab,
                    ..Spec::gated(form)
                };
                let model = spec.model();
                assert_eq!(model.info().states.len(), 1 + usize::from(conv));
                model.prepare(2, 1).expect("a plan");
            }
        }
    }
}

#[test]
fn a_file_of_somebody_else() {
    let mut file = spec().file();
    file.props.clear();
    file.prop("author", "somebody");
    let error = error(&file);
    assert_eq!(error.kind(), ErrorKind::Foreign);
    assert!(error.to_string().contains("not a minrnn export"), "{error}");
}

#[test]
fn no_onnx_at_all() {
    let whole = spec().bytes();
    let error = Model::from_bytes(&whole[..whole.len() / 2]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load, "{error}");
    let error = Model::from_bytes(b"PK\x03\x04 not a model").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load, "{error}");
    assert_eq!(
        Model::from_bytes(&[]).unwrap_err().kind(),
        ErrorKind::Foreign
    );
    let error = Model::open("no/such/file.onnx").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Read);
    // With the cause, in one line.
    let cause = std::fs::read("no/such/file.onnx").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read no/such/file.onnx: {cause}")
    );
}

#[test]
fn errors_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.scan.onnx");
    let mut file = spec().file();
    std::fs::write(&path, file.to_bytes()).unwrap();
    assert_eq!(
        Model::open(&path).unwrap().file(),
        path.display().to_string()
    );
    file.prop("minrnn.head", "both");
    std::fs::write(&path, file.to_bytes()).unwrap();
    let text = Model::open(&path).unwrap_err().to_string();
    assert!(
        text.contains("model.scan.onnx") && text.contains("minrnn.head"),
        "{text}"
    );
}

#[test]
fn each_key_of_the_metadata_is_needed() {
    for (key, _) in spec().file().props {
        breach(&key, "is missing", |f| f.props.retain(|(k, _)| *k != key));
        breach(&key, "twice", |f| f.props.push((key.clone(), "1".into())));
    }
}

#[test]
fn values_of_the_metadata() {
    let cases = [
        ("minrnn.contract", "3", "version"),
        ("minrnn.form", "stepwise", "not one of parallel, scan, step"),
        ("minrnn.lowering", "loop", "not one of"),
        ("minrnn.lowering", "step", "no `scan` graph"),
        ("minrnn.head", "first", "not one of"),
        ("minrnn.padded", "yes", "not one of"),
        ("minrnn.max_seq_len", "0", "above 0"),
        ("minrnn.max_seq_len", "-4", "above 0"),
        ("minrnn.max_seq_len", "+4", "above 0"),
        ("minrnn.max_seq_len", "", "above 0"),
        ("minrnn.max_seq_len", "99999999999999999999999", "above 0"),
        ("minrnn.weights", "abc", "sha256"),
        ("minrnn.config", "[1]", "JSON object"),
        ("minrnn.config", "{", "does not parse"),
        ("minrnn.states", "{}", "does not parse"),
        ("minrnn.states", "[{}]", "does not parse"),
        ("minrnn.recurrences", "none", "does not parse"),
        (
            "minrnn.recurrences",
            r#"[{"a":"v1","b":"v1","h0":"v1","h":"v1","h_last":"gone"}]"#,
            "`gone`",
        ),
        (
            "minrnn.recurrences",
            r#"[{"a":"v1","b":"v1","h0":"v1","h":"v1"}]"#,
            "h_last",
        ),
    ];
    for (key, value, words) in cases {
        breach(key, words, |f| f.prop(key, value));
    }
    let spec = Spec {
        vocab: Some(5),
        ..Spec::gated(Form::Scan)
    };
    for vocab in ["0", "-3", "2.5", "\"many\""] {
        breach_of(&spec, "minrnn.config", "/input/vocab", |f| {
            f.prop(
                "minrnn.config",
                &format!(r#"{{"input":{{"vocab":{vocab}}}}}"#),
            );
        });
    }
}

#[test]
fn lengths_that_contradict_each_other() {
    let doubling = Spec::gated(Form::KoggeStone(8));
    breach_of(&doubling, "max_seq_len", "longest length", |f| {
        f.props.retain(|(k, _)| k != "minrnn.max_seq_len");
    });
    let fixed = Spec {
        seq_len: Some(9),
        ..doubling
    };
    breach_of(&fixed, "max_seq_len", "fixed to T = 9", |_| {});
}

fn states(f: &mut File, from: &str, to: &str) {
    let at = f
        .props
        .iter()
        .position(|(k, _)| k == "minrnn.states")
        .unwrap();
    let text = &mut f.props[at].1;
    assert!(text.contains(from), "{text}");
    *text = text.replace(from, to);
}

#[test]
fn states_of_the_metadata() {
    breach("minrnn.states", "empty or out of reach", |f| {
        states(f, "\"shape\":[6]", "\"shape\":[0]")
    });
    breach("minrnn.states", "empty or out of reach", |f| {
        states(f, "\"shape\":[6]", "\"shape\":[]")
    });
    breach("minrnn.states", "out of reach", |f| {
        states(f, "\"shape\":[6]", "\"shape\":[4294967296,4294967296]");
    });
    breach("minrnn.states", "does not parse", |f| {
        states(f, "\"shape\":[6]", "\"shape\":[-6]")
    });
    breach("minrnn.states", "not `zero`", |f| {
        states(f, "\"zero\"", "\"one\"")
    });
    breach("minrnn.states", "2 values, its shape 10", |f| {
        states(f, "\"zero\"", "[1,2]")
    });
    breach("minrnn.states", "twice", |f| {
        states(f, "next_state.0.h", "next_state.0.conv")
    });
    breach("minrnn.states", "does not parse", |f| {
        states(f, "\"init\"", "\"int\"")
    });
    breach("minrnn.states", "does not parse", |f| {
        states(f, "\"init\"", "\"lag\":1,\"init\"")
    });
    breach("input `state.0.h`", "minrnn.states` says [7]", |f| {
        states(f, "[6]", "[7]")
    });
    breach("input `state.1.h`", "missing in the graph", |f| {
        states(f, "\"state.0.h", "\"state.1.h")
    });
    breach("output `next_state.1.h`", "missing in the graph", |f| {
        states(f, "next_state.0.h", "next_state.1.h")
    });
    let counts = |f: &mut File, word: &str, init: &str| {
        let list = format!(
            r#"[{{"input":"state.0.conv","output":"next_state.0.conv","shape":[2,5],"init":"zero"}},
                {{"input":"state.0.h","output":"next_state.0.h","shape":[6],"init":{init},"counts":{word}}}]"#
        );
        f.prop("minrnn.states", &list);
    };
    breach("metadata `minrnn.states`", "counts is `false`", |f| {
        counts(f, "false", "\"zero\"");
    });
    breach(
        "metadata `minrnn.states`",
        "does not begin with zero",
        |f| {
            counts(f, "true", "[1, 1, 1, 1, 1, 1]");
        },
    );
    breach("metadata `minrnn.states`", "does not parse", |f| {
        counts(f, "1", "\"zero\"");
    });
    breach("input `features`", "calls it a state", |f| {
        states(f, "\"state.0.h\"", "\"features\"");
    });
}

#[test]
fn inputs_and_outputs_of_the_graph() {
    breach("input `state.0.conv`", "neither the data nor", |f| {
        f.prop(
            "minrnn.states",
            r#"[{"input":"state.0.h","output":"next_state.0.h","shape":[6],"init":"zero"}]"#,
        );
    });
    breach("graph inputs", "exactly one of", |f| {
        f.input("features").name = "x".into();
        for node in &mut f.graph.nodes {
            node.inputs
                .iter_mut()
                .filter(|i| *i == "features")
                .for_each(|i| *i = "x".into());
        }
    });
    breach("graph outputs", "exactly one of", |f| {
        f.graph.outputs.retain(|o| o.name != "values");
    });
    breach("output `next_state.0.h`", "missing in the graph", |f| {
        f.graph.outputs.retain(|o| o.name != "next_state.0.h");
    });
    breach("output `v1`", "neither the data nor", |f| {
        let mut extra = f.output("values").clone();
        extra.name = "v1".into();
        f.graph.outputs.push(extra);
    });
    breach("input `extra`", "neither the data nor", |f| {
        let mut extra = f.input("features").clone();
        extra.name = "extra".into();
        f.graph.inputs.push(extra);
    });
    breach("input `features`", "twice", |f| {
        let again = f.input("features").clone();
        f.graph.inputs.push(again);
    });
}

#[test]
fn types_ranks_and_widths() {
    breach("input `features`", "is INT64, not FLOAT", |f| {
        f.input("features").elem = I64
    });
    breach("input `state.0.h`", "is DOUBLE, not FLOAT", |f| {
        f.input("state.0.h").elem = F64
    });
    breach("output `values`", "is DOUBLE, not FLOAT", |f| {
        f.output("values").elem = F64
    });
    breach("output `next_state.0.h`", "not FLOAT", |f| {
        f.output("next_state.0.h").elem = 9999
    });
    breach("input `features`", "2 dimensions", |f| {
        let _ = f.input("features").dims.remove(1);
    });
    breach("output `values`", "2 dimensions", |f| {
        let _ = f.output("values").dims.remove(1);
    });
    breach("input `state.0.conv`", "2 dimensions", |f| {
        let _ = f.input("state.0.conv").dims.remove(1);
    });
    breach("input `features`", "no fixed last", |f| {
        f.input("features").dims[2] = Dim::None
    });
    breach("output `values`", "no fixed last", |f| {
        f.output("values").dims[2] = Dim::S("C")
    });
    breach("input `features`", "a dimension of -1", |f| {
        f.input("features").dims[2] = Dim::N(-1)
    });
    breach("input `features`", "a dimension of 0", |f| {
        f.input("features").dims[2] = Dim::N(0)
    });
    breach("input `features`", "must be `batch`", |f| {
        f.input("features").dims[0] = Dim::S("rows")
    });
    breach("input `features`", "must be `seq_len`", |f| {
        f.input("features").dims[1] = Dim::S("batch")
    });
    breach("input `features`", "must be `seq_len`", |f| {
        f.input("features").dims[1] = Dim::None
    });
    breach("input `state.0.h`", "elsewhere", |f| {
        f.input("state.0.h").dims[0] = Dim::N(3)
    });
    breach("output `values`", "elsewhere", |f| {
        f.output("values").dims[1] = Dim::N(3)
    });
    breach("input `state.0.h`", "minrnn.states` says", |f| {
        f.input("state.0.h").dims[1] = Dim::N(7)
    });
    breach("output `next_state.0.h`", "minrnn.states` says", |f| {
        f.output("next_state.0.h").dims[1] = Dim::None;
    });
    let step = Spec::gated(Form::Step);
    breach_of(&step, "input `features`", "2 dimensions", |f| {
        f.prop("minrnn.form", "scan");
        f.prop("minrnn.lowering", "scan");
    });
    let last = Spec {
        last: true,
        ..spec()
    };
    breach_of(&last, "output `values`", "2 dimensions", |f| {
        f.prop("minrnn.head", "per_step")
    });
}

#[test]
fn a_swapped_pair_of_states_is_seen_where_shapes_differ() {
    breach("input `state.0.h`", "dimensions", |f| {
        f.prop(
            "minrnn.states",
            r#"[{"input":"state.0.h","output":"next_state.0.h","shape":[2,5],"init":"zero"},
                {"input":"state.0.conv","output":"next_state.0.conv","shape":[6],"init":"zero"}]"#,
        );
    });
}
