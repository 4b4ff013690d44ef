//! Figures against cases that were computed by hand, with the definitions (and the rounding of 0/0) of scikit-learn.

use minrnn_train::task::{Batch, Input, Targets};

use super::classes::{Classes, Macro, Score};
use super::figures::{Figures, Kind};
use super::values::Values;

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

fn batch(targets: Targets, weights: Option<Vec<f32>>, time: usize) -> Batch {
    Batch {
        batch: 1,
        time,
        input: Input::Tokens { ids: vec![0; time] },
        targets,
        weights,
        lens: None,
        reset: None,
    }
}

/// `sklearn.metrics.precision_recall_fscore_support([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 0, 2])`.
#[test]
fn scores_of_classes() {
    let mut classes = Classes::new(4);
    for (target, predicted) in [(0, 0), (0, 1), (1, 1), (2, 2), (2, 0), (2, 2)] {
        classes.add(target, predicted);
    }
    let score = |targets, predicted, precision, recall, f1| Score {
        targets,
        predicted,
        precision,
        recall,
        f1,
    };
    let all: Vec<Score> = classes.scores().collect();
    let wanted = [
        score(2, 2, 0.5, 0.5, 0.5),
        score(1, 2, 0.5, 1.0, 2.0 / 3.0),
        score(3, 2, 1.0, 2.0 / 3.0, 0.8),
        // Neither a target nor predicted: not in the mean.
        score(0, 0, 0.0, 0.0, 0.0),
    ];
    assert_eq!(all, wanted);
    assert!(near(classes.accuracy(), 4.0 / 6.0));
    let Macro {
        classes: count,
        precision,
        recall,
        f1,
    } = classes.mean();
    assert_eq!(count, 3);
    assert!(near(precision, 2.0 / 3.0));
    assert!(near(recall, (0.5 + 1.0 + 2.0 / 3.0) / 3.0));
    assert!(near(f1, (0.5 + 2.0 / 3.0 + 0.8) / 3.0));
    let row = |t| [0, 1, 2, 3].map(|p| classes.pair(t, p));
    assert_eq!(
        [0, 1, 2].map(row),
        [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0]]
    );
}

#[test]
fn nothing_of_nothing_is_0_and_counts_in_the_mean() {
    let mut classes = Classes::new(2);
    // Class 1 is never predicted: its precision is 0/0.
    classes.add(0, 0);
    classes.add(1, 0);
    let one = classes.score(1);
    assert_eq!((one.precision, one.recall, one.f1), (0.0, 0.0, 0.0));
    let mean = classes.mean();
    assert_eq!((mean.classes, mean.precision, mean.recall), (2, 0.25, 0.5));
    assert!(near(mean.f1, 1.0 / 3.0));
}

/// Errors 0, -2 and 1 of targets 1, 2 and 3; a second value that is off by 2 of 10 each time.
#[test]
fn errors_of_values() {
    let mut values = Values::new(2);
    let squares: Vec<f64> = [
        ([1.0, 10.0], [1.0, 8.0]),
        ([2.0, 10.0], [0.0, 12.0]),
        ([3.0, 10.0], [4.0, 12.0]),
    ]
    .iter()
    .map(|(want, got)| values.add(want, got))
    .collect();
    assert_eq!(squares, [2.0, 4.0, 2.5]);
    let all: Vec<_> = values.scores().collect();
    assert!(near(all[0].mae, 1.0) && near(all[0].rmse, (5.0f64 / 3.0).sqrt()));
    assert!(near(all[0].r2.unwrap(), 1.0 - 5.0 / 2.0));
    assert_eq!((all[1].mae, all[1].rmse, all[1].r2), (2.0, 2.0, None));
}

fn classes_of(width: usize) -> Figures {
    Figures::new(Kind::Classes(Classes::new(width)))
}

#[test]
fn only_targets_with_a_weight_count_and_batches_add_up() {
    let targets = Targets::Classes {
        ids: vec![1, 0, 0],
        per_step: true,
    };
    // Equal but for the last step, which is wrong and does not count; of equals the first is predicted.
    let outputs = [0.0, 0.0, 0.0, 0.0, -9.0, 9.0];
    let mut figures = classes_of(2);
    figures.add(&batch(targets, Some(vec![1.0, 1.0, 0.0]), 3), &outputs);
    assert_eq!(figures.count, 2);
    assert!(near(figures.loss(), 2.0f64.ln()));
    // One more, of probability 3/4: the mean is over targets, not over batches.
    let one = Targets::Classes {
        ids: vec![1],
        per_step: false,
    };
    figures.add(&batch(one, None, 1), &[0.0, 3.0f32.ln()]);
    let wanted = (2.0 * 2.0f64.ln() + (4.0f64 / 3.0).ln()) / 3.0;
    assert!((figures.loss() - wanted).abs() < 1e-7, "{}", figures.loss());
    let Kind::Classes(classes) = &figures.kind else {
        panic!("classes expected")
    };
    assert!(near(classes.accuracy(), 2.0 / 3.0));
}

#[test]
fn values_have_a_mean_square_over_all_of_them() {
    let targets = Targets::Values {
        values: vec![1.0, 10.0, 2.0, 10.0, 3.0, 10.0],
        width: 2,
        per_step: true,
    };
    let mut figures = Figures::new(Kind::Values(Values::new(2)));
    let outputs = [1.0, 8.0, 0.0, 12.0, 4.0, 12.0];
    figures.add(&batch(targets, None, 3), &outputs);
    assert!(near(figures.loss(), 8.5 / 3.0));
    assert_eq!(figures.count, 3);
}
