//! `minrnn export`.

mod calibrate;
mod choice;
mod exported;
mod loss;
mod measured;
mod score;
mod unused;

use std::path::Path;

use anyhow::{Context, Result, bail};
use minrnn_onnx::export::{
    Activations, DirOptions, ExportOptions, Exported, Form, Lowering, Weights, Written,
    is_unfinished, write_export,
};

use minrnn_train::data::Vocabulary;

use crate::Outcome;
use crate::args::Export;
use crate::files::{self, Loaded, MANIFEST};
use crate::given::Given;
use crate::outputs::Outputs;
use crate::table::{size, table};
use crate::ui::Ui;
use choice::Choice;

pub(super) fn run(args: &Export, given: &Given, ui: &Ui) -> Result<Outcome> {
    let mut choice = Choice::of(args)?;
    unused::refuse(given, &choice)?;
    unused::refuse_sets(&args.set, matches!(args.eval, Some(None)), is_static(args))?;
    let mut plain = choice.options(args)?;
    needs_data(args)?;
    check_outputs(args)?;
    check_own(&args.out)?;
    let loaded = files::load_checkpoint(&args.checkpoint)?;
    let graph = loaded.model.graph();
    choice.steps = choice.lowering.is_of_steps(graph);
    unused::refuse_for(given, graph, &choice)?;
    if args.opset.is_none() {
        plain.opset = plain.opset.max(choice.lowering.opset_of(graph));
    }
    if !given.has("max_seq_len") {
        plain.max_seq_len = plain.longest_by_memory(loaded.model.graph());
        shorter(&mut choice, plain.max_seq_len, ui);
    }
    let end_of_stream = end_of_stream(args, &loaded, ui)?;
    let data = args
        .eval
        .as_ref()
        .map(|file| loss::Data::open(file.as_deref(), &args.set, &loaded, ui))
        .transpose()?;
    let plan = data
        .as_ref()
        .map(|data| data.plan(&choice, args.eval_samples))
        .transpose()?;
    if let Some(note) = plan.as_ref().and_then(|p| p.beyond(args.eval_samples)) {
        ui.note(&note);
    }
    let options = DirOptions {
        forms: choice.forms.clone(),
        options: ExportOptions {
            weights: weights(args, &loaded, data.as_ref())?,
            ..plain
        },
        placement: choice::placement(args),
        end_of_stream,
        ..DirOptions::default()
    };
    ui.note(&format!("exporting {}", loaded.path.display()));
    let exported = write(&loaded, &args.out, &options)?;
    ui.print(&format!(
        "{}\nweights {}\n",
        files_table(&exported.files),
        exported.weights_sha256
    ))?;
    if choice::beside(args) && !exported.files.iter().any(is_data) {
        ui.error(&format!(
            "warning: --weights {} changed nothing: no weight has 1024 bytes or more, and smaller ones stay in the graphs",
            args.weights
        ));
    }
    match data.as_ref().zip(plan) {
        Some((data, plan)) => {
            let measured = data.measure(&loaded.model, &loaded.params, &args.out, &plan, ui)?;
            ui.print(&measured.to_string())?;
        }
        None => not_measured(args, ui),
    }
    next(args, &choice, &loaded.path, ui);
    Ok(Outcome::Holds)
}

/// Takes the shorter limit of a model with wide states, and says so where it holds.
fn shorter(choice: &mut Choice, longest: usize, ui: &Ui) {
    let limited = !matches!(
        choice.lowering,
        Lowering::BlockedScan | Lowering::LinearAttention
    );
    if longest < choice.max_seq_len
        && choice.has(Form::Parallel)
        && choice.seq_len.is_none()
        && limited
    {
        ui.note(&format!(
            "note: the form parallel takes T up to {longest}: its states are wide, and beyond one tensor of a row may have more than \
             256 MB; --max-seq-len gives another limit, the forms scan and step have none"
        ));
    }
    choice.max_seq_len = longest;
}

