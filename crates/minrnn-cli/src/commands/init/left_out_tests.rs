//! What `init` leaves out of a CSV file, and what it refuses.

use std::fmt::Write;

use super::tests::{guess, written};

/// Three sequences of four steps, with a column of one's own.
fn table(name: &str, cell: impl Fn(usize, usize) -> String) -> String {
    let mut text = format!("device,{name},temp,label\n");
    for row in 0..12 {
        let (device, t) = (row / 4, row % 4);
        let temp = [0.5, 0.25, 4.0, 1.5, 2.0][row * 3 % 5];
        let label = ["good", "bad"][row % 3 % 2];
        writeln!(text, "d{device},{},{temp},{label}", cell(row, t)).unwrap();
    }
    text
}

/// A model that is given the number of a row knows where in the file it is.
#[test]
fn counters_are_told_by_their_values() {
    type Cell<'a> = &'a dyn Fn(usize, usize) -> String;

    let of = "every row of the file";
    let each = "every row of each sequence";
    let cases: [(&str, Cell<'_>, &str); 6] = [
        ("id", &|row, _| row.to_string(), of),
        ("Unnamed: 0", &|row, _| format!("{}.0", 500 + 10 * row), of),
        ("rest", &|row, _| (100 - row).to_string(), of),
        ("n", &|_, t| t.to_string(), each),
        ("n", &|row, t| (row / 4 * 77 + 5 * t).to_string(), each),
        ("to go", &|_, t| (3 - t).to_string(), each),
    ];
    for (name, cell, said) in cases {
        let found = guess(&table(name, cell), &[]).unwrap();
        assert_eq!(found.id, "device", "{name}");
        assert_eq!(found.features, ["temp"], "{name}");
        assert_eq!(found.ignored, [name]);
        let [note] = &found.notes[..] else {
            panic!("{:?}", found.notes)
        };
        let begins = format!("column '{name}' is left out: it is a counter");
        assert!(note.starts_with(&begins) && note.contains(said), "{note}");
    }
    let others: [&dyn Fn(usize, usize) -> String; 4] = [
        &|row, _| (row * row).to_string(),
        &|row, _| (row / 4 * 7).to_string(),
        &|row, _| format!("{}", row as f64 * 0.5),
        &|row, t| (t * (1 + row / 4)).to_string(),
    ];
    for cell in others {
        let found = guess(&table("x", cell), &[]).unwrap();
        assert_eq!(found.features, ["x", "temp"], "{}", table("x", cell));
    }
    // What is left until the end may be what is predicted, and a counter behind the labels is not.
    let last = |cell: &dyn Fn(usize, usize) -> String| {
        let text = table("x", cell);
        let turned = text.lines().map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("{},{},{},{}\n", cells[0], cells[2], cells[3], cells[1])
        });
        turned.collect::<String>().replace("label", "state")
    };
    let found = guess(&last(&|row, _| row.to_string()), &[]).unwrap();
    assert_eq!(
        (found.targets, found.ignored),
        (vec!["state".to_owned()], vec!["x".to_owned()])
    );
    let found = guess(&last(&|_, t| (3 - t).to_string()), &[]).unwrap();
    assert_eq!(found.targets, ["x"]);
}

