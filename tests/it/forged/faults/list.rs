//! The faults: what is done to which export. Files say that another version wrote them where values are to show the fault.

use minrnn_onnx::export::{Activations, Placement, Target, Weights};
use minrnn_onnx::ir::{self, Attr, Node, Tensor};
use serde_json::{Value as Json, json};

use super::super::{FORMS, Forged, TOKENS, beside, said, say, weigh};
use super::Fault;

/// Two layers with everything that a block can have.
const TWO: &str = "width = 8\nlayers = 2\n[input]\nvocab = 7\n[head]\nwidth = 7\nbias = true\n[conv]\nkernel = 3\n[mlp]\nexpansion = 2\n[cell]\nexpansion = 2\ninitial_state = \"learned\"\n";
const FEATURES: &str = "width = 8\nlayers = 1\n[input]\nfeatures = 2\nmean = [5.0, 1.0]\nstd = [2.0, 3.0]\n[head]\nwidth = 2\nkind = \"values\"\n";

/// A state that counts, beside one that does not.
const COUNTS: &str = "width = 8\nlayers = 1\npositions = 40\n[input]\nvocab = 4\n[head]\nwidth = 4\n[conv]\nkernel = 3\n";

fn two() -> Forged {
    Forged::new(TWO, |_| {})
}

fn int8() -> Forged {
    let largest = |name: &str| (name.to_owned(), 3.0f32);
    let names = [
        "head.weight",
        "layers.0.conv.pointwise.weight",
        "layers.0.rnn.in.weight",
        "layers.0.rnn.out.weight",
    ];
    Forged::narrow(Weights::Int8(Activations::Static(
        names.map(largest).into(),
    )))
}

/// The first node of a type whose name contains `scope`.
fn node<'a>(file: &'a mut ir::Model, op: &str, scope: &str) -> &'a mut Node {
    let mut nodes = file.graph.nodes.iter_mut();
    let found = nodes.find(|n| n.op_type == op && n.name.contains(scope));
    found.unwrap_or_else(|| panic!("no {op} in {scope}"))
}

/// Changes a graph that says that another version wrote it.
fn older(forged: &Forged, form: &str, change: impl Fn(&mut ir::Model)) {
    forged.file(form, &|f| {
        change(f);
        f.producer_version = "0.0.9".into();
    });
}

/// Exchanges two names in all nodes.
fn exchange(file: &mut ir::Model, a: &str, b: &str) {
    for node in &mut file.graph.nodes {
        for name in node.inputs.iter_mut().chain(&mut node.outputs) {
            if name == a {
                *name = b.into();
            } else if name == b {
                *name = a.into();
            }
        }
    }
}

/// What reads `from` in nodes of a type and scope reads a constant in its place.
fn constant(file: &mut ir::Model, (op, scope): (&str, &str), at: usize, tensor: Tensor) {
    node(file, op, scope).inputs[at] = tensor.name.clone();
    file.graph.initializers.push(tensor);
}

/// What reads an input reads what an operation makes of it and a constant.
fn overruled(file: &mut ir::Model, (input, op): (&str, &str), by: Tensor) {
    let inputs = file.graph.nodes.iter_mut().flat_map(|n| &mut n.inputs);
    inputs
        .filter(|i| *i == input)
        .for_each(|i| *i = "overruled".into());
    let node = Node {
        name: "overruled".into(),
        op_type: op.into(),
        inputs: vec![input.into(), by.name.clone()],
        outputs: vec!["overruled".into()],
        ..Node::default()
    };
    file.graph.nodes.insert(0, node);
    file.graph.initializers.push(by);
}

