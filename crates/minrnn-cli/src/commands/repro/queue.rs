//! The queue of an experiment: its rows in the order of the file, each with its cases.

use anyhow::{Result, bail};

use super::experiment::{Experiment, Kind, Row};

/// A run that the queue asks for.
#[derive(Debug, Clone)]
pub(super) struct Item<'e> {
    pub(super) row: &'e Row,
    /// The seed of a training, the length of a measurement, the group of a stream.
    pub(super) case: u64,
}

impl Item<'_> {
    /// The case by its name: `s0`, `t512`, `g3`.
    pub(super) fn case(&self) -> String {
        self.row.kind.case(self.case)
    }

    /// The name of its files.
    pub(super) fn key(&self) -> String {
        format!("{}-{}", self.row.name, self.case())
    }
}

/// What the command asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) small: bool,
    pub(super) seeds: &'a [u64],
    pub(super) only: &'a [String],
    /// Whether there is a Python.
    pub(super) python: bool,
}

/// All runs, in order.
///
/// # Errors
/// A row of `--only` that is not there; seeds where nothing has one.
pub(super) fn queue<'e>(experiment: &'e Experiment, asked: Asked) -> Result<Vec<Item<'e>>> {
    let rows = &experiment.row;
    if let Some(word) = asked
        .only
        .iter()
        .find(|w| !rows.iter().any(|r| r.name == **w))
    {
        let names: Vec<&str> = rows.iter().map(|r| r.name.as_str()).collect();
        bail!(
            "--only {word}: {} has no such row; there are {}",
            experiment.name,
            names.join(", ")
        );
    }
    let of_torch = |row: &Row| row.kind == Kind::Torch;
    let wanted = |row: &&Row| match asked.only.is_empty() {
        true => asked.python || !of_torch(row),
        false => asked.only.contains(&row.name),
    };
    let rows: Vec<&Row> = rows.iter().filter(wanted).collect();
    if let Some(row) = rows.iter().find(|r| of_torch(r) && !asked.python) {
        bail!(
            "--only {}: it is measured by PyTorch; give --python PYTHON",
            row.name
        );
    }
    if asked.python && !rows.iter().any(|r| of_torch(r)) {
        bail!(
            "--python would change nothing: no row that is asked for is measured by PyTorch; leave it out"
        );
    }
    if !asked.seeds.is_empty() && !rows.iter().any(|r| r.kind == Kind::Train) {
        bail!("--seeds would change nothing: no row that is asked for is trained; leave it out");
    }
    let items = |row: &&'e Row| {
        let row = *row;
        let cases = cases(experiment, row, asked);
        cases.into_iter().map(move |case| Item { row, case })
    };
    Ok(rows.iter().flat_map(items).collect())
}

/// The cases of a row.
pub(super) fn cases(experiment: &Experiment, row: &Row, asked: Asked) -> Vec<u64> {
    match row.kind {
        Kind::Train if !asked.seeds.is_empty() => asked.seeds.to_vec(),
        Kind::Train => {
            let seeds = row.seeds.as_ref().unwrap_or(&experiment.seeds);
            let few = if asked.small { 1 } else { seeds.len() };
            seeds.iter().copied().take(few).collect()
        }
        Kind::Stream => {
            let all = row
                .sequences
                .unwrap_or(1)
                .div_ceil(row.group.unwrap_or(1).max(1));
            (0..if asked.small { 1 } else { all }).collect()
        }
        Kind::Step | Kind::Torch | Kind::Infer | Kind::ScanError | Kind::Exact => {
            lengths(row, asked.small).to_vec()
        }
    }
}

/// The lengths of a row.
pub(super) fn lengths(row: &Row, small: bool) -> &[u64] {
    match small {
        true => &row.small_lengths,
        false => &row.lengths,
    }
}
