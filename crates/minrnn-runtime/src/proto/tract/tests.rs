//! This crate's reader against tract's, which is prost's: they take the same bytes, and see the same in them.

use tract_onnx::pb;
use tract_onnx::prelude::Framework;

use super::model;
use crate::proto::fields::Fields;
use crate::proto::{ModelProto, Refused, read};

/// The same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// What this crate does not keep, left out.
fn bare_graph(graph: &mut pb::GraphProto) {
    graph.doc_string.clear();
    graph.value_info.clear();
    graph.quantization_annotation.clear();
    graph.sparse_initializer.clear();
    graph.initializer.iter_mut().for_each(bare_tensor);
    for port in graph.input.iter_mut().chain(&mut graph.output) {
        port.doc_string.clear();
        let Some(kind) = &mut port.r#type else {
            continue;
        };
        kind.denotation.clear();
        if let Some(pb::type_proto::Value::TensorType(tensor)) = &mut kind.value {
            let dims = tensor.shape.iter_mut().flat_map(|s| &mut s.dim);
            dims.for_each(|d| d.denotation.clear());
        }
    }
    for node in &mut graph.node {
        node.doc_string.clear();
        for attr in &mut node.attribute {
            attr.doc_string.clear();
            attr.sparse_tensor = None;
            attr.sparse_tensors.clear();
            attr.type_protos.clear();
            attr.t
                .iter_mut()
                .chain(&mut attr.tensors)
                .for_each(bare_tensor);
            attr.g
                .iter_mut()
                .chain(&mut attr.graphs)
                .for_each(bare_graph);
        }
    }
}

fn bare_tensor(tensor: &mut pb::TensorProto) {
    tensor.doc_string.clear();
    tensor.segment = None;
    tensor.data_location = tensor.data_location.filter(|l| *l != 0);
}

fn theirs(mut bytes: &[u8]) -> Option<pb::ModelProto> {
    let model = tract_onnx::onnx().proto_model_for_read(&mut bytes).ok()?;
    let mut bare = pb::ModelProto {
        opset_import: model.opset_import,
        graph: model.graph,
        metadata_props: model.metadata_props,
        ..Default::default()
    };
    bare.graph.iter_mut().for_each(bare_graph);
    Some(bare)
}

/// Whether something is in it that is counted, and not read.
fn counted(model: &ModelProto) -> bool {
    fn of(graph: &crate::proto::GraphProto) -> bool {
        let mut attrs = graph.node.iter().flat_map(|n| &n.attribute);
        graph.sparse_initializer > 0
            || attrs.any(|a| {
                a.sparse_tensor
                    || a.sparse_tensors + a.type_protos > 0
                    || a.g.iter().chain(&a.graphs).any(of)
            })
    }
    model.functions + model.training_info > 0 || model.graph.iter().any(of)
}

/// 0: both take it, 1: both refuse it, 2: only this crate does, as no graph of a model.
fn same(bytes: &[u8]) -> usize {
    match read(bytes) {
        Ok(ours) => {
            let known = counted(&ours);
            let Some(theirs) = theirs(bytes) else {
                assert!(known, "tract refuses what is taken here: {bytes:?}");
                return 0;
            };
            // Of floats the bits may be those of a NaN.
            assert_eq!(format!("{:?}", model(ours)), format!("{theirs:?}"));
            0
        }
        Err(Refused::Broken(what)) => {
            assert!(theirs(bytes).is_none(), "{what}: {bytes:?}");
            1
        }
        Err(Refused::Breach(_)) => 2,
    }
}

fn files() -> Vec<Vec<u8>> {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models");
    let names = ["copy-min-gru", "shakespeare-min-lstm"];
    let all = names.iter().flat_map(|name| {
        ["parallel", "scan", "step"].map(|form| format!("{models}/{name}/export/model.{form}.onnx"))
    });
    all.map(|path| std::fs::read(path).unwrap()).collect()
}

fn varint(mut n: usize, to: &mut Vec<u8>) {
    while n > 127 {
        to.push(n as u8 | 128);
        n >>= 7;
    }
    to.push(n as u8);
}

