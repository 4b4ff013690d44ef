//! What people must know about an imported model.

use super::found::{Layout, PaperCell, Tensors};
use super::rows::How;
use super::source::Dtype;
use super::{Found, Options, lm};

/// Of a file, beside those of its layout.
pub(super) fn of(tensors: &Tensors, found: &Found, options: &Options) -> Vec<String> {
    let plan = &found.plan;
    let mut notes = plan.notes.clone();
    let has = |dtype: &[Dtype]| tensors.values().any(|i| dtype.contains(&i.dtype));
    if has(&[Dtype::F64]) {
        notes.push("float64 weights are rounded to float32".into());
    }
    let Some(cell) = &found.cell else {
        return notes;
    };
    let own_eps = plan
        .rows
        .rows
        .iter()
        .any(|r| r.name == "head.norm.weight" && r.how == How::Copied);
    if has(&[Dtype::F16, Dtype::Bf16]) && own_eps && options.norm_eps.is_none() {
        notes.push(format!(
            "the weights are half precision, and torch.nn.RMSNorm takes its epsilon from the type it runs in: {:e} of float32 is \
             taken; --norm-eps gives another",
            lm::F32_EPSILON
        ));
    }
    if (cell.layout, cell.kind) == (Layout::Lucidrains, PaperCell::MinLstm) {
        notes.push(
            "minGRU-pytorch's minLSTM (as of 0.2.1) treats a carried state in two ways: as it is for a single step, and through g for \
             longer sequences. The imported model takes it as it is, in every form; without a carried state both are equal"
                .into(),
        );
    }
    notes
}
