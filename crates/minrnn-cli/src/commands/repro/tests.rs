//! The committed experiments: every row of each can be read, and says where its settings come from.

use std::collections::BTreeSet;

use clap::ValueEnum;

use super::experiment::{After, Better, Experiment, Kind, Wish};
use super::outcome::{Done, Trained};
use super::queue::{Asked, lengths, queue};
use super::{summary, table};
use crate::args::ReproName;

fn all() -> Vec<Experiment> {
    let names = ReproName::value_variants().iter();
    names.map(|name| Experiment::of(*name).unwrap()).collect()
}

fn asked(small: bool) -> Asked<'static> {
    Asked {
        small,
        seeds: &[],
        only: &[],
        python: false,
    }
}

#[test]
fn every_row_of_every_experiment_is_a_configuration_that_trains() {
    for experiment in all() {
        assert!(!experiment.title.is_empty());
        let names: BTreeSet<&str> = experiment.row.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names.len(), experiment.row.len(), "{}", experiment.name);
        for row in &experiment.row {
            for (small, on_gpu) in [(false, false), (false, true), (true, false), (true, true)] {
                if row.kind == Kind::ScanError || row.kind == Kind::Stream {
                    continue;
                }
                let wish = Wish {
                    small,
                    on_gpu,
                    seed: 3,
                    text: experiment.text.then_some("a.txt"),
                    length: None,
                };
                let config = experiment
                    .config(row, wish)
                    .unwrap_or_else(|e| panic!("{e:#}"));
                let held = config.train.validate();
                held.unwrap_or_else(|e| panic!("{} {}: {e}", experiment.name, row.name));
                assert_eq!(config.train.train.seed, 3);
            }
        }
    }
}

#[test]
fn settings_say_where_they_come_from() {
    for experiment in all()
        .iter()
        .filter(|e| !e.cpu_only && e.name != "efficiency")
    {
        let known = |key: &String| {
            let origins = experiment.origin.keys();
            origins
                .into_iter()
                .any(|o| key == o || key.starts_with(&format!("{o}.")))
        };
        let without: Vec<String> = experiment
            .keys()
            .into_iter()
            .filter(|k| !known(k))
            .collect();
        assert_eq!(without, Vec::<String>::new(), "{}", experiment.name);
    }
}

#[test]
fn tables_have_a_column_for_every_number_beside() {
    for experiment in all() {
        let keys: BTreeSet<&str> = experiment.column.iter().map(|c| c.key.as_str()).collect();
        for row in &experiment.row {
            assert!(
                row.paper.keys().all(|k| keys.contains(k.as_str())),
                "{}",
                row.name
            );
            let by_length = row.after.contains(&After::Lengths) || row.kind != Kind::Train;
            assert_eq!(by_length, !row.lengths.is_empty(), "{}", row.name);
            assert_eq!(by_length, !row.small_lengths.is_empty(), "{}", row.name);
            assert_eq!(lengths(row, true), row.small_lengths);
            if let Some(of) = &row.of {
                assert_eq!(experiment.row(of).unwrap().kind, Kind::Train);
            }
        }
        for ratio in &experiment.ratio {
            assert!(experiment.row(&ratio.of).is_some() && experiment.row(&ratio.to).is_some());
        }
    }
}

#[test]
fn a_queue_goes_row_by_row_in_the_order_of_the_file() {
    let experiment = Experiment::of(ReproName::SelectiveCopying).unwrap();
    let keys = |asked| -> Vec<String> {
        let items = queue(&experiment, asked).unwrap();
        items.iter().map(super::queue::Item::key).collect()
    };
    let whole = keys(asked(false));
    assert_eq!(
        whole[..4],
        ["min-gru-s0", "min-gru-s1", "min-gru-s2", "min-lstm-s0"]
    );
    assert_eq!(whole.len(), 3 + 3 + 1 + 1 + 8 + 8);
    assert_eq!(keys(asked(true)).len(), 6);
    let only = ["min-lstm".to_owned()];
    let some = Asked {
        seeds: &[7, 8],
        only: &only,
        ..asked(false)
    };
    assert_eq!(keys(some), ["min-lstm-s7", "min-lstm-s8"]);
    let only = ["lstm".to_owned()];
    let error = queue(
        &experiment,
        Asked {
            only: &only,
            ..some
        },
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("there are min-gru, min-lstm"),
        "{error}"
    );
    let claims = Experiment::of(ReproName::Claims).unwrap();
    let error = queue(&claims, Asked { only: &[], ..some }).unwrap_err();
    assert!(
        error.to_string().contains("--seeds would change nothing"),
        "{error}"
    );
}

fn run(row: &str, case: &str, figures: &[(&str, f64)], holds: bool) -> Done {
    let mut done = Done::new(row, case, "cpu");
    figures
        .iter()
        .for_each(|(key, value)| done.figure(*key, *value));
    done.outcome.model = Some(Trained {
        parameters: 5,
        weights_sha256: "ab".repeat(32),
        forms: vec!["step".into()],
        holds,
        checks: 4,
        export: None,
    });
    done
}

#[test]
fn what_falls_short_of_the_paper_is_said_to() {
    let experiment = Experiment::of(ReproName::Shakespeare).unwrap();
    assert_eq!(experiment.column[0].better, Some(Better::Lower));
    let done = [
        run("min-gru", "s0", &[("loss", 1.5), ("step", 500.0)], true),
        run("min-gru", "s1", &[("loss", 1.52), ("step", 600.0)], false),
        run("min-lstm", "s0", &[("loss", 1.6)], true),
    ];
    let all = summary::all(&experiment, &done);
    assert_eq!(all[0].cell(&experiment.column[0]), "1.5100 ± 0.0141");
    assert_eq!(all[0].against(&experiment), "loss reached, by 0.0380");
    assert_eq!(all[0].verdict(), "1 of 2 hold");
    assert_eq!(all[1].against(&experiment), "loss **short by 0.0450**");
    let said = |small| table::table(&experiment, &done, small).to_string();
    assert!(said(false).contains("short by") && !said(true).contains("short by"));
    let csv = table::csv(&experiment, &done);
    assert_eq!(csv.lines().count(), 4);
    assert!(
        csv.contains("shakespeare,min-gru,s1,cpu,1.52,600.0,"),
        "{csv}"
    );
    let [small, tiny] = [0.0123, 1e-9].map(|v| summary::figure(v, 1));
    assert_eq!((small.as_str(), tiny.as_str()), ("1.2e-2", "1.0e-9"));
}
