//! The weights in the files: the same in all of them, those of the hash, and bit for bit those of the checkpoint, rounded as an
//! export rounds them.

use minrnn_model::graph::{Graph, StateInit};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{Stored, Weights, differing, read as read_stored, tied, weights_sha256};

use super::{Export, OtherModel, Result, broken, chain};
use crate::verify::Check;

impl Export {
    /// The parameters in the files, the same in each of them.
    ///
    /// # Errors
    /// A file whose parameters are not those of the model, or differ from its hash or from another file.
    pub fn params(&self, model: &Model) -> Result<Params> {
        Ok(self.stored(model)?.params)
    }

    /// The parameters with their type, and how states go in and out: the same in each file.
    ///
    /// # Errors
    /// As [`Export::params`].
    pub fn stored(&self, model: &Model) -> Result<Stored> {
        let graph = model.graph();
        let mut first: Option<(&str, Stored)> = None;
        for (name, form) in &self.forms {
            let fail = |what: String| Err(broken(&form.path, what));
            let stored = match read_stored(&form.model, graph, &self.dir) {
                Ok(stored) => stored,
                Err(e) => return fail(chain(&e)),
            };
            if let Some((other, expected)) = first.as_ref().filter(|_| !self.off.has(Check::Alike))
            {
                let file = &self.forms[*other].model;
                let apart = differing(file, &form.model, graph, &self.dir);
                if let Some((name, what)) = apart.map_err(|e| broken(&form.path, chain(&e)))? {
                    return fail(format!(
                        "`{name}` {what}, against the {other} file; export all forms again"
                    ));
                }
                if let Some(i) = unlike(&expected.params, &stored.params) {
                    let spec = &graph.params()[i].name;
                    return fail(format!(
                        "parameter `{spec}` is not the same as in the {other} file; export all forms again"
                    ));
                }
            }
            // Narrow weights are not the ones that the hash is of.
            if stored.weights == Weights::F32 && !self.off.has(Check::WeightsHash) {
                let found = weights_sha256(graph, &stored.params);
                let said = &self.manifest.weights_sha256;
                if found != *said {
                    return fail(format!(
                        "its weights have the hash {found}, it claims {said}; export again"
                    ));
                }
            }
            first.get_or_insert((name, stored));
        }
        first
            .map(|(_, stored)| stored)
            .ok_or_else(|| broken(&self.dir, "has no forms"))
    }

    /// Holds the files' weights to `params`: those of the checkpoint, or the files' own.
    ///
    /// # Errors
    /// [`OtherModel`] where the files are of other weights, and say so; [`super::ContractError`] where they claim to be of these.
    pub(in crate::verify) fn holds_weights(
        &self,
        graph: &Graph,
        stored: &Stored,
        params: &Params,
    ) -> anyhow::Result<()> {
        let apart = unlike(&stored.params, params);
        if apart.is_none() || self.off.has(Check::Checkpoint) {
            return Ok(());
        }
        let (said, given) = (self.weights_sha256(), weights_sha256(graph, params));
        if said != given {
            let what = format!(
                "holds other weights than the checkpoint: their sha256 is {said}, that of the checkpoint {given}"
            );
            return Err(self.other(what).into());
        }
        // The same hash and f32: the files were held to the hash.
        for form in self.forms.values() {
            let lies = |what: String| {
                broken(
                    &form.path,
                    format!(
                        "claims the checkpoint's weights, and {what}; export the checkpoint again"
                    ),
                )
            };
            tied(&form.model, graph, params, &stored.weights, &self.dir)
                .map_err(|e| lies(chain(&e)))?;
            if let Some(name) = initial(graph, &stored.params, params) {
                let what = format!("`minrnn.states` has other initial values than `{name}` of it");
                return Err(lies(what).into());
            }
        }
        Ok(())
    }

    /// `params`, if they are what the files were made from, before it was rounded.
    pub(in crate::verify) fn originals<'a>(
        &self,
        graph: &Graph,
        params: &'a Params,
    ) -> Option<&'a Params> {
        (weights_sha256(graph, params) == self.weights_sha256()).then_some(params)
    }

    pub(super) fn other(&self, what: String) -> OtherModel {
        OtherModel {
            export: self.dir.clone(),
            what,
        }
    }
}

/// Whether values are the same bit for bit.
pub(super) fn same(a: &[f32], b: &[f32]) -> bool {
    let bits = |v: &f32| v.to_bits();
    a.iter().map(bits).eq(b.iter().map(bits))
}

/// The first parameter that is not the same bit for bit.
fn unlike(a: &Params, b: &Params) -> Option<usize> {
    (0..a.len().max(b.len()))
        .find(|i| *i >= a.len() || *i >= b.len() || !same(a.get(*i), b.get(*i)))
}

/// The first learned initial state that differs: these are f32 in every type of weights.
fn initial<'a>(graph: &'a Graph, a: &Params, b: &Params) -> Option<&'a str> {
    let learned = graph.states().iter().filter_map(|s| match s.init {
        StateInit::Learned(p) => Some(p),
        StateInit::Zero | StateInit::Constant(_) => None,
    });
    let mut other = learned.filter(|p| !same(a.get(p.index()), b.get(p.index())));
    other.next().map(|p| graph.param_spec(p).name.as_str())
}
