//! Ways to damage a file. Each knows what an ONNX file is made of, and breaks it where a reader would believe it.

use serde_json::Value as Json;

use super::random::Random;
use super::wire::{self, Field, Kind, Value};

/// What was done, for the counts.
pub(crate) const NAMES: [&str; 16] = [
    "bytes",
    "cut",
    "operator",
    "inputs",
    "outputs",
    "nodes",
    "attribute",
    "attributes",
    "tensor",
    "numbers",
    "port",
    "metadata",
    "json",
    "versions",
    "messages",
    "fields",
];

const OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "CumSum",
    "DequantizeLinear",
    "Div",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "GRU",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gemm",
    "Identity",
    "If",
    "LSTM",
    "LayerNormalization",
    "Loop",
    "MatMul",
    "MatMulInteger",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "NonZero",
    "Not",
    "OneHot",
    "Pad",
    "Pow",
    "QuantizeLinear",
    "RNN",
    "RandomNormal",
    "Range",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Resize",
    "Round",
    "Scan",
    "ScatterND",
    "Shape",
    "Sigmoid",
    "Size",
    "Slice",
    "Softmax",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Tile",
    "TopK",
    "Transpose",
    "Unsqueeze",
    "Upsample",
    "Where",
    "",
];

const ATTRIBUTES: &[&str] = &[
    "axis",
    "axes",
    "perm",
    "keepdims",
    "to",
    "value",
    "body",
    "num_scan_inputs",
    "scan_input_axes",
    "scan_output_axes",
    "scan_input_directions",
    "num_outputs",
    "allowzero",
    "epsilon",
    "mode",
    "start",
    "end",
    "transA",
    "alpha",
    "batch_dims",
    "",
    "value_ints",
    "noop_with_empty_axes",
];

const TEXTS: &[&str] = &[
    "",
    "batch",
    "seq_len",
    "zero",
    "../x",
    "/etc/passwd",
    "((((((((((((((((((((((((((((((((",
    "batch*seq_len",
    "-1",
    "1e400",
    "null",
    "[]",
    "\0",
    "ai.onnx",
    "com.microsoft",
    "99999999999999999999",
];

/// A mutant of `file`, and what was done to it.
pub(crate) fn mutate(file: &[Field], random: &mut Random) -> (Vec<u8>, usize) {
    let how = random.below(NAMES.len());
    let mut tree = file.to_vec();
    let more = if random.below(3) == 0 {
        1 + random.below(3)
    } else {
        0
    };
    if how < 2 {
        let mut bytes = wire::write(&tree);
        damage(&mut bytes, how, random);
        return (bytes, how);
    }
    one(&mut tree, how, random);
    for _ in 0..more {
        let next = 2 + random.below(NAMES.len() - 2);
        one(&mut tree, next, random);
    }
    (wire::write(&tree), how)
}

/// Bytes changed (0) or cut out and put elsewhere (1).
pub(crate) fn damage(bytes: &mut Vec<u8>, how: usize, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let from = random.below(bytes.len());
    let to = (from + 1 + random.below(40)).min(bytes.len());
    match (how, random.below(3)) {
        (0, 0) => bytes[from..to]
            .iter_mut()
            .for_each(|b| *b = random.word() as u8),
        (0, _) => {
            for _ in 0..1 + random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        (_, 0) => bytes.truncate(from),
        (_, 1) => drop(bytes.drain(from..to)),
        _ => {
            let piece = bytes[from..to].to_vec();
            let at = random.below(bytes.len());
            bytes.splice(at..at, piece);
        }
    }
}

fn one(tree: &mut Vec<Field>, how: usize, random: &mut Random) {
    match NAMES[how] {
        "operator" => operator(tree, random),
        "inputs" => names(tree, 1, random),
        "outputs" => names(tree, 2, random),
        "nodes" => parts(tree, Kind::Graph, random),
        "attribute" => attribute(tree, random),
        "attributes" => attributes(tree, random),
        "tensor" => tensor(tree, random),
        "numbers" => numbers(tree, random),
        "port" => port(tree, random),
        "metadata" => metadata(tree, random),
        "json" => json(tree, random),
        "versions" => versions(tree, random),
        "messages" => messages(tree, random),
        _ => fields(tree, random),
    }
}

/// A message of a kind, chosen at random.
fn any<'a>(tree: &'a mut [Field], of: Kind, random: &mut Random) -> Option<&'a mut Vec<Field>> {
    let mut at = random.below(wire::count(tree, of));
    wire::nth(tree, of, &mut at)
}

