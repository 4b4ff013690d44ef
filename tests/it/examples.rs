//! The examples of minrnn-runtime, as their readers would run them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;

use minrnn_model::model::Model;
use minrnn_onnx::export::{DirOptions, write_export};
use minrnn_runtime::Session;

use crate::golden::read;

macro_rules! example {
    ($name:ident, $path:literal) => {
        #[allow(dead_code, reason = "`main` is for readers; here `run` is called")]
        #[path = $path]
        mod $name;
    };
}
example!(embedded, "../../crates/minrnn-runtime/examples/embedded.rs");
example!(lean, "../../crates/minrnn-runtime/examples/lean.rs");
example!(serve, "../../crates/minrnn-runtime/examples/serve.rs");
example!(
    stream_features,
    "../../crates/minrnn-runtime/examples/stream_features.rs"
);
example!(
    stream_text,
    "../../crates/minrnn-runtime/examples/stream_text.rs"
);

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

fn open(path: &Path) -> Arc<minrnn_runtime::Model> {
    Arc::new(minrnn_runtime::Model::open(path).unwrap())
}

#[test]
fn a_stream_needs_exact_execution_alone() {
    let step = models().join("copy-min-gru/export/model.step.onnx");
    let inputs = ["3", "1", "4"].map(String::from);
    let mut out = vec![];
    lean::run(&step.display().to_string(), &inputs, &mut out).unwrap();
    let mut session = Session::new(open(&step), 1).unwrap();
    let want = [3, 1, 4].map(|id| {
        let output = session.step_tokens(&[id]).unwrap();
        format!("{id} -> {:?}\n", output.values)
    });
    assert_eq!(String::from_utf8(out).unwrap(), want.concat());
}

#[test]
fn text_is_written_behind_its_prompt() {
    let folder = models().join("shakespeare-min-lstm/export");
    let write = |prompt: &str, count| {
        let mut out = vec![];
        stream_text::run(&folder, prompt, count, &mut out).map_err(|e| e.to_string())?;
        Ok::<_, String>(String::from_utf8(out).unwrap())
    };
    let text = write("ROMEO:\n", 300).unwrap();
    assert!(text.starts_with("ROMEO:\n"), "{text}");
    assert_eq!(text.chars().count(), 7 + 300 + 1);
    // Written text has words as English has them, and not one character again and again.
    let words = text.split_whitespace().count();
    assert!((30..120).contains(&words), "{words}: {text}");
    assert!(
        ["the", "and", "you", "my", "of", "to"]
            .iter()
            .any(|w| text.contains(w)),
        "{text}"
    );
    assert_eq!(write("ROMEO:\n", 300).unwrap(), text);
    assert!(write("", 3).unwrap_err().contains("empty"));
    assert!(write("ROM\u{416}O", 3).unwrap_err().contains('\u{416}'));
    let none = stream_text::run(&models().join("copy-min-gru/export"), "a", 3, &mut vec![]);
    assert!(none.unwrap_err().to_string().contains("is no text model"));
}

#[test]
fn features_are_streamed_and_a_bad_line_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (_, bytes) = read::files()
        .into_iter()
        .find(|(name, _)| name.starts_with("gru_features"))
        .unwrap();
    let golden = read::Golden::read(&bytes).unwrap();
    let model = Model::from_config(&golden.config).unwrap();
    let params = golden.params(&model);
    write_export(dir.path(), &model, &params, &DirOptions::default()).unwrap();
    let step = dir.path().join("model.step.onnx");
    let minrnn_runtime::InputSpec::Features { width } = open(&step).info().input else {
        panic!("the golden model takes features");
    };
    let line = |t: usize| {
        let words = (0..width).map(|f| format!("{}", ((t * 5 + f * 3) % 11) as f32 / 7.0 - 0.6));
        words.collect::<Vec<_>>().join(" ")
    };
    let stream = |lines: &[String]| {
        let mut out = vec![];
        let text = lines.join("\n");
        stream_features::run(&step, &mut text.as_bytes(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let good: Vec<String> = (0..9).map(line).collect();
    let wanted = stream(&good);
    let mut session = Session::new(open(&step), 1).unwrap();
    for (t, wanted) in wanted.iter().enumerate() {
        let values: Vec<f32> = good[t].split(' ').map(|v| v.parse().unwrap()).collect();
        let own = session.step_features(&values).unwrap().values;
        let own: Vec<String> = own.iter().map(f32::to_string).collect();
        assert_eq!(own.join(" "), *wanted, "step {t}");
    }
    for bad in [
        "1 x 3".to_owned(),
        vec!["NaN"; width].join(" "),
        String::new(),
    ] {
        let mut lines = good.clone();
        lines.insert(4, bad.clone());
        let mut got = stream(&lines);
        let said = got.remove(4);
        assert!(said.starts_with("line 5 refused: "), "{bad:?}: {said}");
        assert_eq!(got, wanted, "{bad:?}");
    }
    let tokens = models().join("copy-min-gru/export/model.step.onnx");
    let refused = stream_features::run(&tokens, &mut &b""[..], &mut vec![]);
    assert!(refused.unwrap_err().to_string().contains("takes tokens"));
}

#[test]
fn streams_served_together_get_the_bits_that_they_get_alone() {
    let model = open(&models().join("copy-min-gru/export/model.step.onnx"));
    let (send, requests) = channel();
    let streams: Vec<Vec<i64>> = (0..150usize)
        .map(|client| {
            let len = 1 + client * 13 % 41;
            (0..len)
                .map(|t| ((client * 7 + t * 5) % 16) as i64)
                .collect()
        })
        .collect();
    let server = {
        let model = model.clone();
        std::thread::spawn(move || serve::serve(&model, &requests))
    };
    let ask = |ids: Vec<i64>| {
        let (answer, receive) = channel();
        send.send(serve::Request { ids, answer }).unwrap();
        receive
    };
    let answers: Vec<_> = streams.iter().cloned().map(ask).collect();
    // What is refused stops nobody else.
    for bad in [vec![], vec![1, -1], vec![1_000_000]] {
        assert!(ask(bad).recv().unwrap().is_err());
    }
    drop(send);
    for (ids, answer) in streams.iter().zip(answers) {
        let mut session = Session::new(model.clone(), 1).unwrap();
        let steps = ids.iter().map(|id| session.step_tokens(&[*id]).unwrap());
        let alone = steps.last().unwrap().values;
        let together = answer.recv().unwrap().unwrap();
        let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&together), bits(&alone), "{ids:?}");
    }
    let steps = server.join().unwrap();
    let alone: usize = streams.iter().map(Vec::len).sum();
    assert!(steps < alone / 4, "{steps} steps for {alone}: not batched");
}

#[test]
fn the_embedded_model_is_the_file() {
    let mut out = vec![];
    embedded::run(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let mut session = Session::new(
        open(&models().join("copy-min-gru/export/model.step.onnx")),
        1,
    )
    .unwrap();
    for (id, line) in text.lines().enumerate() {
        let logits = session.step_tokens(&[id as i64]).unwrap().values;
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        assert_eq!(line, format!("{id} -> {}", best.unwrap().0));
    }
    assert!(text.lines().count() > 1, "{text}");
}
