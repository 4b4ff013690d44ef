//! Fills the tables of `docs/performance.md` from what `minrnn bench` wrote.
//!
//! `cargo run --example tables -- scan.json train.json docs/performance.md [PROFILE.txt]`
//!
//! `PROFILE.txt` is what `minrnn bench train --only 'language model' --profile` prints; without it the profile
//! stays as it is. A table is what stands between `<!-- table: NAME -->` and `<!-- /table -->`.

mod bench_json;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use bench_json::{Kernel, Scan};
use serde::Deserialize;

/// What others take for the same work, milliseconds: medians on one H100 80GB HBM3 with PyTorch 2.11, CUDA 13.0,
/// Triton 3.6, minGRU-pytorch 0.2.1, flash-linear-attention 0.6.0, accelerated-scan 0.3.1, by `triton.testing.do_bench`.
mod others {
    /// Of the layers, batch 64: (T, D).
    pub(super) const LAYERS: [(usize, usize); 4] = [(512, 64), (4096, 64), (512, 384), (4096, 384)];
    pub(super) const MIN_GRU: [f64; 4] = [2.14, 13.3, 4.36, 32.5];
    pub(super) const MIN_GRU_COMPILED: [f64; 4] = [1.02, 3.54, 1.44, 10.6];
    pub(super) const MIN_LSTM: [f64; 4] = [2.10, 14.1, 5.05, 37.9];
    pub(super) const MIN_LSTM_COMPILED: [f64; 4] = [1.40, 3.81, 1.69, 13.0];
    pub(super) const CUDNN_GRU: [f64; 4] = [2.17, 17.9, 18.6, 165.0];
    pub(super) const CUDNN_LSTM: [f64; 4] = [1.91, 8.29, 16.8, 141.0];
    pub(super) const MAMBA: [f64; 4] = [2.81, 8.61, 6.40, 50.1];
    /// `GRUCell` step by step, one timed pass each: the time, and whether it can be relied on.
    pub(super) const GRU_CELL: [Option<(f64, bool)>; 4] =
        [Some((788.0, false)), Some((1750.0, true)), None, None];
    /// Highest use of memory at T=4096, D=384, MB.
    pub(super) const MEMORY: [(&str, f64); 5] = [
        ("minGRU, public PyTorch, eager", 7348.0),
        ("minLSTM, public PyTorch, eager", 8154.0),
        ("torch.nn.GRU (cuDNN)", 6858.0),
        ("torch.nn.LSTM (cuDNN)", 6457.0),
        ("Mamba (mamba_ssm)", 8998.0),
    ];
    /// A shape, and then forward and backward of chunk_hgrn, fused_recurrent_hgrn and the better of
    /// accelerated-scan's two, in f32.
    pub(super) type ScanTimes = ([usize; 3], [Option<(f64, f64)>; 3]);
    pub(super) const SCANS: [ScanTimes; 5] = [
        (
            [64, 512, 384],
            [
                Some((0.165, 0.311)),
                Some((0.258, 0.296)),
                Some((0.090, 0.122)),
            ],
        ),
        (
            [64, 4096, 384],
            [
                Some((0.995, 1.556)),
                Some((1.99, 2.31)),
                Some((0.418, 0.702)),
            ],
        ),
        (
            [8, 65536, 384],
            [Some((2.60, 4.66)), Some((29.2, 31.8)), None],
        ),
        (
            [1, 65536, 1024],
            [Some((1.60, 3.42)), Some((28.4, 31.5)), None],
        ),
        (
            [64, 512, 64],
            [Some((0.096, 0.309)), Some((0.223, 0.261)), None],
        ),
    ];
    /// The language model: variant, TF32, bf16 autocast.
    pub(super) const LANGUAGE: [(&str, f64, f64); 4] = [
        ("PyTorch, log-space scan, eager", 17.8, 16.7),
        ("the same, torch.compile", 10.5, 12.0),
        ("the same, torch.compile with CUDA graphs", 8.99, 6.66),
        (
            "PyTorch, fla's Triton scan, better of eager and compiled",
            12.3,
            14.0,
        ),
    ];
}

const TRAIN: &str = "minrnn.bench.train/1";
const TYPES: [&str; 3] = ["f32", "tf32", "bf16"];

#[derive(Debug, Deserialize)]
struct Train {
    device: String,
    rows: Vec<Step>,
}

/// A training step.
#[derive(Debug, Deserialize)]
struct Step {
    model: String,
    shape: [usize; 3],
    dtype: String,
    ms: f64,
    tokens_per_s: f64,
    peak_bytes: usize,
    launches: u64,
}

