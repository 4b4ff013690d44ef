//! `minrnn bench train` on the CPU: whole training steps by the tape, by candle and by PyTorch, in turn.

mod ours;
mod torch;

use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value as Json, json};

use super::infer::machine;
use crate::Outcome;
use crate::args::BenchTrain;
use crate::table::{grouped, table};
use crate::ui::Ui;
use ours::{Candle, Case, HYENA, Tape};
use torch::Torch;

/// Who computes the steps.
const ENGINES: [&str; 4] = ["tape", "candle", "PyTorch eager", "PyTorch compile"];
/// Steps of an engine in one turn.
const STEPS: usize = 3;

/// A figure: the best of all steps.
struct Row {
    model: &'static str,
    engine: &'static str,
    shape: [usize; 2],
    ms: f64,
    bytes: Option<usize>,
    launches: Option<usize>,
}

impl Row {
    fn tokens_per_s(&self) -> f64 {
        (self.shape[0] * self.shape[1]) as f64 / self.ms * 1e3
    }
}

pub(super) fn run(train: &BenchTrain, ui: &Ui) -> Result<Outcome> {
    if train.tuned {
        bail!(
            "--tuned would change nothing: it chooses among a GPU's matrix products; leave it out, or give --device cuda"
        );
    }
    let threads = machine::cores();
    let mut torch = match &train.python {
        Some(python) => {
            let torch = Torch::start(python, threads);
            let torch = torch.with_context(|| {
                format!(
                    "--python {}: PyTorch cannot be run with it",
                    python.display()
                )
            })?;
            Some(torch)
        }
        None => None,
    };
    let only = |model: &str, engine: &str| {
        super::is_wanted(&train.options.only, &format!("{model} {engine}"))
    };
    let (mut rows, mut profiles) = (vec![], String::new());
    for case in Case::all()? {
        let engines = ENGINES.into_iter().filter(|e| only(case.name, e));
        let has_torch = torch.is_some() && case.name != HYENA;
        let engines = engines.filter(|e| has_torch || !e.starts_with("PyTorch"));
        let engines: Vec<&'static str> = engines.collect();
        if engines.is_empty() {
            continue;
        }
        let mut subjects = Subjects {
            tape: Tape::new(&case)?,
            candle: Candle::new(&case)?,
            torch: torch.as_mut(),
        };
        let found = subjects.rows(&case, &engines, train.rounds, ui)?;
        rows.extend(found);
        if train.profile && engines.contains(&"tape") {
            profiles += &subjects.profile(&case);
        }
    }
    if rows.is_empty() {
        bail!(
            "--only leaves nothing to measure; rows are the language model, the classifier, the transformer and hyena by {}",
            ENGINES.join(", ")
        );
    }
    let version = torch.as_ref().map(|t| t.version.clone());
    ui.print(&(text(&rows) + &profiles))?;
    if let Some(path) = &train.options.json {
        let json = json(&rows, threads, version.as_deref());
        let text = serde_json::to_string_pretty(&json)? + "\n";
        crate::files::write(path, text.as_bytes())?;
    }
    Ok(Outcome::Holds)
}

/// Everything that can be asked for steps of one case.
struct Subjects<'t> {
    tape: Tape,
    candle: Candle,
    torch: Option<&'t mut Torch>,
}

impl Subjects<'_> {
    /// The best step of each engine; in each round every one has its turn.
    fn rows(
        &mut self,
        case: &Case,
        engines: &[&'static str],
        rounds: usize,
        ui: &Ui,
    ) -> Result<Vec<Row>> {
        let mut best = vec![f64::INFINITY; engines.len()];
        for round in 0..rounds {
            for (engine, best) in engines.iter().zip(&mut best) {
                let times = self.turn(case, engine)?;
                *best = times.into_iter().fold(*best, f64::min);
            }
            ui.note(&format!("{}: round {} of {rounds}", case.name, round + 1));
        }
        let row = |(engine, ms): (&&'static str, f64)| Row {
            model: case.name,
            engine,
            shape: [case.batch, case.time],
            ms,
            bytes: (*engine == "tape").then(|| self.tape.engine.bytes()),
            launches: (*engine == "tape").then(|| self.tape.engine.launches()),
        };
        Ok(engines.iter().zip(best).map(row).collect())
    }

    fn turn(&mut self, case: &Case, engine: &str) -> Result<Vec<f64>> {
        let timed = |step: &mut dyn FnMut() -> ours::Result<f64>| -> Result<f64> {
            let start = Instant::now();
            step()?;
            Ok(start.elapsed().as_secs_f64() * 1e3)
        };
        let mode = engine.strip_prefix("PyTorch ");
        match (mode, &mut self.torch) {
            (Some(mode), Some(torch)) => Ok(torch.steps(case, mode, STEPS)?),
            _ if engine == "candle" => {
                let (candle, steps) = (&mut self.candle, 0..STEPS);
                steps.map(|_| timed(&mut || candle.step(case))).collect()
            }
            _ => {
                let (tape, steps) = (&mut self.tape, 0..STEPS);
                steps.map(|_| timed(&mut || tape.step(case))).collect()
            }
        }
    }

    /// Launches of a kind together, the longest first.
    fn profile(&mut self, case: &Case) -> String {
        let launches = self.tape.engine.profile(10);
        let all: f64 = launches.iter().map(|l| l.1).sum();
        let mut kinds: Vec<(String, usize, f64)> = vec![];
        for (name, ms) in launches {
            match kinds.iter_mut().find(|k| k.0 == name) {
                Some(kind) => (kind.1, kind.2) = (kind.1 + 1, kind.2 + ms),
                None => kinds.push((name, 1, ms)),
            }
        }
        kinds.sort_by(|a, b| b.2.total_cmp(&a.2));
        let lines = kinds.into_iter().map(|(name, count, ms)| {
            let share = format!("{:.1}", 100.0 * ms / all);
            [name, count.to_string(), format!("{ms:.3}"), share]
        });
        let header = ["launch", "count", "ms", "%"];
        let table = table(header, lines, &[1, 2, 3]);
        format!("{}: {all:.3} ms in launches\n{table}\n", case.name)
    }
}

fn json(rows: &[Row], threads: usize, torch: Option<&str>) -> Json {
    let row = |r: &Row| {
        json!({
            "model": r.model,
            "engine": r.engine,
            "shape": r.shape,
            "dtype": "f32",
            "ms": r.ms,
            "tokens_per_s": r.tokens_per_s(),
            "peak_bytes": r.bytes,
            "launches": r.launches,
        })
    };
    json!({
        "schema": "minrnn.bench.train/1",
        "device": machine::cpu(),
        "threads": threads,
        "torch": torch,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn text(rows: &[Row]) -> String {
    let lines = rows.iter().map(|r| {
        let [b, t] = r.shape;
        let tape = rows
            .iter()
            .find(|o| o.model == r.model && o.engine == "tape");
        [
            r.model.to_owned(),
            r.engine.to_owned(),
            format!("{b},{t}"),
            format!("{:.1}", r.ms),
            grouped(r.tokens_per_s() as usize),
            tape.map_or(String::new(), |tape| format!("{:.2}", r.ms / tape.ms)),
            r.bytes
                .map_or(String::new(), |n| format!("{:.0}", n as f64 / 1e6)),
        ]
    });
    let header = [
        "model",
        "engine",
        "B,T",
        "ms",
        "tokens/s",
        "tape is x as fast",
        "MB",
    ];
    format!("{}\n", table(header, lines, &[3, 4, 5, 6]))
}
