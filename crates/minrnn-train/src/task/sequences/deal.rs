//! Which sequences are for training, validation and test.

use super::SequencesOptions;
use crate::data::SampleRng;
use crate::error::{Result, TrainError};

/// Deals the sequences to train, validation and test.
pub(super) fn split(options: &SequencesOptions, total: usize) -> Result<[Vec<usize>; 3]> {
    if options.whole {
        let all: Vec<usize> = (0..total).collect();
        return Ok([all.clone(), vec![], all]);
    }
    let (validation, test) = (options.validation_fraction, options.test_fraction);
    for (field, value) in [("validation_fraction", validation), ("test_fraction", test)] {
        if !(0.0..1.0).contains(&value) {
            return Err(TrainError::config(
                field,
                format!("is {value}, expected 0 or more and less than 1"),
            ));
        }
    }
    let size = |fraction: f64| (total as f64 * fraction).round() as usize;
    let (validation, test) = (size(validation), size(test));
    if validation + test >= total {
        let message = format!(
            "of {total} sequences {validation} go to validation and {test} to test: none is left to train on"
        );
        return Err(TrainError::config("validation_fraction", message));
    }
    if validation == 0 && options.validation_fraction > 0.0
        || test == 0 && options.test_fraction > 0.0
    {
        let message = format!(
            "of {total} sequences {validation} go to validation and {test} to test; ask for 0 or for more"
        );
        return Err(TrainError::config("validation_fraction", message));
    }
    let mut order = SampleRng::new(options.split_seed, "sequences split", 0).permutation(total);
    let mut test = order.split_off(total - test);
    let mut validation = order.split_off(order.len() - validation);
    [&mut order, &mut validation, &mut test]
        .into_iter()
        .for_each(|part| part.sort_unstable());
    Ok([order, validation, test])
}
