//! Two ONNX files of any program: a sequence file against its step file, or a file against another one.

mod alone;
mod apart;
mod aside;
mod backward;
mod begin;
mod case;
mod centre;
mod check;
mod checks;
mod compare;
mod costs;
mod cover;
mod defaults;
mod draw;
mod each;
mod file;
mod flags;
mod groups;
mod growth;
mod hold;
mod interface;
mod least;
mod lengths;
mod limits;
mod looked;
mod measure;
mod met;
mod noise;
mod notes;
mod nudged;
mod offset;
mod outputs;
mod past_end;
mod plan;
mod port;
mod readers;
mod report;
mod rounding;
mod run;
mod shape;
mod show;
mod sizes;
mod spec;
mod special;
mod states;
mod still;
mod stops;
mod summed;
mod tables;
mod tensor;
#[cfg(test)]
mod tests;
mod unused;
mod way;
mod witness;

use std::path::Path;

use anyhow::{Context, Result};

pub(crate) use alone::alone;
pub(crate) use case::{Case, Two};
pub(crate) use file::{By, GraphFile};
pub(crate) use flags::{dim_spec, input_spec, map_spec, value_spec};
pub(crate) use interface::Kind;
pub(crate) use report::{Pair, Report, Row};
pub(crate) use show::number;
pub(crate) use spec::{Fill, InputSpec, Request, StateSpec};
pub(crate) use states::states_file;
pub(crate) use tensor::{Reading, Tensor};
pub(crate) use unused::once;
pub(crate) use way::Draw;
pub(crate) use witness::Heard;

/// Opens two files, finds what belongs together, and compares them.
///
/// # Errors
/// Files that cannot be read, run or matched. What differs is no error: it is in the report.
pub(crate) fn compare(
    first: &Path,
    second: &Path,
    kind: Kind,
    request: &Request,
    observe: super::Observer,
) -> Result<Pair> {
    observe(0, 1, OPENING);
    let mut two = Two::open(first, second, kind, request)?;
    let note = two.not_as_asked(request);
    two.face.notes.extend(note);
    let compared = two.compare(request, observe);
    compared.map_err(|why| match two.short_masks(request) {
        Some(hint) => why.context(hint),
        None => why,
    })
}

/// What runs before anything is known of the work.
const OPENING: &str = "finding axes, states and lengths";

impl Two {
    pub(crate) fn open(first: &Path, second: &Path, kind: Kind, request: &Request) -> Result<Self> {
        let mut files = [GraphFile::open(first)?, GraphFile::open(second)?];
        let given = defaults::adopt(&mut files, request);
        unused::refuse_strangers(&files, request)?;
        let mut request = request.clone();
        // The file whose states are known is the second one: the other is given no states.
        if kind == Kind::Same
            && request.states.is_empty()
            && states::listed(&files[1])?.is_empty()
            && !states::listed(&files[0])?.is_empty()
        {
            files.reverse();
            request
                .names
                .iter_mut()
                .for_each(|(a, b)| std::mem::swap(a, b));
        }
        let face = interface::interface(&files[0], &files[1], kind, &request)?;
        unused::refuse_idle(&face, &request)?;
        unused::refuse_idle_dims(&files, &face, &request)?;
        let mut two = Self {
            files,
            kind,
            face,
            shapes: vec![],
            most: usize::MAX,
            empty_rows: false,
            least_row: 0,
            pieces_hold: true,
        };
        two.most = two.stated().unwrap_or(usize::MAX);
        if let Some(longest) = request.longest {
            two.most = two.face.steps(longest.clamp(1, two.most));
        }
        let rows = two.said_of_rows(&request)?;
        if let Some((low, high)) = rows {
            two.least_row = low;
            two.most = two.face.steps(two.most.min(high));
        }
        two.settle_lengths()?;
        two.find_least()?;
        let found = two
            .find_shapes()
            .context("finding the axis of time of the outputs");
        two.shapes = match found {
            Err(why) if request.longest.is_none() && two.takes_short() => {
                return Err(why.context("the files take short sequences and not these; say by --max-len N how long they may be"));
            }
            Err(why) => {
                return Err(match two.short_masks(&request) {
                    Some(hint) => why.context(hint),
                    None => why,
                });
            }
            Ok(found) => found,
        };
        let (empty_rows, note) = two.takes_empty_rows()?;
        two.empty_rows = empty_rows && rows.is_none_or(|(low, _)| low == 0);
        let backward = two.no_pieces();
        two.pieces_hold = backward.is_none();
        let notes = given.into_iter().chain(note).chain(backward);
        two.face.notes.extend(notes);
        Ok(two)
    }

    /// The range that was said for lengths of rows.
    fn said_of_rows(&self, request: &Request) -> Result<Option<(usize, usize)>> {
        for filled in self.face.filled.iter().filter(|f| f.ends_rows()) {
            let said = request.inputs.get(&filled.name).and_then(|s| s.range);
            if let Some((low, high)) = said {
                let ends = [low, high].map(usize::try_from);
                let [Ok(low), Ok(high @ 1..)] = ends else {
                    anyhow::bail!(
                        "--input {}=:int={low}..{high}: rows have 0 steps or more, and one of them all",
                        filled.name
                    );
                };
                return Ok(Some((low, high)));
            }
        }
        Ok(None)
    }

    /// The longest sequence that the files say they take. A step file of ours says it by its configuration alone.
    pub(super) fn stated(&self) -> Option<usize> {
        self.files.iter().filter_map(GraphFile::longest).min()
    }

    /// What is to be said where other lengths run than were asked for.
    fn not_as_asked(&self, request: &Request) -> Option<String> {
        let asked = request.longest.filter(|_| self.timed())?;
        let least = self.face.shortest();
        let take = match (self.face.length, self.stated()) {
            (Some(only), _) if only != asked => format!("T = {only} only"),
            (None, _) if least > asked => format!("T = {least} at the least"),
            (None, Some(most)) if most < asked => format!("up to T = {most}"),
            _ => return None,
        };
        Some(format!(
            "T = {asked} was asked for, and the files take {take}"
        ))
    }
}
