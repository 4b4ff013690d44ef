//! Runs the ONNX project's node test cases, as `tests/engines/node_cases.py` writes them, through the evaluator.
//!
//! `node_cases FOLDER [--list FILE] [--write]`: prints how many ran and were right. `FILE` names every case that does not run,
//! with the reason (without a list all must run); a case that is wrong, or that the list does not tell the truth of, is exit status 1. `--write` writes it.
//! Then one loop over the attributes of the standard's operators: written as their default they change nothing, and one that
//! an operator does not have is refused.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program's output"
)]
#![allow(
    clippy::unwrap_used,
    reason = "its inputs are made by a script beside it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use minrnn_onnx::eval::{Array, EvalErrorKind, Inputs, Limits, Session};
use minrnn_onnx::ir::{Attr, DType, Model};
use serde_json::Value;

/// What became of a case.
enum Verdict {
    Right,
    /// It does not run: why.
    Left(String),
    Wrong(String),
}

/// Operators that no sequence model has: image and regions, random, sequences and optionals, strings.
const OUTSIDE: &[&str] = &[
    "AffineGrid",
    "Bernoulli",
    "Col2Im",
    "DeformConv",
    "Det",
    "GridSample",
    "ImageDecoder",
    "MaxUnpool",
    "Multinomial",
    "NonMaxSuppression",
    "Optional",
    "OptionalGetElement",
    "OptionalHasElement",
    "RandomNormalLike",
    "RandomUniformLike",
    "RegexFullMatch",
    "Resize",
    "RoiAlign",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceInsert",
    "SequenceLength",
    "SequenceMap",
    "SplitToSequence",
    "ConcatFromSequence",
    "StringConcat",
    "StringNormalizer",
    "StringSplit",
    "TfIdfVectorizer",
    "Upsample",
];

fn read(path: &Path) -> Option<Array> {
    let bytes = fs::read(path).ok()?;
    let end = bytes.iter().position(|b| *b == b'\n').unwrap();
    let head: Value = serde_json::from_slice(&bytes[..end]).unwrap();
    let dims: Vec<usize> = head["dims"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d.as_u64().unwrap() as usize)
        .collect();
    let dtype = DType::from_code(head["dtype"].as_i64().unwrap() as i32).unwrap();
    Array::from_bytes(dtype, &dims, &bytes[end + 1..]).ok()
}

/// Operators, domains and element types of a model, bodies included.
fn outside(model: &Model, folder: &Path) -> bool {
    fn graph(g: &minrnn_onnx::ir::Graph, f: &mut impl FnMut(&minrnn_onnx::ir::Node)) {
        for node in &g.nodes {
            f(node);
            node.subgraphs().for_each(|(_, g)| graph(g, f));
        }
    }
    let mut out = folder.join("not_tensors").exists();
    graph(&model.graph, &mut |n| {
        out |= n.domain.contains("ml")
            || n.domain.contains("preview")
            || OUTSIDE.contains(&n.op_type.as_str());
    });
    let values = model.graph.inputs.iter().chain(&model.graph.outputs);
    let small = |d: DType| d.bits().is_none_or(|b| b < 8) || d.name().starts_with("f8");
    out | values
        .clone()
        .any(|v| v.other.is_some() || v.dtype.is_some_and(small))
        || folder.to_string_lossy().contains("training_dropout")
        || folder.to_string_lossy().contains("train")
}

/// Within the tolerance of a case, and at least some units of the last place: of the value, and of the largest, which sums
/// that were made in that type carry.
fn same(got: &Array, want: &Array, (relative, absolute): (f64, f64)) -> Result<(), String> {
    if (got.dtype(), got.dims()) != (want.dtype(), want.dims()) {
        return Err(format!(
            "{} {:?} for {} {:?}",
            got.dtype(),
            got.dims(),
            want.dtype(),
            want.dims()
        ));
    }
    let (Some(g), Some(w)) = (got.floats(), want.floats()) else {
        return match got.ints() == want.ints() {
            true => Ok(()),
            false => Err(format!(
                "{:?} for {:?}",
                got.ints().unwrap(),
                want.ints().unwrap()
            )),
        };
    };
    let unit = match want.dtype() {
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        _ => 2f64.powi(-22),
    };
    let largest = w
        .iter()
        .filter(|w| w.is_finite())
        .fold(0f64, |m, w| m.max(w.abs()));
    let (relative, absolute) = (relative.max(unit), absolute.max(unit * largest));
    for (i, (g, w)) in g.iter().zip(w).enumerate() {
        let near =
            g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() <= absolute + relative * w.abs();
        if !near {
            return Err(format!("{g} for {w} at {i}"));
        }
    }
    Ok(())
}

