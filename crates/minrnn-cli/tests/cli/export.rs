//! What can be chosen for an export: every choice is verified, and what cannot be is refused by name with nothing written.

use std::path::Path;

use crate::harness::{minrnn, snapshot, trained};

const VERIFY: [&str; 6] = ["verify", "export", "--max-len", "18", "--probe-len", "40"];

fn export(dir: &Path, flags: &[&str]) -> crate::harness::Ran {
    let all = [&["export", "run", "--out", "export"][..], flags].concat();
    minrnn(dir, &all)
}

/// Each choice is exported, and holds.
fn verified(choices: &[&[&str]]) {
    let dir = trained();
    for flags in choices {
        std::fs::remove_dir_all(dir.path().join("export")).ok();
        export(dir.path(), flags).good();
        let said = minrnn(dir.path(), &VERIFY).good();
        assert!(said.contains("Everything holds."), "{flags:?}: {said}");
    }
}

#[test]
fn narrow_floats_are_verified() {
    verified(&[
        &["--dtype", "f16", "--target", "tract"],
        &["--dtype", "bf16", "--target", "openvino"],
        &["--dtype", "f16", "--target", "tract", "--form", "scan"],
        &[
            "--dtype", "f16", "--target", "tract", "--form", "parallel", "--batch", "2",
        ],
    ]);
}

#[test]
fn int8_is_verified() {
    verified(&[&["--dtype", "int8", "--target", "onnxruntime"]]);
}

#[test]
fn layouts_and_names_of_states_are_verified() {
    verified(&[
        &["--state-layout", "stacked", "--weights", "shared"],
        &["--state-names", "genai", "--weights", "external"],
    ]);
}

#[test]
fn lengths_resets_and_lowerings_are_verified() {
    verified(&[
        &["--lengths", "--reset", "--state-names", "icefall"],
        &["--lowering", "odd-even", "--batch", "2"],
        &["--lowering", "blocked-scan", "--block", "8"],
    ]);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let dir = trained();
    std::fs::remove_dir_all(dir.path().join("export")).ok();
    let refused: [(&str, &[&str]); 8] = [
        (
            "export_target_and_type",
            &["--target", "candle", "--dtype", "int8"],
        ),
        (
            "export_target_and_form",
            &["--target", "rten", "--form", "scan"],
        ),
        ("export_target_and_lowering", &["--lowering", "kogge-stone"]),
        (
            "export_target_and_placement",
            &["--target", "web", "--weights", "shared"],
        ),
        (
            "export_static_without_data",
            &[
                "--target",
                "tract",
                "--dtype",
                "int8",
                "--activations",
                "static",
            ],
        ),
        (
            "export_genai_and_stacked",
            &["--state-names", "genai", "--state-layout", "stacked"],
        ),
        ("export_opset", &["--opset", "29"]),
        (
            "export_end_of_stream",
            &["--end-of-stream", "no such token"],
        ),
    ];
    for (name, flags) in refused {
        let ran = export(dir.path(), flags);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(!dir.path().join("export").exists(), "{name} left a folder");
        snapshot(name, &ran);
    }
}

