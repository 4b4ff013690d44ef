//! Text models of bytes, of a tokenizer's pieces and of numbers, from training to text.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::harness::{Ran, folder, minrnn};

fn train(dir: &Path, sets: &[&str]) -> Ran {
    let mut args = vec!["train", "tiny.toml", "--out", "run"];
    for set in sets {
        args.extend(["--set", set]);
    }
    minrnn(dir, &args)
}

fn json(path: impl AsRef<Path>) -> Json {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn generate(dir: &Path, from: &str, more: &[&str]) -> Ran {
    let all = ["generate", from, "--prompt", "the ", "--length", "40"];
    minrnn(dir, &[&all, more].concat())
}

/// Exported and verified with its checkpoint, and the same text from all engines.
fn exported(dir: &Path) -> Json {
    minrnn(dir, &["export", "run", "--out", "export"]).good();
    minrnn(
        dir,
        &[
            "verify",
            "export",
            "--checkpoint",
            "run",
            "--max-len",
            "9",
            "--probe-len",
            "64",
        ],
    )
    .good();
    let text = generate(dir, "run", &[]).good();
    assert!(
        text.starts_with("the ") && text.chars().count() > 10,
        "{text:?}"
    );
    for engine in ["step", "parallel"] {
        assert_eq!(
            generate(dir, "export", &["--engine", engine]).good(),
            text,
            "{engine}"
        );
    }
    json(dir.join("export/manifest.json"))
}

fn figures(dir: &Path) -> Json {
    let args = ["eval", "run", "--split", "validation", "--json", "-"];
    let json: Json = serde_json::from_str(&minrnn(dir, &args).good()).unwrap();
    json["figures"][0].clone()
}

#[test]
fn bytes() {
    let dir = folder();
    train(dir.path(), &["task.tokens=\"bytes\""]).good();
    assert_eq!(json(dir.path().join("run/best/vocabulary.json")), "bytes");
    let manifest = exported(dir.path());
    assert_eq!(manifest["vocabulary"], "bytes");
    assert_eq!(manifest["preprocessing"]["kind"], "bytes");
    let figures = figures(dir.path());
    let bits = figures["loss"].as_f64().unwrap() / std::f64::consts::LN_2;
    assert!((figures["bits_per_byte"].as_f64().unwrap() - bits).abs() < 1e-9);
    assert!(figures["bits_per_character"].is_null() && figures["perplexity"].is_f64());
    // Counted in bytes, and of any character.
    let ran = minrnn(
        dir.path(),
        &[
            "generate", "export", "--prompt", "漢", "--length", "5", "--stop", "e",
        ],
    );
    assert!(
        ran.err.is_empty() || ran.err.contains("of 5 bytes"),
        "{}",
        ran.shown()
    );
    ran.good();
    // Characters are other tokens.
    let args = ["train", "tiny.toml", "--out", "run", "--resume"];
    let ran = minrnn(dir.path(), &args);
    assert!(
        ran.code == Some(2) && ran.err.contains("are bytes, those of the data characters"),
        "{}",
        ran.shown()
    );
}

/// A tokenizer of words: letters in runs, all else by itself.
fn tokenizer(dir: &Path) {
    numbered(dir, |i| i);
}

/// The same with these numbers of its words.
fn numbered(dir: &Path, number: impl Fn(usize) -> usize) {
    let text = fs::read_to_string(dir.join("harbour.txt")).unwrap();
    let mut words: Vec<String> = vec!["?".into(), "<end>".into()];
    let mut add = |word: &str| {
        if !word.is_empty() && !words.iter().any(|w| w == word) {
            words.push(word.to_owned());
        }
    };
    for part in text.split_inclusive(|c: char| !c.is_ascii_lowercase()) {
        let letters = part.trim_end_matches(|c: char| !c.is_ascii_lowercase());
        add(letters);
        add(&part[letters.len()..]);
    }
    let vocab: serde_json::Map<String, Json> = words
        .iter()
        .enumerate()
        .map(|(i, w)| (w.clone(), number(i).into()))
        .collect();
    let split = |regex: &str| {
        serde_json::json!({
            "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false
        })
    };
    let file = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{ "id": 1, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true }],
        "normalizer": null, "post_processor": null, "decoder": { "type": "Fuse" },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [split("[a-z]+"), split("[^a-z]")] },
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "?" }
    });
    fs::write(dir.join("tokenizer.json"), file.to_string()).unwrap();
}

