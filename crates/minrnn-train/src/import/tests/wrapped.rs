//! Models under other names, beside other things, and in several files.

use std::collections::BTreeMap;

use super::super::{Options, import};
use super::{Shapes, imported_from, lucidrains, refused, source, with};

#[test]
fn wrappers_are_cut_off() {
    let wrapped = |f: &dyn Fn(&str) -> String| {
        lucidrains()
            .iter()
            .map(|(n, s)| (f(n), s.clone()))
            .collect::<Shapes>()
    };
    let plain = imported_from(&source(&lucidrains()), &Options::default()).unwrap();
    for f in [
        &(|n: &str| format!("module.{n}")) as &dyn Fn(&str) -> String,
        &|n| format!("_orig_mod.module.{n}"),
        &|n| format!("model.net.{n}"),
        &|n| n.replace("layers.1.2.", "layers.1.2._orig_mod."),
    ] {
        // The order of the file's tensors gives their values, hence names only.
        let imported = imported_from(&source(&wrapped(f)), &Options::default()).unwrap();
        assert_eq!(imported.rows, plain.rows);
    }
    let both = with(lucidrains(), "layers.1.2._orig_mod.to_out.weight", &[4, 6]);
    refused(
        &both,
        &Options::default(),
        &["`layers.1.2.to_out.weight`", "torch.compile"],
    );
}

/// The whole model of `lucidrains` under a name, with a counter or a metric beside it.
#[test]
fn the_prefix_of_the_whole_model_is_offered() {
    let under = |prefix: &str, beside: &[&str]| -> Shapes {
        let mut all: Shapes = lucidrains()
            .into_iter()
            .map(|(n, s)| (format!("{prefix}{n}"), s))
            .collect();
        all.extend(beside.iter().map(|n| ((*n).to_owned(), vec![1])));
        all
    };
    for (prefix, beside) in [
        ("ema_model.", &[][..]),
        ("ema_model.", &["step", "initted"]),
        ("lm.", &[]),
        ("_fsdp_wrapped_module.", &[]),
        ("module.", &["n_averaged"]),
        ("model.", &["val_metric"]),
        ("_orig_mod.", &["n_averaged"]),
        ("model.net.", &["model.val_metric", "other"]),
    ] {
        let file = under(prefix, beside);
        let flag = prefix.trim_end_matches('.');
        let error = imported_from(&source(&file), &Options::default()).expect_err(prefix);
        let error = error.to_string();
        assert!(
            error.contains(&format!("--prefix {flag} takes it")),
            "{error}"
        );
        assert!(!error.contains("layers.0.2"), "{error}");
        assert!(beside.is_empty() || error.contains("beside `"), "{error}");
        let options = Options {
            prefix: Some(flag.to_owned()),
            ..Options::default()
        };
        let imported = imported_from(&source(&file), &options).expect(prefix);
        assert_eq!(imported.config.layers, 2, "{prefix}");
    }
    // FSDP wraps parts, too.
    let inside: Shapes = under("_fsdp_wrapped_module.", &[])
        .into_iter()
        .map(|(n, s)| (n.replace("layers.1.", "layers.1._fsdp_wrapped_module."), s))
        .collect();
    let options = Options {
        prefix: Some("_fsdp_wrapped_module".into()),
        ..Options::default()
    };
    assert!(imported_from(&source(&inside), &options).is_ok());
}

#[test]
fn of_several_models_each_is_offered() {
    let mut all = Shapes::new();
    for (name, shape) in lucidrains() {
        all.insert(format!("online_model.{name}"), shape.clone());
        all.insert(format!("ema_model.{name}"), shape);
    }
    refused(
        &all,
        &Options::default(),
        &[
            "2 whole models",
            "--prefix ema_model, or --prefix online_model",
        ],
    );
}

#[test]
fn the_index_of_a_sharded_model_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let all = lucidrains();
    let whole = imported_from(&source(&all), &Options::default()).unwrap();
    let part = |first: bool| -> Shapes {
        let mine = all
            .iter()
            .filter(|(n, _)| n.starts_with("layers.0") == first);
        mine.map(|(n, s)| (n.clone(), s.clone())).collect()
    };
    let mut map = BTreeMap::new();
    for (first, file) in [
        (true, "m-1-of-2.safetensors"),
        (false, "m-2-of-2.safetensors"),
    ] {
        std::fs::write(dir.path().join(file), source(&part(first)).bytes()).unwrap();
        map.extend(part(first).into_keys().map(|name| (name, file)));
    }
    let index = dir.path().join("m.safetensors.index.json");
    let write = |map: &BTreeMap<String, &str>| {
        let json = serde_json::json!({ "metadata": { "total_size": 7 }, "weight_map": map });
        std::fs::write(&index, json.to_string()).unwrap();
    };
    write(&map);
    let imported = import(&index, &Options::default()).unwrap();
    assert_eq!(
        (&imported.rows, imported.config),
        (&whole.rows, whole.config)
    );
    // The first value of every tensor is 0, the second 0.01, wherever it lies.
    assert!(imported.checkpoint.params["input.embedding.weight"].data[1] == 0.01);
    let edits: [(&str, &str, &str); 3] = [
        ("norm.weight", "../x.safetensors", "no file of its folder"),
        ("norm.weight", "absent.safetensors", "cannot be read"),
        (
            "norm.weight",
            "m-1-of-2.safetensors",
            "has no tensor `norm.weight`",
        ),
    ];
    for (name, file, wanted) in edits {
        let mut other = map.clone();
        other.insert(name.into(), file);
        write(&other);
        let error = import(&index, &Options::default()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
