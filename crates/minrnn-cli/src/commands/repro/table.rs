//! The results as tables: for the terminal, as Markdown, as CSV.

use std::collections::BTreeSet;

use super::experiment::{Experiment, PlotSpec, TEXT};
use super::folder::Identity;
use super::missing::{self, Gap};
use super::outcome::Done;
use super::plot;
use super::ratio;
use super::summary::{self, Summary, figure, plain};
use crate::table::{escaped, quoted, wide};

/// The rows for people. The small version's figures are held to nobody's.
pub(super) fn table(experiment: &Experiment, done: &[Done], small: bool) -> comfy_table::Table {
    let all = summary::all(experiment, done);
    let columns: Vec<_> = shown(experiment, &all);
    let mut header = vec!["model".to_owned(), "runs".to_owned()];
    for column in &columns {
        header.push(column.title.clone());
        if all.iter().any(|s| s.row.paper.contains_key(&column.key)) {
            header.push(experiment.beside.clone());
        }
    }
    let against = match experiment.beside.as_str() {
        "paper" => "against the paper".to_owned(),
        other => format!("against {other}"),
    };
    let held = !small && all.iter().any(|s| !s.against(experiment).is_empty());
    let verified = all.iter().any(|s| !s.verdict().is_empty());
    header.extend(held.then_some(against));
    header.extend(verified.then(|| "verified".to_owned()));
    let rows = all.iter().map(|s| {
        let mut cells = vec![s.title.clone(), s.runs.len().to_string()];
        for column in &columns {
            cells.push(s.cell(column));
            if all.iter().any(|s| s.row.paper.contains_key(&column.key)) {
                let paper = s.row.paper.get(&column.key);
                cells.push(paper.map_or(String::new(), |p| plain(*p)));
            }
        }
        cells.extend(held.then(|| s.against(experiment)));
        cells.extend(verified.then(|| s.verdict()));
        cells
    });
    let right = 1..header.len() - usize::from(held) - usize::from(verified);
    wide(header, rows.collect::<Vec<_>>(), right)
}

/// Columns that a row has a figure for.
fn shown<'e>(experiment: &'e Experiment, all: &[Summary]) -> Vec<&'e super::experiment::Column> {
    let has = |c: &&super::experiment::Column| all.iter().any(|s| s.mean(&c.key).is_some());
    experiment.column.iter().filter(has).collect()
}

/// What is to be said of a text that is not the experiment's.
pub(super) fn other_text(of: &Identity) -> Option<String> {
    let (bytes, known) = TEXT;
    let given = of.text.as_ref().filter(|given| *given != known)?;
    Some(format!(
        "The text of --text is not the experiment's: its sha256 begins with {}, that of the published one, of {bytes} bytes, with {}. \
         Figures of other texts say nothing of the numbers beside them.",
        &given[..12.min(given.len())],
        &known[..12]
    ))
}

/// The page of the results.
pub(super) fn markdown(
    experiment: &Experiment,
    of: &Identity,
    done: &[Done],
    (gaps, pictures): (&[Gap], &[String]),
) -> String {
    let mut text = format!("# {}\n\n", experiment.title);
    if of.small {
        text += "**Small version: a minute on two cores. Its figures say nothing of the paper's; they show that everything runs. Sizes and lengths in the names of rows are those of the whole version.**\n\n";
    }
    let flag = if of.small { " --small" } else { "" };
    text += &format!(
        "`minrnn repro {}{flag}`, minrnn {}. What a clock measured is in `times.json`.\n\n",
        experiment.name, of.version
    );
    if let Some(note) = other_text(of) {
        text += &format!("**{note}**\n\n");
    }
    for picture in pictures {
        text += &format!("![{picture}]({picture}.svg)\n\n");
    }
    let mut all = table(experiment, done, of.small);
    all.load_style(comfy_table::presets::ASCII_MARKDOWN);
    text += &format!("{all}\n\n");
    for spec in &experiment.plot {
        text += &by_number(experiment, spec, done);
    }
    text += &ratio::said(experiment, done);
    text += &missing::said(gaps);
    for summary in &summary::all(experiment, done) {
        if let Some(remark) = &summary.row.remark {
            text += &format!("- {}: {remark}\n", summary.title);
        }
        text += &failures(summary);
    }
    text += &models(done);
    for note in &experiment.note {
        text += &format!("\n{note}\n");
    }
    text + &origins(experiment)
}

