//! What the engines have in common, and how they are compared.

use anyhow::Result;

pub(super) const MINRNN: &str = "minrnn";
pub(super) const ORT: &str = "onnxruntime";

/// Which engine, which file, which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) engine: &'static str,
    pub(super) form: String,
    /// ONNX Runtime: `binding` (inputs and outputs lie in buffers bound once) or `run`.
    pub(super) io: Option<&'static str>,
}

impl Label {
    pub(super) fn words(&self) -> String {
        let io = self.io.map_or(String::new(), |io| format!(", {io}"));
        format!("{} ({}{io})", self.engine, self.form)
    }
}

/// One engine with one file opened for one case.
pub(super) trait Contender {
    fn label(&self) -> Label;

    /// The outputs of all inputs of the case from the first states on, one after the other in one tensor; then the states.
    fn outcome(&mut self) -> Result<Vec<Vec<f32>>>;

    /// Seconds of so many calls. A step goes on from the states, and where it can from the tokens, of the step before.
    fn run(&mut self, calls: usize) -> Result<f64>;
}

/// Where two outcomes are further apart than `tolerance` times the tensor's largest magnitude (1 at least); `None`: nowhere.
pub(super) fn difference(ours: &[Vec<f32>], theirs: &[Vec<f32>], tolerance: f32) -> Option<String> {
    if ours.len() != theirs.len() {
        return Some(format!("{} tensors against {}", ours.len(), theirs.len()));
    }
    let pairs = ours.iter().zip(theirs).enumerate();
    pairs.into_iter().find_map(|(i, (a, b))| {
        let tensor = match i {
            0 => "the output".to_owned(),
            _ => format!("state {}", i - 1),
        };
        if a.len() != b.len() {
            return Some(format!(
                "{tensor} has {} values against {}",
                a.len(),
                b.len()
            ));
        }
        let scale = b.iter().fold(1f32, |m, x| m.max(x.abs()));
        // NaN is no agreement.
        let apart = |(_, (x, y)): &(usize, (&f32, &f32))| {
            let far = (*x - *y).abs();
            far.is_nan() || far > tolerance * scale
        };
        let (at, (x, y)) = a.iter().zip(b).enumerate().find(apart)?;
        Some(format!(
            "{tensor} at {at}: {x} against {y}, where {tolerance} of {scale} is allowed"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_apart_is_named() {
        let ours = [vec![1.0, -20.0, 3.0], vec![0.5]];
        assert_eq!(difference(&ours, &ours, 0.0), None);
        let mut theirs = ours.clone();
        theirs[0][2] = 3.15;
        assert_eq!(difference(&ours, &theirs, 0.01), None);
        let said = difference(&ours, &theirs, 0.001).unwrap();
        assert!(
            said.starts_with("the output at 2: 3 against 3.15"),
            "{said}"
        );
        theirs[0][2] = 3.0;
        theirs[1][0] = f32::NAN;
        assert!(
            difference(&ours, &theirs, 0.1)
                .unwrap()
                .starts_with("state 0")
        );
        assert!(difference(&theirs, &ours, 0.1).is_some());
        assert!(difference(&ours, &ours[..1], 0.1).is_some());
        assert!(difference(&ours, &[vec![1.0], vec![0.5]], 0.1).is_some());
    }
}
