use super::*;
use crate::config::ModelConfig;
use crate::graph::Input;
use crate::model::Model;
use crate::oracle::Data;
use crate::rng::Rng;
use crate::usual::Usual;

fn model(steps: &str) -> Model {
    let text = format!(
        "width = 4\nlayers = 1\n[input]\nvocab = 5\n[head]\nwidth = 2\nsteps = \"{steps}\"\n"
    );
    let config: ModelConfig = toml::from_str(&text).unwrap();
    Model::from_config(&config).unwrap()
}

#[test]
fn pieces_add_up() {
    let mut rng = Rng::named(0, "pieces");
    for time in [1, 2, 17, 300, 5000] {
        let all = pieces(time, &mut rng);
        assert_eq!(all.iter().sum::<usize>(), time);
        assert!(all.iter().all(|p| *p > 0));
    }
}

#[test]
fn spans_follow_each_other() {
    let all: Vec<Span> = spans(&[1, 3, 2]).collect();
    assert_eq!(all, [(0, 1), (1, 4), (4, 6)]);
    let all: Vec<Span> = steps(5, 2).collect();
    assert_eq!(all, [(0, 2), (2, 4), (4, 5)]);
    let run = |(from, to): Span, sum: usize| Ok::<_, ()>((to - from, sum + to));
    assert_eq!(carried(steps(5, 2), 10, run), Ok((vec![2, 2, 1], 21)));
}

#[test]
fn features_are_drawn_as_the_model_normalises_them() {
    let mut case = Case::of(
        Input::Features { width: 2 },
        (1, 2),
        &mut Rng::named(0, "drawn"),
    );
    case.features = vec![1.0, -1.0, 0.0, 2.0];
    let usual = Usual {
        mean: vec![100.0, 0.0],
        std: vec![2.0, 0.5],
    };
    let of = |draw, usual| case.clone().drawn(draw, usual).features;
    assert_eq!(of(Draw::Usual, Some(&usual)), [102.0, -0.5, 100.0, 1.0]);
    assert_eq!(of(Draw::Raw, Some(&usual)), case.features);
    assert_eq!(of(Draw::Large, Some(&usual)), [300.0, -50.0, 100.0, 100.0]);
    assert_eq!(of(Draw::Usual, None), case.features);
}

#[test]
fn a_cut_takes_columns() {
    assert_eq!(cut(&[1, 2, 3, 4, 5, 6], (2, 3), (1, 3)), [2, 3, 5, 6]);
    assert_eq!(cut::<u8>(&[], (2, 3), (1, 3)), [] as [u8; 0]);
}

/// Whatever belongs to steps or rows goes with them.
#[test]
fn ends_and_resets_are_cut_with_the_rest() {
    let mut case = Case::of(
        Input::Tokens { vocab: 9 },
        (2, 4),
        &mut Rng::named(0, "cut"),
    );
    case.ids = vec![0, 1, 2, 3, 4, 5, 6, 7];
    case.lengths = Some(vec![4, 1]);
    case.reset = Some([false, true].repeat(4));
    let part = case.cut(1, 3, Some(vec![vec![0.5, 1.5]]));
    assert_eq!(part.data(), Data::Tokens(&[1, 2, 5, 6]));
    assert_eq!(part.lengths, Some(vec![2, 0]));
    assert_eq!(part.reset, Some(vec![true, false, true, false]));
    let row = part.rows(1..2);
    assert_eq!((row.batch, row.ids), (1, vec![5, 6]));
    assert_eq!(
        (row.lengths, row.states),
        (Some(vec![0]), Some(vec![vec![1.5]]))
    );
}

/// Pieces joined are the whole: each gives its tokens and the sum so far, which is its state.
#[test]
fn pieces_are_run_from_each_others_states() {
    for (steps, wanted) in [("every", 12), ("last", 4)] {
        let model = model(steps);
        let graph = model.graph();
        let case = Case::random(graph, (2, 3), false, &mut Rng::named(1, steps));
        let run = |case: &Case| {
            let mut sums = vec![0.0; 2];
            if let Some(states) = &case.states {
                sums.clone_from(&states[0]);
            }
            let mut output = vec![];
            for (b, row) in case.ids.chunks(case.time).enumerate() {
                let mut all = vec![];
                for id in row {
                    sums[b] += *id as f32;
                    all.push([*id as f32, sums[b]]);
                }
                let from = if graph.is_last_step() {
                    all.len() - 1
                } else {
                    0
                };
                output.extend(all[from..].concat());
            }
            let states = vec![sums];
            Ok::<_, ()>(Outcome { output, states })
        };
        let whole = run(&case).unwrap();
        assert_eq!(whole.output.len(), wanted);
        for pieces in [&[3][..], &[1, 2], &[1, 1, 1]] {
            let got = case.in_pieces(graph, pieces, run).unwrap();
            assert!(got.equals(&whole).holds(), "{pieces:?}");
        }
    }
}

#[test]
fn what_is_no_number_equals_nothing() {
    let of = |x: f32| Outcome {
        output: vec![x],
        states: vec![vec![1.0]],
    };
    assert!(of(0.0).equals(&of(-0.0)).holds());
    assert!(!of(f32::NAN).equals(&of(f32::NAN)).holds());
    let within = |x| of(x).within(&of(1.0).widen(), &[0.5, 0.0]).holds();
    assert!(within(1.5) && !within(1.75) && !within(f32::NAN));
}