/// Inputs and right outputs of every data set.
fn sets(model: &Model, folder: &Path) -> Vec<(Option<Inputs>, Vec<Option<Array>>)> {
    let mut all = vec![];
    for set in 0.. {
        if !folder.join(format!("{set}.output_0")).exists() {
            break;
        }
        let mut inputs = Some(Inputs::new());
        for (i, info) in model.graph.inputs.iter().enumerate() {
            let path = folder.join(format!("{set}.input_{i}"));
            if !path.exists() {
                continue;
            }
            match (read(&path), &mut inputs) {
                (Some(x), Some(map)) => drop(map.insert(info.name.clone(), x)),
                _ => inputs = None,
            }
        }
        let outputs =
            (0..model.graph.outputs.len()).map(|i| read(&folder.join(format!("{set}.output_{i}"))));
        all.push((inputs, outputs.collect()));
    }
    all
}

fn run(folder: &Path, model: &Model) -> Verdict {
    let session = match Session::open(model, None) {
        Ok(s) => s,
        Err(e) => return Verdict::Left(e.kind.to_string()),
    };
    let text = fs::read_to_string(folder.join("tolerance")).unwrap();
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(|w| w.parse().unwrap())
        .collect();
    let sets = sets(model, folder);
    if sets.is_empty() || folder.join("not_tensors").exists() {
        return Verdict::Left("a value is no tensor of numbers".into());
    }
    for (inputs, outputs) in sets {
        let Some(inputs) = inputs else {
            return Verdict::Left("an input is of a type that is not evaluated".into());
        };
        let got = match session.run(&inputs, &Limits::default()) {
            Ok(o) => o,
            Err(e) => return Verdict::Left(e.kind.to_string()),
        };
        for (name, want) in got.names.iter().zip(&outputs) {
            let Some(want) = want else {
                return Verdict::Left("an output is of a type that is not evaluated".into());
            };
            let Some(value) = got.get(name) else { continue };
            if let Err(what) = same(&value.rounded(), want, (numbers[0], numbers[1])) {
                // One quantum where the decision is within rounding.
                let edges: BTreeSet<usize> = value.edges().iter().map(|e| e.position).collect();
                return Verdict::Wrong(format!("{name}: {what}; {} on an edge", edges.len()));
            }
        }
    }
    Verdict::Right
}

