//! Formal languages against labels that are found another way: by counting, by trying, by multiplying matrices.

use super::*;
use crate::task::{Formal, FormalOptions, Language};

fn task(language: Language, length: [usize; 2], eval_length: [usize; 2], seed: u64) -> Formal {
    let options = FormalOptions {
        language,
        length,
        eval_length,
        eval_samples: 300,
    };
    Formal::new(&options, seed).unwrap()
}

/// The strings of a split, each with its labels.
fn strings(task: &Formal, split: Split, count: usize) -> Vec<(Vec<u32>, Vec<u32>)> {
    let batch = task.batch(split, 0, count).unwrap();
    batch.validate().unwrap();
    let (ids, targets) = tokens(&batch);
    let lens = batch.lens.as_ref().unwrap();
    (0..count)
        .map(|row| {
            let len = lens[row] as usize;
            let input = ids[row * batch.time..][..len].to_vec();
            let labels = match &batch.weights {
                None => vec![targets[row]],
                Some(weights) => (0..batch.time)
                    .filter(|t| weights[row * batch.time + t] != 0.0)
                    .map(|t| targets[row * batch.time + t])
                    .collect(),
            };
            (input, labels)
        })
        .collect()
}

/// The label by brute force.
fn by_force(language: Language, x: &[u32]) -> Vec<u32> {
    match language {
        Language::Parity => {
            let mut odd = false;
            x.iter().filter(|b| **b == 1).for_each(|_| odd = !odd);
            vec![u32::from(odd)]
        }
        Language::EvenPairs => {
            let changes = x.windows(2).filter(|w| w[0] != w[1]).count();
            vec![u32::from(changes % 2 == 0)]
        }
        Language::CycleNavigation => {
            let mut place: i64 = 0;
            for m in x {
                place += [0, 1, -1][*m as usize];
            }
            vec![place.rem_euclid(5) as u32]
        }
        Language::BucketSort => {
            // Every digit as often as it is there, from the least.
            let digits = &x[..x.len() / 2];
            assert!(x[x.len() / 2..].iter().all(|m| *m == 10));
            (0..10)
                .flat_map(|d| digits.iter().filter(move |x| **x == d).copied())
                .collect()
        }
        Language::MissingDuplicate => {
            // The one digit that, put in the place of the mark, makes two equal halves.
            let fits = |d: &u32| {
                let y: Vec<u32> = x.iter().map(|t| if *t == 10 { *d } else { *t }).collect();
                y[..y.len() / 2] == y[y.len() / 2..]
            };
            assert_eq!(x.iter().filter(|t| **t == 10).count(), 1);
            (0..10).filter(fits).collect()
        }
        Language::Majority | Language::MajorityCount => {
            let count = |s: u32| x.iter().filter(|t| **t == s).count() as u32;
            let most = (1..=63).map(count).max().unwrap();
            let first = (1..=63).find(|s| count(*s) == most).unwrap();
            vec![match language {
                Language::Majority => first,
                _ => most,
            }]
        }
        Language::S3 => {
            // Matrices of permutations: the product of all of them, the last one on the left.
            let lists = [
                [0, 1, 2],
                [0, 2, 1],
                [1, 0, 2],
                [1, 2, 0],
                [2, 0, 1],
                [2, 1, 0],
            ];
            let matrix = |list: [usize; 3]| {
                let mut m = [[0; 3]; 3];
                (0..3).for_each(|i| m[list[i]][i] = 1);
                m
            };
            let times = |a: [[i32; 3]; 3], b: [[i32; 3]; 3]| {
                let mut c = [[0; 3]; 3];
                for (i, row) in c.iter_mut().enumerate() {
                    for (j, c) in row.iter_mut().enumerate() {
                        *c = (0..3).map(|k| a[i][k] * b[k][j]).sum();
                    }
                }
                c
            };
            let all = x.iter().fold(matrix(lists[0]), |all, next| {
                times(matrix(lists[*next as usize]), all)
            });
            vec![lists.iter().position(|l| matrix(*l) == all).unwrap() as u32]
        }
    }
}

