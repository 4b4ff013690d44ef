//! Engines on the files of an export: each form by itself, held to the judge.

use anyhow::Result;
use safetensors::{Dtype, SafeTensors};

use super::contender::Roster;
use super::contract::Export;
use super::pair::{self, Case, Draw, Heard, Request, Tensor, Two};
use super::picture::ByLength;
use super::report::JUDGE;
use super::{Grade, Observer, Row};

/// The longest sequence, if nothing says another one: engines are held to a judge that is slow.
const LONGEST: usize = 64;

/// What all engines came to, and the remarks.
pub(crate) struct Engines {
    pub(crate) rows: Vec<Row>,
    pub(crate) notes: Vec<String>,
    /// Engines that were asked for by name and ran nothing, with what they say.
    pub(crate) silent: Vec<String>,
}

/// Asks every engine for every form of an export.
///
/// # Errors
/// A form that the judge does not run.
pub(crate) fn heard(
    export: &Export,
    roster: &Roster,
    bounds: Bounds,
    observe: Observer,
) -> Result<Engines> {
    let mut all = Engines {
        rows: vec![],
        notes: vec![],
        silent: vec![],
    };
    let mut refusals: Vec<(String, String)> = vec![];
    for FormHeard {
        form, heard, notes, ..
    } in forms_heard(export, roster, bounds, observe)?
    {
        let of_form = |note: String| format!("{form}: {note}");
        all.notes.extend(notes.into_iter().map(of_form));
        for engine in heard {
            let why = engine.refused.iter();
            refusals.extend(why.map(|why| (engine.who.name.clone(), why.clone())));
            all.notes.extend(engine.notes.iter().cloned());
            all.rows.extend(rows(&form, &engine));
        }
    }
    for (_, why) in roster.absent() {
        all.notes.push(why.clone());
    }
    for name in roster.asked() {
        let is = |r: &Row| r.engine.split(' ').next() == Some(name.as_str());
        if !all.rows.iter().any(is) {
            let why = refusals.iter().find(|(n, _)| *n == name);
            let why = why.map_or("it runs nothing", |(_, why)| why.as_str());
            all.silent
                .push(format!("{name} was asked for and runs no file: {why}"));
        }
    }
    Ok(all)
}

/// A form in every engine.
pub(crate) struct FormHeard {
    pub(crate) form: String,
    /// The type of its weights.
    pub(crate) dtype: String,
    pub(crate) heard: Vec<Heard>,
    notes: Vec<String>,
}

/// The seed, and the longest sequence.
pub(crate) type Bounds = (u64, Option<usize>);

/// Asks every engine for every form of an export, in order of the alphabet.
///
/// # Errors
/// As [`heard`].
pub(crate) fn forms_heard(
    export: &Export,
    roster: &Roster,
    (seed, longest): Bounds,
    observe: Observer,
) -> Result<Vec<FormHeard>> {
    // The step file does not say how many steps the model takes.
    let most = export.model()?.graph().longest().unwrap_or(usize::MAX);
    let request = Request {
        seed,
        longest: Some(longest.unwrap_or(LONGEST).min(most)),
        engines: roster.clone(),
        ..Request::default()
    };
    let golden = |two: &Two| golden(export, two);
    let mut all = vec![];
    for (form, path) in export.files() {
        let (heard, notes) = pair::alone(path, &request, &golden, observe)?;
        let told = export.told(form)?;
        let dtype = told.and_then(|(model, _)| model.metadata("minrnn.dtype"));
        all.push(FormHeard {
            form: form.to_owned(),
            dtype: dtype.unwrap_or("f32").to_owned(),
            heard,
            notes,
        });
    }
    Ok(all)
}

/// One row a check, over all tensors.
fn rows(form: &str, heard: &Heard) -> Vec<Row> {
    let mut all: Vec<Row> = vec![];
    for r in &heard.rows {
        let form = r.check.replacen("file", form, 1).replace(", in", " in");
        let at = all.iter().position(|row| row.form == form);
        let at = at.unwrap_or_else(|| {
            all.push(Row {
                engine: heard.who.to_string(),
                form,
                against: JUDGE.into(),
                grade: Grade::Portable,
                cases: 0,
                max_abs: 0.0,
                max_ulp: 0,
                min_tolerance: 0.0,
                argmax_agreement: None,
                errors_by_length: ByLength::default(),
                holds: true,
                decides: r.decides,
                note: None,
            });
            all.len() - 1
        });
        let row = &mut all[at];
        row.cases = row.cases.max(r.cases);
        row.max_abs = row.max_abs.max(r.max_abs);
        row.max_ulp = row.max_ulp.max(r.max_ulp);
        row.min_tolerance = row.min_tolerance.max(r.min_tolerance);
        row.errors_by_length.merge(&r.errors_by_length);
        row.argmax_agreement = row.argmax_agreement.or(r.argmax);
        if !r.holds && row.holds {
            row.holds = false;
            row.note = Some(why(r));
        }
    }
    all
}

/// Why a row of an engine does not hold.
fn why(r: &pair::Row) -> String {
    let place = r.worst.as_ref().map(|w| {
        format!(
            "{} of {} values of `{}` fail, worst at {:?} ({}): {} against {}",
            r.failing, r.values, r.tensor, w.index, w.case, w.first, w.second
        )
    });
    let what = r.said.clone().or(place).unwrap_or_default();
    format!("the engine is wrong, not the file: {what}")
}

/// Inputs and states of the golden trace, as cases; none where the file takes another batch or length.
fn golden(export: &Export, two: &Two) -> Result<Vec<Case>> {
    let (_, bytes) = export.golden()?;
    let Ok(file) = SafeTensors::deserialize(&bytes) else {
        return Ok(vec![]);
    };
    let mut data = vec![];
    for link in &two.face.links {
        match tensor(&file, &link.names[0])? {
            Some(t) => data.push(t),
            None => return Ok(vec![]),
        }
    }
    let Some([batch, time, ..]) = data.first().map(Tensor::shape) else {
        return Ok(vec![]);
    };
    let (batch, time) = (*batch, *time);
    let fits = |known: Option<usize>, here: usize| known.is_none_or(|n| n == here);
    if !fits(two.face.batch, batch) || !fits(two.face.length, time) {
        return Ok(vec![]);
    }
    let given = two.face.states.iter();
    let given = given.map(|s| tensor(&file, &format!("given.{}", s.second.0)));
    let given: Option<Vec<Tensor>> = given.collect::<Result<_>>()?;
    let begun = Case {
        batch,
        time,
        others: two.face.usual(time),
        data,
        states: None,
        lengths: None,
        ends: vec![],
        own: true,
        draw: Draw::Usual,
    };
    let states = given.filter(|all| !all.is_empty()).map(|states| Case {
        states: Some(states),
        ..begun.clone()
    });
    Ok(std::iter::once(begun).chain(states).collect())
}

/// A tensor of the trace; `None`: it is not there, or of another type.
fn tensor(file: &SafeTensors, name: &str) -> Result<Option<Tensor>> {
    use minrnn_onnx::ir::DType;
    let Ok(view) = file.tensor(name) else {
        return Ok(None);
    };
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::I64 => DType::I64,
        Dtype::BOOL => DType::Bool,
        _ => return Ok(None),
    };
    let array = super::contender::Array::from_bytes(dtype, view.shape(), view.data())?;
    Ok(Some(Tensor::known(array)))
}