/// One attribute more or less in the one node of a model that runs right.
fn attributes(root: &Path, right: &[PathBuf]) -> Result<(usize, usize, usize), String> {
    let schema: Value =
        serde_json::from_slice(&fs::read(root.join("schema.json")).unwrap()).unwrap();
    let mut versions: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for v in schema.as_array().unwrap() {
        versions
            .entry(v["op"].as_str().unwrap())
            .or_default()
            .push(v);
    }
    let (mut same_, mut refused, mut unknown) = (0, 0, 0);
    for folder in right {
        let model = Model::decode(&fs::read(folder.join("model.onnx")).unwrap()).unwrap();
        let [node] = &model.graph.nodes[..] else {
            continue;
        };
        let opset = model.opset().unwrap();
        let known = versions.get(node.op_type.as_str()).into_iter().flatten();
        let Some(version) = known
            .filter(|v| v["since"].as_i64().unwrap() <= opset)
            .max_by_key(|v| v["since"].as_i64())
        else {
            continue;
        };
        let with = |name: &str, attr: Attr| {
            let mut changed = model.clone();
            changed.graph.nodes[0]
                .attributes
                .push((name.to_owned(), attr));
            let session = Session::open(&changed, None);
            let (inputs, outputs) = sets(&model, folder).swap_remove(0);
            session
                .and_then(|s| s.run(&inputs.unwrap(), &Limits::default()))
                .map(|o| (o, outputs))
        };
        let place = folder.file_name().unwrap().to_string_lossy().into_owned();
        match with("no_such_attribute", Attr::Int(1)) {
            Err(e) if matches!(&e.kind, EvalErrorKind::UnknownAttribute(n) if n == "no_such_attribute") => {
                unknown += 1
            }
            Err(e)
                if node.op_type == "Constant"
                    && matches!(e.kind, EvalErrorKind::Attribute { .. }) =>
            {
                unknown += 1
            }
            Err(e) => return Err(format!("{place}: with an attribute that is not there: {e}")),
            Ok(_) => {
                return Err(format!(
                    "{place}: an attribute that is not there is ignored"
                ));
            }
        }
        for a in version["attributes"].as_array().unwrap() {
            let name = a["name"].as_str().unwrap();
            if node.attr(name).is_some() || a.get("default").is_none() {
                continue;
            }
            let d = &a["default"];
            let attr = match a["type"].as_str().unwrap() {
                "INT" => Attr::Int(d.as_i64().unwrap()),
                "FLOAT" => Attr::Float(d.as_f64().unwrap() as f32),
                "STRING" => Attr::Str(d.as_str().unwrap().as_bytes().to_vec()),
                "INTS" => Attr::Ints(
                    d.as_array()
                        .unwrap()
                        .iter()
                        .map(|n| n.as_i64().unwrap())
                        .collect(),
                ),
                "STRINGS" => Attr::Strs(
                    d.as_array()
                        .unwrap()
                        .iter()
                        .map(|n| n.as_str().unwrap().as_bytes().to_vec())
                        .collect(),
                ),
                other => return Err(format!("{place}: a default of type {other}")),
            };
            match with(name, attr) {
                Ok((got, want)) => {
                    for (output, want) in got.names.iter().zip(want) {
                        let want = want.unwrap();
                        same(&got.get(output).unwrap().rounded(), &want, (1e-3, 1e-5)).map_err(
                            |e| {
                                format!(
                                    "{place}: `{name}` written as its default changes {output}: {e}"
                                )
                            },
                        )?;
                    }
                    same_ += 1;
                }
                Err(e) => {
                    println!("{place}: `{name}` as its default is refused: {e}");
                    refused += 1;
                }
            }
        }
    }
    Ok((same_, refused, unknown))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let root = PathBuf::from(
        args.first()
            .expect("node_cases FOLDER [--list FILE] [--write]"),
    );
    let list = args
        .iter()
        .position(|a| a == "--list")
        .map(|i| PathBuf::from(&args[i + 1]));
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    folders.sort();
    let (mut right, mut left, mut wrong) = (vec![], BTreeMap::new(), 0);
    let (mut scope, mut scope_right) = (0, 0);
    for folder in &folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let (verdict, inside) = match Model::decode(&fs::read(folder.join("model.onnx")).unwrap()) {
            Ok(model) => (run(folder, &model), !outside(&model, folder)),
            Err(e) => (Verdict::Left(e.to_string()), false),
        };
        scope += usize::from(inside);
        match verdict {
            Verdict::Right => {
                scope_right += usize::from(inside);
                right.push(folder.clone());
            }
            Verdict::Left(why) => drop(left.insert(
                name,
                format!("{}{why}", if inside { "" } else { "(outside) " }),
            )),
            Verdict::Wrong(what) => {
                println!("WRONG {name}: {what}");
                wrong += 1;
            }
        }
    }
    println!(
        "{} cases: {} run and are right, {} are wrong, {} do not run",
        folders.len(),
        right.len(),
        wrong,
        left.len()
    );
    println!(
        "of {scope} of numbers, outside of image, random, sequence, training: {scope_right} run and are right"
    );
    let text: String = left
        .iter()
        .map(|(n, why)| format!("{n}: {why}\n"))
        .collect();
    let mut good = wrong == 0;
    match list {
        Some(path) if args.iter().any(|a| a == "--write") => fs::write(path, text).unwrap(),
        Some(path) if fs::read_to_string(&path).unwrap() != text => {
            let old = fs::read_to_string(&path).unwrap();
            let (old, new): (BTreeSet<&str>, BTreeSet<&str>) =
                (old.lines().collect(), text.lines().collect());
            old.difference(&new)
                .for_each(|l| println!("no longer: {l}"));
            new.difference(&old)
                .for_each(|l| println!("not in the list: {l}"));
            good = false;
        }
        None if !left.is_empty() => {
            left.iter()
                .for_each(|(name, why)| println!("does not run: {name}: {why}"));
            good = false;
        }
        _ => {}
    }
    match attributes(&root, &right) {
        Ok((same, refused, unknown)) => println!(
            "attributes: {same} written as their defaults change nothing, {refused} are refused; {unknown} unknown ones are refused"
        ),
        Err(what) => {
            println!("WRONG {what}");
            good = false;
        }
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
