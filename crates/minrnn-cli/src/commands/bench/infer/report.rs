//! What was measured: one JSON object, and tables for people.

use serde_json::{Value as Json, json};

use super::case::{Case, ONE};
use super::choice::MINRNN;
use super::entry::Label;
use super::load::Load;
use super::machine::{self, Memory};
use super::overhead::Overhead;
use super::rounds::{Fault, least, median};
use super::subject::Subject;
use crate::progress::short;
use crate::table::{size, table};

/// Bytes that a core may have a cache for.
const IN_CACHE: u64 = 4 << 20;

pub(super) const SCHEMA: &str = "minrnn.bench.infer/2";

/// One engine with one file at one size, called in one way.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) model: String,
    pub(super) dtype: String,
    pub(super) case: Case,
    pub(super) label: Label,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// Seconds of one call, in each round; none where it failed.
    pub(super) seconds: Vec<f64>,
    pub(super) fault: Option<Off>,
    /// Whether it is the engine's fastest way here.
    pub(super) best: bool,
    /// Time of the baseline's fastest way over this one's, round by round: the middle, least and most.
    pub(super) ratio: Option<[f64; 3]>,
}

/// Why there is no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Off {
    Refused(String),
    Wrong(String),
}

/// Everything.
pub(super) struct Report {
    pub(super) memory: Memory,
    pub(super) overheads: Vec<Overhead>,
    /// Names and versions.
    pub(super) engines: Vec<(String, String)>,
    /// Those that were asked for by name.
    pub(super) asked: Vec<String>,
    /// The engine that ratios are to.
    pub(super) baseline: String,
    pub(super) rounds: usize,
    pub(super) quick: bool,
    /// Name, type and parameters of each model.
    pub(super) models: Vec<(String, String, Option<usize>)>,
    pub(super) rows: Vec<Row>,
    pub(super) loads: Vec<Load>,
    pub(super) notes: Vec<String>,
}

/// What was timed: times of all rounds, or why there are none.
type Timed = (Label, u64, Result<Vec<f64>, Fault>);

/// Rows of one case, with each engine's fastest found.
pub(super) fn rows(subject: &Subject, case: Case, baseline: &str, timed: Vec<Timed>) -> Vec<Row> {
    let row = |(label, bytes, times): Timed| {
        let (seconds, fault) = match times {
            Ok(seconds) => (seconds, None),
            Err(Fault::Refused(why)) => (vec![], Some(Off::Refused(why))),
            Err(Fault::Wrong(why)) => (vec![], Some(Off::Wrong(why))),
            Err(Fault::Ours(error)) => (vec![], Some(Off::Wrong(format!("{error:#}")))),
        };
        Row {
            model: subject.name.clone(),
            dtype: subject.dtype.clone(),
            case,
            label,
            bytes,
            seconds,
            fault,
            best: false,
            ratio: None,
        }
    };
    let mut rows: Vec<Row> = timed.into_iter().map(row).collect();
    let fastest = |rows: &[Row], engine: &str| {
        let timed = rows.iter().enumerate();
        let timed = timed.filter(|(_, r)| r.label.engine == engine && r.fault.is_none());
        let best = timed.min_by(|(_, a), (_, b)| a.middle().total_cmp(&b.middle()));
        best.map(|(at, _)| at)
    };
    let engines: Vec<String> = rows.iter().map(|r| r.label.engine.clone()).collect();
    for engine in engines {
        if let Some(at) = fastest(&rows, &engine) {
            rows[at].best = true;
        }
    }
    if let Some(at) = fastest(&rows, baseline) {
        let base = rows[at].seconds.clone();
        for row in &mut rows {
            row.ratio = ratio(&base, &row.seconds);
        }
    }
    rows
}

/// Round by round: what else the machine did in a round is in both of its times.
fn ratio(base: &[f64], seconds: &[f64]) -> Option<[f64; 3]> {
    let all: Vec<f64> = base.iter().zip(seconds).map(|(a, b)| a / b).collect();
    let most = all.iter().copied().fold(0.0, f64::max);
    (!all.is_empty()).then(|| [median(&all), least(&all), most])
}

impl Row {
    fn middle(&self) -> f64 {
        median(&self.seconds)
    }

    fn us_per_step(&self) -> Option<f64> {
        self.timed(self.middle() * 1e6 / self.case.seq_len as f64)
    }

    fn least_us(&self) -> Option<f64> {
        self.timed(least(&self.seconds) * 1e6 / self.case.seq_len as f64)
    }

    fn tokens_per_s(&self) -> Option<f64> {
        self.timed((self.case.batch * self.case.seq_len) as f64 / self.middle())
    }

    fn timed(&self, figure: f64) -> Option<f64> {
        self.fault.is_none().then_some(figure)
    }

    fn is_wrong(&self) -> bool {
        matches!(self.fault, Some(Off::Wrong(_)))
    }

    /// Of a step of one row on one thread, which must read every weight once: bytes a second, over the speed of memory. Not of
    /// files that stay in a core's own cache.
    fn read_share(&self, memory: &Memory) -> Option<f64> {
        let limited = self.case == ONE && self.bytes > IN_CACHE && self.fault.is_none();
        limited.then(|| self.bytes as f64 / self.middle() / 1e9 / memory.gb_s)
    }

