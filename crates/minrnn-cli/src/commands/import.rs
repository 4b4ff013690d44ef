//! `minrnn import`.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use minrnn_model::config::BlockConfig;
use minrnn_model::layers::Activation;
use minrnn_train::checkpoint::Checkpoint;
use minrnn_train::import::{Imported, Layout, Options, Row, import, vocabulary};
use serde_json::{Value as Json, json};

use crate::Outcome;
use crate::args::{ActivationChoice, Import, LayoutChoice};
use crate::files;
use crate::lock::Lock;
use crate::outputs::Outputs;
use crate::table::{facts, grouped, table};
use crate::ui::Ui;

/// No vocabulary and no configuration is longer, bytes.
const MOST: u64 = 64 << 20;

pub(super) fn run(args: &Import, ui: &Ui) -> Result<Outcome> {
    Outputs::new()
        .reads("FILE", Some(&args.file))
        .reads("--vocab", args.vocab.as_deref())
        .writes_folder("--out", &args.out)
        .check()?;
    check_own(&args.out)?;
    let _lock = Lock::beside(&args.out, ui)?;
    Checkpoint::check_place(&args.out)?;
    let imported = import(&args.file, &options(args)?)?;
    imported
        .checkpoint
        .save(&args.out)
        .with_context(|| format!("cannot write the checkpoint {}", args.out.display()))?;
    imported
        .notes
        .iter()
        .for_each(|note| ui.note(&format!("note: {note}")));
    if args.json {
        ui.print(&format!("{:#}\n", report(args, &imported)))?;
    } else {
        ui.print(&tables(&imported))?;
    }
    ui.note(&format!(
        "next: minrnn export {} --out DIR",
        args.out.display()
    ));
    Ok(Outcome::Holds)
}

/// A folder with anything else than an earlier import is somebody's; a training run's checkpoint is, too.
fn check_own(out: &Path) -> Result<()> {
    let earlier = || {
        let text = files::read_text(&out.join("config.json"), MOST).ok()?;
        serde_json::from_str::<Json>(&text)
            .ok()?
            .get("import")
            .cloned()
    };
    if files::is_free(out)? || earlier().is_some() {
        return Ok(());
    }
    bail!(
        "{} is not empty and no import of minrnn; choose another folder with --out",
        out.display()
    )
}

fn options(args: &Import) -> Result<Options> {
    let read = |path: &Path| {
        let text = files::read_text(path, MOST)?;
        vocabulary(&text).map_err(|e| anyhow!("{}: {e}", path.display()))
    };
    Ok(Options {
        layout: args.layout.map(|l| match l {
            LayoutChoice::Lucidrains => Layout::Lucidrains,
            LayoutChoice::Minrnns => Layout::Minrnns,
            LayoutChoice::Transformers => Layout::Transformers,
            LayoutChoice::NanoGpt => Layout::NanoGpt,
            LayoutChoice::Torch => Layout::Torch,
        }),
        key: args.key.clone(),
        prefix: args.prefix.clone(),
        vocabulary: args.vocab.as_deref().map(read).transpose()?,
        norm_eps: args.norm_eps,
        activation: args.activation.map(|a| match a {
            ActivationChoice::Gelu => Activation::Gelu,
            ActivationChoice::GeluTanh => Activation::GeluTanh,
            ActivationChoice::Silu => Activation::Silu,
        }),
        normalize_gates: args.normalize_gates,
        heads: args.heads,
        tie: args.tie,
    })
}

/// What was found, and the mapping.
fn tables(imported: &Imported) -> String {
    let config = &imported.config;
    let (width, layers) = (config.width, config.layers);
    let mut rows = vec![
        ("file", imported.format.clone()),
        ("layout", imported.layout.name().to_owned()),
        ("found", imported.architecture.clone()),
        (
            "blocks",
            format!(
                "{layers} of width {width}, expansion {}",
                imported.config.channels().unwrap_or(width) as f64 / width as f64
            ),
        ),
    ];
    if let Some(conv) = &config.conv {
        rows.push(("convolution", format!("{} steps", conv.kernel)));
    }
    if let BlockConfig::Mamba(block) = &config.block {
        let steps = block.kernel;
        rows.push((
            "around the mixer",
            format!("Mamba's block, convolution of {steps} steps"),
        ));
    }
    if let Some(mlp) = &config.mlp {
        rows.push(("feed-forward", format!("expansion {}", mlp.expansion)));
    }
    if let Some(vocab) = config.input.as_ref().and_then(|i| i.vocab) {
        rows.push(("tokens", vocab.to_string()));
    }
    if let Some(features) = config.input.as_ref().and_then(|i| i.features) {
        rows.push(("features", features.to_string()));
    }
    if imported.rows.iter().any(|r| r.name == "head.norm.weight") {
        rows.push(("norm epsilon", format!("{:e}", *config.norm_eps)));
    }
    rows.push(("parameters", grouped(parameters(imported))));
    let header = ["theirs", "shape", "ours", "shape", "how"];
    let mapping = table(header, imported.rows.iter().map(cells), &[]);
    format!("{}\n{mapping}\n", facts(rows))
}

fn cells(row: &Row) -> [String; 5] {
    let names: Vec<_> = row.from.iter().map(|(name, _)| name.as_str()).collect();
    let shapes: Vec<_> = row
        .from
        .iter()
        .map(|(_, shape)| format!("{shape:?}"))
        .collect();
    [
        names.join("\n"),
        shapes.join("\n"),
        row.name.clone(),
        format!("{:?}", row.shape),
        row.how.to_string(),
    ]
}

fn parameters(imported: &Imported) -> usize {
    let lengths = imported.checkpoint.params.values().map(|t| t.data.len());
    lengths.sum()
}

fn report(args: &Import, imported: &Imported) -> Json {
    let row = |row: &Row| {
        let from = |(name, shape): &(String, Vec<usize>)| json!({ "name": name, "shape": shape });
        json!({
            "name": row.name,
            "shape": row.shape,
            "from": row.from.iter().map(from).collect::<Json>(),
            "how": row.how.to_string(),
        })
    };
    json!({
        "schema": "minrnn.import/1",
        "file": args.file,
        "format": imported.format,
        "layout": imported.layout.name(),
        "architecture": imported.architecture,
        "checkpoint": args.out,
        "parameters": parameters(imported),
        "model": imported.checkpoint.config["model"],
        "mapping": imported.rows.iter().map(row).collect::<Json>(),
        "notes": imported.notes,
    })
}
