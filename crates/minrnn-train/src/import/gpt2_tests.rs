//! What a nanoGPT does not say, and what does not fit. That what fits is the same function is held by golden data.

use minrnn_model::config::CellConfig;
use minrnn_model::layers::Activation;

use super::tests::{Shapes, imported_from, refused, shapes, source, with, without};
use super::*;

/// Width 6, 5 tokens, 9 positions, one block, no biases.
fn nano_gpt() -> Shapes {
    shapes([
        ("transformer.wte.weight", &[5, 6][..]),
        ("transformer.wpe.weight", &[9, 6]),
        ("transformer.h.0.ln_1.weight", &[6]),
        ("transformer.h.0.attn.c_attn.weight", &[18, 6]),
        ("transformer.h.0.attn.c_proj.weight", &[6, 6]),
        ("transformer.h.0.ln_2.weight", &[6]),
        ("transformer.h.0.mlp.c_fc.weight", &[24, 6]),
        ("transformer.h.0.mlp.c_proj.weight", &[6, 24]),
        ("transformer.ln_f.weight", &[6]),
        ("lm_head.weight", &[5, 6]),
    ])
}

fn heads(n: usize) -> Options {
    Options {
        heads: Some(n),
        ..Options::default()
    }
}

#[test]
fn a_nano_gpt_is_found_by_its_shapes() {
    let found = imported_from(&source(&nano_gpt()), &heads(3)).unwrap();
    assert_eq!(found.layout, Layout::NanoGpt);
    assert_eq!(
        found.architecture,
        "nanoGPT, model over tokens, 3 heads, 9 positions"
    );
    // The values of these two tensors are the same.
    assert!(found.config.head.tied);
    assert!(found.notes.iter().any(|n| n.contains("--activation")));
    let CellConfig::Attention(cell) = &found.config.cell else {
        panic!("{:?}", found.config.cell);
    };
    assert_eq!((cell.heads, cell.bias), (3, false));
    // Wrapped by torch.compile, without the head, with masks and with an activation that is said.
    let mut other: Shapes = without(nano_gpt(), "lm_head.weight")
        .into_iter()
        .map(|(name, shape)| (format!("_orig_mod.{name}"), shape))
        .collect();
    other = with(other, "_orig_mod.transformer.h.0.attn.bias", &[1, 1, 9, 9]);
    let said = Options {
        activation: Some(Activation::GeluTanh),
        ..heads(2)
    };
    let found = imported_from(&source(&other), &said).unwrap();
    let mlp = found.config.mlp.expect("feed-forward layers");
    assert_eq!(mlp.activation, Activation::GeluTanh);
    assert!(!found.notes.iter().any(|n| n.contains("--activation")));
    assert!(found.config.head.tied);
}

/// A head of other sizes is not the table, and then it is held to be a head of its own.
#[test]
fn a_head_of_other_sizes_is_named() {
    let longer = with(nano_gpt(), "transformer.wte.weight", &[4, 6]);
    refused(
        &longer,
        &heads(2),
        &["lm_head.weight", "[5, 6]", "wants [4, 6]"],
    );
}

#[test]
fn what_no_tensor_says_is_asked_for_by_name() {
    refused(
        &nano_gpt(),
        &Options::default(),
        &["--heads", "is needed", "n_head"],
    );
    refused(&nano_gpt(), &heads(4), &["--heads", "4 heads", "width 6"]);
    refused(&nano_gpt(), &heads(0), &["--heads", "0 heads"]);
    let tie = Options {
        tie: true,
        ..heads(2)
    };
    refused(&nano_gpt(), &tie, &["--tie", "no use"]);
    let gates = Options {
        normalize_gates: Some(true),
        ..heads(2)
    };
    refused(&nano_gpt(), &gates, &["--normalize-gates", "no use"]);
    let layer = shapes([
        ("to_hidden_and_gate.weight", &[8, 4][..]),
        ("to_out.weight", &[4, 4]),
    ]);
    refused(&layer, &heads(2), &["--heads", "for a nanoGPT"]);
}

#[test]
fn what_model_args_say_is_held_against_the_weights() {
    let mut file = source(&nano_gpt());
    file.arguments = vec![("n_head".into(), 3), ("n_layer".into(), 1)];
    let found = imported_from(&file, &Options::default()).unwrap();
    assert!(found.architecture.contains("3 heads"));
    let error = imported_from(&file, &heads(2)).unwrap_err().to_string();
    assert!(
        error.contains("model_args in the file says `n_head` = 3"),
        "{error}"
    );
    file.arguments.push(("block_size".into(), 8));
    let error = imported_from(&file, &Options::default()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("`block_size` = 8, and the weights have 9"),
        "{error}"
    );
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let square = with(nano_gpt(), "transformer.h.0.attn.c_attn.weight", &[6, 6]);
    refused(&square, &heads(2), &["c_attn.weight", "[6, 6]", "nanoGPT"]);
    let one = with(nano_gpt(), "transformer.h.0.attn.c_attn.bias", &[18]);
    refused(&one, &heads(2), &["missing", "c_proj.bias"]);
    let more = with(nano_gpt(), "transformer.h.0.attn.rotary", &[3]);
    refused(&more, &heads(2), &["unexpected", "attn.rotary"]);
    // A linear weight as transformers has it, and nothing beside it.
    let turned = with(nano_gpt(), "transformer.h.0.attn.c_attn.weight", &[6, 18]);
    refused(&turned, &Options::default(), &["GPT-2", "config.json"]);
}