#[test]
fn labels_are_those_that_are_found_by_force() {
    for language in Language::ALL {
        let task = task(language, [1, 40], [40, 100], 3);
        for (split, [short, long]) in [(Split::Train, [1, 40]), (Split::Test, [40, 100])] {
            let all = strings(&task, split, 300);
            let mut labels = std::collections::BTreeSet::new();
            let mut lengths = std::collections::BTreeSet::new();
            for (input, label) in all {
                assert_eq!(label, by_force(language, &input), "{language:?} {input:?}");
                lengths.insert(input.len());
                labels.extend(label);
            }
            let shape = task.shape();
            let per_symbol = if language == Language::BucketSort {
                2
            } else {
                1
            };
            assert!(
                lengths
                    .iter()
                    .all(|n| (short..=per_symbol * long).contains(n)),
                "{lengths:?}"
            );
            assert!(lengths.len() > 15, "{language:?}: {lengths:?}");
            assert!(labels.iter().all(|l| (*l as usize) < shape.width));
            // No label is left out where all of them are likely.
            if ![Language::Majority, Language::MajorityCount].contains(&language) {
                assert_eq!(labels.len(), shape.width, "{language:?}");
            }
        }
    }
}

#[test]
fn the_order_of_a_word_of_s3_matters() {
    // First the last two change places, then the first two: 0 goes to 1, 1 to 2, 2 to 0. And the other way round.
    assert_eq!(by_force(Language::S3, &[1, 2]), [3]);
    assert_eq!(by_force(Language::S3, &[2, 1]), [4]);
    let task = task(Language::S3, [2, 2], [2, 2], 0);
    let all = strings(&task, Split::Train, 300);
    let label = |word: [u32; 2]| all.iter().find(|(x, _)| *x == word).unwrap().1.clone();
    assert_eq!((label([1, 2]), label([2, 1])), (vec![3], vec![4]));
}

#[test]
fn strings_are_the_seeds_in_training_alone() {
    let of = |seed, split| strings(&task(Language::Parity, [8, 8], [8, 8], seed), split, 20);
    assert_eq!(of(1, Split::Train), of(1, Split::Train));
    assert_ne!(of(1, Split::Train), of(2, Split::Train));
    assert_eq!(of(1, Split::Validation), of(2, Split::Validation));
    assert_ne!(of(1, Split::Validation), of(1, Split::Test));
    let (first, second) = (Language::Parity, Language::EvenPairs);
    let digest = |l| task(l, [8, 8], [8, 8], 1).digest();
    assert_ne!(digest(first), digest(second));
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    for language in Language::ALL {
        assert_samples_alone(&task(language, [1, 12], [5, 30], 1));
    }
}

fn assert_samples_alone(task: &Formal) {
    let whole = strings(task, Split::Train, 9);
    for (i, wanted) in whole.iter().enumerate() {
        let batch = task.batch(Split::Train, i as u64, 1).unwrap();
        let len = batch.lens.as_ref().unwrap()[0] as usize;
        assert_eq!(&tokens(&batch).0[..len], wanted.0);
    }
}

#[test]
fn lengths_that_make_no_sense_are_refused() {
    for (length, eval_length, field) in [
        ([0, 4], [4, 8], "`length`"),
        ([5, 4], [4, 8], "`length`"),
        ([1, 4], [4, usize::MAX], "`eval_length`"),
    ] {
        let options = FormalOptions {
            language: Language::Parity,
            length,
            eval_length,
            eval_samples: 1,
        };
        let error = Formal::new(&options, 0).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
    let unknown = toml::from_str::<TaskConfig>("kind = 'formal_language'\nlanguage = 'chess'");
    assert!(unknown.unwrap_err().to_string().contains("chess"));
}