/// The message without the data of its tensors, so that damage falls on what says something. `path`: fields that lead there.
fn small(bytes: &[u8], path: &[u32]) -> Vec<u8> {
    let mut fields = Fields::of(bytes, "ModelProto");
    let (mut all, mut rest) = (vec![], bytes);
    while let Ok(Some(field)) = fields.next() {
        let len = rest.len() - fields.left();
        let (here, after) = rest.split_at(len);
        rest = after;
        match (path, field.bytes()) {
            ([9], Ok(_)) if field.number == 9 => {}
            ([next, path @ ..], Ok(inside)) if *next == field.number => {
                let inside = small(inside, path);
                varint((*next << 3 | 2) as usize, &mut all);
                varint(inside.len(), &mut all);
                all.extend(inside);
            }
            _ => all.extend_from_slice(here),
        }
    }
    all
}

#[test]
fn the_shipped_models_are_read_alike() {
    for file in files() {
        assert_eq!(same(&file), 0);
        let bare = small(&file, &[7, 5, 9]);
        assert!(bare.len() < file.len());
        assert_eq!(same(&bare), 0);
    }
}

#[test]
fn damaged_files_are_read_alike() {
    let files: Vec<Vec<u8>> = files().iter().map(|f| small(f, &[7, 5, 9])).collect();
    let mut random = Random(61);
    let mut ends = [0; 3];
    for round in 0..6000 {
        // Mostly the shortest, which is read most often in a second.
        let of = if round % 20 == 0 {
            random.below(files.len())
        } else {
            2
        };
        let mut bad = files[of].clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bad.len());
            let to = (at + 1 + random.below(40)).min(bad.len());
            match random.below(6) {
                0 => bad.truncate(to),
                1 => drop(bad.drain(at..to)),
                2 => {
                    let piece = bad[at..to].to_vec();
                    let at = random.below(bad.len());
                    bad.splice(at..at, piece);
                }
                3 => bad[at] = random.below(256) as u8,
                _ => bad[at] ^= 1 << random.below(8),
            }
            if bad.is_empty() {
                break;
            }
        }
        ends[same(&bad)] += 1;
    }
    assert!(ends[0] > 100 && ends[1] > 100, "{ends:?}");
}

#[test]
fn messages_of_all_kinds_are_read_alike() {
    let mut random = Random(67);
    let mut ends = [0; 3];
    for _ in 0..60_000 {
        let message = message(&mut random, 0);
        ends[same(&message)] += 1;
    }
    assert!(ends[0] > 1000 && ends[1] > 1000, "{ends:?}");
}

/// Fields of all numbers and kinds within one another, rarely of another kind than the schema's.
fn message(random: &mut Random, depth: usize) -> Vec<u8> {
    let mut all = vec![];
    for _ in 0..random.below(5) {
        let number = match random.below(9) {
            0 => 1 + random.below(30),
            1 if depth == 0 => 14,
            _ if depth == 0 => 7,
            _ => 1 + random.below(15),
        };
        let kind = match random.below(40) {
            0 => 3,
            1 => 4,
            2 => 6,
            3..6 => 1,
            6..10 => 5,
            10..20 => 0,
            _ => 2,
        };
        varint(number << 3 | kind, &mut all);
        match kind {
            0 => varint(random.below(1 << 31), &mut all),
            1 => all.extend((0..8).map(|_| random.below(256) as u8)),
            5 => all.extend((0..4).map(|_| random.below(256) as u8)),
            2 => {
                let inside = match random.below(3) {
                    _ if depth > 7 => vec![],
                    0 => (0..random.below(9))
                        .map(|_| random.below(128) as u8)
                        .collect(),
                    _ => message(random, depth + 1),
                };
                let len = inside.len() + usize::from(random.below(100) == 0);
                varint(len, &mut all);
                all.extend(inside);
            }
            3 => {
                all.extend(message(random, depth + 1));
                varint(number << 3 | 4, &mut all);
            }
            _ => {}
        }
    }
    all
}