/// Numbers between those of a tokenizer are chosen by nobody.
#[test]
fn a_tokenizer_with_gaps() {
    let dir = folder();
    // Of every three numbers the last is none.
    numbered(dir.path(), |i| i + i / 2);
    let sets = ["task.tokenizer=\"tokenizer.json\"", "train.steps=8"];
    train(dir.path(), &sets).good();
    exported(dir.path());
    for from in ["run", "export"] {
        for more in [&["--prompt", "the "][..], &[]] {
            let args = ["generate", from, "--length", "300", "--temperature", "30"];
            let text = minrnn(dir.path(), &[&args, more].concat()).good();
            assert!(text.chars().count() > 300, "{text}");
        }
    }
}

#[test]
fn another_tokenizer_in_the_folder_of_a_checkpoint_is_refused() {
    let dir = folder();
    tokenizer(dir.path());
    let sets = ["task.tokenizer=\"tokenizer.json\"", "train.steps=8"];
    train(dir.path(), &sets).good();
    let path = dir.path().join("run/best/tokenizer.json");
    let own = fs::read(&path).unwrap();
    numbered(dir.path(), |i| if i < 2 { i } else { i ^ 1 });
    fs::copy(dir.path().join("tokenizer.json"), &path).unwrap();
    let commands = [
        &["generate", "run"][..],
        &["export", "run", "--out", "other"],
        &["eval", "run"],
    ];
    for command in commands {
        let ran = minrnn(dir.path(), command);
        let said = "tokenizer.json: has sha256";
        assert!(
            ran.code == Some(2) && ran.err.contains(said),
            "{}",
            ran.shown()
        );
        assert!(ran.err.contains("put that one back"), "{}", ran.shown());
    }
    fs::remove_file(&path).unwrap();
    let ran = minrnn(dir.path(), commands[0]);
    let said = "tokenizer.json: is missing: the weights of model.safetensors were saved with one";
    assert!(
        ran.code == Some(2) && ran.err.contains(said),
        "{}",
        ran.shown()
    );
    fs::write(&path, own).unwrap();
    minrnn(dir.path(), commands[0]).good();
}

/// The checkpoint has its tokenizer, whatever became of the file that it was read from.
#[test]
fn a_run_is_measured_and_writes_without_the_first_tokenizer() {
    let dir = folder();
    tokenizer(dir.path());
    let sets = ["task.tokenizer=\"tokenizer.json\"", "train.steps=8"];
    train(dir.path(), &sets).good();
    minrnn(dir.path(), &["export", "run", "--out", "export"]).good();
    fs::copy(dir.path().join("harbour.txt"), dir.path().join("new.txt")).unwrap();
    let commands = [
        &["eval", "run", "--split", "validation"][..],
        &["eval", "run", "--data", "new.txt"],
        &["eval", "export", "--data", "run", "--split", "validation"],
        &["generate", "run", "--length", "20"],
    ];
    let said = || commands.map(|args| minrnn(dir.path(), args).good());
    let before = said();
    numbered(dir.path(), |i| if i < 2 { i } else { i ^ 1 });
    assert_eq!(said(), before, "another file in its place");
    fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
    assert_eq!(said(), before, "none in its place");
    minrnn(dir.path(), &["export", "run", "--out", "other", "--eval"]).good();
    // One that is asked for by name is read, and missed by its own key.
    let asked = ["--set", "task.tokenizer=\"gone.json\""];
    let ran = minrnn(dir.path(), &[commands[0], &asked].concat());
    assert!(
        ran.code == Some(2) && ran.err.contains("--set 'task.tokenizer=\"FILE\"'"),
        "{}",
        ran.shown()
    );
}