/// Weights beside the graphs that were changed or lost after the export.
#[test]
fn weights_beside_are_held_to_the_manifest() {
    let dir = trained();
    std::fs::remove_dir_all(dir.path().join("export")).ok();
    let flags = [
        "--weights",
        "shared",
        "--dtype",
        "int8",
        "--target",
        "tract",
    ];
    export(dir.path(), &flags).good();
    let data = dir.path().join("export/model.data");
    let mut bytes = std::fs::read(&data).unwrap();
    bytes[7] ^= 1;
    std::fs::write(&data, &bytes).unwrap();
    let ran = minrnn(dir.path(), &VERIFY);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(ran.err.contains("model.data") && ran.err.contains("changed after the export"));
    std::fs::remove_file(&data).unwrap();
    let ran = minrnn(dir.path(), &VERIFY);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(ran.err.contains("model.data"), "{}", ran.shown());
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Whenever an export is killed, its folder is a whole export, or says that it is none; the next one puts all right.
#[test]
fn killed_exports_leave_a_whole_export_or_none() {
    use std::time::{Duration, Instant};
    const KILLS: u32 = 12;
    let dir = trained();
    let out = dir.path().join("export");
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    let begin = Instant::now();
    export(dir.path(), &[]).good();
    let whole = begin.elapsed();
    for kill in 0..KILLS {
        // Another export than the one before, with fewer files or other ones.
        let flags: &[&str] = match kill % 2 {
            0 => &["--form", "step"],
            _ => &["--state-layout", "stacked"],
        };
        let all = [&["export", "run", "--out", "export"][..], flags].concat();
        let mut child = crate::harness::process(dir.path(), &all).spawn().unwrap();
        std::thread::sleep(whole * (kill + 1) / (KILLS + 1) + Duration::from_micros(300));
        let _ = child.kill();
        child.wait().unwrap();
        if out.join("manifest.json").exists() {
            minrnn_cli::verify::Export::open(&out).unwrap();
        } else {
            says_unfinished(dir.path());
        }
        assert_eq!(
            std::fs::read_to_string(out.join("notes.txt")).unwrap(),
            "mine"
        );
    }
    export(dir.path(), &["--form", "step"]).good();
    let wanted = [
        "README.md",
        "golden.safetensors",
        "manifest.json",
        "model.step.onnx",
        "notes.txt",
    ];
    assert_eq!(names(&out), wanted);
    assert!(
        names(dir.path())
            .iter()
            .all(|n| !n.starts_with(".minrnn-export-"))
    );
}

/// Every reader.
#[track_caller]
fn says_unfinished(dir: &Path) {
    let readers: [&[&str]; 3] = [
        &["verify", "export"],
        &["generate", "export"],
        &["run", "export", "--input", "-"],
    ];
    for args in readers {
        let ran = minrnn(dir, args);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        let says = "an export is being written into this folder, or was stopped: export again";
        assert!(ran.err.contains(says), "{}", ran.shown());
    }
}

#[test]
fn a_folder_without_its_new_manifest_says_so() {
    let dir = trained();
    let out = dir.path().join("export");
    std::fs::remove_file(out.join("manifest.json")).unwrap();
    std::fs::write(out.join(".minrnn-export.lock"), "").unwrap();
    says_unfinished(dir.path());
    export(dir.path(), &[]).good();
    minrnn(dir.path(), &VERIFY).good();
    assert!(!names(&out).iter().any(|n| n.starts_with('.')));
}

#[test]
fn the_manifest_of_another_program_is_no_export() {
    let dir = trained();
    let other = dir.path().join("page");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("manifest.json"), "{\"name\": \"page\"}").unwrap();
    std::fs::write(other.join("README.md"), "mine").unwrap();
    let ran = minrnn(dir.path(), &["export", "run", "--out", "page"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(ran.err.contains("no export of minrnn"), "{}", ran.shown());
    assert_eq!(
        std::fs::read_to_string(other.join("README.md")).unwrap(),
        "mine"
    );
}

/// The checkpoint knows its data; all windows of it are taken unless fewer are asked for.
#[test]
fn the_loss_is_measured_on_the_checkpoints_own_data() {
    let dir = trained();
    let narrow = ["--dtype", "int8", "--target", "onnxruntime"];
    let own = export(dir.path(), &[&narrow[..], &["--eval"]].concat()).good();
    let given = export(
        dir.path(),
        &[&narrow[..], &["--eval", "tiny.toml"]].concat(),
    )
    .good();
    let measured = |text: &str| text[text.find("held-out data: ").unwrap()..].to_owned();
    assert_eq!(measured(&own), measured(&given));
    let line = measured(&own).lines().next().unwrap().to_owned();
    let numbers: Vec<usize> = line
        .split(|c: char| !c.is_ascii_digit() && c != ',')
        .filter_map(|n| n.replace(',', "").parse().ok())
        .collect();
    let [windows, of, targets] = numbers[..] else {
        panic!("{line}");
    };
    assert!(windows == of && targets > windows, "{line}");
    assert!(own.contains("accuracy") && own.contains(" %"), "{own}");
    let some = export(
        dir.path(),
        &[&narrow[..], &["--eval", "--eval-samples", "1"]].concat(),
    );
    assert!(
        some.good()
            .contains(&format!("held-out data: 1 of {of} windows"))
    );
    // What training itself measured last is what is measured here.
    let state = std::fs::read(dir.path().join("run/best/trainer_state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let loss = format!("{:.5}", state["best"]["value"].as_f64().unwrap());
    let card = std::fs::read_to_string(dir.path().join("export/README.md")).unwrap();
    assert!(
        card.contains(&format!("| validation loss, nats | {loss} |")),
        "{card}"
    );
    assert!(card.contains("| validation accuracy | "), "{card}");
    // Moved data are found by --set, a checkpoint that knows none says so.
    std::fs::rename(dir.path().join("harbour.txt"), dir.path().join("moved.txt")).unwrap();
    let lost = export(dir.path(), &[&narrow[..], &["--eval"]].concat());
    assert_eq!(lost.code, Some(2), "{}", lost.shown());
    assert!(lost.err.contains("--set 'task.path"), "{}", lost.shown());
    let set = [&narrow[..], &["--eval", "--set", "task.path=\"moved.txt\""]].concat();
    let again = export(dir.path(), &set).good();
    assert_eq!(measured(&again), measured(&own));
    let config = dir.path().join("run/best/config.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("task");
    std::fs::write(&config, json.to_string()).unwrap();
    let none = export(dir.path(), &[&narrow[..], &["--eval"]].concat());
    assert_eq!(none.code, Some(2), "{}", none.shown());
    assert!(
        none.err.contains("says nothing of a task"),
        "{}",
        none.shown()
    );
}

#[test]
fn figures_of_other_data_say_so() {
    let dir = trained();
    let note =
        "note: the training and the validation part are not those of the checkpoint's training";
    let ran = export(dir.path(), &["--eval"]);
    assert!(!ran.err.contains("note: "), "{}", ran.shown());
    ran.good();
    let other = ["--eval", "--set", "task.validation_fraction=0.3"];
    let ran = export(dir.path(), &other);
    assert!(ran.err.contains(note), "{}", ran.shown());
    ran.good();
}

#[test]
fn data_of_another_kind_are_named_in_words() {
    let dir = trained();
    let toml = "[task]\nkind = \"selective_copying\"\nlength = 8\ndata_tokens = 2\nvocab = 6\n[model]\nwidth = 4\nlayers = 1\n[train]\nsteps = 1\nbatch = 1\nlr = 1e-3\n";
    std::fs::write(dir.path().join("copy.toml"), toml).unwrap();
    let ran = export(dir.path(), &["--eval", "copy.toml"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    let wanted = [
        "task.kind: \"text\" in the checkpoint, \"selective_copying\" in the configuration",
        "model.width: 24 in the checkpoint, 4 in the configuration",
    ];
    for wanted in wanted {
        assert!(ran.err.contains(wanted), "{}", ran.shown());
    }
    assert!(!ran.err.contains("Tokens {"), "{}", ran.shown());
}

#[test]
fn a_target_that_is_not_known_lists_those_that_are() {
    let dir = trained();
    let ran = export(dir.path(), &["--target", "tensorrt"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    for name in [
        "portable",
        "onnxruntime",
        "tract",
        "candle",
        "openvino",
        "web",
        "rten",
    ] {
        assert!(ran.err.contains(name), "{}", ran.shown());
    }
}

#[test]
fn types_of_rust_are_not_in_messages() {
    let dir = trained();
    let set = ["train", "tiny.toml", "--out", "other", "--set"];
    for (value, wanted) in [
        ("train.batch=\"a\"", "expected a whole number, 0 or more"),
        ("train.batch=-1", "expected a whole number, 0 or more"),
        ("train.lr=\"a\"", "expected a number"),
        ("task.path=3", "expected a text"),
        ("model.conv=3", "expected a table"),
    ] {
        let ran = minrnn(dir.path(), &[&set[..], &[value]].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(ran.err.contains(wanted), "{}", ran.shown());
        for rust in ["usize", "u64", "f64", "struct ", "enum "] {
            assert!(!ran.err.contains(rust), "{}", ran.shown());
        }
    }
}

/// A vocabulary that generate could not use, and weights that overflow.
#[test]
fn what_generate_could_not_use_is_said() {
    let dir = trained();
    let path = dir.path().join("run/best/vocabulary.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let good: Vec<String> = serde_json::from_str(&text).unwrap();
    for (entry, wanted) in [
        ("", "is empty"),
        ("ab", "more than one character"),
        (good[0].as_str(), "too"),
    ] {
        let mut bad = good.clone();
        bad[2] = entry.to_owned();
        std::fs::write(&path, serde_json::to_string(&bad).unwrap()).unwrap();
        for command in [
            &["export", "run", "--out", "again"][..],
            &["generate", "run"],
        ] {
            let ran = minrnn(dir.path(), command);
            assert_eq!(ran.code, Some(2), "{}", ran.shown());
            assert!(
                ran.err.contains("vocabulary") && ran.err.contains("entry 2"),
                "{}",
                ran.shown()
            );
            assert!(
                command[0] == "generate" || ran.err.contains(wanted),
                "{}",
                ran.shown()
            );
        }
        assert!(!dir.path().join("again").exists());
    }
    std::fs::write(&path, &text).unwrap();
    let best = dir.path().join("run/best");
    // Squares overflow in the norms: they give 0. Products overflow: there is no number.
    for (part, wanted) in [("norm", "gives 0 for every logit"), ("", "inf|NaN")] {
        let mut checkpoint = minrnn_train::checkpoint::Checkpoint::load(&best).unwrap();
        let all = checkpoint.params.iter_mut();
        for (_, tensor) in all.filter(|(name, _)| name.contains(part)) {
            tensor.data.iter_mut().for_each(|v| *v = v.signum() * 1e38);
        }
        checkpoint.save(&best).unwrap();
        let ran = minrnn(dir.path(), &["generate", "run", "--length", "3"]);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        let said = wanted.split('|').any(|word| ran.err.contains(word));
        assert!(
            said && ran.err.contains("float32 overflows"),
            "{}",
            ran.shown()
        );
    }
}

/// The one figure of the row `exported file`.
fn measured(said: &str) -> String {
    let row = said
        .lines()
        .find(|line| line.starts_with("│ exported file "));
    row.unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// What a type costs is measured with whatever was written: the forms compute the same bits.
#[test]
fn the_loss_is_measured_by_every_form() {
    let dir = trained();
    let narrow = [
        "--dtype",
        "f16",
        "--target",
        "tract",
        "--eval",
        "--eval-samples",
        "3",
    ];
    let by = |flags: &[&str]| {
        let ran = export(dir.path(), &[&narrow[..], flags].concat());
        (ran.err.clone(), measured(&ran.good()))
    };
    let (said, whole) = by(&["--form", "scan"]);
    assert!(said.contains("by the form scan"), "{said}");
    for (flags, form) in [
        (&["--form", "step"][..], "step"),
        (&["--form", "step", "--batch", "3"], "step"),
        (&["--form", "scan", "--batch", "3"], "scan"),
        (&["--form", "scan", "--lengths", "--reset"], "scan"),
        // Windows have 24 steps.
        (&["--max-seq-len", "23"], "scan"),
        (&["--max-seq-len", "24"], "parallel"),
        (&["--seq-len", "24", "--form", "parallel"], "parallel"),
        (&["--seq-len", "16"], "step"),
    ] {
        let (said, figure) = by(flags);
        assert!(
            said.contains(&format!("by the form {form}")),
            "{flags:?}: {said}"
        );
        assert_eq!(figure, whole, "{flags:?}");
    }
}

/// Before anything is written.
#[test]
fn data_that_no_form_takes_are_refused() {
    let dir = trained();
    std::fs::remove_dir_all(dir.path().join("export")).ok();
    for (flags, words) in [
        (
            &["--form", "scan", "--seq-len", "16"][..],
            "with --seq-len 16 the files take T = 16 alone",
        ),
        (
            &["--form", "parallel", "--max-seq-len", "20"],
            "windows of 24 steps, and with --max-seq-len 20",
        ),
    ] {
        let ran = export(
            dir.path(),
            &[&["--eval", "--eval-samples", "3"], flags].concat(),
        );
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(ran.err.contains(words), "{}", ran.shown());
        assert!(!dir.path().join("export").exists(), "{flags:?}");
    }
}

/// No engine here runs LinearAttention: the export says so, and says what compares the file.
#[test]
fn linear_attention_is_told_of_at_export() {
    let dir = trained();
    let flags = ["--target", "onnxruntime", "--lowering", "linear-attention"];
    let ran = export(dir.path(), &flags);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    for words in [
        "warning: the form parallel has the operator LinearAttention",
        "next: minrnn verify --sequence export/model.parallel.onnx --step export/model.step.onnx",
    ] {
        assert!(ran.err.contains(words), "{}", ran.shown());
    }
    let ran = minrnn(dir.path(), &VERIFY);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    let pair = [
        "verify",
        "--sequence",
        "export/model.parallel.onnx",
        "--step",
        "export/model.step.onnx",
        "--max-len",
        "18",
    ];
    minrnn(dir.path(), &pair).good();
    // The other forms have no such operator, and no need of a flag for it.
    let flags = [&flags[..], &["--form", "scan"]].concat();
    assert_eq!(export(dir.path(), &flags).code, Some(2));
}

/// What people compare is the whole sha256, and the same one everywhere.
#[test]
fn hashes_are_whole_wherever_they_are_shown() {
    let dir = trained();
    let said = export(dir.path(), &["--weights", "shared"]).good();
    let line = said.lines().find_map(|l| l.strip_prefix("weights "));
    let hash = line.unwrap();
    assert_eq!(hash.len(), 64, "{said}");
    assert!(hash.chars().all(|c| c.is_ascii_hexdigit()), "{said}");
    let text = |name: &str| std::fs::read_to_string(dir.path().join("export").join(name)).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text("manifest.json")).unwrap();
    assert_eq!(manifest["weights_sha256"], hash);
    assert!(text("README.md").contains(hash), "{}", text("README.md"));
    for form in ["parallel", "scan", "step"] {
        let file = format!("export/model.{form}.onnx");
        let shown = minrnn(dir.path(), &["inspect", "--json", &file]).good();
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["metadata"]["minrnn.weights"], hash);
        let entry = &manifest["forms"][form];
        for sha256 in [&entry["sha256"], &entry["weights"]["sha256"]] {
            let sha256 = sha256.as_str().unwrap();
            assert!(sha256.len() == 64 && said.contains(sha256), "{said}");
        }
    }
}
