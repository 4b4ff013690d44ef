//! `minrnn eval`: where its data come from, which values of a configuration it reads, what its figures are not.

use std::fmt::Write as _;
use std::fs;

use crate::harness::{minrnn, trained};

#[test]
fn values_that_measuring_does_not_read_are_refused() {
    let dir = trained();
    let eval = |more: &[&str]| {
        let args = [&["eval", "run", "--samples", "2", "--split"], more].concat();
        minrnn(dir.path(), &args)
    };
    let own: [(&str, &[&str]); 3] = [
        (
            "validation",
            &["model.width=5", "train.steps=5", "train.seed=5"],
        ),
        (
            "train",
            &["model.layers=1", "train={batch=2}", "model.dropout=0.1"],
        ),
        ("validation", &["train.memory=7"]),
    ];
    for (split, sets) in own {
        for set in sets {
            let ran = eval(&[split, "--set", set]);
            assert!(
                ran.code == Some(2) && ran.err.contains("would change nothing"),
                "{}",
                ran.shown()
            );
        }
    }
    // The order of the training part is the seed's; a model of a configuration is held against the one that is measured.
    eval(&["train", "--set", "train.seed=5"]).good();
    eval(&["validation", "--set", "task.path=\"harbour.txt\""]).good();
    let ran = eval(&[
        "validation",
        "--data",
        "tiny.toml",
        "--set",
        "model.width=5",
    ]);
    assert!(
        ran.code == Some(2) && !ran.err.contains("would change nothing"),
        "{}",
        ran.shown()
    );
    let ran = eval(&["validation", "--data", "tiny.toml", "--set", "train.lr=1.0"]);
    let words =
        "--set train.lr would change nothing: of the configuration of the data, eval reads [task]";
    assert!(
        ran.code == Some(2) && ran.err.contains(words),
        "{}",
        ran.shown()
    );
}

/// Errors of 0 say nothing where float32 has one number for all targets.
#[test]
fn targets_that_float32_hardly_holds_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    for (name, offset) in [("far", 1e8), ("near", 0.0)] {
        let mut text = String::from("run,x,level\n");
        for row in 0..80_u32 {
            let x = f64::from(row * 7 % 11) / 11.0;
            writeln!(text, "r{},{x},{}", row / 8, offset + x).unwrap();
        }
        fs::write(dir.path().join(format!("{name}.csv")), text).unwrap();
        let toml = format!(
            "[task]\nkind = 'sequences'\npath = '{name}.csv'\nid_column = 'run'\nfeature_columns = ['x']\n\
             target_columns = ['level']\ntarget = 'values'\nper = 'step'\n[model]\nwidth = 8\nlayers = 1\n\
             [train]\nsteps = 2\nbatch = 4\nlr = 1e-2\n"
        );
        fs::write(dir.path().join(format!("{name}.toml")), toml).unwrap();
        let (toml, run) = (format!("{name}.toml"), format!("run-{name}"));
        minrnn(dir.path(), &["train", &toml, "--out", &run]).good();
        let args = ["eval", &run, "--split", "validation", "--json", "-"];
        let ran = minrnn(dir.path(), &args);
        let words =
            "the target level is 100000000 in all of what is measured, as far as float32 can tell";
        let both = [&ran.err, &ran.out].map(|text| text.contains(words));
        assert_eq!(both, [name == "far"; 2], "{}", ran.shown());
        ran.good();
    }
}
