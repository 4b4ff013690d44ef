//! Which cases are run.

use anyhow::Result;
use minrnn_model::graph::{Binary, Graph, Input, Node, Op, Reduction};
use minrnn_model::rng::Rng;
use minrnn_model::ruler::SHORT;
use minrnn_model::trial::{Case, Draw, Source};
use minrnn_model::usual::Usual;

use super::Options;
use super::contract::Export;
use super::lengths::{few_lengths, lengths};

/// Multiply-adds of one step of one row.
pub(super) fn work(graph: &Graph) -> f64 {
    let of = |n: &minrnn_model::graph::Node| match n.op {
        // Computed once, not each step.
        _ if n.span.is_model() => 0,
        Op::MatMul { .. } => n.width * graph.width(n.inputs[0]),
        // Scores and sums over the rows of the window.
        Op::Attend { state, .. } => 2 * n.width * (1 + graph.state_spec(state).lag().unwrap_or(0)),
        _ => n.width,
    };
    graph.nodes().iter().map(of).sum::<usize>() as f64
}

/// The longest sequence that a run may cost.
pub(super) fn affordable(graph: &Graph, options: &Options) -> usize {
    ((options.budget / (2.0 * work(graph))) as usize).max(1)
}

/// The longest length to run, and what to say about it.
pub(super) fn longest(export: &Export, graph: &Graph, options: &Options) -> (usize, Vec<String>) {
    if let Some(fixed) = export.fixed().1 {
        return (fixed, vec![format!("the files take T = {fixed} only")]);
    }
    let own = graph.longest();
    let possible = export.longest().into_iter().chain(own).min();
    let possible = possible.unwrap_or(65_536);
    let limit = options.longest.unwrap_or(possible).clamp(1, possible);
    let affordable = affordable(graph, options);
    if limit <= affordable {
        let cut = options.longest.filter(|wanted| *wanted > possible);
        let note = cut.map(|wanted| {
            format!("T = {wanted} was asked for, and the files take up to T = {possible}")
        });
        return (limit, note.into_iter().collect());
    }
    let note = format!(
        "lengths from {} to {possible} were left out: they cost more than {:e} multiply-adds a run (--budget)",
        affordable + 1,
        options.budget
    );
    (affordable, vec![note])
}

/// Whether it has an attention.
pub(super) fn attends(graph: &Graph) -> bool {
    let mut nodes = graph.nodes().iter();
    nodes.any(|n| matches!(n.op, Op::Attend { .. }))
}

/// Whether a recurrence has one channel, or something that it or the output is computed from comes out of a product or a table as one
/// channel, or is one channel of these (the step size of a single head, or of rank 1): a head of one output, too.
pub(super) fn has_one_channel(graph: &Graph) -> bool {
    let mut narrow: Vec<bool> = vec![];
    for node in graph.nodes() {
        let made = matches!(
            node.op,
            Op::MatMul { .. } | Op::Embed { .. } | Op::Narrow { .. }
        ) && node.width == 1;
        let read = node.inputs.iter().any(|v| narrow[v.index()]);
        if matches!(node.op, Op::Recur { .. } | Op::Fold { .. }) && (read || node.width == 1) {
            return true;
        }
        narrow.push(made || read);
    }
    narrow[graph.output().value.index()]
}

/// Values that tract adds at once.
const LANES: usize = 4;

/// Whether a mean is taken of values whose rows begin at another place within tract's vectors for another number of rows, so that it
/// adds them in another order: more channels than one vector has, and not a whole number of vectors. A mean of squares is one
/// operation there, with an order of its own.
pub(super) fn has_ragged_mean(graph: &Graph) -> bool {
    let nodes = graph.nodes();
    let squares =
        |n: &Node| matches!(n.op, Op::Binary(Binary::Mul)) && n.inputs.first() == n.inputs.get(1);
    let ragged = |n: &Node| n.width > LANES && !n.width.is_multiple_of(LANES) && !squares(n);
    let mean_of_all = |n: &Node| matches!(n.op, Op::Reduce { kind: Reduction::Mean, group } if group == graph.width(n.inputs[0]));
    let means = nodes.iter().filter(|n| mean_of_all(n));
    let mut of = means.flat_map(|n| &n.inputs);
    of.any(|v| ragged(&nodes[v.index()]))
}

/// Longest sequence that candle is given step by step: half a millisecond a step, and it is the trainer's engine, not a file's.
pub(super) const STEPPED: usize = 600;