const STATIC: &str = "--activations static is calibrated on data; --eval takes the checkpoint's own, --eval CONFIG.toml those of a training configuration";

fn is_static(args: &Export) -> bool {
    args.dtype == "int8" && args.activations == "static"
}

/// Scales that do not depend on the input come of data.
fn needs_data(args: &Export) -> Result<()> {
    match is_static(args) && args.eval.is_none() {
        true => bail!("{STATIC}"),
        false => Ok(()),
    }
}

fn weights(args: &Export, loaded: &Loaded, data: Option<&loss::Data>) -> Result<Weights> {
    Ok(match (args.dtype.as_str(), args.activations.as_str()) {
        ("f16", _) => Weights::F16,
        ("bf16", _) => Weights::Bf16,
        ("int8", "static") => {
            let data = data.context(STATIC)?;
            Weights::Int8(Activations::Static(
                data.calibrate(&loaded.model, &loaded.params)?,
            ))
        }
        ("int8", _) => Weights::Int8(Activations::Row),
        _ => Weights::F32,
    })
}

/// The text of a token, or a number. A text of digits that is a token is that token; what it might have been besides is said.
fn end_of_stream(args: &Export, loaded: &Loaded, ui: &Ui) -> Result<Option<usize>> {
    let Some(text) = &args.end_of_stream else {
        return Ok(None);
    };
    let words = loaded.checkpoint.vocabulary.as_ref();
    let words = words.map(Vocabulary::of).transpose()?;
    let number: Option<usize> = text.parse().ok();
    let token = words.as_ref().and_then(|w| w.token(text));
    let Some(token) = token.map(|token| token as usize) else {
        let known = number.with_context(|| {
            format!("--end-of-stream {text:?} is neither a token of the vocabulary nor a number")
        });
        return known.map(Some);
    };
    let other = number.filter(|n| *n != token);
    if let Some((number, word)) =
        other.and_then(|n| Some((n, words.as_ref()?.name(u32::try_from(n).ok()?)?)))
    {
        ui.note(&format!(
            "note: --end-of-stream {text} is taken for the text of a token, which is token {token}; token {number} is {word:?}"
        ));
    }
    Ok(Some(token))
}

/// What the weights' type costs is not known where there is no data to measure it with.
fn not_measured(args: &Export, ui: &Ui) {
    if args.dtype != "f32" {
        ui.note(&format!(
            "what {} costs was not measured: --eval measures it on the checkpoint's own data, --eval CONFIG.toml on those of a training configuration",
            args.dtype
        ));
    }
}

/// How to verify what was written. No engine here has LinearAttention: of such a file the judge alone, in float64, can say
/// whether it computes what another form does.
fn next(args: &Export, choice: &Choice, checkpoint: &Path, ui: &Ui) {
    let out = args.out.display();
    let foreign = |form: Form| choice.has(form) && choice.is_for_other_engines(form);
    if !foreign(Form::Parallel) && !foreign(Form::Step) {
        let from = checkpoint.display();
        return ui.note(&format!("next: minrnn verify {out} --checkpoint {from}"));
    }
    let file = |form: Form| args.out.join(format!("model.{}.onnx", form.name()));
    let (parallel, scan, step) = (file(Form::Parallel), file(Form::Scan), file(Form::Step));
    let how = if choice.has(Form::Parallel) && choice.has(Form::Step) {
        format!(
            "minrnn verify --sequence {} --step {}",
            parallel.display(),
            step.display()
        )
    } else if choice.has(Form::Step) && choice.has(Form::Scan) {
        format!(
            "minrnn verify --sequence {} --step {}",
            scan.display(),
            step.display()
        )
    } else if !choice.has(Form::Parallel) {
        let sequence = "write the form scan or parallel too, and hold them to each other with minrnn verify --sequence FILE --step";
        format!("{sequence} {}", step.display())
    } else if choice.has(Form::Scan) {
        format!(
            "minrnn verify --against {} {}",
            scan.display(),
            parallel.display()
        )
    } else {
        "write the form scan or step too, and compare the two files".to_owned()
    };
    if choice.steps {
        let forms: Vec<&str> = [Form::Parallel, Form::Step]
            .into_iter()
            .filter(|form| foreign(*form))
            .map(Form::name)
            .collect();
        let instead = match choice.has(Form::Scan) {
            true => "; run takes the form scan",
            false => "; write the form scan too, and run takes it",
        };
        ui.error(&format!(
            "warning: what is written of {} has the operator LinearAttention of com.microsoft, which neither minrnn-runtime nor tract has: `minrnn verify {out}` and `minrnn generate {out}` cannot run it{instead}",
            forms.join(" and ")
        ));
        return ui.note(&format!("next: {how}"));
    }
    ui.error(&format!(
        "warning: the form parallel has the operator LinearAttention, which neither minrnn-runtime nor tract has: `minrnn verify {out}`, `minrnn run {out} --form parallel` and `minrnn generate {out} --engine parallel` cannot run it{}",
        instead(choice)
    ));
    ui.note(&format!("next: {how}"));
}

