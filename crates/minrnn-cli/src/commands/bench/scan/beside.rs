//! What other packages take for the recurrence alone, right after ours.

use anyhow::{Result, bail};
use minrnn_kernels::cuda::Gpu;
use serde_json::{Value as Json, json};

use super::set::{Case, Op};
use crate::commands::bench::memory::BEYOND_CACHE;
use crate::commands::bench::peers::{Answer, Peers, Question};
use crate::table::table;
use crate::ui::Ui;

/// A case, an engine, what it made of it, and what ours takes, in milliseconds.
struct Row {
    case: Case,
    engine: String,
    answer: Answer,
    ours: f64,
}

/// The engines, and what was found.
pub(super) struct Beside {
    peers: Peers,
    rows: Vec<Row>,
}

impl Beside {
    /// Of a Python whose PyTorch sees the same GPU.
    ///
    /// # Errors
    /// Those of [`Peers::start`]; another GPU.
    pub(super) fn new(peers: Peers, gpu: &Gpu, ui: &Ui) -> Result<Self> {
        let ours = gpu.name()?;
        if ours != peers.gpu {
            bail!(
                "PyTorch calls this GPU {}, and it is {ours}: set CUDA_DEVICE_ORDER=PCI_BUS_ID, so that both count alike",
                peers.gpu
            );
        }
        for (name, why) in &peers.missing {
            ui.note(&format!("{name} is not measured: {why}"));
        }
        Ok(Self {
            peers,
            rows: vec![],
        })
    }

    /// Has its turn behind ours, which took so many milliseconds.
    pub(super) fn turn(&mut self, case: Case, ours: f64, rounds: usize, ui: &Ui) -> Result<()> {
        if case.op != Op::LinearScan {
            return Ok(());
        }
        let question = Question {
            shape: case.shape,
            dtype: case.elem.suffix(),
            backward: case.backward,
            rounds,
            bytes: BEYOND_CACHE,
        };
        let names: Vec<String> = self.peers.engines.keys().cloned().collect();
        for engine in names {
            let answer = self.peers.ask(&engine, &question)?;
            ui.note(&match &answer {
                Answer::Timed { ms, .. } => {
                    format!("  {engine}: {ms:.4} ms, {:.2} of ours", ms / ours)
                }
                Answer::Refused(why) => format!("  {engine}: {why}"),
            });
            self.rows.push(Row {
                case,
                engine,
                answer,
                ours,
            });
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Json {
        let row = |r: &Row| {
            let mut row = json!({
                "engine": r.engine,
                "version": self.peers.engines.get(&r.engine),
                "op": r.case.name(),
                "pass": r.case.pass(),
                "shape": r.case.shape,
                "dtype": r.case.elem.suffix(),
                "minrnn_ms": r.ours,
            });
            match &r.answer {
                Answer::Timed { ms, error, graph } => {
                    row["ms"] = json!(ms);
                    row["ratio"] = json!(ms / r.ours);
                    row["error"] = json!(error);
                    row["graph"] = json!(graph);
                }
                Answer::Refused(why) => row["refused"] = json!(why),
            }
            row
        };
        json!({
            "torch": self.peers.torch,
            "missing": self.peers.missing,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }

    pub(super) fn text(&self) -> String {
        let lines = self.rows.iter().map(|r| {
            let [b, t, d] = r.case.shape;
            let figures = match &r.answer {
                Answer::Timed { ms, error, graph } => [
                    format!("{ms:.4}"),
                    format!("{:.2}", ms / r.ours),
                    format!("{error:.0e}"),
                    if *graph { "" } else { "no graph" }.to_owned(),
                ],
                Answer::Refused(why) => [String::new(), String::new(), String::new(), why.clone()],
            };
            let [ms, ratio, error, note] = figures;
            [
                r.engine.clone(),
                r.case.pass().to_owned(),
                format!("{b},{t},{d}"),
                r.case.elem.suffix().to_owned(),
                ms,
                ratio,
                error,
                note,
            ]
        });
        let header = [
            "linear recurrence by",
            "pass",
            "B,T,D",
            "dtype",
            "ms",
            "x minrnn's",
            "error",
            "",
        ];
        let missing = self.peers.missing.iter();
        let missing: String = missing
            .map(|(name, why)| format!("{name} was not measured: {why}\n"))
            .collect();
        format!("{}\n{missing}", table(header, lines, &[4, 5, 6]))
    }
}
