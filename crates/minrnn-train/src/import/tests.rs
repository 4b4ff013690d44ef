use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView};

use super::source::Source;
use super::*;

mod sizes;
mod wrapped;

pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// A safetensors file of small numbers.
pub(super) fn source(shapes: &Shapes) -> Source {
    source_of(shapes, |_, i| 0.01 * i as f32)
}

/// A safetensors file whose values are those of a name and a flat index.
pub(super) fn source_of(shapes: &Shapes, value: impl Fn(&str, usize) -> f32) -> Source {
    let bytes = |(name, shape): (&String, &Vec<usize>)| -> Vec<u8> {
        (0..shape.iter().product::<usize>())
            .flat_map(|i| value(name, i).to_le_bytes())
            .collect()
    };
    let all: Vec<_> = shapes.iter().map(|one| (one, bytes(one))).collect();
    let views = all.iter().map(|((name, shape), bytes)| {
        let view = TensorView::new(Dtype::F32, (*shape).clone(), bytes);
        (*name, view.unwrap())
    });
    Source::read(safetensors::serialize(views, None).unwrap(), None).unwrap()
}

pub(super) fn shapes<'a>(all: impl IntoIterator<Item = (&'a str, &'a [usize])>) -> Shapes {
    all.into_iter()
        .map(|(n, s)| (n.to_owned(), s.to_vec()))
        .collect()
}

/// minGRU-pytorch's language model: width 4, expansion 1.5, 7 tokens, two blocks.
fn lucidrains() -> Shapes {
    let mut all = shapes([
        ("token_emb.weight", &[7, 4][..]),
        ("norm.weight", &[4]),
        ("to_logits.weight", &[7, 4]),
    ]);
    for i in 0..2 {
        let block: [(&str, &[usize]); 8] = [
            ("1.weight", &[4]),
            ("2.to_hidden_and_gate.weight", &[12, 4]),
            ("2.to_out.weight", &[4, 6]),
            ("3.weight", &[4]),
            ("4.0.weight", &[8, 4]),
            ("4.0.bias", &[8]),
            ("4.2.weight", &[4, 8]),
            ("4.2.bias", &[4]),
        ];
        all.extend(block.map(|(n, s)| (format!("layers.{i}.{n}"), s.to_vec())));
    }
    all
}

/// The authors' model: minLSTM, features, no convolution, no feed-forward layer.
fn minrnns() -> Shapes {
    shapes([
        ("layer_in.weight", &[4, 3][..]),
        ("layer_in.bias", &[4]),
        ("layers.0.1.gamma", &[4]),
        ("layers.0.2.to_hidden_and_gate.weight", &[24, 4]),
        ("layers.0.2.to_hidden_and_gate.bias", &[24]),
        ("layers.0.2.to_out.weight", &[4, 8]),
        ("layers.0.2.to_out.bias", &[4]),
        ("layers.0.2.init_hidden_state", &[8]),
        ("layers.0.3.gamma", &[4]),
        ("norm.gamma", &[4]),
        ("to_out.weight", &[2, 4]),
    ])
}

fn free() -> Options {
    Options {
        normalize_gates: Some(false),
        ..Options::default()
    }
}

fn both() -> [(Shapes, Options); 2] {
    [(lucidrains(), Options::default()), (minrnns(), free())]
}

#[track_caller]
pub(super) fn refused(shapes: &Shapes, options: &Options, wanted: &[&str]) {
    let error = imported_from(&source(shapes), options)
        .expect_err("must be refused")
        .to_string();
    for part in wanted {
        assert!(error.contains(part), "wanted {part:?} in {error}");
    }
}

pub(super) fn with(mut shapes: Shapes, name: &str, shape: &[usize]) -> Shapes {
    shapes.insert(name.into(), shape.into());
    shapes
}

pub(super) fn without(mut shapes: Shapes, name: &str) -> Shapes {
    shapes.remove(name).expect("is there");
    shapes
}