/// Rows of most cases.
const ROWS: usize = 2;

/// Whether tract plans for that very size: one step, past a block of the default lowering, and the longest. A plan takes longer than
/// most runs; the other sizes run in the one for all of them, as a service runs them. `rows`: of files with a fixed batch.
pub(super) fn is_planned(case: &Case, rows: Option<usize>, limit: usize) -> bool {
    let past_a_block = case.time == 17 && limit > 2 * 17;
    case.batch == rows.unwrap_or(ROWS) && (past_a_block || [1, limit].contains(&case.time))
}

/// Lengths at which features are drawn in other ways too: within a block of the default lowering, and past one.
const OTHERWISE: [usize; 2] = [3, 33];

/// Ways to draw features besides the usual one.
fn otherwise(graph: &Graph, usual: Option<&Usual>) -> Vec<Draw> {
    match (graph.input(), usual) {
        (Input::Tokens { .. }, _) => vec![],
        (_, None) => vec![Draw::Large],
        (_, Some(_)) => vec![Draw::Raw, Draw::Large],
    }
}

/// Runs that only measure how far each engine's steps are from the oracle. Errors of a trained model have a long tail: a few
/// cases alone would sample it too thinly to compare one engine with another.
pub(super) fn calibration(
    export: &Export,
    source: Source,
    (seed, quick): (u64, bool),
) -> Result<Vec<Case>> {
    let mut rng = Rng::named(seed, "calibration");
    let (many, more) = if quick { (8, 3) } else { (24, 8) };
    let batch = export.fixed().0.unwrap_or(8);
    let time = source.graph.longest().map_or(SHORT, |n| n.min(SHORT));
    let mut one = |i: usize, draw| source.case((batch, time), i.is_multiple_of(2), draw, &mut rng);
    let ways = otherwise(source.graph, source.usual);
    let usual = (0..many).map(|i| (i, Draw::Usual));
    let others = ways
        .iter()
        .flat_map(|draw| (0..more).map(move |i| (i, *draw)));
    usual
        .chain(others)
        .map(|(i, draw)| Ok(one(i, draw)?))
        .collect()
}

