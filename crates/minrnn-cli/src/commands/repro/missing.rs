//! What of an experiment has not run yet, in words: which models, and which of their runs.

use super::experiment::{Experiment, Kind, Row};
use super::folder::Folder;
use super::queue::{Asked, cases};
use super::summary::titled;

/// Runs of a row that are not there.
pub(super) struct Gap<'e> {
    row: &'e Row,
    title: String,
    cases: Vec<u64>,
    /// Whether the row has no run at all.
    whole: bool,
}

/// All of them, in the order of the experiment; of rows whose runs stand by device, those of the GPU and then those of the CPU.
pub(super) fn gaps<'e>(experiment: &'e Experiment, small: bool, folder: &Folder) -> Vec<Gap<'e>> {
    let asked = Asked {
        small,
        seeds: &[],
        only: &[],
        python: true,
    };
    let devices: &[&str] = if experiment.by_device {
        &["cuda", "cpu"]
    } else {
        &["cpu"]
    };
    let mut gaps = vec![];
    for device in devices {
        for row in &experiment.row {
            if row.kind.place(device) != *device {
                continue;
            }
            let all = cases(experiment, row, asked);
            let left = |case: &u64| !folder.has(&row.name, &row.kind.case(*case), device);
            let cases: Vec<u64> = all.iter().copied().filter(left).collect();
            if !cases.is_empty() {
                gaps.push(Gap {
                    row,
                    title: titled(experiment, row, device),
                    whole: cases.len() == all.len(),
                    cases,
                });
            }
        }
    }
    gaps
}

/// A line, or a list of lines where models differ in more than their names: what they share is said once.
pub(super) fn said(gaps: &[Gap]) -> String {
    let mut groups: Vec<(&str, Vec<&Gap>)> = vec![];
    for gap in gaps {
        let (_, shared) = gap.parts();
        match groups.iter_mut().find(|(s, _)| *s == shared) {
            Some((_, group)) => group.push(gap),
            None => groups.push((shared, vec![gap])),
        }
    }
    let lines: Vec<String> = groups.iter().map(|(s, group)| line(s, group)).collect();
    match &lines[..] {
        [] => String::new(),
        // What is shared has a colon of its own.
        [one] if !one.contains(": ") => format!("Not run yet: {one}.\n\n"),
        some => format!("Not run yet:\n\n- {}\n\n", some.join("\n- ")),
    }
}

fn line(shared: &str, group: &[&Gap]) -> String {
    if let ([one], false) = (group, shared.is_empty()) {
        return format!("{}{}", one.title, one.which());
    }
    let name = |gap: &&Gap| format!("{}{}", gap.parts().0, gap.which());
    let names = group.iter().map(name).collect::<Vec<_>>().join(", ");
    match shared {
        "" => names,
        _ => format!("{shared}: {names}"),
    }
}

impl Gap<'_> {
    /// The model, and what is said of it behind the first comma.
    fn parts(&self) -> (&str, &str) {
        self.title.split_once(", ").unwrap_or((&self.title, ""))
    }

    /// Which of the row's runs, where some are there.
    fn which(&self) -> String {
        if self.whole {
            return String::new();
        }
        let what = match (self.row.kind, self.cases.len()) {
            (Kind::Train, 1) => "seed ",
            (Kind::Train, _) => "seeds ",
            (Kind::Stream, 1) => "group ",
            (Kind::Stream, _) => "groups ",
            _ => "T = ",
        };
        let cases: Vec<String> = self.cases.iter().map(u64::to_string).collect();
        format!(" ({what}{})", cases.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::folder::Identity;
    use super::super::outcome::Done;
    use super::*;
    use crate::args::ReproName;

    /// What is said after runs `(row, case, device)`.
    fn after(name: ReproName, runs: &[(&str, &str, &str)]) -> String {
        let experiment = Experiment::of(name).unwrap();
        let of = Identity {
            experiment: experiment.name.into(),
            version: "0.1.0".into(),
            small: false,
            text: None,
        };
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path(), of, &experiment).unwrap();
        for (row, case, device) in runs {
            folder.add(Done::new(row, case, device)).unwrap();
        }
        said(&gaps(&experiment, false, &folder))
    }

    #[test]
    fn names_of_models_and_of_seeds_where_some_are_there() {
        let runs = [("min-gru", "s1", "cuda"), ("min-lstm", "s0", "cpu")];
        let said = after(ReproName::Shakespeare, &runs);
        let wanted =
            "Not run yet: minGRU (seeds 0, 2), minLSTM (seeds 1, 2), Mamba, Transformer.\n\n";
        assert_eq!(said, wanted);
    }

    #[test]
    fn what_models_share_is_said_once() {
        let said = after(ReproName::Stability, &[("min-gru-1", "s0", "cuda")]);
        let wanted = "Not run yet:\n\n- 1 layer: minGRU (seeds 1, 2), minLSTM\n- 2 layers: minGRU, minLSTM\n\n";
        assert_eq!(said, wanted);
    }

    #[test]
    fn one_line_has_one_colon() {
        let runs = ["min-gru", "min-lstm"].map(|row| ["s0", "s1", "s2"].map(|s| (row, s, "cuda")));
        let streams = ["min-gru-65536", "min-gru-1048576"];
        let groups = ["g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7"];
        let streams = streams.map(|row| groups.map(|g| (row, g, "cpu")));
        let runs = [runs.concat(), streams.concat()].concat();
        let said = after(ReproName::SelectiveCopying, &runs);
        let wanted = "Not run yet:\n\n- the paper's settings: minGRU, minLSTM\n\n";
        assert_eq!(said, wanted);
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(super::said(&[]), "");
    }

    /// A result of the CPU is none of the GPU; inference has one of the CPU alone.
    #[test]
    fn devices_have_results_of_their_own() {
        let all = after(ReproName::Efficiency, &[]);
        let gpu = "- width 64, 1 layer: minGRU, minLSTM";
        let cpu = "- width 64, 1 layer, CPU: minGRU, minLSTM";
        assert!(all.contains(gpu) && all.contains(cpu), "{all}");
        assert!(all.contains("- inference, CPU: minGRU") && !all.contains("- inference:"));
        let some = after(ReproName::Efficiency, &[("min-gru-64-1", "t64", "cpu")]);
        assert!(
            some.contains(gpu) && some.contains("CPU: minGRU (T = 128, 256,"),
            "{some}"
        );
    }
}