#[test]
fn the_models_of_these_tests_are_whole() {
    let imported = imported_from(&source(&lucidrains()), &Options::default()).unwrap();
    assert_eq!(
        (imported.layout, imported.config.layers),
        (Layout::Lucidrains, 2)
    );
    assert_eq!(imported.config.norm_eps, 1.192_092_895_507_812_5e-7);
    let imported = imported_from(&source(&minrnns()), &free()).unwrap();
    assert_eq!(
        (imported.layout, imported.config.cell.kind()),
        (Layout::Minrnns, minrnn_model::config::CellKind::MinLstm)
    );
    assert!(
        imported
            .notes
            .iter()
            .any(|n| n.contains("layers.0.3.gamma")),
        "{:?}",
        imported.notes
    );
}

#[test]
fn any_tensor_that_is_missing_is_named() {
    for (all, options) in both() {
        for name in all.keys() {
            // Without these it is another model, and a whole one.
            if name == "layers.0.3.gamma" || name.contains("init_hidden") {
                continue;
            }
            let error = imported_from(&source(&without(all.clone(), name)), &options);
            let error = error.expect_err("must be refused").to_string();
            let module = [".weight", ".gamma"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            // Without its bias, or its weight, a cell is of another layout, or none.
            let cell = name.contains("to_hidden_and_gate");
            assert!(
                cell || error.contains(module.unwrap_or(name)),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn any_tensor_of_another_shape_is_named() {
    // How many outputs, features and tokens there are is a free choice.
    let free_sizes = [
        ("to_logits.weight", 0),
        ("to_out.weight", 0),
        ("token_emb.weight", 0),
        ("layer_in.weight", 1),
    ];
    for (all, options) in both() {
        for (name, shape) in all.iter().filter(|(n, _)| *n != "layers.0.3.gamma") {
            for axis in 0..shape.len() {
                if free_sizes.contains(&(name.as_str(), axis)) {
                    continue;
                }
                let mut other = shape.clone();
                other[axis] += 1;
                let changed = with(all.clone(), name, &other);
                let result = imported_from(&source(&changed), &options);
                let error = result.map(|i| i.config).expect_err(name).to_string();
                let says = error.contains("shape") || error.contains("rows");
                assert!(says, "{name}: {error}");
            }
        }
    }
}

#[test]
fn strangers_are_named() {
    let none = Options::default();
    refused(
        &with(lucidrains(), "extra.weight", &[3]),
        &none,
        &["unexpected: `extra.weight`", "lucidrains"],
    );
    refused(
        &with(lucidrains(), "layers.1.0.net.0.weight", &[4, 1, 3]),
        &none,
        &["unexpected: `layers.1.0.net.0.weight`"],
    );
    refused(
        &with(lucidrains(), "layers.4.1.weight", &[4]),
        &none,
        &["`layers.4`, but no `layers.2`"],
    );
    refused(
        &with(lucidrains(), "layers.0.1.to_qkv.weight", &[3, 4]),
        &none,
        &["attention", "not supported"],
    );
    refused(
        &shapes([("rnn.weight_ih_l0", &[3, 4][..])]),
        &none,
        &["no tensor is named", "`rnn.weight_ih_l0`"],
    );
    let cell = [("m.weight_ih", &[9, 4][..]), ("m.weight_hh", &[9, 3])];
    refused(
        &shapes(cell),
        &none,
        &["`m.weight_ih`", "torch.nn.GRUCell", "`weight_hh_l0`"],
    );
    let inside = shapes([
        ("a.rnn.to_hidden_and_gate.weight", &[8, 4][..]),
        ("b.weight", &[4]),
    ]);
    refused(&inside, &none, &["--prefix a.rnn takes"]);
    let prefix = |p: &str| Options {
        prefix: Some(p.into()),
        ..Options::default()
    };
    refused(&inside, &prefix("c"), &["--prefix", "\"c\""]);
    assert_eq!(
        imported_from(&source(&inside), &prefix("a.rnn"))
            .unwrap()
            .config
            .width,
        4
    );
}

#[test]
fn what_the_file_does_not_say_is_asked_for() {
    refused(
        &minrnns(),
        &Options::default(),
        &["use_coeff_norm", "--normalize-gates"],
    );
    refused(
        &without(lucidrains(), "to_logits.weight"),
        &Options::default(),
        &["--tie"],
    );
    let tied = Options {
        tie: true,
        ..Options::default()
    };
    refused(&lucidrains(), &tied, &["--tie", "head of its own"]);
    refused(&lucidrains(), &free(), &["--normalize-gates", "minGRU"]);
    let layout = Options {
        layout: Some(Layout::Minrnns),
        ..Options::default()
    };
    refused(&lucidrains(), &layout, &["--layout", "lucidrains"]);
    let eps = |norm_eps| Options {
        norm_eps: Some(norm_eps),
        ..free()
    };
    refused(&minrnns(), &eps(0.0), &["norm_eps"]);
    assert_eq!(
        imported_from(&source(&minrnns()), &eps(1e-3))
            .unwrap()
            .config
            .norm_eps,
        1e-3
    );
}

#[test]
fn vocabularies_fit_the_model() {
    let vocab = |text: &str| Options {
        vocabulary: Some(text.chars().map(String::from).collect()),
        ..Options::default()
    };
    refused(
        &lucidrains(),
        &vocab("abc"),
        &["--vocab", "3 characters", "7 tokens"],
    );
    refused(&lucidrains(), &vocab("abcdefa"), &["--vocab", "twice"]);
    refused(
        &with(lucidrains(), "to_logits.weight", &[5, 4]),
        &vocab("abcdefg"),
        &["not the next token"],
    );
    let imported = imported_from(&source(&lucidrains()), &vocab("gfedcba")).unwrap();
    assert_eq!(
        imported
            .checkpoint
            .vocabulary
            .unwrap()
            .characters()
            .unwrap()
            .concat(),
        "gfedcba"
    );
    assert_eq!(vocabulary("[\"b\", \"a\"]").unwrap(), ["b", "a"]);
    assert_eq!(vocabulary("{\"a\": 1, \"b\": 0}").unwrap(), ["b", "a"]);
    for bad in [
        "{\"a\": 1, \"b\": 1}",
        "{\"a\": 2, \"b\": 0}",
        "[1]",
        "7",
        "[\"a\"",
        "",
    ] {
        assert!(vocabulary(bad).is_err(), "{bad}");
    }
}

#[test]
fn factors_need_not_be_short() {
    // int(73 * 1.5), and a feed-forward width that no float64 times 73 is.
    let mut all = lucidrains();
    for (name, shape) in &mut all {
        for size in shape.iter_mut() {
            *size = match (*size, name.contains(".2.to_")) {
                (4, _) => 73,
                (6, true) => 109,
                (12, true) => 218,
                (8, false) => 2910,
                (n, _) => n,
            };
        }
    }
    let imported = imported_from(&source(&all), &Options::default()).unwrap();
    assert_eq!(imported.config.channels().unwrap(), 109);
}

#[test]
fn separate_layers_are_refused_by_what_they_are() {
    let gru = shapes([
        ("rnn.linear_z.weight", &[6, 4][..]),
        ("rnn.linear_h.weight", &[6, 4]),
        ("head.weight", &[2, 6]),
    ]);
    refused(
        &gru,
        &Options::default(),
        &[
            "a minGRU with a linear layer for each",
            "`rnn.linear_z.weight`",
            "torch.cat([w[\"rnn.linear_h.weight\"], w[\"rnn.linear_z.weight\"]])",
        ],
    );
    let lstm = shapes([
        ("linear_f.weight", &[6, 4][..]),
        ("linear_i.weight", &[6, 4]),
        ("linear_h.weight", &[6, 4]),
    ]);
    refused(
        &lstm,
        &Options::default(),
        &["a minLSTM", "to_hidden_and_f_i_gate"],
    );
}

/// What needs no `config.json`.
pub(super) fn imported_from(source: &Source, options: &Options) -> Result<Imported> {
    import_source(source, options, &|of| {
        let message = format!("the {of} has no config.json");
        Err(ImportProblem::format(message))
    })
}
