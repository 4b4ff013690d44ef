//! What a nanoGPT does not say, and what does not fit. That what fits is the same function is held by golden data.

use minrnn_model::config::CellConfig;
use minrnn_model::layers::Activation;

use super::source::Argument;
use super::tests::{Shapes, imported_from, refused, shapes, source, source_of, with, without};
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

fn said(all: &[(&str, usize)]) -> Vec<(String, Argument)> {
    let one = |(name, n): &(&str, usize)| ((*name).to_owned(), Argument::Count(*n));
    all.iter().map(one).collect()
}

/// A file whose masks, `[1, 1, 9, 9]`, show what `sees` says of row and column.
fn masked(shapes: &Shapes, sees: impl Fn(usize, usize) -> bool) -> Source {
    source_of(shapes, |name, i| match name.ends_with("attn.bias") {
        true => f32::from(u8::from(sees(i / 9, i % 9))),
        false => 0.01 * i as f32,
    })
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
    let found = imported_from(&masked(&other, |row, column| column <= row), &said).unwrap();
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
    file.arguments = said(&[("n_head", 3), ("n_layer", 1)]);
    let found = imported_from(&file, &Options::default()).unwrap();
    assert!(found.architecture.contains("3 heads"));
    let error = imported_from(&file, &heads(2)).unwrap_err().to_string();
    assert!(
        error.contains("model_args in the file says `n_head` = 3"),
        "{error}"
    );
    file.arguments.extend(said(&[("block_size", 8)]));
    let error = imported_from(&file, &Options::default()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("`block_size` = 8, and the weights have 9"),
        "{error}"
    );
}

/// What no nanoGPT is made by, and what is no number of heads: named as it stands in the file, no flag is blamed.
#[test]
fn model_args_that_no_nano_gpt_has_are_refused() {
    let words = |text: &str| Argument::Other(text.into());
    for (key, value, wanted) in [
        ("rope", Argument::Flag(true), "`rope` = True in model_args"),
        (
            "activation",
            words("\"relu\""),
            "`activation` = \"relu\" in model_args",
        ),
        ("n_head", words("-2"), "`n_head` = -2, and it is a whole"),
        (
            "n_head",
            Argument::Count(0),
            "`n_head` = 0, and it is a whole",
        ),
        ("n_head", Argument::Flag(true), "`n_head` = True"),
        ("n_head", Argument::Count(4), "`n_head` = 4, which does not"),
        ("bias", Argument::Count(2), "`bias` = 2, and it is True or"),
    ] {
        let mut file = source(&nano_gpt());
        file.arguments = said(&[("n_head", 2)]);
        file.arguments.retain(|(name, _)| name != key);
        file.arguments.push((key.into(), value));
        let options = match key {
            "n_head" => Options::default(),
            _ => heads(2),
        };
        let error = imported_from(&file, &options).unwrap_err().to_string();
        assert!(
            error.contains(wanted) && !error.contains("--heads"),
            "{error}"
        );
    }
    let mut file = source(&nano_gpt());
    file.arguments = said(&[("n_head", 2)]);
    file.arguments.push(("dropout".into(), words("0.5")));
    imported_from(&file, &Options::default()).unwrap();
}