#[test]
fn pieces_of_a_tokenizer() {
    let dir = folder();
    tokenizer(dir.path());
    train(dir.path(), &["task.tokenizer=\"tokenizer.json\""]).good();
    let file = fs::read(dir.path().join("tokenizer.json")).unwrap();
    assert_eq!(
        fs::read(dir.path().join("run/best/tokenizer.json")).unwrap(),
        file
    );
    assert!(!dir.path().join("run/best/vocabulary.json").exists());
    let manifest = exported(dir.path());
    assert_eq!(
        fs::read(dir.path().join("export/tokenizer.json")).unwrap(),
        file
    );
    assert_eq!(manifest["vocabulary"]["file"], "tokenizer.json");
    let figures = figures(dir.path());
    assert!(figures["bits_per_character"].is_null() && figures["bits_per_byte"].is_null());
    assert!(figures["perplexity"].is_f64());
    // Unfit words are refused: another tokenizer to go on with, a file that was changed.
    let args = [
        "train",
        "tiny.toml",
        "--out",
        "run",
        "--resume",
        "--set",
        "task.tokenizer=\"tokenizer.json\"",
    ];
    fs::write(
        dir.path().join("tokenizer.json"),
        [&file[..], b"\n"].concat(),
    )
    .unwrap();
    let ran = minrnn(dir.path(), &args);
    assert!(
        ran.code == Some(2) && ran.err.contains("is another one than the checkpoint's"),
        "{}",
        ran.shown()
    );
    let text = String::from_utf8(file)
        .unwrap()
        .replace("\"the\"", "\"sea-\"");
    fs::write(dir.path().join("export/tokenizer.json"), text).unwrap();
    let ran = generate(dir.path(), "export", &[]);
    assert!(
        ran.code == Some(2) && ran.err.contains("tokenizer.json: has sha256"),
        "{}",
        ran.shown()
    );
    // An end by its name, and nothing left of the tokenizer where another export takes the folder.
    minrnn(
        dir.path(),
        &[
            "export",
            "run",
            "--out",
            "export",
            "--end-of-stream",
            "<end>",
        ],
    )
    .good();
    assert_eq!(
        json(dir.path().join("export/manifest.json"))["end_of_stream"]["token"],
        1
    );
    minrnn(dir.path(), &["train", "tiny.toml", "--out", "other"]).good();
    minrnn(dir.path(), &["export", "other", "--out", "export"]).good();
    assert!(!dir.path().join("export/tokenizer.json").exists());
}

#[test]
fn numbers() {
    let dir = folder();
    let text = fs::read(dir.path().join("harbour.txt")).unwrap();
    let ids: Vec<u8> = text
        .iter()
        .flat_map(|b| u16::from(b % 40).to_le_bytes())
        .collect();
    fs::write(dir.path().join("harbour.bin"), ids).unwrap();
    let sets = [
        "task.path=\"harbour.bin\"",
        "task.tokens=\"u16\"",
        "task.vocab_size=40",
    ];
    train(dir.path(), &sets).good();
    minrnn(dir.path(), &["export", "run", "--out", "export"]).good();
    let manifest = json(dir.path().join("export/manifest.json"));
    assert!(manifest["vocabulary"].is_null());
    let figures = figures(dir.path());
    assert!(figures["bits_per_character"].is_null() && figures["perplexity"].is_f64());
    for from in ["run", "export"] {
        let ran = generate(dir.path(), from, &[]);
        assert!(
            ran.code == Some(2) && ran.err.contains("has no vocabulary"),
            "{}",
            ran.shown()
        );
    }
    let mut bytes = vec!["train", "tiny.toml", "--out", "run", "--resume"];
    for set in ["task.path=\"harbour.bin\"", "task.tokens=\"bytes\""] {
        bytes.extend(["--set", set]);
    }
    let ran = minrnn(dir.path(), &bytes);
    let said = "the tokens of the checkpoint are numbers (task.tokens = \"u16\"), and of what text they are it does not say; those of the data are bytes";
    assert!(
        ran.code == Some(2) && ran.err.contains(said),
        "{}",
        ran.shown()
    );
    fs::remove_dir_all(dir.path().join("run")).unwrap();
    let ran = train(dir.path(), &sets[..2]);
    assert!(
        ran.code == Some(2) && ran.err.contains("`vocab_size`: is missing"),
        "{}",
        ran.shown()
    );
}
