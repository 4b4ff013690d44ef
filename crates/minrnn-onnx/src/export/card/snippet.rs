//! A program for the reader to copy: it runs as it stands.

use std::fmt::Write;

use minrnn_model::graph::Input;
use minrnn_model::vocabulary::Vocabulary;

use super::Content;
use crate::export::Form;
use crate::export::notes::data_name;

/// Runs the first form in ONNX Runtime, from Python.
pub(super) fn snippet(out: &mut String, c: &Content<'_>) {
    let form = &c.forms[0];
    let step = form.options.form == Form::Step;
    let batch = form.options.batch.unwrap_or(1);
    let steps = form.options.seq_len.unwrap_or(5);
    let (shape, sizes) = match step {
        true => ("batch,", format!("batch = {batch}")),
        false => ("batch, steps", format!("batch, steps = {batch}, {steps}")),
    };
    let _ = write!(
        out,
        "\n## In Python, with ONNX Runtime\n\n```python\nimport json\n\nimport numpy as np\nimport onnxruntime\n\n\
         manifest = json.load(open(\"manifest.json\", encoding=\"utf-8\"))\n\
         session = onnxruntime.InferenceSession(\"{}\", providers=[\"CPUExecutionProvider\"])\n\
         {sizes}\n",
        form.file.file,
    );
    let name = data_name(c.graph);
    let _ = match c.graph.input() {
        Input::Features { width } => {
            let shape = shape.trim_end_matches(',');
            writeln!(
                out,
                "feed = {{\"{name}\": np.zeros(({shape}, {width}), np.float32)}}  # your features"
            )
        }
        Input::Tokens { .. } if of_bytes(c) && !step => writeln!(
            out,
            "text = b\"a\" * steps  # your text, as bytes\n\
             feed = {{\"{name}\": np.array([list(text)] * batch, np.int64)}}"
        ),
        Input::Tokens { .. } if of_characters(c) && !step => writeln!(
            out,
            "number = {{character: i for i, character in enumerate(manifest[\"vocabulary\"])}}\n\
             text = manifest[\"vocabulary\"][0] * steps  # your text\n\
             feed = {{\"{name}\": np.array([[number[c] for c in text]] * batch, np.int64)}}"
        ),
        Input::Tokens { .. } => writeln!(
            out,
            "feed = {{\"{name}\": np.zeros(({shape}), np.int64)}}  # your token ids{}",
            match c.dir.vocabulary {
                Some(Vocabulary::Tokenizer(_)) => ", by tokenizer.json",
                _ => "",
            }
        ),
    };
    if form.options.lengths {
        out.push_str("feed[\"lengths\"] = np.full(batch, steps, np.int64)\n");
    }
    if form.options.reset {
        let _ = writeln!(out, "feed[\"reset\"] = np.zeros(({shape}), bool)");
    }
    let _ = write!(
        out,
        "for state in manifest[\"states\"]:\n    \
             zero = state[\"init\"] == \"zero\"\n    \
             first = np.zeros(state[\"shape\"]) if zero else np.reshape(state[\"init\"], state[\"shape\"])\n    \
             feed[state[\"input\"]] = np.broadcast_to(first, (batch, *state[\"shape\"])).astype(np.float32)\n\
         names = [output.name for output in session.get_outputs()]\n\
         result = dict(zip(names, session.run(names, feed)))\n\
         print(result[\"{}\"].shape)\n\
         for state in manifest[\"states\"]:  # to go on from here, with any of the files\n    \
             feed[state[\"input\"]] = result[state[\"output\"]]\n```\n",
        c.graph.output().kind.tensor_name(),
    );
    careful(out, c);
}

fn of_characters(c: &Content<'_>) -> bool {
    matches!(c.dir.vocabulary, Some(Vocabulary::Characters(_)))
}

fn of_bytes(c: &Content<'_>) -> bool {
    matches!(c.dir.vocabulary, Some(Vocabulary::Bytes))
}

/// What ONNX allows and nobody wants.
fn careful(out: &mut String, c: &Content<'_>) {
    let mut cases = vec![];
    if let Input::Tokens { vocab } = c.graph.input() {
        cases.push(format!(
            "a token id below 0 counts from the end of the table, so that -1 is token {}",
            vocab - 1
        ));
    }
    if c.forms.iter().any(|f| f.options.lengths) {
        cases.push(
            "a `lengths` of 0 gives states and an answer of the last, padded, step or of padding, not those of an empty row"
                .to_owned(),
        );
    }
    if !cases.is_empty() {
        let _ = writeln!(
            out,
            "\nLook at what goes in: in most runtimes {}, without a word. `minrnn-runtime` and `minrnn run` refuse it.",
            cases.join("; ")
        );
    }
}
