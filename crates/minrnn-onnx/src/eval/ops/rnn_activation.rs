//! Activations of RNN, GRU and LSTM.

use super::activation::{elu, hard_sigmoid, leaky, sigmoid, softplus};
use super::{Call, Fault};

/// An activation with its numbers, behind the clip.
pub(super) struct Activation {
    f: fn(f64, f64, f64) -> f64,
    alpha: f64,
    beta: f64,
    clip: Option<f64>,
}

impl Activation {
    pub(super) fn of(&self, x: f64) -> f64 {
        let x = match self.clip {
            Some(c) if !x.is_nan() => x.clamp(-c, c),
            _ => x,
        };
        (self.f)(x, self.alpha, self.beta)
    }
}

/// Name, function, default alpha and beta; `None`: it has none, a missing one that it needs is no number.
type Known = (
    &'static str,
    fn(f64, f64, f64) -> f64,
    Option<f64>,
    Option<f64>,
);

const NEEDED: Option<f64> = Some(f64::NAN);

const ACTIVATIONS: &[Known] = &[
    (
        "relu",
        |x, _, _| super::activation::keep_nan(x, x.max(0.0)),
        None,
        None,
    ),
    ("tanh", |x, _, _| x.tanh(), None, None),
    ("sigmoid", |x, _, _| sigmoid(x), None, None),
    ("affine", |x, a, b| a * x + b, NEEDED, NEEDED),
    (
        "leakyrelu",
        |x, a, _| leaky(x, a),
        Some(0.01f32 as f64),
        None,
    ),
    (
        "thresholdedrelu",
        |x, a, _| if x >= a { x } else { 0.0 },
        Some(1.0),
        None,
    ),
    ("scaledtanh", |x, a, b| a * (b * x).tanh(), NEEDED, NEEDED),
    ("hardsigmoid", hard_sigmoid, Some(0.2f32 as f64), Some(0.5)),
    ("elu", |x, a, _| elu(x, a), Some(1.0), None),
    ("softsign", |x, _, _| x / (1.0 + x.abs()), None, None),
    ("softplus", |x, _, _| softplus(x), None, None),
];

/// The activations of all directions, `one` the names of a direction unless others are given. Numbers are taken in the
/// order of those that have them.
pub(super) fn activations(
    call: &Call,
    one: &'static [&'static str],
    directions: usize,
) -> Result<Vec<Activation>, Fault> {
    let names = match call.words("activations")? {
        Some(names) if names.len() == one.len() * directions => names,
        Some(names) => {
            let what = format!("{} names, wanted {}", names.len(), one.len() * directions);
            return Err(Fault::attribute("activations", what));
        }
        None => one.repeat(directions),
    };
    let clip = call.opt_float("clip")?;
    if clip.is_some_and(|c| c.is_nan() || c < 0.0) {
        return Err(Fault::attribute("clip", "is below 0"));
    }
    let list = |name: &str| Ok::<_, Fault>(call.opt_floats(name)?.unwrap_or_default().into_iter());
    let (mut alphas, mut betas) = (list("activation_alpha")?, list("activation_beta")?);
    let mut all = vec![];
    for (i, name) in names.into_iter().enumerate() {
        // The clip is on what goes into a gate: the cell, which LSTM's last activation takes, no engine clips.
        let clip = clip.filter(|_| i % one.len() < 2);
        let known = ACTIVATIONS.iter().find(|k| k.0 == name.to_lowercase());
        let Some((_, f, alpha, beta)) = known else {
            return Err(super::wrong_word("activations", name));
        };
        let number = |default: &Option<f64>, given: &mut std::vec::IntoIter<f64>| match default {
            None => Ok(0.0),
            Some(d) => match given.next().unwrap_or(*d) {
                n if n.is_nan() => Err(Fault::attribute(
                    "activations",
                    format!("{name} needs its numbers"),
                )),
                n => Ok(n),
            },
        };
        let (alpha, beta) = (number(alpha, &mut alphas)?, number(beta, &mut betas)?);
        all.push(Activation {
            f: *f,
            alpha,
            beta,
            clip,
        });
    }
    // Some writers give one for each activation, taken or not; more than that mean something else.
    for name in ["activation_alpha", "activation_beta"] {
        let given = call.opt_floats(name)?.map_or(0, |v| v.len());
        if given > all.len() {
            let what = format!("{given} numbers for {} activations", all.len());
            return Err(Fault::attribute(name, what));
        }
    }
    Ok(all)
}
