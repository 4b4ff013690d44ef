//! `minrnn export`.

mod calibrate;
mod loss;
mod measured;
mod score;

use std::path::Path;

use anyhow::{Context, Result, bail};
use minrnn_onnx::export::{
    Activations, DirOptions, ExportOptions, Exported, Form, Lowering, Placement, StateLayout,
    StateNames, Target, Weights, Written, is_unfinished, write_export,
};

use crate::Outcome;
use crate::args::{Export, FormChoice};
use crate::files::{self, Loaded, MANIFEST};
use crate::table::{size, table};
use crate::ui::Ui;

pub(super) fn run(args: &Export, ui: &Ui) -> Result<Outcome> {
    check_own(&args.out)?;
    let loaded = files::load_checkpoint(&args.checkpoint)?;
    let data = args
        .eval
        .as_ref()
        .map(|given| loss::Data::open(given.as_deref(), &args.set, &loaded, ui))
        .transpose()?;
    let options = options(args, &loaded, data.as_ref())?;
    ui.note(&format!("exporting {}", loaded.path.display()));
    let exported = write(&loaded, &args.out, &options)?;
    ui.print(&format!(
        "{}\nweights {}\n",
        files_table(&exported.files),
        exported.weights_sha256
    ))?;
    report_loss(args, &loaded, data.as_ref(), ui)?;
    ui.note(&format!(
        "next: minrnn verify {} --checkpoint {}",
        args.out.display(),
        loaded.path.display()
    ));
    Ok(Outcome::Holds)
}

/// What the flags say, with the target's defaults.
fn options(args: &Export, loaded: &Loaded, data: Option<&loss::Data>) -> Result<DirOptions> {
    let target = Target::from_name(&args.target).context("no such target")?;
    let choices = target.choices();
    let lowering = match &args.lowering {
        None => choices.lowering,
        Some(name) => Lowering::ALL
            .into_iter()
            .find(|l| l.name() == name)
            .context("no such lowering")?,
    };
    let forms = forms(args.form, choices.forms, target)?;
    let names = StateNames::ALL
        .into_iter()
        .find(|n| n.name() == args.state_names);
    let names = names.context("no such names")?;
    let forms = match names {
        // It feeds sequences, also of one token, to one graph.
        StateNames::Genai if args.form == FormChoice::All => {
            forms.into_iter().filter(|f| *f != Form::Step).collect()
        }
        _ => forms,
    };
    if !choices.weights.contains(&args.dtype.as_str()) {
        bail!(
            "--target {} takes weights of {}, not {}; choose another --dtype or --target",
            target.name(),
            choices.weights.join(", "),
            args.dtype
        );
    }
    let options = ExportOptions {
        lowering,
        block: args.block.unwrap_or(choices.block),
        batch: args.batch.0,
        seq_len: args.seq_len.0,
        max_seq_len: args.max_seq_len,
        opset: args.opset.unwrap_or(choices.opset.max(lowering.opset())),
        weights: weights(args, loaded, data)?,
        fused_norms: choices.fused_norms,
        state_names: names,
        state_layout: match args.state_layout.as_str() {
            "stacked" => StateLayout::Stacked,
            _ => StateLayout::Separate,
        },
        lengths: args.lengths,
        reset: args.reset,
        target,
        ..ExportOptions::default()
    };
    Ok(DirOptions {
        forms,
        options,
        placement: match args.weights.as_str() {
            "inline" => Placement::Inline,
            "external" => Placement::External,
            "shared" => Placement::Shared,
            _ => Placement::Auto,
        },
        end_of_stream: end_of_stream(args, loaded)?,
        ..DirOptions::default()
    })
}

fn forms(choice: FormChoice, can: &[Form], target: Target) -> Result<Vec<Form>> {
    let one = match choice {
        FormChoice::All => return Ok(can.to_vec()),
        FormChoice::Parallel => Form::Parallel,
        FormChoice::Scan => Form::Scan,
        FormChoice::Step => Form::Step,
    };
    if !can.contains(&one) {
        let all: Vec<&str> = can.iter().map(|f| f.name()).collect();
        bail!(
            "--target {} has no operator Scan; use --form {}",
            target.name(),
            all.join(" or --form ")
        );
    }
    Ok(vec![one])
}

fn weights(args: &Export, loaded: &Loaded, data: Option<&loss::Data>) -> Result<Weights> {
    Ok(match (args.dtype.as_str(), args.activations.as_str()) {
        ("f16", _) => Weights::F16,
        ("bf16", _) => Weights::Bf16,
        ("int8", "static") => {
            let data = data.context(
                "--activations static is calibrated on data; --eval takes the checkpoint's own, --eval CONFIG.toml those of a training configuration",
            )?;
            Weights::Int8(Activations::Static(
                data.calibrate(&loaded.model, &loaded.params)?,
            ))
        }
        ("int8", _) => Weights::Int8(Activations::Row),
        _ => Weights::F32,
    })
}

/// A number, or the text of a token.
fn end_of_stream(args: &Export, loaded: &Loaded) -> Result<Option<usize>> {
    let Some(text) = &args.end_of_stream else {
        return Ok(None);
    };
    let words = loaded.checkpoint.vocabulary.as_deref().unwrap_or_default();
    let found = words.iter().position(|w| w == text);
    match found.or_else(|| text.parse().ok()) {
        Some(token) => Ok(Some(token)),
        None => bail!("--end-of-stream {text:?} is neither a token of the vocabulary nor a number"),
    }
}

/// What the weights' type costs, where there is data to measure it with.
fn report_loss(args: &Export, loaded: &Loaded, data: Option<&loss::Data>, ui: &Ui) -> Result<()> {
    let Some(data) = data else {
        if args.dtype != "f32" {
            ui.note(&format!(
                "what {} costs was not measured: --eval measures it on the checkpoint's own data, --eval CONFIG.toml on those of a training configuration",
                args.dtype
            ));
        }
        return Ok(());
    };
    let limit = args.eval_samples.unwrap_or(u64::MAX);
    let measured = data.measure(&loaded.model, &loaded.params, &args.out, limit, ui)?;
    ui.print(&measured.to_string())
}

/// Exports a checkpoint.
pub(super) fn write(loaded: &Loaded, out: &Path, options: &DirOptions) -> Result<Exported> {
    let options = DirOptions {
        vocabulary: loaded.checkpoint.vocabulary.clone(),
        measured: measured::figures(loaded),
        ..options.clone()
    };
    let exported = write_export(out, &loaded.model, &loaded.params, &options);
    exported.with_context(|| {
        format!(
            "cannot export {} to {}",
            loaded.path.display(),
            out.display()
        )
    })
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
