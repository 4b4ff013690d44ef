//! Lies of the manifest.

use serde_json::{Value as Json, json};

use minrnn_onnx::export::{AverageRule, Averaged};

use super::{FORMS, Forged, TOKENS, say};

#[test]
fn an_export_that_nobody_changed_holds() {
    Forged::tokens().holds();
    // As one that was written anew by another writer of JSON.
    let anew = Forged::tokens();
    let path = anew.path().join("manifest.json");
    let text = std::fs::read(&path).unwrap();
    let json: Json = serde_json::from_slice(&text).unwrap();
    std::fs::write(&path, serde_json::to_vec(&json).unwrap()).unwrap();
    anew.holds();
}

/// An export of weights that are an average.
fn averaged(rule: AverageRule) -> Forged {
    Forged::new(TOKENS, |o| o.average = Some(average(rule)))
}

fn average(rule: AverageRule) -> Averaged {
    Averaged {
        rule,
        first_step: 3,
        last_step: 9,
    }
}

/// That weights are an average is in every file, in the card, and in the checkpoint.
#[test]
fn an_average_of_weights_is_that_of_the_files_and_of_the_checkpoint() {
    let sound = averaged(AverageRule::Ema(0.75));
    sound.holds();
    let remarks = sound.files_alone(true).unwrap().remarks().join("\n");
    assert!(!remarks.contains("README.md was edited"), "{remarks}");
    let card = std::fs::read_to_string(sound.path().join("README.md")).unwrap();
    let words = "exponential average with decay 0.75 of the weights after the steps 3 to 9 of their training";
    assert!(card.contains(words), "{card}");
    std::fs::write(sound.path().join("README.md"), card.replace("0.75", "0.5")).unwrap();
    sound.files_hold_but("README.md was edited");
    let export = minrnn_cli::verify::Export::open(sound.path()).unwrap();
    let own = average(AverageRule::Ema(0.75));
    export.has_average(Some(&own)).unwrap();
    let error = export.has_average(None).unwrap_err().to_string();
    let wanted =
        format!("says that its weights are {words}, and the checkpoint that they are no average");
    assert!(error.contains(&wanted), "{error}");
    for other in [
        average(AverageRule::Mean),
        Averaged {
            last_step: 8,
            ..own
        },
    ] {
        let error = export.has_average(Some(&other)).unwrap_err().to_string();
        assert!(error.contains(&other.words()), "{error}");
    }
    for (said, why) in [
        (
            json!({ "kind": "ema", "decay": 0.5, "first_step": 3, "last_step": 9 }),
            "metadata `minrnn.average` is",
        ),
        (
            json!({ "kind": "swa", "first_step": 3, "last_step": 9 }),
            "average is",
        ),
        (
            json!({ "kind": "mean", "first_step": 9, "last_step": 9 }),
            "average is",
        ),
        (
            json!({ "kind": "mean", "first_step": 3, "last_step": 9, "decay": 0.5 }),
            "average is",
        ),
    ] {
        averaged(AverageRule::Ema(0.75))
            .manifest(|m| m["average"] = said)
            .breaks(why);
    }
    for form in FORMS {
        let silent = averaged(AverageRule::Mean);
        silent.file(form, &|f| say(f, "minrnn.average", None));
        silent.breaks("metadata `minrnn.average` is absent, and by the manifest's average {");
    }
    Forged::tokens()
        .manifest(|m| m["average"] = average(AverageRule::Mean).json())
        .breaks("metadata `minrnn.average` is absent");
}

