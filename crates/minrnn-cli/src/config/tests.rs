use super::*;

const GOOD: &str = "\
[task]
kind = \"selective_copying\"
length = 12
data_tokens = 2

[model]
width = 16
layers = 1

[train]
steps = 8
batch = 4
lr = 1e-3
";

fn parse(text: &str, sets: &[&str]) -> Result<Config, String> {
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    Config::parse("a.toml", text, &sets).map_err(|e| e.to_string())
}

#[track_caller]
fn message(text: &str, sets: &[&str], wanted: &str) {
    let found = parse(text, sets).map(|c| c.train).unwrap_err();
    assert!(found.contains(wanted), "wanted {wanted:?} in {found:?}");
}

#[test]
fn it_is_what_the_deserializer_makes_of_the_whole() {
    let found = parse(GOOD, &[]).unwrap();
    assert_eq!(found.train, toml::from_str::<TrainConfig>(GOOD).unwrap());
}

#[test]
fn set_replaces_adds_and_nests() {
    let sets = [
        "train.steps = 7",
        "model.cell.kind=\"min_lstm\"",
        "model.conv={kernel=3}",
        "train.steps=7",
    ];
    let found = parse(GOOD, &sets).unwrap().train;
    assert_eq!(found.train.steps, 7);
    assert_eq!(found.model.conv.unwrap().kernel, 3);
    assert_eq!(
        found.model.cell.kind(),
        minrnn_model::config::CellKind::MinLstm
    );
    assert_eq!(found.train.batch, 4);
}

/// Which of two was meant, nobody knows: a script that adds its own to those that it was given would change them in silence.
#[test]
fn two_values_for_one_key_are_refused() {
    let set = "train.steps = 100";
    message(
        GOOD,
        &[set, "train={steps=7}"],
        "--set train={steps=7}: train.steps was set to 100 by another --set; leave one of them out",
    );
    message(
        GOOD,
        &["model.conv=3", "model.conv.kernel=4"],
        "model.conv was set to 3 by another --set",
    );
    message(
        GOOD,
        &["model.conv.kernel=4", "model.conv=3"],
        "model.conv.kernel was set to 4 by another --set",
    );
    for twice in [
        [set, "train.steps=100"],
        ["model.conv={kernel=3}", "model.conv.kernel=3"],
        ["model.conv={}", "model.conv.kernel=3"],
    ] {
        parse(GOOD, &twice).unwrap();
    }
}

#[test]
fn every_fault_has_its_place() {
    let with = |from: &str, to: &str| GOOD.replace(from, to);
    message(
        &with("length", "lenght"),
        &[],
        "a.toml, line 3, column 1: unknown field `lenght`, expected one of `length`",
    );
    message(
        &with("length = 12", "length = \"é\""),
        &[],
        "a.toml, line 3, column 10: invalid type: string \"é\", expected usize",
    );
    message(
        &with("width", "wdith"),
        &[],
        "line 7, column 1: unknown field `wdith`",
    );
    message(&with("1e-3", "1e"), &[], "line 13, column 8: ");
    message(
        &with("lr", "#"),
        &[],
        "line 10, column 1: missing field `lr`",
    );
    message(
        &with("[train]", "[training]"),
        &[],
        "line 10, column 2: unknown table or key `training`, expected [task], [model] and [train]",
    );
    message(
        &with("selective_copying", "copying"),
        &[],
        "line 2, column 8: unknown kind of task \"copying\", expected",
    );
    message(
        &with("kind", "knid"),
        &[],
        "line 1, column 1: the task has no `kind`",
    );
    message(
        &format!("x = 1\n{GOOD}"),
        &[],
        "line 1, column 1: unknown table or key `x`",
    );
    message("", &[], "a.toml: the table [task] is missing");
    message("\u{0}", &[], "line 1, column 2: ");
}

#[test]
fn a_fault_in_set_is_told_apart() {
    message(
        GOOD,
        &["train.stesp=1"],
        "--set train.stesp=1: unknown field `stesp`",
    );
    message(
        GOOD,
        &["train.steps=many"],
        "a text needs quotes inside quotes: --set 'train.steps=\"many\"'",
    );
    message(
        GOOD,
        &["train.batch=1", "train.steps=\"x\""],
        "--set train.steps=\"x\": invalid type",
    );
    message(GOOD, &["train.steps"], "write it as key=value");
    message(
        GOOD,
        &["model=3"],
        "--set model=3: invalid type: integer `3`",
    );
}

#[test]
fn values_that_make_no_sense_have_a_line_too() {
    let at = |field: &str, message: &str| {
        let error = TrainError::Config {
            field: field.into(),
            message: message.into(),
        };
        parse(GOOD, &["train.warmup_steps=9"])
            .unwrap()
            .explain(error)
            .to_string()
    };
    assert!(
        at("lr", "is 0")
            .starts_with("a.toml, line 13, column 1: option `lr`: is 0\n13 | lr = 1e-3\n")
    );
    assert!(
        at("total_steps", "is 8")
            .starts_with("a.toml, line 11, column 1: option `train.steps`: is 8")
    );
    assert!(
        at("warmup_steps", "bad")
            .starts_with("--set train.warmup_steps=9: option `warmup_steps`: bad")
    );
    assert_eq!(at("head", "bad"), "a.toml");
}

#[test]
fn a_set_that_sets_nothing_is_refused() {
    for set in [
        "",
        " ",
        "#",
        "# a=b",
        "[train]",
        "[train] # a=b",
        "[train.optimizer]",
    ] {
        message(
            GOOD,
            &["train.steps=9", set],
            "sets nothing; write it as key=value",
        );
    }
    for set in ["[train]\nsteps=9", "train={steps=9}", "train={}"] {
        parse(GOOD, &[set]).unwrap();
    }
    // An empty table is a value.
    assert!(
        parse(GOOD, &["model.mlp={}"])
            .unwrap()
            .train
            .model
            .mlp
            .is_some()
    );
}

#[test]
fn a_number_that_is_too_large_is_called_so() {
    let large = "99999999999999999999";
    let set = format!("train.steps={large}");
    let error = parse(GOOD, &[&set]).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("--set {set}: the number {large} is too large")
    );
    let error = parse(GOOD, &[&format!("train.steps=-{large}")])
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("is too small"), "{error}");
    let huge = format!("train.steps={large}{large}{large}");
    let error = parse(GOOD, &[&huge]).unwrap_err().to_string();
    assert!(
        !error.contains("quotes") && error.contains("large"),
        "{error}"
    );
}
