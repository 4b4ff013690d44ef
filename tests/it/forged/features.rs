//! Faults that show for usual features alone.

use minrnn_onnx::ir;

use super::{Forged, beside};

/// Statistics as those of time stamps: their mean is large against their spread.
const STAMPS: &str = "width = 8\nlayers = 1\n[input]\nfeatures = 2\nmean = [5.5e6, 5.5e6]\nstd = [10.0, 10.0]\n[head]\nwidth = 3\n[conv]\nkernel = 4\n";

/// All taps but the one of the present step are zero.
fn without_convolution(file: &mut ir::Model) {
    beside(file, "layers.0.conv.depthwise.weight", |taps| {
        let present = taps.len() - 8;
        taps[..present].fill(0.0);
    });
}

#[test]
fn a_model_of_time_stamps_holds() {
    Forged::new(STAMPS, |_| {}).holds();
}

#[test]
fn a_convolution_that_is_gone_is_noticed_by_usual_features() {
    let forged = Forged::new(STAMPS, |_| {});
    forged.files(&without_convolution);
    for checkpoint in [false, true] {
        // Other forms are measured by the step form.
        for row in ["tract step against oracle", "minrnn step against oracle"] {
            forged.fails(checkpoint, row);
        }
    }
}

#[test]
fn large_and_raw_features_are_tried_too() {
    let report = Forged::new(STAMPS, |_| {}).report(true).unwrap();
    let said = report.remarks().join("\n");
    assert!(
        said.contains("features are drawn as the model normalises them"),
        "{said}"
    );
}