/// Exports that together have every key of the schema.
fn every_key() -> Vec<(&'static str, Forged)> {
    use minrnn_onnx::export::{Activations, Placement, Target, Weights};
    let wide = TOKENS.replace("width = 8", "width = 32");
    let features = "width = 8\nlayers = 1\n[input]\nfeatures = 2\nnames = [\"x\", \"y\"]\nmean = [5.0, 1.0]\nstd = [2.0, 3.0]\n[head]\nwidth = 2\n";
    let named = |kind: &str| format!("{features}kind = \"{kind}\"\nnames = [\"u\", \"v\"]\n");
    let plain = features.replace("mean = [5.0, 1.0]\nstd = [2.0, 3.0]\n", "");
    let scales = Activations::Static([("head.weight".to_owned(), 2.5)].into());
    let int8 = |activations: Activations| {
        Forged::new(&wide, |o| {
            o.options.weights = Weights::Int8(activations);
            o.options.target = Target::OnnxRuntime;
        })
    };
    vec![
        (
            "text",
            Forged::new(TOKENS, |o| {
                o.vocabulary = Some(["a", "b", "c", "d"].map(String::from).to_vec().into());
                o.end_of_stream = Some(2);
            }),
        ),
        ("averaged", averaged(AverageRule::Ema(0.75))),
        ("averaged tail", averaged(AverageRule::Mean)),
        (
            "token ids, weights beside",
            Forged::new(&wide, |o| o.placement = Placement::External),
        ),
        ("classes", Forged::new(&named("logits"), |_| {})),
        ("values", Forged::new(&named("values"), |_| {})),
        ("raw features", Forged::new(&plain, |_| {})),
        ("int8 by row", int8(Activations::Row)),
        ("int8 by scales", int8(scales)),
    ]
}

/// A manifest that differs in one place, and what was done there.
fn lies(manifest: &Json) -> Vec<(String, Json)> {
    let mut places = vec![];
    walk(manifest, String::new(), &mut places);
    let mut all = vec![];
    let mut lie = |what: String, place: &str, change: &dyn Fn(&mut Json)| {
        let mut forged = manifest.clone();
        change(forged.pointer_mut(place).unwrap());
        if forged != *manifest {
            all.push((what, forged));
        }
    };
    for place in &places {
        let value = manifest.pointer(place).unwrap().clone();
        lie(format!("{place} is null"), place, &|v| *v = Json::Null);
        let other = match &value {
            Json::Null => json!(3),
            Json::Bool(b) => json!(!b),
            Json::Number(n) => json!(n.as_f64().unwrap() + 1.0),
            Json::String(text) => json!(format!("{text}x")),
            Json::Array(list) => {
                lie(format!("{place} has one more"), place, &|v| {
                    let again = list.first().cloned().unwrap_or(json!(1));
                    v.as_array_mut().unwrap().push(again);
                });
                json!([])
            }
            Json::Object(map) => {
                lie(format!("{place} has a key more"), place, &|v| {
                    v["note"] = json!("more")
                });
                for key in map.keys() {
                    lie(format!("{place} lacks {key}"), place, &|v| {
                        v.as_object_mut().unwrap().remove(key);
                    });
                }
                json!({})
            }
        };
        lie(format!("{place} is {other}"), place, &|v| {
            *v = other.clone()
        });
        if let Some(n) = value.as_u64() {
            lie(format!("{place} is {}", n + 1), place, &|v| {
                *v = json!(n + 1)
            });
        }
    }
    all
}

/// Places of all values.
fn walk(value: &Json, place: String, places: &mut Vec<String>) {
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                walk(value, format!("{place}/{}", key.replace('/', "~1")), places);
            }
        }
        Json::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                walk(value, format!("{place}/{i}"), places);
            }
        }
        _ => {}
    }
    places.push(place);
}

/// Each value, each key: whatever is changed, added, left out or null is a breach, and the schema refuses no export that holds.
#[test]
fn every_lie_of_a_manifest_is_a_breach() {
    use minrnn_cli::verify::Export;
    let mut keys = std::collections::BTreeSet::new();
    for (name, forged) in every_key() {
        Export::open(forged.path()).unwrap();
        let path = forged.path().join("manifest.json");
        let manifest: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        keys.extend(manifest.as_object().unwrap().keys().cloned());
        let lies = lies(&manifest);
        assert!(lies.len() > 100, "{name}: {}", lies.len());
        let mut missed = vec![];
        for (what, lie) in lies {
            std::fs::write(&path, serde_json::to_vec(&lie).unwrap()).unwrap();
            if Export::open(forged.path()).is_ok() {
                missed.push(what);
            }
        }
        assert!(missed.is_empty(), "{name}: not noticed: {missed:#?}");
    }
    let schema: Json =
        serde_json::from_str(include_str!("../../../docs/manifest.schema.json")).unwrap();
    for key in schema["properties"].as_object().unwrap().keys() {
        assert!(keys.contains(key), "no export here has {key}");
    }
}