/// All names of tensors.
fn tensors(tree: &[Field], found: &mut Vec<Vec<u8>>) {
    for field in tree {
        match &field.value {
            Value::Message(Kind::Node, inner) => {
                for f in inner {
                    if let (1 | 2, Value::Bytes(name)) = (f.number, &f.value) {
                        found.push(name.clone());
                    }
                }
                tensors(inner, found);
            }
            Value::Message(_, inner) => tensors(inner, found),
            _ => {}
        }
    }
}

fn some_tensor(tree: &[Field], random: &mut Random) -> Vec<u8> {
    let mut found = vec![];
    tensors(tree, &mut found);
    if found.is_empty() || random.below(20) == 0 {
        return random.pick(TEXTS).as_bytes().to_vec();
    }
    random.pick(&found).clone()
}

fn set(message: &mut Vec<Field>, number: u64, value: Value) {
    match message.iter_mut().find(|f| f.number == number) {
        Some(field) => field.value = value,
        None => message.push(Field::new(number, value)),
    }
}

fn operator(tree: &mut [Field], random: &mut Random) {
    let op = random.pick(OPERATORS).as_bytes().to_vec();
    let domain = random.below(12) == 0;
    let text = random.pick(TEXTS).as_bytes().to_vec();
    if let Some(node) = any(tree, Kind::Node, random) {
        set(node, 4, Value::Bytes(op));
        if domain {
            set(node, 7, Value::Bytes(text));
        }
    }
}

/// Inputs (1) or outputs (2) of a node.
fn names(tree: &mut [Field], number: u64, random: &mut Random) {
    let other = some_tensor(tree, random);
    let Some(node) = any(tree, Kind::Node, random) else {
        return;
    };
    let at: Vec<usize> = (0..node.len())
        .filter(|i| node[*i].number == number)
        .collect();
    let Some(first) = at.first().copied() else {
        return node.push(Field::new(number, Value::Bytes(other)));
    };
    let chosen = *random.pick(&at);
    match random.below(6) {
        0 => drop(node.remove(chosen)),
        1 => node.insert(chosen, Field::new(number, Value::Bytes(other))),
        2 => node.swap(first, chosen),
        3 => {
            let again = node[chosen].clone();
            node.extend(std::iter::repeat_n(again, 1 + random.below(5)));
        }
        _ => node[chosen].value = Value::Bytes(other),
    }
}

/// Nodes, tensors and ports of a graph: dropped, doubled, moved.
fn parts(tree: &mut [Field], of: Kind, random: &mut Random) {
    let Some(graph) = any(tree, of, random) else {
        return;
    };
    if graph.is_empty() {
        return;
    }
    let (a, b) = (random.below(graph.len()), random.below(graph.len()));
    match random.below(5) {
        0 => drop(graph.remove(a)),
        1 => graph.insert(b, graph[a].clone()),
        2 => {
            let part = graph.remove(a);
            graph.insert(b.min(graph.len()), part);
        }
        3 => graph[a].number = graph[b].number,
        _ => graph.swap(a, b),
    }
}

/// A number, list or text that an attribute holds becomes another one.
fn attribute(tree: &mut [Field], random: &mut Random) {
    let (n, m) = (random.edge(), random.edge());
    let kind = random.below(16) as i64;
    let name = random.pick(ATTRIBUTES).as_bytes().to_vec();
    let Some(attr) = any(tree, Kind::Attribute, random) else {
        return;
    };
    match random.below(8) {
        0 => set(attr, 1, Value::Bytes(name)),
        1 => set(attr, 20, Value::Int(kind as u64)),
        2 => attr.push(Field::int(8, n)),
        3 => attr.push(Field::int(3, n)),
        4 => attr.extend((0..random.below(40)).map(|_| Field::int(8, m))),
        5 => attr.push(Field::text(4, "reflect")),
        _ => {
            for field in attr.iter_mut().filter(|f| matches!(f.number, 3 | 8)) {
                field.value = Value::Int(n as u64);
            }
        }
    }
}