/// What `run` and `generate` do without the form parallel.
fn instead(choice: &Choice) -> &'static str {
    match (choice.has(Form::Scan), choice.has(Form::Step)) {
        (true, true) => {
            "; without these flags, run takes the form scan, and generate the forms scan and step"
        }
        (true, false) => {
            "; without the flag, run takes the form scan; generate needs the form step"
        }
        (false, true) => "; without these flags, both take the form step",
        (false, false) => "; nor can they without these flags, as there is no other form",
    }
}

/// Exports a checkpoint.
pub(super) fn write(loaded: &Loaded, out: &Path, options: &DirOptions) -> Result<Exported> {
    let options = DirOptions {
        vocabulary: loaded.checkpoint.vocabulary.clone(),
        measured: measured::figures(loaded),
        ..options.clone()
    };
    let exported =
        write_export(out, &loaded.model, &loaded.params, &options).map_err(choice::by_flag);
    exported.with_context(|| {
        format!(
            "cannot export {} to {}",
            loaded.path.display(),
            out.display()
        )
    })
}

/// The folder may hold other things that are read: only files of an export are replaced in it.
fn check_outputs(args: &Export) -> Result<()> {
    let config = args.eval.as_ref().and_then(Option::as_deref);
    Outputs::new()
        .reads_folder("CHECKPOINT", Some(&args.checkpoint))
        .reads("--eval", config)
        .writes_export("--out", &args.out)
        .check()
}

/// A folder with anything else than an export is somebody's, and an export has a README.md of its own.
fn check_own(out: &Path) -> Result<()> {
    if files::is_free(out)? || is_unfinished(out) || is_export(out) {
        return Ok(());
    }
    bail!(
        "{} is not empty and no export of minrnn; choose another folder with --out",
        out.display()
    )
}

/// Other programs have a manifest.json, too.
fn is_export(dir: &Path) -> bool {
    let text = std::fs::read(dir.join(MANIFEST)).unwrap_or_default();
    let manifest: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
    let schema = manifest.as_ref().and_then(|m| m["schema"].as_str());
    schema.is_some_and(|s| s.starts_with("minrnn.manifest/"))
}

/// Weights beside a graph.
fn is_data(file: &Written) -> bool {
    file.path.extension().is_some_and(|end| end == "data")
}

/// Names, sizes and hashes.
fn files_table(files: &[Written]) -> comfy_table::Table {
    let row = |file: &Written| {
        let name = file.path.file_name().unwrap_or(file.path.as_os_str());
        [
            name.to_string_lossy().into_owned(),
            size(file.bytes),
            file.sha256.clone(),
        ]
    };
    table(
        ["file", "size", "sha256"],
        files.iter().map(row).collect::<Vec<_>>(),
        &[1],
    )
}
