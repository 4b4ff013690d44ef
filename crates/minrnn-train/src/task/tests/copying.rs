use super::*;
use proptest::prelude::*;

fn copying(length: usize, data_tokens: usize, vocab: usize, seed: u64) -> SelectiveCopying {
    let options = SelectiveCopyingOptions {
        length,
        data_tokens,
        vocab,
        eval_samples: 50,
    };
    SelectiveCopying::new(&options, seed).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn copying_asks_for_the_data_tokens_in_order(
        length in 1_usize..80, part in 0.0_f64..=1.0, vocab in 3_usize..20, seed: u64, first in 0_u64..1 << 40,
    ) {
        let n = ((length as f64 * part) as usize).max(1);
        let task = copying(length, n, vocab, seed);
        let batch = task.batch(Split::Train, first, 3).unwrap();
        batch.validate().unwrap();
        prop_assert_eq!(batch.time, length + n);
        prop_assert_eq!(batch.counted(), 3 * n);
        let (ids, targets) = tokens(&batch);
        let weights = batch.weights.as_ref().unwrap();
        for (row, (ids, targets)) in ids.chunks(length + n).zip(targets.chunks(length + n)).enumerate() {
            let data: Vec<u32> = ids[..length].iter().copied().filter(|t| *t != vocab as u32 - 1).collect();
            prop_assert!(data.iter().all(|t| (1..vocab as u32 - 1).contains(t)));
            prop_assert_eq!(&data, &targets[length..]);
            prop_assert!(ids[length..].iter().all(|t| *t == 0));
            let w = &weights[row * batch.time..][..batch.time];
            prop_assert!(w[..length].iter().all(|w| *w == 0.0) && w[length..].iter().all(|w| *w == 1.0));
        }
        assert_samples_are_independent(&task, Split::Train, first, 3);
    }
}

#[test]
fn copying_scatters_positions_and_tokens_evenly() {
    let task = copying(20, 4, 6, 1);
    let batch = task.batch(Split::Train, 0, 10_000).unwrap();
    let (ids, _) = tokens(&batch);
    let mut at = [0_u32; 20];
    let mut of = [0_u32; 6];
    for row in ids.chunks(24) {
        for (position, token) in row[..20].iter().enumerate().filter(|(_, t)| **t != 5) {
            at[position] += 1;
            of[*token as usize] += 1;
        }
    }
    // Expected 2000 a position (deviation 40) and 10000 a token (deviation 87).
    assert!(at.iter().all(|n| (1800..2200).contains(n)), "{at:?}");
    assert!(
        of[1..5].iter().all(|n| (9_550..10_450).contains(n)),
        "{of:?}"
    );
}

#[test]
fn copying_splits_differ_and_only_training_follows_the_seed() {
    let batch = |seed, split| copying(50, 5, 16, seed).batch(split, 0, 4).unwrap();
    assert_ne!(batch(1, Split::Train), batch(2, Split::Train));
    assert_eq!(batch(1, Split::Validation), batch(2, Split::Validation));
    assert_ne!(batch(1, Split::Validation), batch(1, Split::Test));
    assert_ne!(batch(0, Split::Train), batch(0, Split::Validation));
}

#[test]
fn ranges_are_checked_and_cover_everything_once() {
    let task = copying(5, 2, 16, 0);
    assert_eq!(
        eval_ranges(&task, Split::Test, 20).collect::<Vec<_>>(),
        [(0, 20), (20, 20), (40, 10)]
    );
    assert_eq!(eval_ranges(&task, Split::Train, 20).count(), 0);
    let error = task.batch(Split::Test, 40, 11).unwrap_err().to_string();
    assert!(
        error.contains("40..51") && error.contains("has 50"),
        "{error}"
    );
    assert!(task.batch(Split::Train, 0, 0).is_err());
    assert!(task.batch(Split::Train, u64::MAX, 2).is_err());
    let huge = task
        .batch(Split::Train, 0, 1 << 40)
        .unwrap_err()
        .to_string();
    assert!(huge.contains("too many"), "{huge}");
}