    /// Why it has no time, in words.
    pub(super) fn note(&self) -> Option<String> {
        let name = self.case.name(&self.model, &self.dtype);
        let who = self.label.words();
        match self.fault.as_ref()? {
            Off::Refused(why) => Some(format!("{name}: {who} is not timed: {why}")),
            Off::Wrong(why) => Some(format!("{name}: {who} is WRONG and has no time: {why}")),
        }
    }
}

impl Report {
    /// Whether an engine that was asked for by name is wrong, or ours.
    pub(super) fn is_wrong(&self) -> bool {
        let decides = |r: &&Row| r.label.engine == MINRNN || self.asked.contains(&r.label.engine);
        self.rows.iter().filter(decides).any(Row::is_wrong)
    }

    /// Engines that were asked for by name and have no time at all.
    pub(super) fn silent(&self) -> Vec<&str> {
        let timed = |name: &str| {
            let mut rows = self.rows.iter();
            rows.any(|r| r.label.engine == name && r.fault.is_none())
        };
        let all = self.asked.iter().map(String::as_str);
        all.filter(|name| !timed(name)).collect()
    }

    pub(super) fn json(&self) -> Json {
        let named =
            |(name, version): &(String, String)| json!({ "name": name, "version": version });
        let overhead = |(name, io, seconds): &Overhead| json!({ "engine": name, "io": io, "us": seconds * 1e6 });
        let model = |(name, dtype, parameters): &(String, String, Option<usize>)| json!({ "model": name, "dtype": dtype, "parameters": parameters });
        json!({
            "schema": SCHEMA,
            "machine": machine::describe(&self.memory),
            "engines": self.engines.iter().map(named).collect::<Vec<_>>(),
            "baseline": self.baseline,
            "debug_assertions": cfg!(debug_assertions),
            "quick": self.quick,
            "rounds": self.rounds,
            "call_us": self.overheads.iter().map(overhead).collect::<Vec<_>>(),
            "models": self.models.iter().map(model).collect::<Vec<_>>(),
            "rows": self.rows.iter().map(|r| self.row_json(r)).collect::<Vec<_>>(),
            "loads": self.loads.iter().map(load_json).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }

    fn row_json(&self, row: &Row) -> Json {
        let (refused, wrong) = match &row.fault {
            None => (None, None),
            Some(Off::Refused(why)) => (Some(why), None),
            Some(Off::Wrong(why)) => (None, Some(why)),
        };
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
            "ratio": row.ratio.map(|[middle, ..]| middle),
            "ratio_range": row.ratio.map(|[_, least, most]| [least, most]),
            "ratio_to_f32": self.ratio_to_f32(row),
            "read_share": row.read_share(&self.memory),
            "refused": refused,
            "wrong": wrong,
        })
    }

    /// Of narrow weights: the same engine's time with f32 over this one.
    fn ratio_to_f32(&self, row: &Row) -> Option<f64> {
        let wide = self.rows.iter().find(|r| {
            r.dtype == "f32" && (&r.model, r.case, &r.label) == (&row.model, row.case, &row.label)
        })?;
        let ratio = wide.us_per_step()? / row.us_per_step()?;
        (row.dtype != "f32").then_some(ratio)
    }

    /// Tables and what one has to know to read them.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.rows_table());
        if !self.loads.is_empty() {
            text += &format!("\n{}\n", self.loads_table());
        }
        text += &format!(
            "\n{}, {} cores; one thread reads {:.1} GB/s. Medians of {} rounds, each engine in turn; what each gave is held to what minrnn gives.\n",
            machine::cpu(),
            machine::cores(),
            self.memory.gb_s,
            self.rounds
        );
        let engines = self.engines.iter().map(|(n, v)| format!("{n} {v}"));
        text += &format!("{}.\n", engines.collect::<Vec<_>>().join(", "));
        if !self.overheads.is_empty() {
            let one = |(name, io, seconds): &Overhead| {
                format!("{name} {} us ({})", digits(seconds * 1e6), io.name())
            };
            let all: Vec<String> = self.overheads.iter().map(one).collect();
            text += &format!(
                "A call that computes next to nothing takes: {}.\n",
                all.join(", ")
            );
        }
        for note in &self.notes {
            text += &format!("{note}\n");
        }
        text
    }

    /// Each engine's fastest way, and those that are wrong.
    fn rows_table(&self) -> comfy_table::Table {
        let times = format!("times {}", self.baseline);
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
            &times,
            "of memory's speed",
        ];
        let shown = self.rows.iter().filter(|r| r.best || r.is_wrong());
        let lines = shown.map(|row| {
            [
                row.model.clone(),
                row.dtype.clone(),
                format!("{}, {}", row.label.form, row.label.io.name()),
                row.case.batch.to_string(),
                row.case.seq_len.to_string(),
                row.case.threads.to_string(),
                row.label.engine.clone(),
                row.us_per_step().map_or("-".into(), digits),
                row.least_us().map_or("-".into(), digits),
                row.tokens_per_s().map_or("-".into(), short),
                match row.ratio {
                    _ if row.is_wrong() => "WRONG".into(),
                    Some([middle, least, most]) if row.label.engine != self.baseline => {
                        format!("{middle:.2} ({least:.2} to {most:.2})")
                    }
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
                load.engine.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A ratio is one of times of the same round.
    #[test]
    fn ratios_are_of_the_same_round() {
        assert_eq!(
            ratio(&[2.0, 20.0, 4.0], &[1.0, 10.0, 1.0]),
            Some([2.0, 2.0, 4.0])
        );
        assert_eq!(ratio(&[2.0], &[]), None);
    }
}
