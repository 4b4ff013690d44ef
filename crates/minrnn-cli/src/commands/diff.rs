//! `minrnn diff`.

use anyhow::Result;
use minrnn_onnx::diff::diff;
use serde_json::{Value as Json, json};

use super::inspect::read;
use crate::Outcome;
use crate::args::Diff;
use crate::ui::Ui;

pub(super) fn run(args: &Diff, ui: &Ui) -> Result<Outcome> {
    let (left, right) = (read(&args.left)?, read(&args.right)?);
    let found = diff(&left, &right);
    if args.json {
        let mut report = json!({
            "schema": "minrnn.diff/1",
            "left": args.left.display().to_string(),
            "right": args.right.display().to_string(),
            "same": found.is_same(),
            "only_weights": found.only_weights(),
        });
        if let (Some(report), Json::Object(found)) = (report.as_object_mut(), json!(found)) {
            report.extend(found);
        }
        ui.print(&format!("{report:#}\n"))?;
    } else {
        ui.print(&found.to_string())?;
    }
    Ok(if found.is_same() {
        Outcome::Holds
    } else {
        Outcome::Fails
    })
}