fn files_and_manifest(forged: &Forged, key: &str, change: impl Fn(&mut Json)) {
    let name = format!("minrnn.{key}");
    forged.files(&|f| {
        let mut value = said(f, &name);
        change(&mut value);
        say(f, &name, Some(&value.to_string()));
    });
    forged.manifest(|m| change(&mut m[key]));
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "a weight of one file, one ulp up",
        make: two,
        spoil: |e| {
            e.file("scan", &|f| {
                weigh(f, "layers.1.rnn.in.weight", |v| {
                    v[5] = f32::from_bits(v[5].to_bits() + 1);
                });
            });
        },
    },
    Fault {
        name: "a weight beside the one with a hash, 0.01 up",
        make: two,
        spoil: |e| {
            older(e, "parallel", |f| {
                beside(f, "layers.1.rnn.in.weight", |v| v[5] += 1e-2);
            });
        },
    },
    Fault {
        name: "a weight beside the one with a hash, one ulp up, in the graph of another version",
        make: two,
        spoil: |e| {
            older(e, "step", |f| {
                beside(f, "layers.0.rnn.in.weight", |v| {
                    v[3] = f32::from_bits(v[3].to_bits() + 1);
                });
            });
        },
    },
    Fault {
        name: "the sign of a gate",
        make: two,
        spoil: |e| {
            older(e, "step", |f| {
                node(f, "Neg", "layers.0/rnn/cell").op_type = "Abs".into()
            })
        },
    },
    Fault {
        name: "the sign of a gate in all files",
        make: two,
        spoil: |e| {
            FORMS.iter().for_each(|form| {
                older(e, form, |f| {
                    node(f, "Neg", "layers.1/rnn/cell").op_type = "Abs".into()
                });
            });
        },
    },
    Fault {
        name: "another activation",
        make: two,
        spoil: |e| {
            older(e, "scan", |f| {
                node(f, "Erf", "layers.1/ff").op_type = "Tanh".into()
            })
        },
    },
    Fault {
        name: "windows of two convolutions exchanged",
        make: two,
        spoil: |e| {
            older(e, "step", |f| {
                exchange(f, "next_state.0.conv", "next_state.1.conv")
            })
        },
    },
    Fault {
        name: "states of two layers exchanged",
        make: two,
        spoil: |e| older(e, "scan", |f| exchange(f, "state.0.h", "state.1.h")),
    },
    Fault {
        name: "a block begins with the end of the wrong one",
        make: two,
        spoil: |e| {
            older(e, "parallel", |f| {
                let mut nodes = f.graph.nodes.iter_mut();
                let begins = nodes.find(|n| {
                    n.op_type == "Concat"
                        && n.inputs.len() == 2
                        && n.name.contains("layers.0/rnn/cell/scan/level0")
                });
                begins.expect("a Concat of begins").inputs.reverse();
            });
        },
    },
    Fault {
        name: "the body of Scan subtracts",
        make: two,
        spoil: |e| {
            older(e, "scan", |f| {
                for (_, attribute) in &mut node(f, "Scan", "layers.0").attributes {
                    if let Attr::Graph(body) = attribute {
                        let mut nodes = body.nodes.iter_mut();
                        nodes.find(|n| n.op_type == "Add").expect("an Add").op_type = "Sub".into();
                    }
                }
            });
        },
    },
    Fault {
        name: "another epsilon in a norm",
        make: two,
        spoil: |e| {
            older(e, "parallel", |f| {
                constant(
                    f,
                    ("Add", "layers.1/norm"),
                    1,
                    Tensor::f32("eps", vec![], &[1e-2]),
                );
            });
        },
    },
    Fault {
        name: "a sequence that is not padded to whole blocks",
        make: two,
        spoil: |e| {
            older(e, "parallel", |f| {
                let none = Tensor::i64("none", vec![1], &[0]);
                constant(f, ("Add", "/time/"), 1, none);
            });
        },
    },
    Fault {
        name: "a last state that is the one before",
        make: two,
        spoil: |e| {
            older(e, "parallel", |f| {
                constant(
                    f,
                    ("Sub", "/time/"),
                    1,
                    Tensor::i64("second", vec![1], &[2]),
                );
            });
        },
    },
    Fault {
        name: "a last step that is the first",
        make: || {
            Forged::new(
                &TWO.replace("bias = true", "bias = true\nsteps = \"last\""),
                |_| {},
            )
        },
        spoil: |e| {
            older(e, "scan", |f| {
                let constants = f.graph.initializers.iter();
                let minus_one = constants.filter(|t| t.to_i64().is_some_and(|v| v == [-1]));
                let minus_one: Vec<String> = minus_one.map(|t| t.name.clone()).collect();
                let mut nodes = f.graph.nodes.iter_mut().rev();
                let last = nodes.find(|n| n.op_type == "Slice" && minus_one.contains(&n.inputs[1]));
                let last = last.expect("what takes the last step");
                let ends = [("first", 0), ("second", 1)].map(|(name, i)| {
                    last.inputs[1 + i as usize] = name.into();
                    Tensor::i64(name, vec![1], &[i])
                });
                f.graph.initializers.extend(ends);
            });
        },
    },
    Fault {
        name: "lengths that are all read as 1",
        make: || {
            Forged::new(&TWO.replace("learned", "zero"), |o| {
                o.options.lengths = true
            })
        },
        spoil: |e| {
            older(e, "parallel", |f| {
                overruled(f, ("lengths", "Min"), Tensor::i64("one", vec![1], &[1]));
            });
        },
    },
    Fault {
        name: "resets that are not read",
        make: || Forged::new(&TWO.replace("learned", "zero"), |o| o.options.reset = true),
        spoil: |e| {
            older(e, "step", |f| {
                let never = Tensor::bytes("never", ir::DType::Bool, vec![], vec![0]);
                overruled(f, ("reset", "And"), never);
            });
        },
    },
    Fault {
        name: "an operation that no value reaches",
        make: two,
        spoil: |e| {
            e.file("step", &|f| {
                f.graph
                    .initializers
                    .push(Tensor::f32("far", vec![], &[1e30]));
                let at = f
                    .graph
                    .nodes
                    .iter()
                    .position(|n| n.op_type == "Min")
                    .unwrap();
                let before = f.graph.nodes[at].inputs[0].clone();
                f.graph.nodes[at].inputs[0] = "near".into();
                let clip = Node {
                    op_type: "Min".into(),
                    name: "clip".into(),
                    inputs: vec![before, "far".into()],
                    outputs: vec!["near".into()],
                    ..Node::default()
                };
                f.graph.nodes.insert(at, clip);
            });
        },
    },
    Fault {
        name: "a state that counts of which nothing says it",
        make: || Forged::new(COUNTS, |_| {}),
        spoil: |e| {
            files_and_manifest(e, "states", |states| {
                let mut all = states.as_array_mut().unwrap().iter_mut();
                let state = all.find(|s| s["counts"] == true).unwrap();
                state.as_object_mut().unwrap().remove("counts");
            });
        },
    },
    Fault {
        name: "a state that does not count and is said to",
        make: || Forged::new(COUNTS, |_| {}),
        spoil: |e| {
            files_and_manifest(e, "states", |states| {
                let mut all = states.as_array_mut().unwrap().iter_mut();
                all.find(|s| s["counts"] != true).unwrap()["counts"] = true.into();
            });
        },
    },
    Fault {
        name: "a learned beginning in one file",
        make: two,
        spoil: |e| {
            e.file("scan", &|f| {
                let mut states = said(f, "minrnn.states");
                let first = states
                    .as_array_mut()
                    .unwrap()
                    .iter_mut()
                    .find(|s| s["init"].is_array());
                first.unwrap()["init"][0] = json!(0.5);
                say(f, "minrnn.states", Some(&states.to_string()));
            });
        },
    },
    Fault {
        name: "a learned beginning of narrow weights, everywhere",
        make: || Forged::narrow(Weights::Bf16),
        spoil: |e| {
            files_and_manifest(e, "states", |states| {
                let first = states
                    .as_array_mut()
                    .unwrap()
                    .iter_mut()
                    .find(|s| s["init"].is_array());
                first.unwrap()["init"][0] = json!(0.5);
            });
        },
    },
    Fault {
        name: "a scale of weights in all files",
        make: int8,
        spoil: |e| {
            e.files(&|f| weigh(f, "head.weight.scale", |v| v[1] *= 1.5));
        },
    },
    Fault {
        name: "a scale of activations in the manifest",
        make: int8,
        spoil: |e| {
            e.manifest(|m| m["activations"]["head.weight"] = json!(4.0));
        },
    },
    Fault {
        name: "statistics of the features",
        make: || Forged::new(FEATURES, |_| {}),
        spoil: |e| {
            e.files(&|f| weigh(f, "input.shift", |v| v[1] += 0.5));
        },
    },
    Fault {
        name: "a file that was changed after the export",
        make: two,
        spoil: |e| {
            e.manifest(|m| m["forms"]["step"]["sha256"] = "0".repeat(64).into());
        },
    },
    Fault {
        name: "a key that no manifest has",
        make: two,
        spoil: |e| {
            e.manifest(|m| m["note"] = "more".into());
        },
    },
    Fault {
        name: "a vocabulary with an entry twice",
        make: Forged::tokens,
        spoil: |e| {
            e.manifest(|m| m["vocabulary"][1] = m["vocabulary"][2].clone());
        },
    },
    Fault {
        name: "a vocabulary in another order",
        make: Forged::tokens,
        spoil: |e| {
            e.manifest(|m| m["vocabulary"].as_array_mut().unwrap().swap(1, 2));
        },
    },
    Fault {
        name: "a form that the manifest lost",
        make: two,
        spoil: |e| {
            e.manifest(|m| drop(m["forms"].as_object_mut().unwrap().remove("scan")));
        },
    },
    Fault {
        name: "a file that says another form",
        make: two,
        spoil: |e| {
            e.manifest(|m| m["state_layout"] = "stacked".into());
        },
    },
    Fault {
        name: "a longest length that hides what lies beyond",
        make: two,
        spoil: |e| {
            e.file("parallel", &|f| say(f, "minrnn.max_seq_len", Some("5")));
            e.manifest(|m| m["forms"]["parallel"]["max_seq_len"] = json!(5));
        },
    },
    Fault {
        name: "another longest length in the manifest",
        make: two,
        spoil: |e| {
            e.manifest(|m| m["forms"]["parallel"]["max_seq_len"] = json!(255));
        },
    },
    Fault {
        name: "another operator set in the manifest",
        make: two,
        spoil: |e| {
            e.manifest(|m| m["forms"]["step"]["opset"] = json!(14));
        },
    },
    Fault {
        name: "recurrences that are left out",
        make: two,
        spoil: |e| {
            e.file("step", &|f| say(f, "minrnn.recurrences", Some("[]")));
        },
    },
    Fault {
        name: "another name of an output in the manifest",
        make: two,
        spoil: |e| {
            e.manifest(|m| m["forms"]["step"]["outputs"][0]["shape"][1] = json!(8));
        },
    },
    Fault {
        name: "a target whose rules the graph breaks",
        make: || Forged::narrow(Weights::Bf16),
        spoil: |e| {
            e.files(&|f| say(f, "minrnn.target", Some("tract")));
            e.manifest(|m| m["target"] = "tract".into());
        },
    },
    Fault {
        name: "weights in a file that the manifest does not list",
        make: || {
            Forged::new(&TOKENS.replace("width = 8", "width = 64"), |o| {
                o.placement = Placement::External
            })
        },
        spoil: |e| {
            e.manifest(|m| m["forms"]["scan"]["weights"] = Json::Null);
        },
    },
    Fault {
        name: "resets that one form lacks",
        make: || {
            Forged::new(&TOKENS.replace("learned", "zero"), |o| {
                o.options.reset = true
            })
        },
        spoil: |e| {
            let plain = Forged::new(&TOKENS.replace("learned", "zero"), |_| {});
            let bytes = std::fs::read(plain.path().join("model.scan.onnx")).unwrap();
            let other = ir::Model::decode(&bytes).unwrap();
            e.file("scan", &|f| *f = other.clone());
            e.manifest(|m| {
                let inputs = m["forms"]["scan"]["inputs"].as_array_mut().unwrap();
                inputs.retain(|i| i["name"] != "reset");
            });
        },
    },
    Fault {
        name: "all files of other weights that claim the checkpoint's hash",
        make: || Forged::narrow(Weights::F16),
        spoil: |e| {
            e.files(&|f| {
                let tensor = f
                    .graph
                    .initializers
                    .iter_mut()
                    .find(|t| t.name == "head.weight");
                let tensor = tensor.expect("head.weight");
                if let ir::TensorData::Bytes(bytes) = &mut tensor.data {
                    bytes[0] ^= 1;
                } else {
                    panic!("f16 values are bytes");
                }
            });
        },
    },
    Fault {
        name: "another golden trace",
        make: two,
        spoil: |e| {
            let path = e.path().join("golden.safetensors");
            let mut bytes = std::fs::read(&path).unwrap();
            let last = bytes.len() - 3;
            bytes[last] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        },
    },
    Fault {
        name: "a target in the files that is not the manifest's",
        make: || Forged::new(TOKENS, |o| o.options.target = Target::Portable),
        spoil: |e| {
            e.manifest(|m| m["target"] = "tract".into());
        },
    },
];