/// An attribute more, less, or of another node.
fn attributes(tree: &mut [Field], random: &mut Random) {
    let stolen = any(tree, Kind::Attribute, random).cloned();
    let body = any(tree, Kind::Graph, random).cloned();
    let (name, n) = (random.pick(ATTRIBUTES), random.edge());
    let Some(node) = any(tree, Kind::Node, random) else {
        return;
    };
    let new = match random.below(6) {
        0 => return node.retain(|f| f.number != 5),
        1 => stolen.unwrap_or_default(),
        2 => vec![Field::text(1, name), Field::int(3, n), Field::int(20, 2)],
        3 => vec![
            Field::text(1, name),
            Field::int(8, n),
            Field::int(8, 1),
            Field::int(20, 7),
        ],
        4 => {
            let graph = Value::Message(Kind::Graph, body.unwrap_or_default());
            vec![
                Field::text(1, "body"),
                Field::new(6, graph),
                Field::int(20, 5),
            ]
        }
        _ => {
            let tensor = vec![Field::int(1, n), Field::int(2, 7), Field::int(7, n)];
            let tensor = Value::Message(Kind::Tensor, tensor);
            vec![
                Field::text(1, "value"),
                Field::new(5, tensor),
                Field::int(20, 4),
            ]
        }
    };
    node.push(Field::new(5, Value::Message(Kind::Attribute, new)));
}

/// Dimensions, type, data and its place.
fn tensor(tree: &mut [Field], random: &mut Random) {
    let (n, text) = (random.edge(), *random.pick(TEXTS));
    let kind = random.below(25) as i64;
    let Some(data) = any(tree, Kind::Tensor, random) else {
        return;
    };
    match random.below(10) {
        0 => data.push(Field::int(1, n)),
        1 => {
            if let Some(dim) = data.iter_mut().find(|f| f.number == 1) {
                dim.value = Value::Int(n as u64);
            }
        }
        2 => data.retain(|f| f.number != 1),
        3 => set(data, 2, Value::Int(kind as u64)),
        4 => data.push(Field::new(4, Value::Four(1f32.to_le_bytes()))),
        5 => data.push(Field::int(7, n)),
        6 => {
            let entry = vec![Field::text(1, "location"), Field::text(2, text)];
            data.push(Field::new(13, Value::Message(Kind::Entry, entry)));
            set(data, 14, Value::Int(1));
        }
        7 => set(data, 8, Value::Bytes(text.into())),
        _ => {
            for field in data.iter_mut().filter(|f| f.number == 9) {
                if let Value::Bytes(raw) = &mut field.value {
                    let len = raw.len();
                    match random.below(3) {
                        0 => raw.truncate(random.below(len)),
                        1 => raw.extend_from_slice(&[0xff; 8]),
                        _ => raw.iter_mut().for_each(|b| *b = 0xff),
                    }
                }
            }
        }
    }
}

/// A constant of whole numbers: shapes, axes, bounds.
fn numbers(tree: &mut [Field], random: &mut Random) {
    for _ in 0..200 {
        let Some(data) = any(tree, Kind::Tensor, random) else {
            return;
        };
        let whole = Field::int(2, 7);
        if !data.contains(&whole) {
            continue;
        }
        let Some(raw) = data.iter_mut().find(|f| f.number == 9) else {
            continue;
        };
        let Value::Bytes(bytes) = &mut raw.value else {
            continue;
        };
        let at = random.below(bytes.len() / 8) * 8;
        let edge = random.edge();
        if let Some(word) = bytes.get_mut(at..at + 8) {
            word.copy_from_slice(&edge.to_le_bytes());
        }
        return;
    }
}

fn port(tree: &mut [Field], random: &mut Random) {
    let (n, text, name) = (
        random.edge(),
        *random.pick(TEXTS),
        some_tensor(tree, random),
    );
    match random.below(6) {
        0 => {
            if let Some(port) = any(tree, Kind::ValueInfo, random) {
                set(port, 1, Value::Bytes(name));
            }
        }
        1 => {
            if let Some(kind) = any(tree, Kind::TensorType, random) {
                set(kind, 1, Value::Int(random.below(25) as u64));
            }
        }
        2 => parts(tree, Kind::Shape, random),
        3 => {
            if let Some(dim) = any(tree, Kind::Dim, random) {
                *dim = vec![Field::text(2, text)];
            }
        }
        4 => {
            let deep = "(".repeat(random.below(100_000)) + text;
            if let Some(dim) = any(tree, Kind::Dim, random) {
                *dim = vec![Field::text(2, &deep)];
            }
        }
        _ => {
            if let Some(dim) = any(tree, Kind::Dim, random) {
                *dim = vec![Field::int(1, n)];
            }
        }
    }
}

