//! The runs of a sweep: which values each has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use minrnn_model::rng::Rng;
use serde::Deserialize;
use toml::Table;

use super::vary::{self, Choices, Vary};
use crate::files;

/// No file of a sweep is longer, bytes.
const MOST: u64 = 1 << 20;
/// No sweep has more runs.
const RUNS: usize = 10_000;
/// So often a combination that was drawn before is drawn again, before there are taken to be no others.
const TRIES: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    config: PathBuf,
    draws: Option<usize>,
    seed: Option<u64>,
    vary: Table,
}

/// A sweep.
#[derive(Debug)]
pub(super) struct Plan {
    /// What every run begins with.
    pub(super) config: PathBuf,
    pub(super) keys: Vec<String>,
    /// For each run a value for each key, as the configuration writes it.
    pub(super) runs: Vec<Vec<String>>,
}

impl Plan {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path, MOST)?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|e| anyhow!("{}", e.to_string().trim()))?;
        let all = vary::all(&file.vary)?;
        let runs = match file.draws {
            Some(0) => bail!("draws is 0: a sweep has at least one run"),
            Some(draws) if draws > RUNS => {
                bail!("draws is {draws}, and no sweep has more than {RUNS} runs")
            }
            Some(draws) => drawn(&all, draws, file.seed.unwrap_or(0))?,
            None if file.seed.is_some() => bail!(
                "seed would change nothing: without draws every combination is a run, and none is drawn; leave it out, or say how many by draws = N (the seed of a training is vary.train.seed, or train.seed in the configuration)"
            ),
            None => grid(&all)?,
        };
        Ok(Self {
            config: file.config,
            keys: all.into_iter().map(|v| v.key).collect(),
            runs,
        })
    }

    /// The values of a run as `--set` has them.
    pub(super) fn sets(&self, run: &[String]) -> Vec<String> {
        let pairs = self.keys.iter().zip(run);
        pairs.map(|(key, value)| format!("{key}={value}")).collect()
    }
}

/// Every combination, the last key's values following each other.
fn grid(all: &[Vary]) -> Result<Vec<Vec<String>>> {
    let mut runs: Vec<Vec<String>> = vec![vec![]];
    for Vary { key, choices } in all {
        let Choices::List(texts) = choices else {
            bail!(
                "vary.{key} is a span of numbers, which has no end of combinations: say how many runs by draws = N, or give a list"
            );
        };
        if runs.len() * texts.len() > RUNS {
            bail!("there are more than {RUNS} combinations: say how many of them by draws = N");
        }
        let with = |run: &Vec<String>| {
            let run = run.clone();
            texts
                .iter()
                .map(move |text| [run.as_slice(), std::slice::from_ref(text)].concat())
        };
        runs = runs.iter().flat_map(with).collect();
    }
    Ok(runs)
}

/// Different combinations by chance; more draws have the same ones first.
fn drawn(all: &[Vary], draws: usize, seed: u64) -> Result<Vec<Vec<String>>> {
    let mut rng = Rng::named(seed, "sweep");
    let (mut seen, mut runs) = (BTreeSet::new(), vec![]);
    while runs.len() < draws {
        let mut draw = || {
            all.iter()
                .map(|v| v.choices.draw(&mut rng))
                .collect::<Vec<_>>()
        };
        let fresh = std::iter::repeat_with(&mut draw)
            .take(TRIES)
            .find(|run| !seen.contains(run));
        let Some(run) = fresh else {
            bail!(
                "draws is {draws}, and there seem to be only {} different combinations",
                runs.len()
            );
        };
        seen.insert(run.clone());
        runs.push(run);
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<Plan> {
        Plan::parse(&format!("config = \"a.toml\"\n{text}"))
    }

    #[test]
    fn a_grid_has_each_combination_once() {
        let plan = plan("[vary]\nb.y = [\"p\", \"q\"]\na.x = [1, 2, 3]").unwrap();
        let sets: Vec<String> = plan.runs.iter().map(|r| plan.sets(r).join(" ")).collect();
        assert_eq!(sets.len(), 6);
        assert_eq!(
            sets[..3],
            ["a.x=1 b.y=\"p\"", "a.x=1 b.y=\"q\"", "a.x=2 b.y=\"p\""]
        );
    }

    #[test]
    fn more_draws_come_behind_the_others() {
        let of = |draws: usize, seed: u64| {
            plan(&format!("draws = {draws}\nseed = {seed}\n[vary]\nx = {{ from = 0.0, to = 1.0 }}\nn = [1, 2, 3]")).unwrap().runs
        };
        assert_eq!(of(4, 1), of(9, 1)[..4]);
        assert_ne!(of(4, 1), of(4, 2));
        let all: BTreeSet<_> = of(9, 1).into_iter().collect();
        assert_eq!(all.len(), 9);
    }

    #[test]
    fn sweeps_without_runs_or_end_are_refused() {
        for (text, wanted) in [
            (
                "draws = 4\n[vary]\nn = [1, 2, 3]",
                "only 3 different combinations",
            ),
            ("draws = 0\n[vary]\nn = [1]", "draws is 0"),
            (
                "draws = 10001\n[vary]\nn = { from = 0.0, to = 1.0 }",
                "no sweep has more than 10000",
            ),
            ("[vary]\nn = { from = 0.0, to = 1.0 }", "draws = N"),
            ("draw = 3\n[vary]\nn = [1]", "unknown field `draw`"),
            ("draws = 3", "missing field `vary`"),
            (
                "seed = 3\n[vary]\nn = [1]",
                "seed would change nothing: without draws",
            ),
        ] {
            let said = format!("{:#}", plan(text).unwrap_err());
            assert!(said.contains(wanted), "{text}: {said}");
        }
        let many: String = (0..14).map(|i| format!("k{i} = [0, 1]\n")).collect();
        let said = format!("{:#}", plan(&format!("[vary]\n{many}")).unwrap_err());
        assert!(said.contains("more than 10000 combinations"), "{said}");
    }
}