/// A mask that hides an earlier step, or shows a later one, is of another model.
#[test]
fn masks_of_a_nano_gpt_are_causal() {
    let shapes = with(nano_gpt(), "transformer.h.0.attn.bias", &[1, 1, 9, 9]);
    imported_from(&masked(&shapes, |row, column| column <= row), &heads(2)).unwrap();
    let all = masked(&shapes, |_, _| true);
    let band = masked(&shapes, |row, column| column <= row && row < column + 3);
    for (file, place) in [(all, "row 0, column 1"), (band, "row 3, column 0")] {
        let error = imported_from(&file, &heads(2)).unwrap_err().to_string();
        for wanted in ["`transformer.h.0.attn.bias` has", place, "no equal here"] {
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    }
    let other = with(nano_gpt(), "transformer.h.0.attn.bias", &[1, 9, 9, 1]);
    refused(&other, &heads(2), &["[1, 9, 9, 1]", "no mask"]);
}

/// Weights as nanoGPT has them beside a configuration of transformers: one of the two is wrong.
#[test]
fn a_config_json_of_a_gpt2_is_of_no_nano_gpt() {
    let run = |options: &Options, text: &str| {
        import_source(&source(&nano_gpt()), options, &|_| Ok(text.into()))
    };
    let gpt2 = r#"{"model_type": "gpt2"}"#;
    let error = run(&heads(2), gpt2).unwrap_err().to_string();
    for wanted in ["c_attn.weight` is", "config.json", "--layout nanogpt"] {
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    let named = Options {
        layout: Some(Layout::NanoGpt),
        ..heads(2)
    };
    run(&named, gpt2).unwrap();
    run(&heads(2), r#"{"model_type": "llama"}"#).unwrap();
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let square = with(nano_gpt(), "transformer.h.0.attn.c_attn.weight", &[6, 6]);
    refused(&square, &heads(2), &["c_attn.weight", "[6, 6]", "nanoGPT"]);
    let more = with(nano_gpt(), "transformer.h.0.attn.rotary", &[3]);
    refused(&more, &heads(2), &["unexpected", "attn.rotary"]);
    // A linear weight as transformers has it, and nothing beside it.
    let turned = with(nano_gpt(), "transformer.h.0.attn.c_attn.weight", &[6, 18]);
    refused(&turned, &Options::default(), &["GPT-2", "config.json"]);
}

/// With the biases of all linear maps and norms.
fn biased() -> Shapes {
    let weights = nano_gpt().into_iter();
    let biases = weights.filter_map(|(name, shape)| {
        let part = name.strip_suffix(".weight")?;
        let table = part.ends_with("wte") || part.ends_with("wpe") || part == "lm_head";
        (!table).then(|| (format!("{part}.bias"), vec![shape[0]]))
    });
    nano_gpt().into_iter().chain(biases).collect()
}

/// `bias` of a nanoGPT is for all linear maps and norms: any one that is missing, or alone, is named, and so is what model_args contradict.
#[test]
fn biases_are_there_or_not() {
    let all = biased();
    let found = imported_from(&source(&all), &heads(2)).unwrap();
    let CellConfig::Attention(cell) = &found.config.cell else {
        panic!("{:?}", found.config.cell);
    };
    assert!(cell.bias && found.config.mlp.is_some_and(|mlp| mlp.bias));
    for (name, shape) in all.iter().filter(|(name, _)| name.ends_with(".bias")) {
        let less = without(all.clone(), name);
        let missing = format!("`{name}` is missing, and `transformer.");
        refused(
            &less,
            &heads(2),
            &[&missing, "in all linear maps and norms"],
        );
        let alone = with(nano_gpt(), name, shape);
        let there = format!("`{name}` is there");
        refused(&alone, &heads(2), &["is missing, and", &there]);
    }
    for (shapes, bias, wanted) in [
        (
            &all,
            false,
            ["`transformer.h.0.ln_1.bias` is there", "`bias` = False"],
        ),
        (
            &nano_gpt(),
            true,
            ["`transformer.h.0.ln_1.bias` is missing", "`bias` = True"],
        ),
    ] {
        let mut file = source(shapes);
        file.arguments = vec![
            ("n_head".into(), Argument::Count(2)),
            ("bias".into(), Argument::Flag(bias)),
        ];
        let error = imported_from(&file, &Options::default()).unwrap_err();
        let error = error.to_string();
        for wanted in wanted.into_iter().chain(["of two models"]) {
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
        file.arguments[1].1 = Argument::Flag(!bias);
        imported_from(&file, &Options::default()).unwrap();
    }
}

#[test]
fn tables_that_no_window_is_as_long_as_are_named() {
    for rows in [1, 65_537] {
        let other = with(nano_gpt(), "transformer.wpe.weight", &[rows, 6]);
        let wanted = format!("has {rows} rows");
        let mend = if rows == 1 {
            "one position"
        } else {
            "fewer rows"
        };
        refused(
            &other,
            &heads(2),
            &["wpe.weight", &wanted, "2 to 65536", mend],
        );
    }
}

#[test]
fn a_model_under_another_name_is_offered() {
    let all: Shapes = nano_gpt()
        .into_iter()
        .map(|(name, shape)| (format!("policy.gpt.{name}"), shape))
        .chain([("value.weight".to_owned(), vec![2, 2])])
        .collect();
    refused(
        &all,
        &heads(2),
        &["a GPT-2 or nanoGPT", "--prefix policy.gpt takes"],
    );
    let options = Options {
        prefix: Some("policy.gpt".into()),
        ..heads(2)
    };
    imported_from(&source(&all), &options).unwrap();
}

/// What `config.json` says that no model of ours has: the key, what is known, and what to do.
#[test]
fn settings_of_other_gpt2s_are_refused_by_key() {
    use super::settings::Gpt2;
    let usual = serde_json::json!({
        "model_type": "gpt2", "n_embd": 6, "vocab_size": 5, "n_layer": 1, "n_head": 2, "n_positions": 9,
    });
    Gpt2::read(usual.to_string().as_bytes()).unwrap();
    for (key, value, wanted) in [
        (
            "scale_attn_by_inverse_layer_idx",
            true.into(),
            "divide the queries of layer i",
        ),
        ("scale_attn_weights", false.into(), "multiply the queries"),
        ("reorder_and_upcast_attn", true.into(), "write false"),
        ("add_cross_attention", true.into(), "has no equal here"),
        (
            "activation_function",
            "relu".into(),
            "`gelu_new` and `gelu_pytorch_tanh` (by tanh), `gelu` (by the error function)",
        ),
        ("n_inner", 0.into(), "a whole number"),
        ("n_head", 4.into(), "it must divide `n_embd`, 6"),
        ("n_positions", 1.into(), "2 to 65536"),
        ("n_positions", 70_000.into(), "2 to 65536"),
        ("n_ctx", 8.into(), "`n_positions` is 9"),
        ("layer_norm_epsilon", 2.into(), "from 1.2e-38 to 1"),
        ("use_alibi", true.into(), "the key is not known"),
    ] {
        let value: serde_json::Value = value;
        let mut json = usual.clone();
        json[key] = value.clone();
        let error = Gpt2::read(json.to_string().as_bytes()).unwrap_err();
        let error = error.to_string();
        let place = format!("`{key}` = {value} in config.json");
        assert!(error.contains(&place) && error.contains(wanted), "{error}");
    }
    for (name, wanted) in [
        ("gelu_new", Activation::GeluTanh),
        ("gelu", Activation::Gelu),
        ("silu", Activation::Silu),
    ] {
        let mut json = usual.clone();
        json["activation_function"] = name.into();
        let read = Gpt2::read(json.to_string().as_bytes()).unwrap();
        assert_eq!(read.activation, wanted);
    }
}