/// An entry of the metadata: gone, doubled, renamed, or with the value of another.
fn metadata(tree: &mut Vec<Field>, random: &mut Random) {
    let at: Vec<usize> = (0..tree.len()).filter(|i| tree[*i].number == 14).collect();
    if at.is_empty() {
        return;
    }
    let (a, b) = (*random.pick(&at), *random.pick(&at));
    let text = *random.pick(TEXTS);
    match random.below(5) {
        0 => drop(tree.remove(a)),
        1 => tree.push(tree[a].clone()),
        2 => {
            let other = tree[b].clone();
            if let (Value::Message(_, to), Value::Message(_, from)) =
                (&mut tree[a].value, other.value)
                && let Some(value) = from.into_iter().find(|f| f.number == 2)
            {
                set(to, 2, value.value);
            }
        }
        3 => {
            if let Value::Message(_, entry) = &mut tree[a].value {
                set(entry, 1, Value::Bytes(text.into()));
            }
        }
        _ => {
            if let Value::Message(_, entry) = &mut tree[a].value {
                set(entry, 2, Value::Bytes(text.into()));
            }
        }
    }
}

/// A text or a number inside of a value of the metadata becomes another, such as the name of another tensor.
fn json(tree: &mut [Field], random: &mut Random) {
    let name = String::from_utf8_lossy(&some_tensor(tree, random)).into_owned();
    let Some(entry) = any(tree, Kind::Entry, random) else {
        return;
    };
    let Some(field) = entry.iter_mut().find(|f| f.number == 2) else {
        return;
    };
    let Value::Bytes(bytes) = &mut field.value else {
        return;
    };
    let old = String::from_utf8_lossy(bytes).into_owned();
    *bytes = text(&old, &name, random).into_bytes();
}

fn pieces(text: &str) -> Vec<&str> {
    text.split_inclusive(['"', ',', '[', ']', '{', '}', ':'])
        .collect()
}

/// Some word or number of a JSON text.
pub(crate) fn piece(text: &str, random: &mut Random) -> String {
    let all = pieces(text);
    let found = match all.is_empty() {
        true => "",
        false => random.pick(&all),
    };
    let end = found.char_indices().last().map_or(0, |(at, _)| at);
    found[..end].to_owned()
}

/// JSON with one word or number in another's place: `other`, a number at an edge, nothing, brackets.
pub(crate) fn text(text: &str, other: &str, random: &mut Random) -> String {
    let edge = random.edge();
    let mut new: Vec<String> = pieces(text).iter().map(|p| (*p).to_owned()).collect();
    let at = random.below(new.len());
    let Some(piece) = new.get_mut(at) else {
        return other.to_owned();
    };
    let end = piece.pop().unwrap_or('"');
    match random.below(7) {
        0 => *piece = format!("{edge}{end}"),
        1 => piece.clear(),
        2 => *piece = "[".repeat(random.below(5000)),
        3 => *piece = format!("{piece}{end}{piece}{end}"),
        4 => *piece = format!("1e{edge}{end}"),
        _ => *piece = format!("{other}{end}"),
    }
    new.concat()
}

/// A part of well-formed JSON becomes something else that is well-formed.
pub(crate) fn value(json: &mut Json, random: &mut Random) {
    let stolen = part(json, random).clone();
    let edge = random.edge();
    let target = part(json, random);
    match random.below(8) {
        0 => *target = stolen,
        1 => *target = edge.into(),
        2 => *target = (edge as f64 * 0.37).into(),
        3 => *target = (edge as u64).into(),
        4 => *target = (*random.pick(TEXTS)).into(),
        5 => {
            let others = [
                Json::Null,
                true.into(),
                1e308.into(),
                1e-320.into(),
                vec![stolen; 3].into(),
            ];
            *target = random.pick(&others).clone();
        }
        _ => match target {
            Json::Object(map) => {
                let keys: Vec<String> = map.keys().cloned().collect();
                if !keys.is_empty() {
                    map.remove(random.pick(&keys));
                }
            }
            Json::Array(all) if !all.is_empty() => {
                let again = all[random.below(all.len())].clone();
                all.push(again);
            }
            other => *other = Json::Array(vec![]),
        },
    }
}

