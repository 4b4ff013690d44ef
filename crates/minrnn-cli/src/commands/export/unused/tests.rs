//! A flag is refused exactly where the files with it are, byte for byte, those without it.

use clap::{CommandFactory, FromArgMatches};
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{
    Activations, ExportOptions, StateLayout, StateNames, Target, Weights, export_graph,
};

use super::*;
use crate::args::{Args, Command};

const CONFIG: &str =
    "width = 6\nlayers = 2\n[input]\nvocab = 4\n[head]\nwidth = 4\n[conv]\nkernel = 2\n";

/// What a flag does to the options.
struct Flag {
    name: &'static str,
    set: fn(&mut ExportOptions),
}

/// Every flag that changes what is in the graphs, each with a value that is not the one that was chosen without it.
const FLAGS: &[Flag] = &[
    Flag {
        name: "seq_len",
        set: |o| o.seq_len = Some(if o.seq_len == Some(9) { 5 } else { 9 }),
    },
    Flag {
        name: "batch",
        set: |o| o.batch = Some(3),
    },
    Flag {
        name: "max_seq_len",
        set: |o| o.max_seq_len = 300,
    },
    Flag {
        name: "lowering",
        set: |o| {
            o.lowering = match o.lowering {
                Lowering::Blocked => Lowering::OddEven,
                _ => Lowering::Blocked,
            }
        },
    },
    Flag {
        name: "block",
        set: |o| o.block = 8,
    },
    Flag {
        name: "opset",
        set: |o| o.opset = 28,
    },
    Flag {
        name: "activations",
        set: |o| {
            if let Weights::Int8(how) = &mut o.weights {
                *how = Activations::Static([("head.weight".to_owned(), 2.0)].into());
            }
        },
    },
    Flag {
        name: "state_names",
        set: |o| o.state_names = StateNames::Icefall,
    },
    Flag {
        name: "state_layout",
        set: |o| o.state_layout = StateLayout::Stacked,
    },
    Flag {
        name: "lengths",
        set: |o| o.lengths = true,
    },
    Flag {
        name: "reset",
        set: |o| o.reset = true,
    },
];

struct Small {
    model: Model,
    params: Params,
}

impl Small {
    fn new() -> Self {
        let config: ModelConfig = toml::from_str(CONFIG).unwrap();
        let model = Model::from_config(&config).unwrap();
        let params = Params::init(model.graph(), 1);
        Self { model, params }
    }

    /// The files of all forms, as a folder would have them.
    fn files(&self, forms: &[Form], options: &ExportOptions) -> Vec<Vec<u8>> {
        let one = |form: &Form| {
            let options = ExportOptions {
                form: *form,
                lengths: options.lengths && *form != Form::Step,
                ..options.clone()
            };
            let file = export_graph(self.model.graph(), &self.params, &options);
            file.unwrap_or_else(|e| panic!("{options:?}: {e}")).encode()
        };
        forms.iter().map(one).collect()
    }

    /// Whether `flag` is refused, which is where it changes no file.
    #[track_caller]
    fn refused(&self, flag: &Flag, forms: &[Form], plain: &ExportOptions) -> bool {
        let mut options = plain.clone();
        (flag.set)(&mut options);
        let same = self.files(forms, plain) == self.files(forms, &options);
        let choice = Choice {
            target: options.target,
            lowering: options.lowering,
            forms: forms.to_vec(),
            names: options.state_names,
            dtype: options.weights.name(),
            steps: false,
            seq_len: options.seq_len,
            max_seq_len: options.max_seq_len,
        };
        let said = refuse(&Given::from([flag.name]), &choice);
        assert_eq!(said.is_err(), same, "{}: {choice:?}: {said:?}", flag.name);
        if let Err(error) = &said {
            let (text, name) = (error.to_string(), crate::given::flag(flag.name));
            let begin = format!("{name} would change nothing: ");
            assert!(text.starts_with(&begin), "{text}");
            assert!(text.contains("; leave it out, or "), "{text}");
        }
        same
    }
}

const WRITTEN: [&[Form]; 5] = [
    &[Form::Parallel],
    &[Form::Scan],
    &[Form::Step],
    &[Form::Scan, Form::Step],
    &[Form::Parallel, Form::Scan, Form::Step],
];

fn plain(lowering: Lowering, seq_len: Option<usize>, weights: Weights) -> ExportOptions {
    ExportOptions {
        lowering,
        seq_len,
        opset: 27,
        target: Target::OnnxRuntime,
        weights,
        ..ExportOptions::default()
    }
}

