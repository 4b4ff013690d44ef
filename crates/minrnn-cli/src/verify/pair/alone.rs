//! One file by itself: engines held to what the judge says of it.

use std::path::Path;

use anyhow::{Context, Result};
use minrnn_model::rng::Rng;

use super::OPENING;
use super::case::{Case, Two};
use super::interface::Kind;
use super::rounding::Rounding;
use super::sizes::pieces;
use super::spec::Request;
use super::way::Draw;
use super::witness::{Heard, Witness};
use crate::verify::course::Course;

/// Asks every engine of the request for a file, with the cases that a pair has and with those that are given.
///
/// # Errors
/// A file that cannot be read or judged. What an engine does is no error.
pub(crate) fn alone(
    file: &Path,
    request: &Request,
    given: &dyn Fn(&Two) -> Result<Vec<Case>>,
    mut observe: crate::verify::Observer,
) -> Result<(Vec<Heard>, Vec<String>)> {
    observe(0, 1, OPENING);
    let two = Two::open(file, file, Kind::Same, request)?;
    let mut rng = Rng::named(request.seed, "witness");
    let mut costs = Rounding::new(request.tolerance, two.times());
    let wanted = two.face.length.unwrap_or_else(|| two.longest(request));
    let (limit, shortened) = two.affordable(wanted, false)?;
    observe(0, 1, "measuring rounding");
    two.calibrate(limit, &mut rng, &mut costs, &[SIDE])
        .context("measuring how f32 rounds in this file")?;
    let mut witnesses = two.witnesses(request, &[(SIDE, "file")]);
    let mut cases = given(&two)?;
    let drawn = two.cases(limit, &mut rng)?.into_iter();
    cases.extend(drawn.filter(|case| case.own && case.draw == Draw::Usual));
    let mut course = Course::new(&mut observe, cases.iter().map(Case::work));
    for case in &cases {
        course.begin(case.work(), &case.name());
        two.ask(case, &mut costs, &mut witnesses, &mut rng)
            .with_context(|| case.name())?;
    }
    let heard = witnesses.into_iter().map(|w| w.finish(&two));
    Ok((heard.collect(), shortened.into_iter().collect()))
}

/// The file stands on both sides; it is run on this one, where a step file goes call by call.
const SIDE: usize = 1;

impl Two {
    fn ask(
        &self,
        case: &Case,
        costs: &mut Rounding,
        witnesses: &mut [Witness],
        rng: &mut Rng,
    ) -> Result<()> {
        let judged = self.judged(SIDE, case, costs)?;
        let unit = self.face.unit();
        let back = self
            .rewinds(case)
            .then(|| unit * (1 + rng.below(case.time / unit - 1)));
        let cuts = self.takes_pieces(case).then(|| pieces(case.time, rng));
        for witness in witnesses {
            witness.add(self, case, back, [&judged, &judged], costs);
            if let Some(cuts) = &cuts {
                witness.add_pieces(self, case, cuts, &judged, costs);
            }
        }
        Ok(())
    }
}
