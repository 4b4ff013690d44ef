//! The table against the types, and the page against the table.

use std::collections::BTreeSet;
use std::path::Path;

use minrnn_model::config::{
    BlockConfig, CellConfig, ConvConfig, HeadConfig, InputConfig, MlpConfig, ModelConfig,
};
use minrnn_train::optim::{MuonConfig, OptimizerConfig};
use minrnn_train::task::{FormalOptions, SelectiveCopyingOptions, SequencesOptions, TextOptions};
use minrnn_train::trainer::{AverageConfig, LossConfig, LossScaleConfig, TrainOptions};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Default, TABLES, filled};
use crate::config::Config;

/// Names that are read for the sake of older files.
const OLDER: [&str; 1] = ["lens_path"];

/// The keys that a type reads: it names them where it refuses one that it does not know.
fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
    let error = serde_json::from_value::<T>(json!({ "?": 0 })).err();
    let error = error.map(|e| e.to_string()).unwrap_or_default();
    let (_, list) = error.split_once("expected ").expect("a list of keys");
    let names = list.split('`').skip(1).step_by(2).map(str::to_owned);
    names
        .filter(|name| !OLDER.contains(&name.as_str()))
        .collect()
}

/// A file with what is needed, whose table `name` may have one key more.
fn base(name: &str) -> String {
    let task = match name {
        "task.sequences" => "kind = 'sequences'\npath = 'a.csv'\ntarget = 'values'\nper = 'step'",
        "task.selective_copying" => "kind = 'selective_copying'",
        "task.formal_language" => "kind = 'formal_language'\nlanguage = 's3'",
        _ => "kind = 'text'\npath = 'a.txt'\nseq_len = 8",
    };
    let inner = match name {
        "model.conv" => "[model.conv]\nkernel = 3\n",
        "model.mlp" => "[model.mlp]\n",
        "model.cell.signed_min_gru" => "[model.cell]\nkind = 'signed_min_gru'\n",
        "model.cell.s4d" => "[model.cell]\nkind = 's4d'\n",
        "model.cell.h3" => "[model.cell]\nkind = 'h3'\n",
        "model.cell.hyena" => "[model.cell]\nkind = 'hyena'\n",
        "model.cell.aaren" => "[model.cell]\nkind = 'aaren'\n",
        "model.cell.attention" => "[model.cell]\nkind = 'attention'\n",
        "model.cell.gru" => "[model.cell]\nkind = 'gru'\n",
        "model.cell.lstm" => "[model.cell]\nkind = 'lstm'\n",
        "model.cell.mamba" => "[model.cell]\nkind = 'mamba'\n",
        "model.cell.mamba2" => "[model.cell]\nkind = 'mamba2'\n",
        "model.block" => "[model.cell]\nkind = 'mamba'\n[model.block]\nkind = 'mamba'\n",
        _ => "",
    };
    format!(
        "[task]\n{task}\n[model]\nwidth = 8\nlayers = 1\n{inner}[train]\nsteps = 1\nbatch = 1\nlr = 1e-3\n"
    )
}

#[test]
fn every_key_that_is_read_is_in_the_table_and_no_other() {
    for table in TABLES {
        let mut wanted = match table.name {
            "task.text" => keys::<TextOptions>(),
            "task.sequences" => keys::<SequencesOptions>(),
            "task.selective_copying" => keys::<SelectiveCopyingOptions>(),
            "task.formal_language" => keys::<FormalOptions>(),
            "model" => keys::<ModelConfig>(),
            // One list of all kinds: below.
            cell if cell.starts_with("model.cell") => continue,
            "model.block" => keys::<BlockConfig>(),
            "model.conv" => keys::<ConvConfig>(),
            "model.mlp" => keys::<MlpConfig>(),
            "model.input" => keys::<InputConfig>(),
            "model.head" => keys::<HeadConfig>(),
            "train" => keys::<TrainOptions>(),
            "train.average" => keys::<AverageConfig>(),
            "train.loss_scale" => keys::<LossScaleConfig>(),
            "train.loss" => keys::<LossConfig>(),
            "train.optimizer" => keys::<OptimizerConfig>(),
            "train.optimizer.muon" => keys::<MuonConfig>(),
            other => panic!("{other}: which type reads it?"),
        };
        // Which type reads the rest is the kind's to say.
        wanted.extend(table.name.starts_with("task.").then(|| "kind".to_owned()));
        let listed: Vec<String> = table.keys.iter().map(|k| k.name.to_owned()).collect();
        let found: BTreeSet<String> = listed.iter().cloned().collect();
        assert_eq!(found, wanted, "{}", table.name);
        assert_eq!(
            found.len(),
            listed.len(),
            "{}: a key stands there twice",
            table.name
        );
    }
}

/// Each kind of cell refuses the keys of the others, so that those of all kinds together are what is read.
#[test]
fn every_key_of_a_cell_is_in_the_table_of_a_kind() {
    let cells = TABLES.iter().filter(|t| t.path() == "model.cell");
    let found = cells.flat_map(|t| t.keys.iter().map(|k| k.name.to_owned()));
    assert_eq!(found.collect::<BTreeSet<_>>(), keys::<CellConfig>());
}

#[test]
fn examples_are_read_and_defaults_change_nothing() {
    for table in TABLES {
        let base = base(table.name);
        let with = |key: &str, value: &str| {
            let set = format!("{}.{key}={value}", table.path());
            Config::parse("base.toml", &base, std::slice::from_ref(&set))
                .unwrap_or_else(|e| panic!("{set}: {e:#}"))
                .train
        };
        let plain = Config::parse("base.toml", &base, &[]).unwrap().train;
        for key in table.keys {
            with(key.name, key.example);
            if let Default::Is(value) = key.default {
                assert_eq!(
                    with(key.name, value),
                    plain,
                    "{}.{} = {value}",
                    table.path(),
                    key.name
                );
            }
        }
    }
}

#[test]
fn what_is_needed_is_what_cannot_be_left_out() {
    for table in TABLES {
        let base = base(table.name);
        for key in table
            .keys
            .iter()
            .filter(|k| matches!(k.default, Default::Needed))
        {
            let begins = |line: &&str| line.split(" = ").next() != Some(key.name);
            let less: Vec<&str> = base.lines().filter(begins).collect();
            let error = Config::parse("base.toml", &less.join("\n"), &[])
                .map(drop)
                .unwrap_err();
            assert!(
                format!("{error:#}").contains(key.name),
                "{}.{}: {error:#}",
                table.path(),
                key.name
            );
        }
    }
}

/// `MINRNN_WRITE_DOCS=1` writes the page anew.
#[test]
fn the_page_has_the_tables_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let wanted = filled(&page, &TABLES).expect("marks name tables and end");
    for table in TABLES {
        assert!(
            page.contains(&format!("<!-- keys {} -->", table.name)),
            "{} is not there",
            table.name
        );
    }
    if std::env::var_os("MINRNN_WRITE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/configuration.md is not what the table of keys says; MINRNN_WRITE_DOCS=1 writes it anew"
    );
}
