//! Two files held to each other: cases, the judge on both, engines on each.

use anyhow::{Context, Result};
use minrnn_model::rng::Rng;

use super::case::{Case, Ran, Two};
use super::checks::Checks;
use super::file::{By, GraphFile};
use super::interface::Kind;
use super::notes::untold;
use super::report::{JUDGE, Pair};
use super::rounding::Rounding;
use super::sizes::{BATCHES, LENGTHS, piece, pieces};
use super::spec::Request;
use super::still::still;
use super::stops::{Stops, is_of_values};
use super::way::Draw;
use super::witness::{BOTH, Witness};
use crate::verify::bisect;
use crate::verify::contender::Contender;
use crate::verify::course::Course;
use crate::verify::who::Who;

/// Runs that only measure rounding.
const CALIBRATIONS: usize = 8;

/// Runs that measure what the last places of constants cost around a mean.
const NUDGED: u64 = 2;

impl Two {
    pub(super) fn compare(
        &self,
        request: &Request,
        mut observe: crate::verify::Observer,
    ) -> Result<Pair> {
        let mut rng = Rng::named(request.seed, "pair");
        let mut costs = Rounding::new(request.tolerance, self.times());
        let wanted = self.face.length.unwrap_or_else(|| self.longest(request));
        let (limit, shortened) = self.affordable(wanted, request.longest.is_some())?;
        let mut notes = self.notes(limit, request);
        notes.extend(shortened);
        observe(0, 1, "measuring rounding");
        self.files.iter().for_each(|f| {
            f.took();
        });
        self.calibrated(limit, &mut rng, &mut costs, &[0, 1])
            .map_err(|why| self.too_long(request.longest.is_some(), why))
            .context("measuring how f32 rounds in these files")?;
        let mut checks = Checks::new(self);
        let mut witnesses = self.witnesses(request, &BOTH);
        let mut cases = self.cases(limit, &mut rng)?;
        let (more, not_tried) = self.cover(&cases, limit, &mut rng)?;
        cases.extend(more);
        cases.extend(self.indexed_floats(limit, &mut Rng::named(request.seed, "indexed"))?);
        let (open, said): (Vec<_>, Vec<_>) = not_tried.into_iter().unzip();
        notes.extend(said);
        let step = self.step_took(limit);
        let brief = self.each_length(&cases, limit, (request.seed, step))?;
        let all = cases.iter().chain(&brief).map(Case::work);
        let mut course = Course::new(&mut observe, all);
        let mut stops = Stops::default();
        for case in &cases {
            course.begin(case.work(), &case.name());
            if let Err(why) = self.one(case, &mut costs, (&mut checks, &mut witnesses), &mut rng) {
                stops.add(self, case, request.longest.is_some(), why)?;
            }
        }
        let said = self.briefly(
            &brief,
            (&mut costs, &mut checks, &mut stops),
            request.longest.is_some(),
            &mut |case| course.begin(case.work(), &case.name()),
        )?;
        notes.extend(said);
        let (beside, said) = self.beside_tables(limit, &mut checks, &mut costs)?;
        notes.extend(said);
        let (stopped, said) = stops.finish(!checks.hold())?;
        notes.extend(said);
        let (lost, beyond) = (checks.lost(), checks.beyond());
        notes.extend(self.empty_rows_alone(&checks, limit));
        notes.extend(checks.offsets());
        notes.extend(checks.noisy());
        let mut rows = checks.rows();
        rows.extend(stopped);
        rows.extend(beside);
        rows.extend(open.into_iter().flatten());
        self.find_still(&mut rows);
        notes.extend(lost.map(str::to_owned));
        notes.extend(beyond);
        notes.extend(untold(&rows));
        notes.extend(still(&rows));
        notes.extend(self.without_numbers(&rows));
        let mut engines = vec![];
        for witness in witnesses {
            let heard = witness.finish(self);
            rows.extend(heard.rows);
            notes.extend(heard.notes);
            engines.push(heard.who);
        }
        notes.extend(request.engines.absent().iter().map(|(_, why)| why.clone()));
        notes.extend(self.on_edges(&rows));
        let span = self.span(limit);
        notes.push(format!(
            "{} cases{span}, seed {}",
            cases.len() + brief.len(),
            request.seed
        ));
        // A file against itself is told of once.
        let mut told: Vec<String> = vec![];
        notes.retain(|n| {
            !told.contains(n) && {
                told.push(n.clone());
                true
            }
        });
        rows.sort_by_key(|r| (r.holds, !r.decides));
        let decide = || rows.iter().filter(|r| r.decides);
        let holds = decide().next().is_some() && decide().all(|r| r.holds);
        let worst = decide()
            .filter(|r| !r.holds && r.by == JUDGE)
            .find_map(|r| r.worst.as_ref())
            .map(|w| (w.batch, w.time, w.others.clone(), w.draw));
        let bisect = match request.bisect {
            true => bisect::pair(self, request, worst)?,
            false => bisect::Found::default(),
        };
        notes.extend(bisect.why);
        Ok(Pair {
            mode: match self.kind {
                Kind::Step => "sequence against step",
                Kind::Same => "file against file",
            },
            first: self.files[0].name(),
            second: self.files[1].name(),
            holds: holds
                && bisect.culprit.is_none()
                && !rows.iter().any(|r| r.decides && r.is_open()),
            rows,
            bisect: bisect.culprit,
            notes,
            judge: Who::judge(),
            engines,
            asked: request.engines.asked(),
        })
    }