/// Why runs of a row have no figures; those for one reason together.
fn failures(summary: &Summary) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = vec![];
    for run in &summary.runs {
        let Some(why) = run.outcome.failed.as_deref() else {
            continue;
        };
        let case = case(&run.outcome.case);
        match reasons.last_mut().filter(|(before, _)| *before == why) {
            Some((_, cases)) => cases.push(case),
            None => reasons.push((why, vec![case])),
        }
    }
    let line = |(why, cases): &(&str, Vec<String>)| {
        format!(
            "- {}, {}: {}\n",
            summary.title,
            cases.join(", "),
            escaped(why)
        )
    };
    reasons.iter().map(line).collect()
}

/// A case by its name, in words.
fn case(name: &str) -> String {
    match name.split_at_checked(1) {
        Some(("s", n)) => format!("seed {n}"),
        Some(("g", n)) => format!("group {n}"),
        Some(("t", n)) => format!("T = {n}"),
        _ => name.to_owned(),
    }
}

/// Figures of a picture that go by a number, a column for each.
fn by_number(experiment: &Experiment, spec: &PlotSpec, done: &[Done]) -> String {
    if spec.prefix.is_none() {
        return String::new();
    }
    let lines = plot::figures(experiment, spec, done);
    let numbers: BTreeSet<u64> = lines
        .iter()
        .flat_map(|(.., points)| points.iter().map(|p| p.0 as u64))
        .collect();
    let rows: Vec<Vec<String>> = lines
        .iter()
        .filter(|(.., points)| !points.is_empty())
        .map(|(name, _, points)| {
            let at = |n: &u64| points.iter().find(|p| p.0 as u64 == *n);
            let cell = |n| at(n).map_or(String::new(), |p| figure(p.1, spec.digits));
            std::iter::once(name.clone())
                .chain(numbers.iter().map(cell))
                .collect()
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut header = vec![format!("{}, {} =", spec.y, spec.x)];
    header.extend(numbers.iter().map(u64::to_string));
    let mut table = wide(header, rows, 1..numbers.len() + 1);
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    format!("{table}\n\n")
}

/// Every model by its name.
fn models(done: &[Done]) -> String {
    let rows: Vec<Vec<String>> = done
        .iter()
        .filter_map(|d| {
            let model = d.outcome.model.as_ref()?;
            let verdict = match model.holds {
                true => format!("holds, {} checks", model.checks),
                false => "does not hold".into(),
            };
            let export = model.export.clone();
            Some(vec![
                format!("{}-{}", d.outcome.row, d.outcome.case),
                model.parameters.to_string(),
                format!(
                    "{}..",
                    &model.weights_sha256[..16.min(model.weights_sha256.len())]
                ),
                model.forms.join(", "),
                verdict,
                export.unwrap_or_else(|| "not kept: its files are larger than 16 MiB".into()),
            ])
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let header = [
        "model",
        "parameters",
        "weights (sha256)",
        "forms",
        "verified",
        "export",
    ];
    let mut table = wide(header.map(str::to_owned).to_vec(), rows, 1..2);
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    format!("\n## Every model\n\n{table}\n")
}

/// Where the settings come from.
fn origins(experiment: &Experiment) -> String {
    if experiment.origin.is_empty() {
        return String::new();
    }
    let line = |(key, from): (&String, &String)| format!("- `{key}`: {from}\n");
    let lines: String = experiment.origin.iter().map(line).collect();
    format!("\n## Where the settings come from\n\n{lines}")
}

/// A line for each run, numbers with all their digits.
pub(super) fn csv(experiment: &Experiment, done: &[Done]) -> String {
    let mut keys: Vec<&str> = done
        .iter()
        .flat_map(|d| d.outcome.figures.keys().map(String::as_str))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let first = ["experiment", "row", "case", "device"];
    let last = ["weights_sha256", "verified", "failed"];
    let header = first.into_iter().chain(keys.iter().copied()).chain(last);
    let mut text = header.collect::<Vec<_>>().join(",") + "\n";
    for Done { outcome, .. } in done {
        let mut cells = vec![
            experiment.name.to_owned(),
            outcome.row.clone(),
            outcome.case.clone(),
            outcome.device.clone(),
        ];
        let number = |key: &&str| {
            outcome
                .figures
                .get(*key)
                .map_or(String::new(), |v| format!("{v:?}"))
        };
        cells.extend(keys.iter().map(number));
        let model = outcome.model.as_ref();
        cells.push(model.map_or(String::new(), |m| m.weights_sha256.clone()));
        cells.push(model.map_or(String::new(), |m| {
            if m.holds { "holds" } else { "fails" }.into()
        }));
        cells.push(outcome.failed.clone().unwrap_or_default());
        let cells: Vec<String> = cells.iter().map(|c| quoted(c)).collect();
        text += &(cells.join(",") + "\n");
    }
    text
}
