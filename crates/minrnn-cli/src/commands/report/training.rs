//! Training curves.

use anyhow::Result;

use super::history::{History, Step};
use super::html::{self, figure, grid};
use super::plot::{Mark, Plot, Series, far_apart};
use crate::progress::duration;

/// What is to be known of the losses to draw them.
pub(super) struct Losses {
    /// Those of steps are of normalised values, those of evaluations in units of the data.
    pub(super) normalised: bool,
    /// Steps have a loss of their own kind.
    pub(super) own_kind: bool,
}

fn points(steps: &[Step], of: fn(&Step) -> Option<f64>) -> Vec<(f64, f64)> {
    let point = |s: &Step| of(s).map(|v| (s.step as f64, v));
    steps.iter().filter_map(point).collect()
}

fn curve(title: &str, y: &str, series: Vec<Series>) -> Plot {
    let all: Vec<(f64, f64)> = series.iter().flat_map(|s| s.points.clone()).collect();
    Plot {
        label: title.into(),
        x: "step".into(),
        y: y.into(),
        log: far_apart(&all),
        series,
        ..Plot::default()
    }
}

fn series(name: &str, mark: Mark, points: Vec<(f64, f64)>) -> Series {
    Series {
        name: name.into(),
        mark,
        points,
    }
}

pub(super) fn section(history: &History, losses: &Losses) -> Result<String> {
    let evaluations = |of: fn(&super::history::Evaluation) -> Option<f64>| -> Vec<(f64, f64)> {
        let point = |e: &super::history::Evaluation| of(e).map(|v| (e.step as f64, v));
        history.evaluations.iter().filter_map(point).collect()
    };
    let train = series("training", Mark::Line, points(&history.steps, |s| s.loss));
    let valid = series("validation", Mark::Dotted, evaluations(|e| e.loss));
    let mut plots = vec![];
    let mean = "Each point of a long curve is the mean of neighbouring steps.";
    if losses.normalised {
        let loss = curve("Training loss against the step", "loss", vec![train]);
        plots.push((loss, format!("Training loss, of normalised values. {mean}")));
        let loss = curve("Validation loss against the step", "loss", vec![valid]);
        plots.push((
            loss,
            "Validation loss, in the squared units of the data.".into(),
        ));
    } else {
        let own = match losses.own_kind {
            true => " Steps have the loss of [train.loss], evaluations the plain one.",
            false => "",
        };
        let loss = curve("Loss against the step", "loss", vec![train, valid]);
        plots.push((
            loss,
            format!("Loss of training and validation.{own} {mean}"),
        ));
    }
    let accuracy = evaluations(|e| e.accuracy.map(|a| 100.0 * a));
    let accuracy = series("accuracy", Mark::Dotted, accuracy);
    let mut accuracy = curve("Accuracy against the step", "accuracy, %", vec![accuracy]);
    accuracy.log = false;
    accuracy.most = Some(100.0);
    plots.push((accuracy, "Accuracy on the validation part.".into()));
    let rate = series("rate", Mark::Line, points(&history.steps, |s| s.lr));
    let mut rate = curve(
        "Learning rate against the step",
        "learning rate",
        vec![rate],
    );
    rate.log = false;
    plots.push((rate, "Learning rate.".into()));
    let norm = series("norm", Mark::Line, points(&history.steps, |s| s.grad_norm));
    let norm = curve("Norm of the gradient against the step", "norm", vec![norm]);
    plots.push((norm, "Norm of the gradient, before clipping.".into()));
    let mut figures = vec![];
    for (plot, caption) in plots {
        if let Some(svg) = plot.svg()? {
            figures.push(figure(&svg, &caption));
        }
    }
    let time = std::time::Duration::try_from_secs_f64(history.seconds).unwrap_or_default();
    let said = format!(
        "{} steps and {} evaluations, in {}.",
        history.steps.len(),
        history.evaluations.len(),
        duration(time)
    );
    Ok(format!(
        "<p>{}</p>\n{}",
        html::escape(&said),
        grid(&figures)
    ))
}