impl Train {
    fn step(&self, model: &str, shape: [usize; 3], dtype: &str) -> Result<&Step> {
        let found = self
            .rows
            .iter()
            .find(|r| r.model == model && r.shape == shape && r.dtype == dtype);
        let step = found.with_context(|| format!("no row for {model} {shape:?} {dtype}"))?;
        ensure!(
            step.ms.is_finite() && step.ms > 0.0,
            "{step:?}: times are positive"
        );
        Ok(step)
    }

    fn layer(&self, cell: &str, (t, d): (usize, usize), dtype: &str) -> Result<&Step> {
        self.step(&format!("layer {cell}"), [64, t, d], dtype)
    }

    fn language(&self, dtype: &str) -> Result<&Step> {
        self.step("language model", [64, 256, 384], dtype)
    }
}

/// Three significant digits.
fn digits(x: f64) -> String {
    let places = (2 - x.log10().floor() as i32).clamp(0, 5) as usize;
    format!("{x:.places$}")
}

/// The first column to the left, the others to the right.
fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!(
        "| {} |\n|---{}|\n",
        header.join(" | "),
        "|---:".repeat(header.len() - 1)
    );
    for row in rows {
        text += &format!("| {} |\n", row.join(" | "));
    }
    text
}

fn shape([b, t, d]: [usize; 3]) -> String {
    format!("{b}, {t}, {d}")
}

/// One operation: a row for each pass and shape, a column for each type.
fn kernels(scan: &Scan, op: &str) -> Result<String> {
    let of = |rung: &str| -> Vec<&Kernel> {
        scan.rows
            .iter()
            .filter(|r| r.op == op && r.rung == rung)
            .collect()
    };
    let (shipped, simple) = (of("shipped"), of("simple"));
    let mut types: Vec<&str> = vec![];
    let mut lines: Vec<(&str, [usize; 3])> = vec![];
    for row in &shipped {
        if !types.contains(&row.dtype.as_str()) {
            types.push(&row.dtype);
        }
        if !lines.contains(&(&row.pass, row.shape)) {
            lines.push((&row.pass, row.shape));
        }
    }
    ensure!(!lines.is_empty(), "no rows for {op}");
    lines.sort_by_key(|(pass, _)| *pass != "forward");
    let mut header = vec!["pass: B, T, D".to_owned()];
    header.extend(
        types
            .iter()
            .map(|ty| format!("{ty}: ms (GB/s, % of a copy)")),
    );
    header.push("simple rung, f32: ms (%)".to_owned());
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|(pass, size)| {
            let find = |rows: &[&Kernel], ty: &str, all: bool| -> String {
                let row = rows
                    .iter()
                    .find(|r| r.pass == *pass && r.shape == *size && r.dtype == ty);
                row.map_or("—".to_owned(), |r| {
                    let share = 100.0 * r.copy_fraction;
                    match all {
                        true => format!("{} ({:.0}, {share:.0})", digits(r.ms), r.gbps),
                        false => format!("{} ({share:.0})", digits(r.ms)),
                    }
                })
            };
            let mut cells = vec![format!("{pass}: {}", shape(*size))];
            cells.extend(types.iter().map(|ty| find(&shipped, ty, true)));
            cells.push(find(&simple, "f32", false));
            cells
        })
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    Ok(table(&header, &rows))
}

/// The bare recurrence beside the kernels of others.
fn scans(scan: &Scan) -> Result<String> {
    let pair = |(f, b): (f64, f64)| format!("{} / {}", digits(f), digits(b));
    let mut rows = vec![];
    for (size, times) in others::SCANS {
        let ours = |pass: &str| {
            let is = |r: &&Kernel| {
                (r.op.as_str(), r.rung.as_str(), r.dtype.as_str())
                    == ("linear_scan", "shipped", "f32")
                    && r.pass == pass
                    && r.shape == size
            };
            let row = scan.rows.iter().find(is);
            row.map(|r| r.ms)
                .with_context(|| format!("no row for linear_scan {pass} {size:?} f32"))
        };
        let mut cells = vec![shape(size), pair((ours("forward")?, ours("backward")?))];
        cells.extend(times.map(|t| t.map_or("—".to_owned(), pair)));
        rows.push(cells);
    }
    let header = [
        "B, T, D",
        "minrnn",
        "fla chunk_hgrn",
        "fla fused_recurrent_hgrn",
        "accelerated-scan [B,D,T]",
    ];
    Ok(table(&header, &rows))
}

fn times_faster(theirs: f64, ours: f64) -> String {
    let ratio = theirs / ours;
    match ratio < 100.0 {
        true => format!("{ratio:.1}×"),
        false => format!("{ratio:.0}×"),
    }
}

