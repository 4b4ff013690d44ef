//! What was measured: one JSON object, and tables for people.

use serde_json::{Value as Json, json};

use super::case::{Case, ONE};
use super::contender::{Label, MINRNN, ORT};
use super::machine::{self, Memory};
use super::peer::Versions;
use super::rounds::{least, median};
use super::subject::Subject;
use crate::progress::short;
use crate::table::{size, table};

/// Bytes that a core may have a cache for.
const IN_CACHE: u64 = 4 << 20;

pub(super) const SCHEMA: &str = "minrnn.bench.infer/1";

/// One engine with one file at one size.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) model: String,
    pub(super) dtype: String,
    pub(super) case: Case,
    pub(super) label: Label,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// Seconds of one call, in each round.
    pub(super) seconds: Vec<f64>,
    /// Whether it is ONNX Runtime's fastest way here.
    pub(super) best: bool,
    /// Time of that way over this one's: medians; least and most of the rounds.
    pub(super) ratio: Option<f64>,
    pub(super) ratio_range: Option<[f64; 2]>,
}

/// From a file to the first output.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) model: String,
    pub(super) dtype: String,
    pub(super) engine: &'static str,
    pub(super) bytes: u64,
    pub(super) seconds: Vec<f64>,
}

/// Everything.
pub(super) struct Report {
    pub(super) memory: Memory,
    pub(super) peer: Option<Versions>,
    /// Seconds of a call of ONNX Runtime that computes next to nothing: bound, plain.
    pub(super) overhead: Option<[f64; 2]>,
    pub(super) rounds: usize,
    pub(super) quick: bool,
    /// Name, type and parameters of each model.
    pub(super) models: Vec<(String, String, Option<usize>)>,
    pub(super) rows: Vec<Row>,
    pub(super) loads: Vec<Load>,
    pub(super) notes: Vec<String>,
}

/// Rows of one case, with ONNX Runtime's fastest found.
pub(super) fn rows(subject: &Subject, case: Case, timed: Vec<(Label, u64, Vec<f64>)>) -> Vec<Row> {
    let middle = |(_, _, seconds): &(Label, u64, Vec<f64>)| median(seconds);
    let rivals = timed.iter().enumerate().filter(|(_, t)| t.0.engine == ORT);
    let best = rivals.min_by(|a, b| middle(a.1).total_cmp(&middle(b.1)));
    let best = best.map(|(at, t)| (at, t.2.clone()));
    let row = |(at, (label, bytes, seconds)): (usize, (Label, u64, Vec<f64>))| {
        let ratios: Option<Vec<f64>> = best
            .as_ref()
            .map(|(_, theirs)| theirs.iter().zip(&seconds).map(|(a, b)| a / b).collect());
        Row {
            model: subject.name.clone(),
            dtype: subject.dtype.clone(),
            case,
            best: best.as_ref().is_some_and(|(best, _)| *best == at),
            ratio: best.as_ref().map(|(_, t)| median(t) / median(&seconds)),
            ratio_range: ratios.map(|r| [least(&r), r.iter().copied().fold(0.0, f64::max)]),
            label,
            bytes,
            seconds,
        }
    };
    timed.into_iter().enumerate().map(row).collect()
}

impl Row {
    fn us_per_step(&self) -> f64 {
        median(&self.seconds) * 1e6 / self.case.seq_len as f64
    }

    fn least_us(&self) -> f64 {
        least(&self.seconds) * 1e6 / self.case.seq_len as f64
    }

    fn tokens_per_s(&self) -> f64 {
        (self.case.batch * self.case.seq_len) as f64 / median(&self.seconds)
    }

    /// Of a step of one row on one thread, which must read every weight once: bytes a second, over the speed of memory. Not of
    /// files that stay in a core's own cache.
    fn read_share(&self, memory: &Memory) -> Option<f64> {
        let limited = self.case == ONE && self.bytes > IN_CACHE;
        limited.then(|| self.bytes as f64 / median(&self.seconds) / 1e9 / memory.gb_s)
    }
}