#[test]
fn preprocessing_is_what_follows_from_the_files() {
    let lie = |export: Forged, said: Json, why: &str| {
        export.manifest(|m| m["preprocessing"] = said).breaks(why)
    };
    lie(
        Forged::tokens(),
        json!({ "kind": "characters", "unknown": "skip" }),
        r#"preprocessing is {"kind":"characters","unknown":"skip"}, and must be {"kind":"characters","unknown":"refuse"}, as there is a vocabulary"#,
    );
    lie(
        Forged::tokens(),
        json!({ "kind": "characters", "unknown": "refuse", "mean": [1.0] }),
        "preprocessing is",
    );
    lie(
        Forged::new(TOKENS, |_| {}),
        json!({ "kind": "features", "normalization": "none" }),
        r#"must be {"kind":"token_ids"}, as the model takes tokens"#,
    );
}

#[test]
fn keys_that_are_unknown_missing_or_of_another_kind_are_named() {
    let lie = |change: &dyn Fn(&mut Json), why: &str| {
        Forged::tokens().manifest(|m| change(m)).breaks(why)
    };
    lie(
        &|m| m["note"] = json!("more"),
        "manifest.json: has the key `note`, which no manifest of its schema has",
    );
    lie(
        &|m| m["forms"]["scan"]["note"] = json!(1),
        "has the key `forms.scan.note`",
    );
    lie(
        &|m| {
            drop(
                m["forms"]["step"]
                    .as_object_mut()
                    .unwrap()
                    .remove("lowering"),
            )
        },
        "lacks the key `forms.step.lowering`",
    );
    lie(
        &|m| m["dtype"] = json!(null),
        "dtype is null, and must be a text",
    );
    lie(
        &|m| m["forms"]["scan"]["opset"] = json!("17"),
        "forms.scan.opset is \"17\", and must be a whole number",
    );
    // Of the first schema neither.
    lie(
        &|m| {
            m["schema"] = json!("minrnn.manifest/1");
            m["classes"] = json!(["u"]);
        },
        "has the key `classes`",
    );
}

