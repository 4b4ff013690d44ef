//! The checker's verdicts, one JSON object a line.
//!
//! - `check FILES...`: of files, `{"file", "ok", "problems"}`
//! - `check --corpus DIR`: writes graphs that are right and graphs that break one rule, with their verdicts
//! - `check --mutants DIR COUNT SEED`: writes random changes of right graphs, with their verdicts
//! - `check --table`: every operator in every opset

#[path = "../tests/corpus/mod.rs"]
mod corpus;

use std::error::Error;
use std::io::Write as _;
use std::path::Path;

use minrnn_onnx::check::{OPSETS, check, operator, operators};
use minrnn_onnx::ir::Model;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["--corpus", dir] => write_corpus(Path::new(dir)),
        ["--mutants", dir, count, seed] => {
            write_mutants(Path::new(dir), count.parse()?, seed.parse()?)
        }
        ["--table"] => table(),
        [] => {
            Err("usage: check FILES... | --corpus DIR | --mutants DIR COUNT SEED | --table".into())
        }
        files => {
            for file in files {
                say(&verdict(file, &std::fs::read(file)?))?;
            }
            Ok(())
        }
    }
}

/// One line of the output.
fn say(line: &Value) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// What the checker says of the bytes of a file; what cannot be read is no good either.
fn verdict(file: &str, bytes: &[u8]) -> Value {
    let problems: Vec<String> = match Model::decode(bytes) {
        Err(e) => vec![e.to_string()],
        Ok(model) => match check(&model) {
            Ok(_) => vec![],
            Err(e) => e.problems.iter().map(ToString::to_string).collect(),
        },
    };
    json!({"file": file, "ok": problems.is_empty(), "problems": problems})
}

fn write(path: &Path, model: &Model, more: Value) -> Result<(), Box<dyn Error>> {
    let bytes = model.encode();
    std::fs::write(path, &bytes)?;
    let mut line = verdict(&path.to_string_lossy(), &bytes);
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
    say(&line)
}

fn write_corpus(dir: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(dir)?;
    let exports = corpus::exports()
        .into_iter()
        .map(|(n, m)| (n.to_owned(), m));
    for (name, model) in exports.chain(corpus::good_nodes::models()) {
        let path = dir.join(format!("good-{name}.onnx"));
        write(&path, &model, json!({"name": name, "wanted": true}))?;
    }
    for (i, case) in corpus::broken().iter().enumerate() {
        let path = dir.join(format!("broken-{i:03}.onnx"));
        let laxer = corpus::laxer::why(case.name);
        write(
            &path,
            &case.model,
            json!({"name": case.name, "wanted": false, "laxer": laxer}),
        )?;
    }
    Ok(())
}

fn write_mutants(dir: &Path, count: usize, seed: u64) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(dir)?;
    for (i, model) in corpus::random(count, seed).enumerate() {
        write(&dir.join(format!("mutant-{i:05}.onnx")), &model, json!({}))?;
    }
    Ok(())
}

fn table() -> Result<(), Box<dyn Error>> {
    for name in operators() {
        for opset in OPSETS {
            if let Some(d) = operator(name, opset) {
                say(
                    &json!({"op": name, "opset": opset, "since": d.since, "inputs": d.inputs, "outputs": d.outputs, "attributes": d.attributes}),
                )?;
            }
        }
    }
    Ok(())
}