/// Rows of three machines in turn, sorted by time.
#[test]
fn a_clock_tells_no_sequences_apart() {
    let times: [(&str, &dyn Fn(usize) -> String); 5] = [
        ("timestamp", &|hour| hour.to_string()),
        ("when", &|hour| format!("2026-01-01 {hour:02}:00")),
        ("when", &|hour| format!("{}", 1_700_000_000 + 60 * hour)),
        ("Time", &|hour| format!("{}", hour as f64 * 0.5)),
        ("offset", &|hour| format!("{}", hour as f64 * 0.5)),
    ];
    for (name, time) in times {
        let mut text = format!("{name},machine,temp,state\n");
        for row in 0..12 {
            let machine = ["A", "B", "C"][row % 3];
            writeln!(
                text,
                "{},{machine},{}.5,{}",
                time(row / 3),
                row * 5 % 7,
                row % 2
            )
            .unwrap();
        }
        let said = guess(&text, &[]).map(|g| g.id).unwrap_err().to_string();
        for part in [
            "no column tells the sequences apart",
            "--id-column",
            "sort them by",
        ] {
            assert!(said.contains(part), "{said}");
        }
        let clock = format!("('{name}' reads as a clock)");
        assert_eq!(said.contains(&clock), name != "offset", "{said}");
        // By machine and time, as the message has it.
        let mut lines: Vec<&str> = text.lines().skip(1).collect();
        lines.sort_by_key(|line| line.split(',').nth(1));
        let sorted = format!("{name},machine,temp,state\n{}\n", lines.join("\n"));
        assert_eq!(guess(&sorted, &[]).unwrap().id, "machine");
    }
    // Recordings may be called by the time of their begin.
    let text = "run,x,y\n2026-01-01,1,a\n2026-01-01,4,b\n2026-01-02,3,a\n";
    assert_eq!(guess(text, &[]).unwrap().id, "run");
}

#[test]
fn columns_without_a_name_are_left_out() {
    for (text, at) in [
        (table("", |row, _| row.to_string()), 2),
        (table("", |row, _| format!("0.{}", row * 7 % 5)), 2),
    ] {
        let found = guess(&text, &[]).unwrap();
        assert_eq!(
            (found.features, found.ignored),
            (vec!["temp".to_owned()], vec![String::new()])
        );
        let says = format!("column {at} is left out: it has no name");
        assert!(found.notes[0].starts_with(&says), "{:?}", found.notes);
        // It trains: the configuration can say it.
        let made = written(&text).unwrap();
        assert!(made.contains("ignore_columns = [\"\"]"), "{made}");
        assert!(made.contains(&says), "{made}");
    }
    let two = table(",", |row, _| format!("{row},"));
    assert_eq!(guess(&two, &[]).unwrap().ignored, [""]);
    written(&two).unwrap();
    // The first column, whose values stand together, tells nothing apart where it has no name.
    let text = ",id,x,y\na,1,1,b\na,1,4,c\nb,2,3,b\n";
    assert_eq!(guess(text, &[]).unwrap().id, "id");
}

#[test]
fn numbers_that_are_not_read_are_named() {
    let text = |cell: &str| {
        table("x", |row, _| {
            if row == 6 {
                cell.into()
            } else {
                format!("{row}.5")
            }
        })
    };
    for (cell, says) in [
        (
            "1e39",
            "'1e39' in row 8 is a number that float32 does not hold; the largest is 3.4e38",
        ),
        ("off", "'off' in row 8 is no number; to have it"),
    ] {
        let found = guess(&text(cell), &[]).unwrap();
        assert_eq!(found.features, ["temp"]);
        let says = format!("column 'x' is left out: {says}");
        assert!(found.notes[0].starts_with(&says), "{:?}", found.notes);
    }
    let commas = |text: &str| text.replace(',', ";").replace('.', ",");
    let all = commas(&table("x", |row, _| format!("{row}.5")));
    let error = written(&all).unwrap_err().to_string();
    let says = "column 'temp' is left out: '0,5' in row 2 has a decimal comma";
    assert!(
        error.contains(says) && error.contains("a decimal point"),
        "{error}"
    );
    // Values would become classes.
    let error = written(&all.replace("temp;label", "label;state"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("column 'label', which is to be predicted, is of numbers that are not read: '0,5' in row 2 has a decimal comma"), "{error}");
    // A first row of such numbers names nothing.
    let bare = all.split_once('\n').unwrap().1;
    let error = written(bare).unwrap_err().to_string();
    assert!(
        error.contains("'0,5' in row 1 has a decimal comma"),
        "{error}"
    );
}

/// A name with a control character is no end of a comment, and none of TOML.
#[test]
fn notes_have_no_control_characters() {
    let made = written(&table("\u{1b}[2J", |row, _| row.to_string())).unwrap();
    assert!(made.contains("# column '\\u{1b}[2J' is left out"), "{made}");
    assert!(!made.contains('\u{1b}'), "{made}");
}
