//! Models of width 1: graded as tract can be, and no wider. A difference at width 2 still fails.

use minrnn_cli::verify::Grade;

use super::Forged;

fn model(width: usize, expansion: f64) -> Forged {
    let text = format!(
        "width = {width}\nlayers = 1\n[input]\nvocab = 3\n[head]\nwidth = 2\n[cell]\nexpansion = {expansion}\n"
    );
    Forged::new(&text, |_| {})
}

fn grades(forged: &Forged) -> Vec<(String, Grade)> {
    let report = forged.report(true).unwrap();
    assert!(report.holds, "{}\n{:#?}", report.table(), report.remarks());
    let rows = report.rows.into_iter();
    let alike = rows.filter(|r| r.against == "step" && !r.form.contains("one row"));
    alike.map(|r| (r.engine, r.grade)).collect()
}

#[test]
fn models_of_one_channel_hold_and_are_portable_in_tract_alone() {
    for (width, expansion) in [(1, 1.0), (1, 2.0), (4, 0.25)] {
        for (engine, grade) in grades(&model(width, expansion)) {
            let wanted = match engine.as_str() {
                "tract" => Grade::Portable,
                _ => Grade::Exact,
            };
            assert_eq!(
                grade, wanted,
                "{engine}, width {width}, expansion {expansion}"
            );
        }
    }
    let two = grades(&model(2, 1.0));
    assert!(two.len() > 2 && two.iter().all(|(_, grade)| *grade == Grade::Exact));
}

/// Layer norms over 6 channels: rows begin at another place within a vector.
#[test]
fn means_of_broken_vectors_hold_and_are_portable_in_tract_alone() {
    for (width, broken) in [(5, true), (6, true), (8, false), (10, true)] {
        let text = format!(
            "width = {width}\nlayers = 1\nnorm = \"layer\"\n[input]\nvocab = 3\n[head]\nwidth = 2\n"
        );
        for (engine, grade) in grades(&Forged::new(&text, |_| {})) {
            let wanted = match engine.as_str() {
                "tract" if broken => Grade::Portable,
                _ => Grade::Exact,
            };
            assert_eq!(grade, wanted, "{engine}, width {width}");
        }
    }
}

/// A product by one column, and normalised values, where one rounding more shows.
#[test]
fn heads_of_one_output_hold_and_are_portable_in_tract_alone() {
    for outputs in 1..4 {
        let all = |v: f64| vec![v; outputs];
        let text = format!(
            "width = 32\nlayers = 1\n[input]\nfeatures = 1\n[head]\nwidth = {outputs}\nkind = \"values\"\nmean = {:?}\nstd = {:?}\n",
            all(1000.0),
            all(17.5)
        );
        for (engine, grade) in grades(&Forged::new(&text, |_| {})) {
            let wanted = match engine.as_str() {
                "tract" if outputs == 1 => Grade::Portable,
                _ => Grade::Exact,
            };
            assert_eq!(grade, wanted, "{engine}, {outputs} outputs");
        }
    }
}

/// As small as rounding: 1 / (1 / x).
#[test]
fn a_difference_at_width_2_still_fails() {
    let forged = model(2, 1.0);
    forged.file("scan", &|f| super::metadata::turned_over(f));
    forged.fails(true, "tract scan against step");
}