#[test]
fn what_changes_no_file_is_refused_and_nothing_else() {
    let small = Small::new();
    let mut refused = 0;
    for forms in WRITTEN {
        for lowering in Lowering::ALL {
            for seq_len in [None, Some(9)] {
                let plain = plain(lowering, seq_len, Weights::F32);
                let unused = FLAGS.iter().filter(|f| small.refused(f, forms, &plain));
                refused += unused.count();
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn activations_are_of_int8_alone() {
    let small = Small::new();
    let flag = FLAGS.iter().find(|f| f.name == "activations").unwrap();
    for forms in WRITTEN {
        let types = [
            (Weights::F32, true),
            (Weights::F16, true),
            (Weights::Bf16, true),
            (Weights::Int8(Activations::Row), false),
        ];
        for (weights, refused) in types {
            let plain = plain(Lowering::Blocked, None, weights);
            assert_eq!(small.refused(flag, forms, &plain), refused);
        }
    }
}

/// A flag that is new needs a rule, or a reason to have none.
#[test]
fn every_flag_is_known_here() {
    // What always has a use, or is refused by clap or by what it needs.
    let others = [
        "checkpoint",
        "out",
        "form",
        "target",
        "dtype",
        "eval",
        "eval_samples",
        "set",
        "weights",
        "end_of_stream",
    ];
    let command = Args::command();
    let export = command.find_subcommand("export").unwrap();
    for argument in export.get_arguments().map(|a| a.get_id().as_str()) {
        let global = ["quiet", "help", "version"].contains(&argument);
        let known = FLAGS.iter().any(|f| f.name == argument) || others.contains(&argument);
        assert!(global || known, "--{argument} is not in the table");
    }
    for rule in RULES {
        assert!(FLAGS.iter().any(|f| f.name == rule.flag), "{}", rule.flag);
    }
}

/// From the command line to the words.
#[test]
fn a_line_is_refused_by_its_flag() {
    let said = |flags: &str| {
        let line = format!("minrnn export run --out e --target onnxruntime {flags}");
        let matches = Args::command().try_get_matches_from(line.split_whitespace());
        let matches = matches.unwrap();
        let given = Given::of(&matches);
        let args = Args::from_arg_matches(&matches).unwrap();
        let Command::Export(args) = args.command else {
            panic!("{line}");
        };
        let choice = Choice::of(&args).unwrap();
        refuse(&given, &choice).map_or_else(|e| e.to_string(), |()| "taken".into())
    };
    for (flags, words) in [
        ("", "taken"),
        (
            "--activations row",
            "--activations would change nothing: weights of f32",
        ),
        ("--activations row --dtype int8", "taken"),
        ("--form step --lengths", "--lengths would change nothing"),
        (
            "--form step --seq-len dynamic",
            "--seq-len would change nothing",
        ),
        (
            "--form scan --lowering blocked",
            "--lowering would change nothing: only the form parallel is lowered so, and what is written is scan",
        ),
        ("--form step --block 16", "--block would change nothing"),
        (
            "--lowering odd-even --block 2",
            "--block would change nothing: the lowering odd-even",
        ),
        ("--lowering blocked-scan --block 8", "taken"),
        (
            "--lowering blocked-scan --max-seq-len 9",
            "--max-seq-len would change nothing: the lowering blocked-scan takes any T",
        ),
        (
            "--seq-len 4 --max-seq-len 9",
            "--max-seq-len would change nothing: --seq-len 4 fixes T",
        ),
        ("--seq-len dynamic --max-seq-len 9", "taken"),
        ("--lowering kogge-stone --max-seq-len 9", "taken"),
        (
            "--state-names minrnn --state-layout separate --batch dynamic --opset 17",
            "taken",
        ),
    ] {
        assert!(said(flags).starts_with(words), "{flags}: {}", said(flags));
    }
}

#[test]
fn values_that_measuring_does_not_read_are_refused() {
    let calibrated = ["train.seed=3".to_owned()];
    assert!(refuse_sets(&calibrated, true, true).is_ok());
    for (set, own, wanted) in [
        ("task.path=\"a\"", true, None),
        ("task={path=\"a\"}", true, None),
        (
            "train.seed=3",
            true,
            Some("--set train.seed would change nothing: the validation part"),
        ),
        ("train.seed=3", false, Some("--set train.seed would")),
        (
            "train.batch=3",
            true,
            Some("--set train.batch would change nothing"),
        ),
        ("train={seed=3, lr=1}", false, Some("--set train.lr would")),
        ("model.width=3", true, Some("--set model.width would")),
        ("model.width=3", false, None),
        (
            "model.dropout=0.1",
            false,
            Some("--set model.dropout would"),
        ),
        // The reader of the configuration says what is wrong with these.
        ("task.path=bare", true, None),
        ("tusk.path=1", true, None),
    ] {
        let said = refuse_sets(&[set.to_owned()], own, false).map_err(|e| e.to_string());
        match wanted {
            None => assert_eq!(said, Ok(()), "{set}"),
            Some(words) => {
                let text = said.unwrap_err();
                assert!(text.starts_with(words), "{set}: {text}");
            }
        }
    }
}
