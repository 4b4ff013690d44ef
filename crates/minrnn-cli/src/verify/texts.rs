//! Texts of an export for people, `README.md` and those of inputs and outputs: they should be what was written.

use minrnn_model::graph::Graph;
use minrnn_model::params::Params;
use minrnn_onnx::export::{Stored, card_of, other_text};

use super::contract::Export;

/// The section of figures that only the checkpoint has.
const MEASURED: &str = "## Measured";

/// Remarks where texts are not those that this version wrote for these files. Who edits them may do so, it is no breach. None of files of
/// other versions, of which it is not known.
pub(super) fn remarks(export: &Export, graph: &Graph, stored: &Stored) -> Vec<String> {
    if !export.is_of_this_version() {
        return vec![];
    }
    let mut all = vec![];
    all.extend(card(export, graph, stored));
    for (form, _) in export.files() {
        let Ok(Some((model, told))) = export.told(form) else {
            continue;
        };
        if let Ok(Some(name)) = other_text(model, graph, &stored.params, &told) {
            all.push(format!(
                "{form}: the text of `{name}` was edited; what it says is held to nothing"
            ));
        }
    }
    all
}

fn card(export: &Export, graph: &Graph, stored: &Stored) -> Option<String> {
    let found = std::fs::read_to_string(export.dir().join("README.md")).ok()?;
    let wanted = wanted(export, graph, &stored.params)?;
    let (found, wanted) = (plain(&found), plain(&wanted));
    let lines = |text: &str| text.lines().count();
    let pairs = found.lines().zip(wanted.lines());
    let first = pairs.take_while(|(a, b)| a == b).count();
    if found == wanted {
        return None;
    }
    let place = match first < lines(&wanted) {
        true => format!(
            "the first line that is another one was `{}`",
            wanted.lines().nth(first).unwrap_or_default()
        ),
        false => "there is more at its end".to_owned(),
    };
    Some(format!(
        "README.md was edited: {place}; what it says is held to nothing"
    ))
}

fn wanted(export: &Export, graph: &Graph, params: &Params) -> Option<String> {
    let mut files = vec![];
    for (form, path) in export.files() {
        let (model, told) = export.told(form).ok()??;
        let name = path.file_name()?.to_str()?;
        files.push((name, model, told));
    }
    let words = export.vocabulary();
    card_of(graph, params, export.weights_sha256(), &files, words).ok()
}

/// Without the figures, and without line ends of another system.
fn plain(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let Some((before, rest)) = text.split_once(&format!("\n{MEASURED}\n")) else {
        return text;
    };
    let behind = rest.split_once("\n## ").map_or("", |(_, behind)| behind);
    format!("{before}\n## {behind}")
}
