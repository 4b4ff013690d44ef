//! Probes: the cells of the model alone, with extreme gates, over very long sequences. They show what a whole model hides: gates that
//! do not close in an engine, a recurrence that drifts. They test engines and lowerings, not a file.

use anyhow::{Result, bail};
use minrnn_model::graph::{Fused, Graph, Input, OutputKind, StateInit};
use minrnn_model::layers::{Gates, MinGru, MinLstm};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_model::trial::Case;
use minrnn_onnx::export::{ExportOptions, Form, export_graph, ports};
use minrnn_runtime as runtime;

use super::engine::{Candle, Engine, Numbers, Tract, truth};
use super::report::Tally;
use super::{Grade, Options, Row, course, grade};

const CHANNELS: usize = 8;

/// What is probed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Probe {
    /// `h = a h + b` with a and b given.
    Recurrence,
    /// A cell with its packed pre-activation given.
    Cell(Fused),
}

/// How many there are; [`rows`] says before each how much work it is.
pub(super) fn count(graph: &Graph) -> usize {
    probes(graph).len()
}

/// One row for each engine and form, over all probes of the model's cells.
pub(super) fn rows(
    graph: &Graph,
    options: &Options,
    observe: &mut dyn FnMut(usize, &str),
) -> Result<Vec<Row>> {
    let row = |engine, form: &str| {
        Tally::new(
            engine,
            format!("{form}, gates to ±200"),
            "oracle",
            Grade::Bound,
        )
    };
    let mut tallies = [
        row("candle", "whole"),
        row("candle", "step by step"),
        row("tract", "parallel"),
        row("tract", "scan"),
        row("tract", "step"),
        row("minrnn", "parallel"),
        row("minrnn", "scan"),
        row("minrnn", "step"),
    ];
    for probe in probes(graph) {
        observe(course::probe(options.probe_steps), "extreme gates");
        run(probe, options, &mut tallies)?;
    }
    Ok(tallies.into_iter().map(Tally::row).collect())
}

/// The recurrence, and each kind of cell in the graph once.
fn probes(graph: &Graph) -> Vec<Probe> {
    let mut all = vec![Probe::Recurrence];
    for region in graph.regions() {
        let probe = Probe::Cell(region.fused);
        if matches!(region.fused, Fused::MinGru { .. } | Fused::MinLstm { .. })
            && !all.contains(&probe)
        {
            all.push(probe);
        }
    }
    all
}

impl Probe {
    fn parts(self) -> usize {
        match self {
            Self::Cell(Fused::MinLstm { .. }) => 3,
            _ => 2,
        }
    }

    fn model(self) -> Result<Model> {
        let input = Input::Features {
            width: self.parts() * CHANNELS,
        };
        Ok(Model::trace(
            input,
            OutputKind::Values,
            serde_json::json!({ "probe": true }),
            |g, x| {
                g.block(0, |g| match self {
                    Self::Cell(Fused::MinGru { candidate }) => {
                        g.apply(&*MinGru { candidate }.cell(StateInit::Zero), x)
                    }
                    Self::Cell(Fused::MinLstm {
                        candidate,
                        normalize,
                    }) => g.apply(
                        &*MinLstm {
                            candidate,
                            normalize,
                        }
                        .cell(StateInit::Zero),
                        x,
                    ),
                    _ => {
                        let [a, b] = g.split::<2>(x)?;
                        g.recurrence("h", a, b, StateInit::Zero)
                    }
                })
            },
        )?)
    }

    /// Values that are hard: gates far out on both sides, long memories, candidates of ordinary size.
    fn value(self, part: usize, rng: &mut Rng) -> f32 {
        let last = part + 1 == self.parts();
        let x = match (self, last) {
            (Self::Recurrence, false) => 1.0 - rng.uniform().powi(8),
            (_, true) => rng.normal(),
            _ => match rng.below(4) {
                0 => rng.range(-200.0, 200.0),
                1 => [-200.0, -40.0, -20.0, 0.0, 20.0, 40.0, 200.0][rng.below(7)],
                2 => rng.range(-20.0, -5.0),
                _ => 3.0 * rng.normal(),
            },
        };
        x as f32
    }
}

fn run(probe: Probe, options: &Options, tallies: &mut [Tally; 8]) -> Result<()> {
    let model = probe.model()?;
    let graph = model.graph();
    let params = Params::init(graph, 0);
    let candle = Candle::new(graph, &params)?;
    let open = |form, how: runtime::Options| -> Result<Tract> {
        let config = model.config().clone();
        let options = ExportOptions {
            form,
            max_seq_len: options.probe_steps,
            config,
            ..ExportOptions::default()
        };
        let bytes = export_graph(graph, &params, &options)?.encode();
        let ports = ports(graph, &options)?;
        let model = runtime::Model::from_bytes_with(&bytes, &how)?;
        if let Some(why) = model.not_exact_because() {
            bail!(
                "the probe's {} graph is not computed exactly: {why}",
                form.name()
            );
        }
        Ok(Tract::new(graph, &ports, model))
    };
    let all = |how: runtime::Options| -> Result<[Tract; 3]> {
        let open = |form| open(form, how.clone());
        Ok([open(Form::Parallel)?, open(Form::Scan)?, open(Form::Step)?])
    };
    let tract = all(runtime::Options::with_plans(8))?;
    let exact = all(runtime::Options::default())?;
    let mut rng = Rng::named(options.seed, "probe");
    let numbers = Numbers {
        params: &[],
        rounding: None,
    };
    for time in [2, 257, options.probe_steps]
        .into_iter()
        .filter(|t| *t <= options.probe_steps)
    {
        let mut case = Case::random(graph, (2, time), time != 257, &mut rng);
        let width = probe.parts() * CHANNELS;
        for (i, x) in case.features.iter_mut().enumerate() {
            *x = probe.value(i % width / CHANNELS, &mut rng);
        }
        let truth = truth(graph, numbers, &case, true)?;
        let name = format!("{probe:?}, {}", case.name());
        let mut runs = vec![
            candle.run(&case)?,
            candle.run_pieces(graph, &case, &vec![1; time])?,
        ];
        for [parallel, scan, step] in [&tract, &exact] {
            runs.extend([parallel.run(&case)?, scan.run(&case)?, step.stream(&case)?]);
        }
        for (tally, outcome) in tallies.iter_mut().zip(runs) {
            grade::bound(tally, &name, &outcome.output, &truth);
        }
    }
    Ok(())
}