    /// The engines to ask, with the files of these sides.
    pub(super) fn witnesses(&self, request: &Request, sides: &[(usize, &str)]) -> Vec<Witness> {
        let models = self.files.each_ref().map(|f| &f.model);
        let open = |c: &mut dyn Contender, asked| Witness::open(c, self, asked, sides);
        request.engines.each(&models, open)
    }

    /// As [`Self::calibrate`], with shorter runs where a file refuses these.
    fn calibrated(
        &self,
        limit: usize,
        rng: &mut Rng,
        costs: &mut Rounding,
        sides: &[usize],
    ) -> Result<()> {
        let shorter = LENGTHS.into_iter().rev().filter(|t| *t < limit.min(64));
        let mut refused = None;
        for limit in std::iter::once(limit).chain(shorter) {
            match self.calibrate(limit, rng, costs, sides) {
                Err(why) if is_of_values(&why) && self.face.length.is_none() => {
                    refused.get_or_insert(why);
                }
                ran => return ran,
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Operations of the judge for a step of one row, as the runs that measured rounding took them.
    fn step_took(&self, limit: usize) -> u64 {
        let time = self.face.length.unwrap_or(self.face.steps(limit.min(64)));
        let rows = self.face.batch.unwrap_or(BATCHES[1]);
        let took: u64 = self.files.iter().map(GraphFile::took).sum();
        took / (2 * CALIBRATIONS * rows * time).max(1) as u64
    }

    /// Runs that only measure rounding: a few values alone may be right by luck.
    pub(super) fn calibrate(
        &self,
        limit: usize,
        rng: &mut Rng,
        costs: &mut Rounding,
        sides: &[usize],
    ) -> Result<()> {
        let time = self.face.length.unwrap_or(self.face.steps(limit.min(64)));
        for _ in 0..CALIBRATIONS {
            let case = Case::random(self, (self.face.batch.unwrap_or(BATCHES[1]), time), rng)?;
            if let Some(far) = case.redrawn(self, Draw::Large, rng)? {
                for side in sides {
                    // What a file refuses of such inputs is said where they are compared.
                    let _ = self.judged(*side, &far, costs);
                }
            }
            let other = self.overridden(&case, rng)?;
            for case in std::iter::once(&case).chain(&other) {
                for side in sides {
                    self.judged(*side, case, costs)?;
                }
            }
        }
        Ok(())
    }

    /// A file by the judge; what rounding costs it is remembered.
    pub(super) fn judged(&self, side: usize, case: &Case, costs: &mut Rounding) -> Result<Ran> {
        let ran = self.whole(side, By::Judge, case)?;
        costs.learn(side, case, &ran);
        // What f16 and bf16 cost shows only beside a run without them.
        if self.files[side].is_short() {
            let plain = self.whole(side, By::Unrounded, case)?;
            costs.learn_from(side, case, &ran, &plain);
        }
        if self.files[side].fuses() {
            costs.learn_inside(side, case, &self.whole(side, By::Fused, case)?);
        }
        Ok(ran)
    }

    pub(super) fn one(
        &self,
        case: &Case,
        costs: &mut Rounding,
        (checks, witnesses): (&mut Checks, &mut [Witness]),
        rng: &mut Rng,
    ) -> Result<()> {
        if matches!(case.draw, Draw::Small | Draw::Centred | Draw::Silent) {
            let first = self.judged(0, case, costs)?;
            let second = self.judged(1, case, costs)?;
            if case.draw == Draw::Centred {
                self.learn_constants(case, [&first, &second], costs)?;
            }
            self.hold(&mut checks.whole, case, (&first, &second), costs);
            return Ok(());
        }
        if case.draw == Draw::Large {
            if let Err(error) = self.far(case, costs, checks) {
                checks.refused.get_or_insert(error.root_cause().to_string());
            }
            return Ok(());
        }
        let first = self.judged(0, case, costs)?;
        let second = self.judged(1, case, costs)?;
        self.hold(&mut checks.whole, case, (&first, &second), costs);
        self.hold(&mut checks.rounded, case, (&first, &second), costs);
        let unit = self.face.unit();
        let free = self.is_free(case);
        let back = self
            .rewinds(case)
            .then(|| unit * (1 + rng.below(case.time / unit - 1)));
        if let Some(at) = back {
            let ran = self.rewound(By::Judge, case, at)?;
            self.hold(&mut checks.rewind, case, (&ran, &second), costs);
        }
        if self.kind == Kind::Step && free && self.face.states.iter().all(|s| s.first.1.is_some()) {
            let at = unit * piece(case.time / unit - 1, rng);
            let ran = self.then_steps(case, at)?;
            self.hold(&mut checks.then, case, (&ran, &second), costs);
        }
        if self.takes_pieces(case) {
            let pieces = pieces(case.time, rng);
            let ran = self.pieces(By::Judge, case, &pieces)?;
            self.hold(&mut checks.chunks, case, (&ran, &second), costs);
        }
        // Engines take what they must be given: other values for defaults are a question to the files.
        for witness in witnesses
            .iter_mut()
            .filter(|_| case.own && case.draw == Draw::Usual)
        {
            witness.add(self, case, back, [&first, &second], costs);
        }
        Ok(())
    }

    /// Far from 0 one file may have a mean and a deviation folded into a factor and a sum, of which a last place is much there.
    fn learn_constants(&self, case: &Case, ran: [&Ran; 2], costs: &mut Rounding) -> Result<()> {
        for (side, ran) in ran.into_iter().enumerate() {
            for seed in 0..NUDGED {
                let nudged = self.whole(side, By::Nudged(seed), case)?;
                costs.learn_from(side, case, ran, &nudged);
            }
        }
        Ok(())
    }

    /// A case with inputs far beyond the usual: what the files mean there.
    pub(super) fn far(&self, case: &Case, costs: &mut Rounding, checks: &mut Checks) -> Result<()> {
        let first = self.judged(0, case, costs)?;
        let second = self.judged(1, case, costs)?;
        self.hold(&mut checks.large, case, (&first, &second), costs);
        self.hold(&mut checks.large_rounded, case, (&first, &second), costs);
        Ok(())
    }
}
