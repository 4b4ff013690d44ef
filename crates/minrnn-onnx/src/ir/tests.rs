use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::pb;

/// A model with every kind of attribute, a sub-graph and every way to name a dimension.
pub(super) fn rich() -> Model {
    let dims = vec![Dim::symbol("batch"), Dim::Fixed(3), Dim::Unknown];
    let tensor = Tensor::f32("w", vec![2, 2], &[1.0, -0.0, f32::MIN_POSITIVE, 3.5]);
    let external = Tensor {
        name: "far".into(),
        dtype: DType::I64,
        dims: vec![4],
        data: TensorData::External(External {
            location: "weights.bin".into(),
            offset: Some(4096),
            length: Some(32),
            checksum: None,
            others: vec![("prepacked".into(), "1".into())],
        }),
        doc: "elsewhere".into(),
        metadata: vec![("tk".into(), "tv".into())],
    };
    let strings = Tensor {
        name: "s".into(),
        dtype: DType::Str,
        dims: vec![2],
        data: TensorData::Strings(vec![b"a".to_vec(), vec![0xff]]),
        doc: String::new(),
        metadata: vec![],
    };
    let inner = Graph {
        name: "body".into(),
        inputs: vec![ValueInfo {
            name: "x".into(),
            ..ValueInfo::default()
        }],
        outputs: vec![ValueInfo::new("y", DType::F32, vec![])],
        ..Graph::default()
    };
    let attributes = vec![
        ("zero".to_owned(), Attr::Int(0)),
        ("int".to_owned(), Attr::Int(i64::MIN)),
        ("float".to_owned(), Attr::Float(0.0)),
        ("str".to_owned(), Attr::Str(vec![])),
        ("tensor".to_owned(), Attr::Tensor(tensor.clone())),
        ("graph".to_owned(), Attr::Graph(Box::new(inner.clone()))),
        ("ints".to_owned(), Attr::Ints(vec![])),
        ("floats".to_owned(), Attr::Floats(vec![1.5, f32::INFINITY])),
        ("strs".to_owned(), Attr::Strs(vec![b"x".to_vec()])),
        ("tensors".to_owned(), Attr::Tensors(vec![tensor.clone()])),
        ("graphs".to_owned(), Attr::Graphs(vec![inner])),
    ];
    let node = Node {
        op_type: "Many".into(),
        domain: "org.example".into(),
        name: "/n".into(),
        inputs: vec!["a".into(), String::new(), "w".into()],
        outputs: vec!["b".into()],
        attributes,
        doc: "why".into(),
        metadata: vec![("k".into(), "v".into())],
        ..Node::default()
    };
    Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17), ("org.example".into(), 1)],
        producer: "minrnn".into(),
        producer_version: "0".into(),
        domain: "org.example".into(),
        model_version: 3,
        doc: "text".into(),
        metadata: vec![("z".into(), "1".into()), ("a".into(), "2".into())],
        graph: Graph {
            name: "g".into(),
            doc: "d".into(),
            inputs: vec![ValueInfo::new("a", DType::F32, dims.clone())],
            outputs: vec![ValueInfo::new("b", DType::I64, dims)],
            value_info: vec![ValueInfo {
                name: "c".into(),
                dtype: Some(DType::F16),
                dims: None,
                doc: "note".into(),
                ..ValueInfo::default()
            }],
            sparse_initializers: vec![],
            initializers: vec![
                tensor,
                external,
                strings,
                Tensor::i64("empty", vec![0, 3], &[]),
            ],
            nodes: vec![node],
            quantization: vec![("w".into(), vec![("SCALE_TENSOR".into(), "s".into())])],
            metadata: vec![("gk".into(), "gv".into())],
        },
        ..Model::default()
    }
}

#[test]
fn what_goes_in_comes_out() {
    let model = rich();
    let bytes = model.encode();
    let back = Model::decode(&bytes).unwrap();
    assert_eq!(back, model);
    assert_eq!(back.encode(), bytes);
}

#[test]
fn dtype_codes_round_trip() {
    for d in DType::ALL {
        assert_eq!(DType::from_code(d.code()), Some(*d));
    }
    assert_eq!(DType::from_code(0), None);
    assert_eq!(DType::from_code(-1), None);
    assert_eq!(DType::from_code(999), None);
}

/// A file with one initializer.
fn with_tensor(t: pb::TensorProto) -> Result<Tensor, DecodeError> {
    let graph = pb::GraphProto {
        initializer: vec![t],
        ..Default::default()
    };
    let bytes = pb::ModelProto {
        graph: Some(graph),
        ..Default::default()
    }
    .encode_to_vec();
    Model::decode(&bytes).map(|m| m.graph.initializers[0].clone())
}