/// The layers beside the public PyTorch ones.
fn layers(train: &Train) -> Result<String> {
    let mut rows = vec![];
    let cells = [
        ("min_gru", others::MIN_GRU, others::MIN_GRU_COMPILED),
        ("min_lstm", others::MIN_LSTM, others::MIN_LSTM_COMPILED),
    ];
    for (cell, eager, compiled) in cells {
        for (i, size) in others::LAYERS.into_iter().enumerate() {
            let [f32, tf32, bf16] = TYPES.map(|ty| train.layer(cell, size, ty).map(|step| step.ms));
            let (f32, tf32, bf16) = (f32?, tf32?, bf16?);
            rows.push(vec![
                format!("{cell}: 64, {}, {}", size.0, size.1),
                digits(f32),
                digits(tf32),
                digits(bf16),
                digits(eager[i]),
                digits(compiled[i]),
                times_faster(compiled[i], tf32),
            ]);
        }
    }
    let header = [
        "layer: B, T, D",
        "f32",
        "TF32",
        "bf16",
        "PyTorch eager, TF32",
        "torch.compile, TF32",
        "torch.compile over minrnn, both TF32",
    ];
    Ok(table(&header, &rows))
}

/// Other layers, each over minrnn's minGRU.
fn other_layers(train: &Train) -> Result<String> {
    let mut rows = vec![];
    for (i, size) in others::LAYERS.into_iter().enumerate() {
        let ours = train.layer("min_gru", size, "tf32")?.ms;
        let beside = |ms: f64| format!("{} ({})", digits(ms), times_faster(ms, ours));
        rows.push(vec![
            format!("64, {}, {}", size.0, size.1),
            digits(ours),
            beside(others::CUDNN_GRU[i]),
            beside(others::CUDNN_LSTM[i]),
            beside(others::MAMBA[i]),
            match others::GRU_CELL[i] {
                Some((ms, true)) => beside(ms),
                Some((ms, false)) => format!("{} (?)", digits(ms)),
                None => "—".to_owned(),
            },
        ]);
    }
    let header = [
        "B, T, D",
        "minGRU (minrnn)",
        "torch.nn.GRU (cuDNN)",
        "torch.nn.LSTM (cuDNN)",
        "Mamba",
        "GRUCell loop",
    ];
    Ok(table(&header, &rows))
}

fn memory(train: &Train) -> Result<String> {
    let mut rows = vec![];
    for (cell, name) in [("min_gru", "minGRU"), ("min_lstm", "minLSTM")] {
        for ty in ["tf32", "bf16"] {
            let bytes = train.layer(cell, (4096, 384), ty)?.peak_bytes;
            rows.push(vec![
                format!("{name}, minrnn, {ty}"),
                format!("{:.0}", bytes as f64 / 1e6),
            ]);
        }
    }
    rows.extend(others::MEMORY.map(|(name, mb)| vec![name.to_owned(), format!("{mb:.0}")]));
    Ok(table(&["layer, 64, 4096, 384", "MB"], &rows))
}

/// The language model beside PyTorch's.
fn language(train: &Train) -> Result<String> {
    let tokens = (64 * 256) as f64;
    let cell = |ms: f64| format!("{} ({} M)", digits(ms), digits(tokens / ms / 1e3));
    let (tf32, bf16) = (train.language("tf32")?.ms, train.language("bf16")?.ms);
    let line = |name: &str, cells: [String; 2]| [vec![name.to_owned()], cells.to_vec()].concat();
    let mut rows = vec![line("minrnn", [cell(tf32), cell(bf16)])];
    let mut best = (f64::MAX, f64::MAX);
    for (name, tf32, bf16) in others::LANGUAGE {
        best = (best.0.min(tf32), best.1.min(bf16));
        rows.push(line(name, [cell(tf32), cell(bf16)]));
    }
    let ratios = [times_faster(best.0, tf32), times_faster(best.1, bf16)];
    rows.push(line("PyTorch's best over minrnn", ratios));
    Ok(table(
        &[
            "variant",
            "TF32: ms a step (tokens/s)",
            "bf16: ms a step (tokens/s)",
        ],
        &rows,
    ))
}

/// The language model's step in each type.
fn steps(train: &Train) -> Result<String> {
    let mut rows = vec![];
    for ty in TYPES {
        let step = train.language(ty)?;
        rows.push(vec![
            ty.to_owned(),
            digits(step.ms),
            format!("{} M", digits(step.tokens_per_s / 1e6)),
            format!("{:.0}", step.peak_bytes as f64 / 1e6),
            step.launches.to_string(),
        ]);
    }
    Ok(table(
        &["minrnn", "ms a step", "tokens/s", "MB", "launches a step"],
        &rows,
    ))
}