/// Some part of it, at any depth.
fn part<'a>(json: &'a mut Json, random: &mut Random) -> &'a mut Json {
    let inner = match json {
        Json::Object(map) => map.len(),
        Json::Array(all) => all.len(),
        _ => 0,
    };
    if inner == 0 || random.below(6) == 0 {
        return json;
    }
    let at = random.below(inner);
    match json {
        Json::Object(map) => match map.values_mut().nth(at) {
            Some(value) => part(value, random),
            None => unreachable!("counted above"),
        },
        Json::Array(all) => part(&mut all[at], random),
        other => other,
    }
}

fn versions(tree: &mut Vec<Field>, random: &mut Random) {
    let (n, text) = (random.edge(), *random.pick(TEXTS));
    match random.below(5) {
        0 => set(tree, 1, Value::Int(n as u64)),
        1 => {
            if let Some(opset) = any(tree, Kind::Opset, random) {
                set(opset, 2, Value::Int(9 + random.word() % 20));
            }
        }
        2 => {
            if let Some(opset) = any(tree, Kind::Opset, random) {
                set(opset, 1, Value::Bytes(text.into()));
            }
        }
        3 => {
            let twice = tree.iter().find(|f| f.number == 8).cloned();
            tree.extend(twice);
        }
        _ => {
            if let Some(opset) = any(tree, Kind::Opset, random) {
                set(opset, 2, Value::Int(n as u64));
            }
        }
    }
}

/// What no export has: functions, training, sparse tensors, annotations, thousands of empty messages.
fn messages(tree: &mut Vec<Field>, random: &mut Random) {
    let n = random.edge();
    let graph = any(tree, Kind::Graph, random).cloned().unwrap_or_default();
    match random.below(6) {
        0 => tree.push(Field::new(
            25,
            Value::Bytes(wire::write(&[Field::text(1, "Add")])),
        )),
        1 => tree.push(Field::new(20, Value::Bytes(vec![]))),
        2 => tree.push(Field::new(7, Value::Message(Kind::Graph, graph))),
        3 => {
            if let Some(graph) = any(tree, Kind::Graph, random) {
                let number = [1, 5, 11, 12, 13, 14, 15][random.below(7)];
                let empty = Field::new(number, Value::Bytes(vec![]));
                graph.extend(std::iter::repeat_n(empty, 1 + random.below(20_000)));
            }
        }
        4 => {
            if let Some(graph) = any(tree, Kind::Graph, random) {
                let sparse = wire::write(&[Field::int(3, n)]);
                graph.push(Field::new(15, Value::Bytes(sparse)));
            }
        }
        _ => {
            let mut inner = graph;
            for _ in 0..random.below(40) {
                let attr = vec![
                    Field::text(1, "body"),
                    Field::new(6, Value::Message(Kind::Graph, inner)),
                    Field::int(20, 5),
                ];
                let node = vec![
                    Field::text(4, "Scan"),
                    Field::new(5, Value::Message(Kind::Attribute, attr)),
                ];
                inner = vec![Field::new(1, Value::Message(Kind::Node, node))];
            }
            set(tree, 7, Value::Message(Kind::Graph, inner));
        }
    }
}

/// Any field of any message.
fn fields(tree: &mut [Field], random: &mut Random) {
    let kinds = [
        Kind::Graph,
        Kind::Node,
        Kind::Attribute,
        Kind::Tensor,
        Kind::ValueInfo,
        Kind::Type,
        Kind::TensorType,
        Kind::Shape,
        Kind::Dim,
        Kind::Opset,
        Kind::Entry,
    ];
    let kind = *random.pick(&kinds);
    let edge = random.edge();
    let Some(message) = any(tree, kind, random) else {
        return;
    };
    if message.is_empty() {
        return;
    }
    let at = random.below(message.len());
    match random.below(6) {
        0 => drop(message.remove(at)),
        1 => message.push(message[at].clone()),
        2 => message[at].number = 1 + random.word() % 26,
        3 => message[at].value = Value::Int(edge as u64),
        4 => message[at].value = Value::Bytes(random.pick(TEXTS).as_bytes().into()),
        _ => message[at].value = Value::Four((edge as i32).to_le_bytes()),
    }
}
