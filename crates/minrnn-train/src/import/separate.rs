//! Cells whose linear layers are apart, as in the paper's text: they are known by name, and refused with what they are.

use super::error::ImportProblem;
use super::found::Tensors;

/// The cell that has these layers, and its packed layer in the order that minGRU-pytorch has.
const CELLS: [(&str, &[&str], &str); 2] = [
    (
        "minLSTM",
        &["linear_h", "linear_f", "linear_i"],
        "to_hidden_and_f_i_gate",
    ),
    ("minGRU", &["linear_h", "linear_z"], "to_hidden_and_gate"),
];

/// What to say of a file with such a cell; `None`: it has none.
pub(super) fn layers(tensors: &Tensors) -> Option<ImportProblem> {
    let (cell, parts, packed, at) = CELLS.iter().find_map(|(cell, parts, packed)| {
        let last = format!("{}.weight", parts[parts.len() - 1]);
        let at = tensors.keys().find_map(|name| {
            let at = name.strip_suffix(&last)?;
            let all = parts
                .iter()
                .all(|p| tensors.contains_key(&format!("{at}{p}.weight")));
            (all && (at.is_empty() || at.ends_with('.'))).then_some(at)
        })?;
        Some((cell, parts, packed, at))
    })?;
    let names: Vec<String> = parts.iter().map(|p| format!("`{at}{p}.weight`")).collect();
    let joined: Vec<String> = parts
        .iter()
        .map(|p| format!("w[\"{at}{p}.weight\"]"))
        .collect();
    Some(ImportProblem::Unsupported {
        what: format!(
            "a {cell} with a linear layer for each of {}",
            names.join(", ")
        ),
        message: format!(
            "the file does not say whether the candidate goes through g (the paper's appendix B), nor how the layers make a model. If it does, \
             save one layer as {{\"{packed}.weight\": torch.cat([{}])}}, without biases, and import that",
            joined.join(", ")
        ),
    })
}