#[test]
fn typed_lists_become_bytes() {
    let base = |code: DType, dims: Vec<i64>| pb::TensorProto {
        data_type: code.code(),
        dims,
        ..Default::default()
    };
    let floats = with_tensor(pb::TensorProto {
        float_data: vec![1.0, 2.0],
        ..base(DType::F32, vec![2])
    })
    .unwrap();
    assert_eq!(floats.to_f32(), Some(vec![1.0, 2.0]));
    let longs = with_tensor(pb::TensorProto {
        int64_data: vec![-7],
        ..base(DType::I64, vec![])
    })
    .unwrap();
    assert_eq!(longs.to_i64(), Some(vec![-7]));
    let halves = with_tensor(pb::TensorProto {
        int32_data: vec![0x3c00, 0xfc00],
        ..base(DType::F16, vec![2])
    })
    .unwrap();
    assert_eq!(halves.data, TensorData::Bytes(vec![0, 0x3c, 0, 0xfc]));
    let signed = with_tensor(pb::TensorProto {
        int32_data: vec![-128, 127],
        ..base(DType::I8, vec![2])
    })
    .unwrap();
    assert_eq!(signed.data, TensorData::Bytes(vec![0x80, 0x7f]));
    let packed = with_tensor(pb::TensorProto {
        int32_data: vec![0xf1, 0x02],
        ..base(DType::U4, vec![3])
    })
    .unwrap();
    assert_eq!(packed.data, TensorData::Bytes(vec![0xf1, 0x02]));
    let u32s = with_tensor(pb::TensorProto {
        uint64_data: vec![u64::from(u32::MAX)],
        ..base(DType::U32, vec![1])
    })
    .unwrap();
    assert_eq!(u32s.data, TensorData::Bytes(vec![0xff; 4]));
}

#[test]
fn hostile_tensors_are_refused() {
    let f32 = DType::F32.code();
    let cases: Vec<(&str, pb::TensorProto)> = vec![
        (
            "bytes",
            pb::TensorProto {
                data_type: f32,
                dims: vec![3],
                raw_data: Some(vec![0; 8]),
                ..Default::default()
            },
        ),
        (
            "no values",
            pb::TensorProto {
                data_type: f32,
                dims: vec![3],
                ..Default::default()
            },
        ),
        (
            "negative",
            pb::TensorProto {
                data_type: f32,
                dims: vec![-1, 0],
                ..Default::default()
            },
        ),
        (
            "overflow",
            pb::TensorProto {
                data_type: f32,
                dims: vec![1 << 40, 1 << 40],
                ..Default::default()
            },
        ),
        (
            "bit overflow",
            pb::TensorProto {
                data_type: f32,
                dims: vec![1 << 61],
                ..Default::default()
            },
        ),
        (
            "type",
            pb::TensorProto {
                data_type: 0,
                ..Default::default()
            },
        ),
        (
            "location",
            pb::TensorProto {
                data_type: f32,
                dims: vec![0],
                data_location: 9,
                ..Default::default()
            },
        ),
        (
            "external without a place",
            pb::TensorProto {
                data_type: f32,
                dims: vec![1],
                data_location: 1,
                ..Default::default()
            },
        ),
        (
            "two lists",
            pb::TensorProto {
                data_type: f32,
                dims: vec![1],
                raw_data: Some(vec![0; 4]),
                float_data: vec![1.0],
                ..Default::default()
            },
        ),
        (
            "wrong list",
            pb::TensorProto {
                data_type: f32,
                dims: vec![1],
                int64_data: vec![1],
                ..Default::default()
            },
        ),
        (
            "out of range",
            pb::TensorProto {
                data_type: DType::I8.code(),
                dims: vec![1],
                int32_data: vec![128],
                ..Default::default()
            },
        ),
        (
            "bool",
            pb::TensorProto {
                data_type: DType::Bool.code(),
                dims: vec![1],
                int32_data: vec![2],
                ..Default::default()
            },
        ),
    ];
    for (what, mut tensor) in cases {
        tensor.name = "w".into();
        let error = with_tensor(tensor).expect_err(what);
        assert_eq!(error.place, "graph.initializer[0] (w)", "{what}");
    }
}

#[test]
fn attributes_with_two_values_are_refused() {
    let attribute = pb::AttributeProto {
        name: "axis".into(),
        i: Some(1),
        ints: vec![2],
        r#type: pb::attribute_proto::AttributeType::Int as i32,
        ..Default::default()
    };
    let node = pb::NodeProto {
        name: "/n".into(),
        attribute: vec![attribute],
        ..Default::default()
    };
    let graph = pb::GraphProto {
        node: vec![node],
        ..Default::default()
    };
    let bytes = pb::ModelProto {
        graph: Some(graph),
        ..Default::default()
    }
    .encode_to_vec();
    let error = Model::decode(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "graph.node[0] (/n).attribute[0] (axis): is of type INT, but has a value in `ints`"
    );
}

proptest! {
    #[test]
    fn any_bytes_give_a_model_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = Model::decode(&bytes);
    }

    /// A valid file with bytes changed reaches deeper than noise does.
    #[test]
    fn damaged_files_give_a_model_or_an_error(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = rich().encode();
        for (at, value) in &changes {
            let i = at.index(bytes.len());
            bytes[i] = *value;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        if let Ok(model) = Model::decode(&bytes) {
            let _ = crate::check::infer(&model);
            let _ = crate::text::text(&model);
        }
    }
}
