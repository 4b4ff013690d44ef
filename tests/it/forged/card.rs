//! Texts for people: what they say is no part of the proof, and the report says so where it is another text.

use minrnn_onnx::export::Weights;

use super::Forged;

/// Who edits the card may do so; the report says that its text is no longer the export's.
#[test]
fn an_edited_card_is_a_remark() {
    let forged = Forged::tokens();
    let path = forged.path().join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let said = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let report = forged.files_alone(false).unwrap();
        assert!(report.holds);
        let all = report.remarks();
        let own = all.into_iter().find(|n| n.starts_with("README.md"));
        own.unwrap_or_default()
    };
    assert_eq!(said(&text), "");
    // Figures are the checkpoint's, line ends another system's.
    let measured = text.replace(
        "\n## States",
        "\n## Measured\n\n| what | |\n|---|---|\n| loss | 1 |\n\n## States",
    );
    assert_ne!(measured, text);
    assert_eq!(said(&measured), "");
    assert_eq!(said(&text.replace('\n', "\r\n")), "");
    let other = text.replace("4 tokens", "5 tokens");
    assert_eq!(
        said(&other),
        "README.md was edited: the first line that is another one was `- Input: token ids `input_ids`, 4 tokens.`; what it says is held to nothing"
    );
    assert!(said(&(text.clone() + "\nMore.\n")).contains("more at its end"));
    for weights in [
        Weights::F16,
        Weights::Int8(minrnn_onnx::export::Activations::Row),
    ] {
        let narrow = Forged::narrow(weights)
            .files_alone(false)
            .unwrap()
            .remarks()
            .join("\n");
        assert!(!narrow.contains("README.md"), "{narrow}");
    }
}

#[test]
fn an_edited_text_in_a_file_is_a_remark() {
    let forged = Forged::tokens();
    forged.file("step", &|f| {
        f.graph.outputs[0].doc = "Probabilities.".into()
    });
    let report = forged.files_alone(false).unwrap();
    let said = report.remarks().join("\n");
    assert!(report.holds, "{said}");
    assert!(
        said.contains("step: the text of `logits` was edited; what it says is held to nothing"),
        "{said}"
    );
    assert!(!said.contains("scan: the text"), "{said}");
}
