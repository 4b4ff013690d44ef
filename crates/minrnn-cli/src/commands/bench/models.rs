//! What `minrnn bench train` trains: the layers of the paper's figure 1, and a language model.

use anyhow::Result;
use minrnn_model::graph::{Graph, Input, OutputKind, Value};
use minrnn_model::layers::{Candidate, Gates, MinGru, MinLstm, Recurrent};
use minrnn_model::model::Model;

/// A projection and a cell, nothing else: `[B,T,D]` to `[B,T,D]`.
pub(super) fn layer(lstm: bool, width: usize) -> Result<Model> {
    let gates: Box<dyn Gates> = if lstm {
        Box::new(MinLstm {
            candidate: Candidate::G,
            normalize: true,
        })
    } else {
        Box::new(MinGru {
            candidate: Candidate::G,
        })
    };
    let config = serde_json::Value::Null;
    let body = |g: &mut Graph, x: Value| {
        let layer = Recurrent {
            gates: &*gates,
            channels: width,
            bias: false,
            time_scale: None,
            learned_state: false,
            projection: false,
        };
        g.block(0, |g| g.apply(&layer, x))
    };
    Ok(Model::trace(
        Input::Features { width },
        OutputKind::Values,
        config,
        body,
    )?)
}

/// Embedding 65, 3 blocks of RMS norm, causal convolution 4, minGRU of expansion 2, feed-forward 4, width 384, dropout 0.2.
pub(super) fn language() -> Result<Model> {
    let config = "width = 384\nlayers = 3\ndropout = 0.2\n[input]\nvocab = 65\n[head]\nwidth = 65\n[conv]\nkernel = 4\n\
                  [cell]\nkind = 'min_gru'\nexpansion = 2.0\n[mlp]\nexpansion = 4.0\n";
    Ok(Model::from_config(&toml::from_str(config)?)?)
}
