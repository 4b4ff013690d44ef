//! Models of values in the units of the data.

use minrnn_model::model::Model;
use minrnn_model::params::Params;

/// Models of values that are not around 0: features are normalised at the begin, values brought back to the units of the data at the
/// end. Of one value and of three, for each step and for the last.
pub(crate) fn regressions() -> Vec<(&'static str, Model, Params)> {
    let input = "[input]\nfeatures = 2\nmean = [200.0, -0.5]\nstd = [50.0, 0.25]\nnames = ['flow', 'tilt']\n";
    let one = "width = 1\nmean = [1000.0]\nstd = [25.0]\nnames = ['level']\n";
    let three = "width = 3\nmean = [1000.0, -3.0, 0.0]\nstd = [25.0, 1e-3, 7e4]\nbias = true\n";
    [
        ("values_one_every", "min_gru", one, "every"),
        ("values_one_last", "min_lstm", one, "last"),
        ("values_three_every", "min_lstm", three, "every"),
        ("values_three_last", "min_gru", three, "last"),
    ]
    .map(|(name, cell, head, steps)| {
        let text = format!(
            "width = 8\nlayers = 2\n{input}[cell]\nkind = '{cell}'\n[conv]\nkernel = 3\n[head]\nkind = 'values'\nsteps = '{steps}'\n{head}"
        );
        let model = Model::from_config(&toml::from_str(&text).expect(&text)).expect(&text);
        let params = Params::init(model.graph(), 23);
        (name, model, params)
    })
    .into()
}
