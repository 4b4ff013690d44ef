//! The runtime's text against the trainer's own engine, on a shipped model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use minrnn_model::rng::Rng;
use minrnn_runtime::Model;
use minrnn_runtime::text::{Codec, Over, Sampler, Sampling, Vocabulary, Writer, Writing};
use minrnn_train::checkpoint::{Checkpoint, load_model};
use minrnn_train::generate::Generator;

fn shakespeare() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/shakespeare-min-lstm")
}

/// The same numbers as everywhere else in the workspace: of equal tokens the draw is the number itself.
#[test]
fn draws_are_those_of_the_workspace() {
    for seed in [0, 1, 1 << 40] {
        let mut sampler = Sampler::new(1.0, seed).unwrap();
        let mut rng = Rng::named(seed, "sampler");
        for i in 0..200 {
            let wanted = (rng.uniform() * 1024.0) as usize;
            assert_eq!(sampler.choose(&[0.0; 1024]), wanted, "{seed} {i}");
        }
    }
}

fn how(most: usize, stop: &str) -> Writing {
    Writing {
        sampling: Sampling {
            temperature: 0.8,
            top_k: Some(30),
            top_p: Some(0.95),
        },
        seed: 4,
        most,
        stop: vec![stop.to_owned()],
    }
}

#[test]
fn a_text_is_the_one_that_candle_writes() {
    let dir = shakespeare();
    let mut writer = Writer::open(dir.join("export")).unwrap();
    let prompt = "ROMEO:\nWhat light through yonder window breaks?";
    let text = |writer: &mut Writer, how: &Writing| -> String {
        writer.session().reset().unwrap();
        writer
            .write(prompt, how)
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let never = how(200, "@");
    let written = text(&mut writer, &never);
    assert_eq!(written.chars().count(), 200);
    assert_eq!(text(&mut writer, &never), written);

    let checkpoint = Checkpoint::load(&dir).unwrap();
    let (model, params) = load_model(&checkpoint, &dir).unwrap();
    let mut generator = Generator::new(&model, &params, &Device::Cpu).unwrap();
    let mut sampler = Sampler::of(never.sampling, never.seed).unwrap();
    let words = writer.codec().clone();
    let mut feed = words.encode(prompt).unwrap();
    let mut wanted = vec![];
    for _ in 0..200 {
        let id = sampler.choose(&generator.feed(&feed).unwrap()) as u32;
        wanted.push(id);
        feed = vec![id];
    }
    assert_eq!(written, words.decode(&wanted).unwrap());

    // Over at a text that is in it, of which nothing is given; and what is held back comes in the end.
    let stop: String = written.chars().skip(90).take(4).collect();
    writer.session().reset().unwrap();
    let ends = how(200, &stop);
    let mut begun = writer.write(prompt, &ends).unwrap();
    let short: String = begun.by_ref().map(Result::unwrap).collect();
    assert_eq!(begun.over(), Some(&Over::Stop(stop.clone())));
    assert_eq!(short, written[..written.find(&stop).unwrap()]);
    let held: String = written.chars().skip(190).collect::<String>() + "@";
    assert_eq!(text(&mut writer, &how(200, &held)), written);
}

#[test]
fn a_text_goes_on_where_the_last_one_ended() {
    let mut writer = Writer::open(shakespeare().join("export")).unwrap();
    let greedy = |most| Writing {
        sampling: Sampling::default(),
        most,
        ..Writing::default()
    };
    let whole: String = writer
        .write("ROMEO:", &greedy(40))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    writer.session().reset().unwrap();
    let first: String = writer
        .write("ROMEO:", &greedy(20))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    // What was chosen last was not read yet.
    let last = first.chars().last().unwrap().to_string();
    let second: String = writer
        .write(&last, &greedy(20))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(first + &second, whole);
}

#[test]
fn what_is_no_text_model_is_refused() {
    let said = |error: minrnn_runtime::Error| error.to_string();
    let copy = shakespeare().join("../copy-min-gru/export");
    let error = said(Writer::open(&copy).map(drop).unwrap_err());
    assert!(error.contains("is no text model"), "{error}");
    let mut writer = Writer::open(shakespeare().join("export")).unwrap();
    let write = |writer: &mut Writer, prompt: &str| {
        said(
            writer
                .write(prompt, &Writing::default())
                .map(drop)
                .unwrap_err(),
        )
    };
    assert!(write(&mut writer, "").contains("is empty"));
    assert!(write(&mut writer, "漢").contains("no character '漢'"));
    // Another vocabulary than the file's, by its hash.
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(shakespeare().join("export/manifest.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    manifest["vocabulary"].as_array_mut().unwrap().swap(3, 4);
    std::fs::write(folder.path().join("manifest.json"), manifest.to_string()).unwrap();
    let step = Model::open(shakespeare().join("export/model.step.onnx")).unwrap();
    let own = Vocabulary::of_export(shakespeare().join("export"), &step).unwrap();
    assert_eq!(own.tokens(), step.info().output.width);
    let swapped = Vocabulary::of_export(folder.path(), &step);
    match step.info().vocabulary.is_some() {
        true => assert!(said(swapped.unwrap_err()).contains("is not the one that")),
        false => assert!(swapped.is_ok()),
    }
    let many = Writer::new(Arc::new(step), None, Vocabulary::bytes()).map(drop);
    assert!(said(many.unwrap_err()).contains("there are 256 tokens"));
}

/// As the page has it: a tokenizer of another crate.
mod page {
    use minrnn_runtime::text::Codec;
    use minrnn_runtime::{Error, Result};

    pub(super) struct Pieces(pub(super) tokenizers::Tokenizer);

    fn failed(error: &(dyn std::error::Error + Send + Sync)) -> Error {
        Error::Input {
            place: "text".into(),
            what: error.to_string(),
            mend: "give another one".into(),
        }
    }

    impl Codec for Pieces {
        fn tokens(&self) -> usize {
            self.0
                .get_vocab(true)
                .into_values()
                .max()
                .map_or(0, |last| last as usize + 1)
        }
        // Numbers of a tokenizer may have gaps, which are never chosen.
        fn knows(&self, id: u32) -> bool {
            self.0.id_to_token(id).is_some()
        }
        fn encode(&self, text: &str) -> Result<Vec<u32>> {
            let encoding = self.0.encode_fast(text, false).map_err(|e| failed(&*e))?;
            Ok(encoding.get_ids().to_vec())
        }
        fn decode(&self, ids: &[u32]) -> Result<String> {
            self.0.decode(ids, false).map_err(|e| failed(&*e))
        }
    }
}

/// The lines of docs/runtime.md stand in what compiles: here, or in the crate's own documentation, whose examples are run.
#[test]
fn the_page_has_what_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let page = read("docs/runtime.md");
    let (_, text) = page.split_once("\n## Text\n").unwrap();
    let (text, _) = text.split_once("\n## ").unwrap();
    let compiled = read("crates/minrnn-runtime/src/text/mod.rs") + &read("tests/it/text.rs");
    let compiled: Vec<&str> = compiled
        .lines()
        .map(|l| l.trim_start_matches("//! ").trim())
        .collect();
    let mut held = 0;
    for block in text.split("```rust\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        for line in block.lines().map(str::trim).filter(|l| !l.is_empty()) {
            // The one line that opens files of the reader's.
            let opens = line.starts_with("let mut writer = Writer::new(step");
            let visible = line.replace(
                "struct Pieces(tok",
                "pub(super) struct Pieces(pub(super) tok",
            );
            assert!(
                opens || compiled.contains(&line) || compiled.contains(&visible.as_str()),
                "{line}"
            );
            held += 1;
        }
    }
    assert!(held > 20, "{held}");
}

#[test]
fn a_tokenizer_of_another_crate_is_a_codec() {
    let file = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, " ": 2, "ab": 3}, "merges": [["a", "b"]]}}"#;
    let pieces = page::Pieces(file.parse().unwrap());
    assert_eq!(
        (pieces.tokens(), pieces.encode("ab ba").unwrap()),
        (4, vec![3, 2, 1, 0])
    );
    let mut text = minrnn_runtime::text::Pieces::default();
    let said: Vec<String> = [3, 2, 1]
        .iter()
        .map(|id| text.take(&pieces, *id).unwrap())
        .collect();
    assert_eq!(said, ["ab", " ", "b"]);
}