/// A file with a hash that nothing reads, and a token that no file says.
#[test]
fn weights_and_ends_that_no_file_knows_are_breaches() {
    use sha2::Digest;
    let forged = Forged::tokens();
    let bytes = std::fs::read(forged.path().join("README.md")).unwrap();
    let hash: String = sha2::Sha256::digest(&bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let beside = json!({ "file": "README.md", "sha256": hash, "bytes": bytes.len() });
    forged.manifest(|m| m["forms"]["step"]["weights"] = beside);
    forged.breaks("reads no weights from `README.md`, which the manifest lists for it");
    let forged = Forged::tokens();
    forged.manifest(|m| m["end_of_stream"] = json!({ "kind": "token", "token": 1 }));
    forged
        .breaks("metadata `minrnn.end_of_stream` is absent, and by the manifest's end_of_stream 1");
    forged.files(&|f| f.producer_version = "0.0.9".into());
    forged.files_hold_but("end_of_stream: `parallel`, `scan`, `step` do not say it");
}

/// As versions wrote it that knew no names.
#[test]
fn manifests_of_the_first_schema_are_read() {
    let first = Forged::tokens();
    first.manifest(|m| {
        m["schema"] = json!("minrnn.manifest/1");
        for key in ["features", "classes", "targets", "activations", "average"] {
            m.as_object_mut().unwrap().remove(key);
        }
    });
    first.holds();
    let later = Forged::tokens();
    later.manifest(|m| m["schema"] = json!("minrnn.manifest/3"));
    later.breaks("this program reads minrnn.manifest/1 and minrnn.manifest/2");
}

#[test]
fn a_vocabulary_with_an_entry_twice_empty_or_missing_is_a_breach() {
    let words = |words: serde_json::Value, why: &str| {
        Forged::tokens()
            .manifest(|m| m["vocabulary"] = words)
            .breaks(why);
    };
    words(json!(["a", "b", "b", "d"]), "entry 2, \"b\", occurs twice");
    words(
        json!(["a", "b", "", "d"]),
        "entry 2, \"\", is not one character",
    );
    words(
        json!(["a", "b", "c"]),
        "vocabulary has 3 entries, and the model takes 4 tokens",
    );
    words(json!(["a", "b", "c", "d", "e"]), "vocabulary has 5 entries");
    words(
        json!(null),
        r#"must be {"kind":"token_ids"}, as the model takes tokens, and there is no vocabulary"#,
    );
    let both = Forged::tokens();
    both.manifest(|m| m["preprocessing"] = json!({ "kind": "token_ids" }))
        .breaks(r#"preprocessing is {"kind":"token_ids"}, and must be {"kind":"characters","unknown":"refuse"}, as there is a vocabulary"#);
}

#[test]
fn swapped_entries_are_not_those_of_the_files() {
    for words in [json!(["a", "c", "b", "d"]), json!(["a", "b", "c", "e"])] {
        let swapped = Forged::tokens();
        swapped.manifest(|m| m["vocabulary"] = words);
        swapped.breaks("metadata `minrnn.vocabulary` is");
    }
    for form in FORMS {
        let other = Forged::tokens();
        other.file(form, &|f| {
            say(f, "minrnn.vocabulary", Some(&"0".repeat(64)))
        });
        other.breaks("metadata `minrnn.vocabulary` is 000");
        let silent = Forged::tokens();
        silent.file(form, &|f| say(f, "minrnn.vocabulary", None));
        silent.breaks("metadata `minrnn.vocabulary` is absent");
        // Older versions did not say it.
        silent.file(form, &|f| f.producer_version = "0.0.9".into());
        silent.files_hold_but(&format!("vocabulary: `{form}` have no hash of it"));
    }
    let no_remark = Forged::tokens().files_alone(false).unwrap().remarks();
    assert!(
        !no_remark.join("\n").contains("vocabulary"),
        "{no_remark:?}"
    );
    // Swapped and said by nobody, as in an older version: what cannot be known is said.
    let swapped = Forged::tokens();
    swapped.manifest(|m| m["vocabulary"].as_array_mut().unwrap().swap(1, 2));
    swapped.files(&|f| {
        say(f, "minrnn.vocabulary", None);
        f.producer_version = "0.0.9".into();
    });
    swapped.files_hold_but("vocabulary: `parallel`, `scan`, `step` have no hash of it");
    let none = Forged::tokens();
    none.manifest(|m| {
        m["vocabulary"] = json!(null);
        m["preprocessing"] = json!({ "kind": "token_ids" });
    });
    none.breaks("by the manifest's vocabulary absent");
}

/// All of it consistent, the hashes too: only the checkpoint knows.
#[test]
fn swapped_entries_are_not_those_of_the_checkpoint() {
    let swapped = Forged::new(TOKENS, |o| {
        o.vocabulary = Some(["a", "c", "b", "d"].map(String::from).to_vec().into());
    });
    swapped.files_hold();
    let export = minrnn_cli::verify::Export::open(swapped.path()).unwrap();
    let own = ["a", "b", "c", "d"].map(String::from).to_vec().into();
    let error = export.has_vocabulary(Some(&own)).unwrap_err().to_string();
    let wanted = "says that token 1 is \"c\", and the checkpoint \"b\" (2 of 4 entries differ)";
    assert!(error.contains(wanted), "{error}");
    let error = export.has_vocabulary(None).unwrap_err().to_string();
    assert!(
        error.contains("has a vocabulary, and the checkpoint has none"),
        "{error}"
    );
}

#[test]
fn an_end_that_is_no_token_is_a_breach() {
    for end in [
        json!({ "kind": "token", "token": 4 }),
        json!({ "kind": "never" }),
        json!({ "kind": "caller", "token": 1 }),
        json!({ "kind": "token", "token": 1, "after": 2 }),
        json!({ "kind": "token" }),
    ] {
        Forged::tokens()
            .manifest(|m| m["end_of_stream"] = end)
            .breaks("end_of_stream is");
    }
}

#[test]
fn a_file_that_the_manifest_does_not_list_is_a_breach() {
    for form in FORMS {
        let forged = Forged::tokens();
        forged.manifest(|m| {
            m["forms"].as_object_mut().unwrap().remove(form);
        });
        let why =
            format!("model.{form}.onnx: lies in the folder, and the manifest does not list it");
        forged.breaks(&why);
        // Without the file it is an export of two forms.
        std::fs::remove_file(forged.path().join(format!("model.{form}.onnx"))).unwrap();
        forged.holds();
    }
    let forged = Forged::tokens();
    std::fs::write(forged.path().join("model.data"), b"x").unwrap();
    forged.breaks("model.data: lies in the folder");
    // Files of others are nobody's business: what is no ONNX file, or says nothing of us.
    let forged = Forged::tokens();
    let step = std::fs::read(forged.path().join("model.step.onnx")).unwrap();
    let mut foreign = minrnn_onnx::ir::Model::decode(&step).unwrap();
    foreign.metadata.clear();
    for (name, bytes) in [
        ("preprocess.onnx", b"x".to_vec()),
        ("other.onnx", foreign.encode()),
    ] {
        std::fs::write(forged.path().join(name), bytes).unwrap();
    }
    forged.files_hold();
    // One of ours, by its own word, whatever it is called.
    for name in ["model.step.old.onnx", "better.onnx", ".hidden.onnx"] {
        std::fs::write(forged.path().join(name), &step).unwrap();
        let words = format!("{name}: lies in the folder and says that it is the form `step`");
        forged.breaks(&words);
        std::fs::remove_file(forged.path().join(name)).unwrap();
    }
    forged.files_hold();
}

#[test]
fn a_form_of_another_name_is_a_breach() {
    let forged = Forged::tokens();
    forged.file("scan", &|f| say(f, "minrnn.form", Some("whole")));
    forged.manifest(|m| {
        let forms = m["forms"].as_object_mut().unwrap();
        let scan = forms.remove("scan").unwrap();
        forms.insert("whole".into(), scan);
    });
    forged.breaks("lists a form `whole`");
}

#[test]
fn what_the_manifest_says_of_a_file_is_what_the_file_says() {
    let lies = [
        (
            "/dtype",
            json!("f16"),
            "metadata `minrnn.dtype` is f32, the manifest says `f16`",
        ),
        ("/target", json!("tract"), "metadata `minrnn.target`"),
        (
            "/state_names",
            json!("icefall"),
            "metadata `minrnn.state_names`",
        ),
        (
            "/state_layout",
            json!("stacked"),
            "metadata `minrnn.state_layout`",
        ),
        ("/head", json!("last"), "metadata `minrnn.head`"),
        ("/forms/scan/opset", json!(18), "has opset 17"),
        (
            "/forms/parallel/lowering",
            json!("odd-even"),
            "metadata `minrnn.lowering`",
        ),
        (
            "/forms/parallel/max_seq_len",
            json!(5),
            "is 256, the manifest says 5",
        ),
        (
            "/forms/parallel/max_seq_len",
            json!(null),
            "is 256, the manifest says null",
        ),
        (
            "/forms/scan/max_seq_len",
            json!(5),
            "is absent, the manifest says 5",
        ),
        ("/states/1/init", json!("zero"), "metadata `minrnn.states`"),
        ("/config/dropout", json!(0.5), "metadata `minrnn.config`"),
    ];
    for (place, value, why) in lies {
        Forged::tokens()
            .manifest(|m| *m.pointer_mut(place).unwrap() = value)
            .breaks(why);
    }
    let silent = Forged::tokens();
    silent.file("step", &|f| say(f, "minrnn.head", None));
    silent.breaks("metadata `minrnn.head` is absent, the manifest says `per_step`");
    // A key that is left out, as in the first manifests, says what was once the only choice.
    let narrow = Forged::narrow(minrnn_onnx::export::Weights::F16);
    narrow.manifest(|m| {
        m["schema"] = json!("minrnn.manifest/1");
        m.as_object_mut().unwrap().remove("dtype");
    });
    narrow.breaks("metadata `minrnn.dtype`");
}

#[test]
fn weights_that_a_graph_reads_are_those_with_a_hash() {
    use minrnn_onnx::export::Placement;
    let forged = Forged::new(&TOKENS.replace("width = 8", "width = 32"), |o| {
        o.placement = Placement::Shared;
    });
    forged.holds();
    std::fs::copy(
        forged.path().join("model.data"),
        forged.path().join("better.data"),
    )
    .unwrap();
    forged.file("step", &|f| {
        for tensor in &mut f.graph.initializers {
            if let minrnn_onnx::ir::TensorData::External(e) = &mut tensor.data {
                e.location = "better.data".into();
            }
        }
    });
    forged.breaks("reads weights from `better.data`, which the manifest does not list");
}
