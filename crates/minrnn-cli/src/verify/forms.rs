//! What runs of an export, and how far its steps are from the oracle.

use std::collections::BTreeMap;

use anyhow::Result;
use minrnn_model::graph::Graph;
use minrnn_model::trial::{Case, Outcome, Truth};
use minrnn_onnx::export::Stored;

use super::contract::Export;
use super::engine::{Candle, Engine, Symbolic, Tract};
use super::golden::Known;
use super::grade::StepErrors;
use super::report::Tally;
use super::{Grade, Row, fresh, grade, plan, range};

/// All that runs; an export may lack forms.
pub(super) struct Forms<'a> {
    /// None where products are narrow: the trainer's are not.
    pub(super) candle: Option<Candle<'a>>,
    pub(super) parallel: Option<Tract<'a>>,
    pub(super) scan: Option<Tract<'a>>,
    pub(super) step: Option<Tract<'a>>,
    /// Where there is no step file: one that was made anew of the same weights, to measure with.
    pub(super) anew: Option<Tract<'a>>,
    /// Whether sequence files take pieces: not if their length is fixed.
    pub(super) pieces: bool,
    /// Of every file, where it is fixed.
    rows: Option<usize>,
    /// The longest sequence of all.
    limit: usize,
}

/// Step-by-step runs of a case: candle's, the step file's, and where there is none, those of one made anew.
pub(super) struct Steps {
    pub(super) candle: Option<Outcome>,
    pub(super) tract: Option<Outcome>,
    anew: Option<Outcome>,
}

impl<'a> Forms<'a> {
    pub(super) fn open(
        export: &Export,
        graph: &'a Graph,
        stored: &Stored,
        candle: bool,
        limit: usize,
    ) -> Result<Self> {
        let tract = |m| Tract::new(graph, &stored.ports, m);
        let open = |form| anyhow::Ok(export.load_portable(form)?.map(tract));
        let candle = candle.then(|| Candle::new(graph, &stored.params));
        let step = open("step")?;
        let anew = match &step {
            Some(_) => None,
            None => fresh::steps(export, graph, stored)?,
        };
        Ok(Self {
            candle: candle.transpose()?,
            parallel: open("parallel")?,
            scan: open("scan")?,
            step,
            anew,
            pieces: export.fixed().1.is_none(),
            rows: export.fixed().0,
            limit,
        })
    }

    /// The forms that are there, by name.
    pub(super) fn named(&self) -> Vec<(&'static str, &Tract<'a>)> {
        let all = [
            ("parallel", &self.parallel),
            ("scan", &self.scan),
            ("step", &self.step),
        ];
        all.into_iter()
            .filter_map(|(name, form)| Some((name, form.as_ref()?)))
            .collect()
    }

    /// Leaves out cases with features that the files refuse; how many, in words.
    pub(super) fn left_out(&self, cases: &mut Vec<Case>) -> Option<String> {
        let before = cases.len();
        let named = self.named();
        cases.retain(|case| named.iter().all(|(_, form)| range::fits(form, case)));
        let out = before - cases.len();
        (out > 0)
            .then(|| format!("{out} cases are left out: their features are infinite in float16"))
    }

    /// A form over the whole sequence.
    pub(super) fn whole(&self, form: &Tract, case: &Case) -> Result<Outcome> {
        match plan::is_planned(case, self.rows, self.limit) || !self.pieces {
            true => form.run(case),
            false => Symbolic(form).run(case),
        }
    }

    /// The golden trace in candle and tract, each value within the bound that others hold their engines to. It is the one measure here
    /// that no engine's own error widens: where all of them round alike, it tells.
    pub(super) fn golden(&self, all: &[Known]) -> Result<Vec<Row>> {
        let tally = |engine, form: &str| {
            let form = format!("{form}, golden trace");
            Tally::new(engine, form, "its bounds", Grade::Bound)
        };
        let mut rows = vec![];
        if let Some(engine) = &self.candle {
            let mut tally = tally("candle", "whole");
            for known in all {
                grade::golden(&mut tally, &engine.run(&known.case)?, known);
            }
            rows.push(tally);
        }
        let sequences = [("parallel", &self.parallel), ("scan", &self.scan)];
        for (name, form) in sequences.into_iter().chain([("step", &self.step)]) {
            let Some(form) = form else { continue };
            let mut tally = tally("tract", name);
            for known in all {
                let got = match name {
                    "step" => form.stream(&known.case)?,
                    _ => self.whole(form, &known.case)?,
                };
                grade::golden(&mut tally, &got, known);
            }
            rows.push(tally);
        }
        let seen = rows.into_iter().filter(|t| t.cases() > 0);
        Ok(seen.map(Tally::row).collect())
    }

    pub(super) fn steps(&self, graph: &Graph, case: &Case) -> Result<Steps> {
        let ones = vec![1; case.time];
        let candle = self.candle.as_ref().filter(|_| case.time <= plan::STEPPED);
        let candle = candle.map(|c| c.run_pieces(graph, case, &ones));
        let candle = candle.transpose()?;
        let stream = |form: &Option<Tract>| form.as_ref().map(|s| s.stream(case)).transpose();
        Ok(Steps {
            candle,
            tract: stream(&self.step)?,
            anew: stream(&self.anew)?,
        })
    }
}

/// The trainer's engine, as rows call it.
pub(super) const CANDLE: &str = "candle";
/// The engine of the untouched files, as rows call it.
pub(super) const TRACT: &str = "tract";

/// How far each engine's steps are from the oracle, by its name, and what the rounding of narrow products moved.
#[derive(Default)]
pub(super) struct Errors {
    engines: BTreeMap<&'static str, StepErrors>,
    moved: StepErrors,
}

impl Errors {
    pub(super) fn learn(&mut self, steps: &Steps, case: &Case, truth: &Truth) {
        // Where a step form cannot be made anew, candle's steps are the measure of tract.
        let anew = [&steps.tract, &steps.anew, &steps.candle];
        let tract = anew.into_iter().find_map(Option::as_ref);
        for (engine, measure) in [(CANDLE, steps.candle.as_ref()), (TRACT, tract)] {
            if let Some(measure) = measure {
                self.engines
                    .entry(engine)
                    .or_default()
                    .learn(case, measure, truth);
            }
        }
    }

    /// What narrow products moved in each tensor at most, this case and those before it.
    pub(super) fn moved(&mut self, case: &Case, moved: &[f64]) -> Vec<f64> {
        self.moved.at_most(case, moved)
    }

    /// Tolerance of each tensor by what is known of an engine; of one that never ran, that is the rounding of f32 alone.
    pub(super) fn tolerances(&self, engine: &str, case: &Case, truth: &Truth) -> Vec<f64> {
        let unknown = StepErrors::default();
        let known = self.engines.get(engine).unwrap_or(&unknown);
        known.tolerances(case, truth)
    }
}