impl Report {
    pub(super) fn json(&self) -> Json {
        let peer = self.peer.as_ref();
        json!({
            "schema": SCHEMA,
            "machine": machine::describe(&self.memory),
            "engines": {
                MINRNN: env!("CARGO_PKG_VERSION"),
                ORT: peer.map(|p| &p.onnxruntime),
                "python": peer.map(|p| &p.python),
                "numpy": peer.map(|p| &p.numpy),
            },
            "debug_assertions": cfg!(debug_assertions),
            "quick": self.quick,
            "rounds": self.rounds,
            "ort_call_us": self.overhead.map(|[bound, run]| json!({ "binding": bound * 1e6, "run": run * 1e6 })),
            "models": self.models.iter().map(|(name, dtype, parameters)| {
                json!({ "model": name, "dtype": dtype, "parameters": parameters })
            }).collect::<Vec<_>>(),
            "rows": self.rows.iter().map(|r| self.row_json(r)).collect::<Vec<_>>(),
            "loads": self.loads.iter().map(load_json).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }

    fn row_json(&self, row: &Row) -> Json {
        json!({
            "engine": row.label.engine,
            "form": row.label.form,
            "io": row.label.io,
            "best": row.best,
            "model": row.model,
            "batch": row.case.batch,
            "seq_len": row.case.seq_len,
            "dtype": row.dtype,
            "threads": row.case.threads,
            "bytes": row.bytes,
            "us_per_step": row.us_per_step(),
            "us_per_step_least": row.least_us(),
            "tokens_per_s": row.tokens_per_s(),
            "ratio_to_ort": row.ratio,
            "ratio_to_ort_range": row.ratio_range,
            "ratio_to_f32": self.ratio_to_f32(row),
            "read_share": row.read_share(&self.memory),
        })
    }

    /// Of narrow weights: the same engine's time with f32 over this one.
    fn ratio_to_f32(&self, row: &Row) -> Option<f64> {
        let wide = self.rows.iter().find(|r| {
            r.dtype == "f32" && (&r.model, r.case, &r.label) == (&row.model, row.case, &row.label)
        })?;
        (row.dtype != "f32").then(|| wide.us_per_step() / row.us_per_step())
    }

    /// Tables and what one has to know to read them.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.rows_table());
        if !self.loads.is_empty() {
            text += &format!("\n{}\n", self.loads_table());
        }
        text += &format!(
            "\n{}, {} cores; one thread reads {:.1} GB/s. Medians of {} rounds, each engine in turn.\n",
            machine::cpu(),
            machine::cores(),
            self.memory.gb_s,
            self.rounds
        );
        text += &match (&self.peer, self.overhead) {
            (Some(peer), Some([bound, run])) => format!(
                "ONNX Runtime {} is called from Python {}: {:.1} us of each call (run: {:.1}) are the way there and back.\n",
                peer.onnxruntime,
                peer.python,
                bound * 1e6,
                run * 1e6
            ),
            _ => {
                "ONNX Runtime was not measured: give a Python that has onnxruntime with --python.\n"
                    .to_owned()
            }
        };
        for note in &self.notes {
            text += &format!("{note}\n");
        }
        text
    }

    /// minrnn's rows, and of ONNX Runtime's the fastest.
    fn rows_table(&self) -> comfy_table::Table {
        let header = [
            "model",
            "weights",
            "form",
            "B",
            "T",
            "threads",
            "engine",
            "us a step",
            "least",
            "tokens/s",
            "times ONNX Runtime",
            "of memory's speed",
        ];
        let shown = self
            .rows
            .iter()
            .filter(|r| r.best || r.label.engine == MINRNN);
        let lines = shown.map(|row| {
            let form = match row.label.io {
                Some("run") => format!("{}, plain run", row.label.form),
                _ => row.label.form.clone(),
            };
            [
                row.model.clone(),
                row.dtype.clone(),
                form,
                row.case.batch.to_string(),
                row.case.seq_len.to_string(),
                row.case.threads.to_string(),
                row.label.engine.to_owned(),
                digits(row.us_per_step()),
                digits(row.least_us()),
                short(row.tokens_per_s()),
                match row.ratio {
                    Some(ratio) if !row.best => format!("{ratio:.2}"),
                    _ => "-".into(),
                },
                row.read_share(&self.memory)
                    .map_or("-".into(), |share| format!("{:.0} %", 100.0 * share)),
            ]
        });
        table(
            header,
            lines.collect::<Vec<_>>(),
            &[3, 4, 5, 7, 8, 9, 10, 11],
        )
    }

    fn loads_table(&self) -> comfy_table::Table {
        let header = [
            "model",
            "weights",
            "file",
            "engine",
            "file to first output, ms",
            "least",
        ];
        let lines = self.loads.iter().map(|load| {
            [
                load.model.clone(),
                load.dtype.clone(),
                size(load.bytes),
                load.engine.to_owned(),
                digits(median(&load.seconds) * 1e3),
                digits(least(&load.seconds) * 1e3),
            ]
        });
        table(header, lines.collect::<Vec<_>>(), &[2, 4, 5])
    }
}

fn load_json(load: &Load) -> Json {
    json!({
        "engine": load.engine,
        "model": load.model,
        "dtype": load.dtype,
        "bytes": load.bytes,
        "ms": median(&load.seconds) * 1e3,
        "ms_least": least(&load.seconds) * 1e3,
    })
}

/// Three digits that count.
fn digits(x: f64) -> String {
    if !(x.is_finite() && x > 0.0) {
        return "-".into();
    }
    let places = (2 - x.log10().floor() as i32).clamp(0, 6) as usize;
    format!("{x:.places$}")
}