fn devices(scan: &Scan, train: &Train) -> String {
    let one = format!(
        "Kernels: {}, where a copy of 1 GiB moves {:.0} GB/s (read and written).",
        scan.device, scan.copy_gbps
    );
    format!("{one} Training steps: {}.\n", train.device)
}

/// The printed tables of the profile, as they are but in Markdown.
fn profile(text: &str) -> Result<String> {
    let mut out = String::new();
    for line in text.lines() {
        if let Some((ty, rest)) = line
            .strip_prefix("language model, ")
            .and_then(|l| l.split_once(": "))
        {
            let all = rest
                .split_once(" in launches")
                .context("a profile without its sum")?
                .0;
            out += &format!("\n{ty}, {all} in all:\n\n");
        } else if let Some(cells) = line.strip_prefix('│').and_then(|l| l.strip_suffix('│')) {
            let cells: Vec<&str> = cells.split('┆').map(str::trim).collect();
            if cells.len() == 4 && !out.is_empty() {
                out += &format!("| {} |\n", cells.join(" | "));
                out += if cells[0] == "launch" {
                    "|---|---:|---:|---:|\n"
                } else {
                    ""
                };
            }
        }
    }
    ensure!(
        !out.is_empty(),
        "this is no output of `minrnn bench train --profile`"
    );
    Ok(out.trim_start().to_owned())
}

/// The text with one table replaced.
fn fill(text: &str, name: &str, body: &str) -> Result<String> {
    const END: &str = "<!-- /table -->";
    let start = format!("<!-- table: {name} -->");
    let (before, rest) = text
        .split_once(&start)
        .with_context(|| format!("there is no {start}"))?;
    let (old, after) = rest
        .split_once(END)
        .with_context(|| format!("{start} does not end"))?;
    if old.contains("<!-- table:") || after.contains(&start) {
        bail!("{start} holds another table, or is there twice");
    }
    Ok(format!("{before}{start}\n{body}{END}{after}"))
}

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [scan, train, document, profiled @ ..] = args.as_slice() else {
        bail!("usage: tables scan.json train.json docs/performance.md [PROFILE.txt]");
    };
    let (scan, train) = (Scan::open(scan)?, bench_json::read::<Train>(train, TRAIN)?);
    let mut text =
        fs::read_to_string(document).with_context(|| format!("reading {}", document.display()))?;
    let mut tables = vec![
        ("devices", devices(&scan, &train)),
        ("min_gru", kernels(&scan, "min_gru")?),
        ("min_lstm", kernels(&scan, "min_lstm")?),
        ("linear_scan", kernels(&scan, "linear_scan")?),
        ("scans", scans(&scan)?),
        ("layers", layers(&train)?),
        ("other layers", other_layers(&train)?),
        ("memory", memory(&train)?),
        ("language model", language(&train)?),
        ("steps", steps(&train)?),
    ];
    if let Some(path) = profiled.first() {
        let printed =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        tables.push((
            "profile",
            profile(&printed).with_context(|| format!("in {}", path.display()))?,
        ));
    }
    for (name, body) in tables {
        text = fill(&text, name, &body)?;
    }
    fs::write(document, text).with_context(|| format!("writing {}", document.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_replaced_in_its_place() -> Result<()> {
        let text =
            "a\n<!-- table: x -->\nold\n<!-- /table -->\nb\n<!-- table: y -->\n<!-- /table -->\n";
        let filled = fill(text, "x", "| new |\n")?;
        assert_eq!(filled, text.replace("old", "| new |"));
        assert_eq!(fill(&filled, "x", "| new |\n")?, filled);
        assert!(fill(text, "z", "").is_err());
        assert!(fill("<!-- table: x -->\n", "x", "").is_err());
        Ok(())
    }

    #[test]
    fn three_digits_count() {
        assert_eq!(
            [0.015296, 0.4409, 10.966, 165.0, 1750.0].map(digits),
            ["0.0153", "0.441", "11.0", "165", "1750"]
        );
    }

    #[test]
    fn a_profile_becomes_markdown() -> Result<()> {
        let printed = "│ model ┆ ms │\nlanguage model, bf16: 3.000 ms in launches one after the other\n┌─┐\n\
                       │ launch ┆ count ┆    ms ┆    % │\n╞═╡\n│ Matmul ┆    30 ┆ 2.000 ┆ 66.7 │\n└─┘\n";
        let want = "bf16, 3.000 ms in all:\n\n| launch | count | ms | % |\n|---|---:|---:|---:|\n| Matmul | 30 | 2.000 | 66.7 |\n";
        assert_eq!(profile(printed)?, want);
        assert!(profile("nothing").is_err());
        Ok(())
    }
}
