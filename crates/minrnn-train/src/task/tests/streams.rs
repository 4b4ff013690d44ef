//! Sequences as streams.

use super::*;

/// A CSV of sequences of these lengths, whose features say which sequence and which step they are of, and whose targets are theirs
/// squared.
pub(crate) fn csv(lens: &[usize]) -> String {
    let mut text = "id,sequence,step,target\n".to_owned();
    for (i, len) in lens.iter().enumerate() {
        for step in 0..*len {
            text += &format!("s{i},{i},{step},{}\n", i * 1000 + step);
        }
    }
    text
}

fn open(path: &std::path::Path, more: &str) -> Result<Sequences> {
    let text = format!(
        "path = '{}'\nid_column = 'id'\nfeature_columns = ['sequence', 'step']\ntarget_columns = ['target']\n\
         target = 'values'\nvalidation_fraction = 0.0\n{more}",
        path.display()
    );
    Sequences::open(&toml::from_str(&text).unwrap(), 9)
}

const LENS: [usize; 11] = [3, 25, 1, 7, 5, 10, 11, 4, 5, 24, 6];

/// Each step of each sequence once a pass, in order, in one stream, from a step where all streams begin.
#[test]
fn a_pass_has_every_step_of_every_sequence_once_and_in_order() {
    let files = Files::new();
    let path = files.put("s.csv", csv(&LENS));
    for (time, streams) in [(5, 4), (5, 1), (1, 3), (100, 11), (7, 2)] {
        let task = open(&path, &format!("per = 'step'\nseq_len = {time}")).unwrap();
        assert_eq!(task.longest().unwrap(), time);
        let steps = task.pass(streams).unwrap();
        let mut orders = vec![];
        for pass in [0, 1, 2, 0] {
            let mut seen: Vec<Vec<usize>> = vec![vec![]; LENS.len()];
            let mut of: Vec<Option<usize>> = vec![None; streams];
            let mut order = vec![];
            for at in 0..steps {
                let piece = Piece { pass, at, streams };
                let begins = task.begins(piece);
                assert!(begins || at > 0);
                let batch = task.pieces(piece).unwrap();
                batch.validate().unwrap();
                assert_eq!((batch.batch, batch.time), (streams, time));
                let (
                    Input::Features { values, .. },
                    Targets::Values {
                        values: targets, ..
                    },
                ) = (&batch.input, &batch.targets)
                else {
                    panic!("values")
                };
                for (row, of) in of.iter_mut().enumerate() {
                    for t in 0..time {
                        let place = row * time + t;
                        let [i, step] =
                            [values[2 * place], values[2 * place + 1]].map(|v| v as usize);
                        if batch.weights.as_ref().is_some_and(|w| w[place] == 0.0) {
                            assert_eq!((i, step, targets[place]), (0, 0, 0.0));
                            continue;
                        }
                        if begins && t == 0 {
                            *of = Some(i);
                            order.push(i);
                        }
                        assert_eq!(*of, Some(i), "a stream is one sequence");
                        assert_eq!(targets[place], (i * 1000 + step) as f32);
                        seen[i].push(step);
                    }
                }
            }
            for (i, steps) in seen.into_iter().enumerate() {
                assert_eq!(steps, (0..LENS[i]).collect::<Vec<_>>(), "sequence {i}");
            }
            orders.push(order);
        }
        assert_eq!(orders[0], orders[3]);
        assert_ne!(orders[0], orders[1], "another order in each pass");
        let beyond = Piece {
            pass: 0,
            at: steps,
            streams,
        };
        assert!(task.pieces(beyond).is_err() && !task.begins(beyond));
    }
}

#[test]
fn what_makes_no_pieces_is_refused_by_name() {
    let files = Files::new();
    let path = files.put("s.csv", csv(&LENS));
    let refused = |more: &str| open(&path, more).unwrap_err().to_string();
    let none = refused("per = 'step'\nseq_len = 0");
    assert!(none.contains("`seq_len`: is 0"), "{none}");
    let whole = refused("per = 'sequence'\nseq_len = 4");
    assert!(
        whole.contains("`seq_len`: cuts sequences into pieces"),
        "{whole}"
    );
    let plain = open(&path, "per = 'step'").unwrap();
    assert_eq!(plain.pass(2), None);
    let few = open(&path, "per = 'step'\nseq_len = 4").unwrap();
    assert_eq!(few.pass(LENS.len() + 1), Some(0));
}