pub(super) fn cases(
    export: &Export,
    source: Source,
    (limit, quick): (usize, bool),
    rng: &mut Rng,
) -> Result<Vec<Case>> {
    let (batch, time) = export.fixed();
    let times = match (time, quick) {
        (Some(t), _) => vec![t],
        (None, true) => few_lengths(limit),
        (None, false) => lengths(limit),
    };
    let mut all = vec![];
    let mut add = |batch, time, states, draw| -> Result<()> {
        all.push(source.case((batch, time), states, draw, rng)?);
        Ok(())
    };
    for (i, time) in times.iter().copied().enumerate() {
        add(batch.unwrap_or(ROWS), time, i % 3 != 2, Draw::Usual)?;
        if batch.is_none() && [1, 2, 16, 33, 129].contains(&time) {
            add(1, time, true, Draw::Usual)?;
            add(1, time, false, Draw::Usual)?;
            add(3, time, false, Draw::Usual)?;
        }
    }
    for draw in otherwise(source.graph, source.usual) {
        for time in OTHERWISE.map(|t| time.unwrap_or(t.min(limit))) {
            add(batch.unwrap_or(ROWS), time, true, draw)?;
            add(batch.unwrap_or(3), time, false, draw)?;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use minrnn_model::config::ModelConfig;
    use minrnn_model::model::Model;
    use minrnn_model::params::Params;
    use minrnn_model::usual::usual;
    use minrnn_onnx::export::{DirOptions, write_export};

    use super::*;

    /// How many cases draw features in each way, of the calibration and of the comparison. Features lie where they are drawn.
    fn draws(input: &str, mean: f64, std: f64) -> [[usize; 3]; 2] {
        let text = format!("width = 4\nlayers = 1\n[input]\n{input}\n[head]\nwidth = 2\n");
        let config: ModelConfig = toml::from_str(&text).unwrap();
        let model = Model::from_config(&config).unwrap();
        let (graph, params) = (model.graph(), Params::init(model.graph(), 1));
        let dir = tempfile::tempdir().unwrap();
        write_export(dir.path(), &model, &params, &DirOptions::default()).unwrap();
        let export = Export::open(dir.path()).unwrap();
        let usual = usual(graph, &params);
        let source = Source {
            graph,
            params: &params.to_f64(),
            usual: usual.as_ref(),
        };
        let mut rng = Rng::named(0, "verify");
        let all = [
            calibration(&export, source, (0, false)).unwrap(),
            cases(&export, source, (40, false), &mut rng).unwrap(),
        ];
        for case in all.iter().flatten() {
            let far = |x: &f32| match case.draw {
                Draw::Raw => f64::from(*x).abs(),
                _ => (f64::from(*x) - mean).abs() / std,
            };
            let farthest = case.features.iter().map(far).fold(0.0, f64::max);
            let most = if case.draw == Draw::Large {
                1000.0
            } else {
                10.0
            };
            assert!(farthest < most, "{}: {farthest}", case.name());
            if case.draw == Draw::Large {
                assert!(farthest > 20.0, "{}: {farthest}", case.name());
            }
        }
        let ways = [Draw::Usual, Draw::Raw, Draw::Large];
        all.map(|cases| ways.map(|way| cases.iter().filter(|c| c.draw == way).count()))
    }

    #[test]
    fn raw_and_large_features_are_among_the_cases() {
        let stamps = "features = 2\nmean = [5.5e6, 5.5e6]\nstd = [10.0, 10.0]";
        let [calibration, [some, raw, large]] = draws(stamps, 5.5e6, 10.0);
        assert_eq!(calibration, [24, 8, 8]);
        assert!(some > 10 && (raw, large) == (4, 4), "{some} {raw} {large}");
        // What is not normalised is raw already; tokens are tokens.
        let [calibration, [_, raw, large]] = draws("features = 2", 0.0, 1.0);
        assert_eq!((calibration, raw, large), ([24, 0, 8], 0, 4));
        let [calibration, [_, raw, large]] = draws("vocab = 5", 0.0, 1.0);
        assert_eq!((calibration, raw, large), ([24, 0, 0], 0, 0));
    }

    #[track_caller]
    fn one_channel(width: usize, expansion: f64, features: usize, head: usize) -> bool {
        let text = format!(
            "width = {width}\nlayers = 2\n[input]\nfeatures = {features}\n[head]\nwidth = {head}\n[cell]\nexpansion = {expansion}\n"
        );
        let config: ModelConfig = toml::from_str(&text).unwrap();
        has_one_channel(Model::from_config(&config).unwrap().graph())
    }

    #[test]
    fn a_step_size_of_one_channel_is_seen() {
        let one = |cell: &str| {
            let text = format!(
                "width = 8\nlayers = 1\nblock = 'mamba'\n[input]\nvocab = 3\n[head]\nwidth = 3\n[cell]\n{cell}\n"
            );
            let config: ModelConfig = toml::from_str(&text).unwrap();
            has_one_channel(Model::from_config(&config).unwrap().graph())
        };
        assert!(one("kind = 'mamba'") && one("kind = 'mamba2'\nhead_channels = 16"));
        assert!(!one("kind = 'mamba'\nrank = 2") && !one("kind = 'mamba2'\nhead_channels = 8"));
    }

    #[test]
    fn means_are_ragged_by_shapes_alone() {
        let ragged = |norm: &str, width: usize| {
            let text = format!(
                "width = {width}\nlayers = 1\nnorm = \"{norm}\"\n[input]\nvocab = 3\n[head]\nwidth = 3\n"
            );
            let config: ModelConfig = toml::from_str(&text).unwrap();
            has_ragged_mean(Model::from_config(&config).unwrap().graph())
        };
        for (width, wanted) in [
            (2, false),
            (4, false),
            (5, true),
            (6, true),
            (8, false),
            (10, true),
            (12, false),
        ] {
            assert_eq!(ragged("layer", width), wanted, "{width}");
            assert!(!ragged("rms", width), "{width}");
        }
    }

    #[test]
    fn one_channel_is_seen_in_shapes_alone() {
        assert!(
            one_channel(1, 1.0, 3, 3) && one_channel(1, 4.0, 3, 3),
            "M = 1"
        );
        assert!(one_channel(4, 0.25, 3, 3), "D = 1");
        assert!(
            !one_channel(2, 1.0, 3, 3) && !one_channel(4, 0.5, 3, 3),
            "2"
        );
        assert!(!one_channel(2, 1.0, 1, 2), "one feature");
        assert!(one_channel(32, 1.0, 1, 1), "one output");
    }
}
