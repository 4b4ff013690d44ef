//! Files of two checkpoints are no checkpoint.

use super::*;

const PARTS: [&str; 4] = [
    "model.safetensors",
    "optimizer.safetensors",
    "training.safetensors",
    "states.safetensors",
];

/// Of another checkpoint of the same shapes and the same step, any one file of tensors is told by its name; the weights alone are what they are.
#[test]
fn any_file_of_another_checkpoint_is_named() {
    for part in PARTS {
        let (own, other) = (saved(), place());
        sample(2.0).save(&other.path).unwrap();
        fs::copy(other.path.join(part), own.path.join(part)).unwrap();
        let error = load_error(&own.path);
        for wanted in [part, "is of another checkpoint", "minrnn train --from"] {
            assert!(error.contains(wanted), "{part}: {error}");
        }
        Checkpoint::load_weights(&own.path).unwrap();
        // All of them together are that other checkpoint.
        for part in ["trainer_state.json", "config.json"]
            .into_iter()
            .chain(PARTS)
        {
            fs::copy(other.path.join(part), own.path.join(part)).unwrap();
        }
        assert_eq!(Checkpoint::load(&own.path).unwrap(), sample(2.0));
    }
}

#[test]
fn a_file_that_was_not_there_is_named() {
    let place = place();
    let without = Checkpoint {
        raw: None,
        ..sample(1.0)
    };
    without.save(&place.path).unwrap();
    let model = place.path.join("model.safetensors");
    fs::copy(model, place.path.join("training.safetensors")).unwrap();
    let error = load_error(&place.path);
    assert!(error.contains("training.safetensors"), "{error}");
    assert!(error.contains("was written without one"), "{error}");
}

/// Folders of older versions say nothing of their parts.
#[test]
fn a_checkpoint_of_before_is_read() {
    let place = saved();
    let file = place.path.join("trainer_state.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let parts = json.as_object_mut().unwrap().remove("parts").unwrap();
    assert_eq!(parts.as_object().unwrap().len(), PARTS.len());
    fs::write(&file, json.to_string()).unwrap();
    assert_eq!(Checkpoint::load(&place.path).unwrap(), sample(1.0));
    let other = super::place();
    sample(2.0).save(&other.path).unwrap();
    fs::copy(other.path.join(PARTS[0]), place.path.join(PARTS[0])).unwrap();
    Checkpoint::load(&place.path).unwrap();
}
