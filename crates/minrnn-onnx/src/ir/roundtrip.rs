//! Files of other writers, there and back: nothing is lost.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;

use super::decode_parts::Named;
use super::*;
use crate::pb::{self, attribute_proto::AttributeType, type_proto};

fn word() -> BoxedStrategy<String> {
    prop_oneof![
        Just(String::new()),
        "[a-z/.:\"\\n\u{e9}]{1,6}".prop_map(|s| s)
    ]
    .boxed()
}

fn pairs() -> BoxedStrategy<Vec<(String, String)>> {
    vec((word(), word()), 0..3).boxed()
}

fn dtype() -> BoxedStrategy<DType> {
    proptest::sample::select(DType::ALL).boxed()
}

fn dim() -> BoxedStrategy<Dim> {
    prop_oneof![
        Just(Dim::Unknown),
        (0..9i64).prop_map(Dim::Fixed),
        "[a-z]{1,3}".prop_map(Dim::Symbol)
    ]
    .boxed()
}

fn tensor() -> BoxedStrategy<Tensor> {
    let far = (word(), option::of(0..99u64), option::of(word()), pairs());
    (dtype(), vec(0..4i64, 0..3), word(), word(), pairs(), far)
        .prop_flat_map(|(dtype, dims, name, doc, metadata, far)| {
            let count = super::tensor::element_count(&dims).unwrap();
            let data = match dtype.bits() {
                None => vec(vec(any::<u8>(), 0..3), count)
                    .prop_map(TensorData::Strings)
                    .boxed(),
                Some(bits) => {
                    let length = (count * bits).div_ceil(8);
                    let (location, offset, checksum, others) = far;
                    let external = TensorData::External(External {
                        location,
                        offset,
                        length: Some(length as u64),
                        checksum,
                        others: others.into_iter().map(|(k, v)| (k + "_", v)).collect(),
                    });
                    let here = vec(any::<u8>(), length).prop_map(TensorData::Bytes);
                    prop_oneof![3 => here, 1 => Just(external)].boxed()
                }
            };
            data.prop_map(move |data| Tensor {
                name: name.clone(),
                dtype,
                dims: dims.clone(),
                data,
                doc: doc.clone(),
                metadata: metadata.clone(),
            })
        })
        .boxed()
}

fn sparse() -> BoxedStrategy<SparseTensor> {
    (tensor(), tensor(), vec(0..9i64, 0..3))
        .prop_map(|(values, indices, dims)| SparseTensor {
            values,
            indices,
            dims,
        })
        .boxed()
}

fn shape() -> BoxedStrategy<TensorShape> {
    let dims = option::of(vec((dim(), "[A-Z]{0,2}"), 0..3));
    (option::of(dtype()), dims)
        .prop_map(|(dtype, dims)| {
            let denotations: Vec<String> = dims.iter().flatten().map(|d| d.1.clone()).collect();
            let said = denotations.iter().any(|d| !d.is_empty());
            TensorShape {
                dtype,
                dims: dims.map(|d| d.into_iter().map(|(d, _)| d).collect()),
                dim_denotations: if said { denotations } else { vec![] },
            }
        })
        .boxed()
}

fn ty() -> BoxedStrategy<Type> {
    let leaf = prop_oneof![
        Just(TypeKind::Unknown),
        shape().prop_map(TypeKind::Tensor),
        shape().prop_map(TypeKind::SparseTensor),
        (word(), word()).prop_map(|(domain, name)| TypeKind::Opaque { domain, name }),
    ];
    let with = |kind: BoxedStrategy<TypeKind>| {
        (kind, word()).prop_map(|(kind, denotation)| Type { kind, denotation })
    };
    with(leaf.boxed())
        .prop_recursive(3, 6, 1, move |inner| {
            let inner = option::of(inner.prop_map(Box::new)).boxed();
            let kind = prop_oneof![
                inner.clone().prop_map(TypeKind::Sequence),
                inner.clone().prop_map(TypeKind::Optional),
                (option::of(dtype()), inner).prop_map(|(key, value)| TypeKind::Map { key, value }),
            ];
            with(kind.boxed())
        })
        .boxed()
}

fn value_info() -> BoxedStrategy<ValueInfo> {
    (word(), ty(), word(), pairs())
        .prop_map(|(name, ty, doc, metadata)| {
            let plain = ValueInfo {
                name,
                doc,
                metadata,
                ..ValueInfo::default()
            };
            let Type { kind, denotation } = ty;
            match kind {
                TypeKind::Unknown => ValueInfo {
                    denotation,
                    ..plain
                },
                // A type that says nothing is not written.
                TypeKind::Tensor(t) => ValueInfo {
                    dtype: t.dtype,
                    dims: t.dims,
                    dim_denotations: t.dim_denotations,
                    denotation,
                    ..plain
                },
                kind => ValueInfo {
                    other: Some(Box::new(Type { kind, denotation })),
                    ..plain
                },
            }
        })
        .boxed()
}

fn float() -> BoxedStrategy<f32> {
    prop_oneof![Just(-0.0), Just(f32::INFINITY), -1e3..1e3f32].boxed()
}

fn attr(graph: BoxedStrategy<Graph>) -> BoxedStrategy<Attr> {
    let bytes = || vec(any::<u8>(), 0..4);
    let reference = ("[a-z]{1,3}", proptest::sample::select(AttrKind::ALL));
    prop_oneof![
        any::<i64>().prop_map(Attr::Int),
        float().prop_map(Attr::Float),
        bytes().prop_map(Attr::Str),
        tensor().prop_map(Attr::Tensor),
        graph.clone().prop_map(|g| Attr::Graph(Box::new(g))),
        vec(any::<i64>(), 0..3).prop_map(Attr::Ints),
        vec(float(), 0..3).prop_map(Attr::Floats),
        vec(bytes(), 0..3).prop_map(Attr::Strs),
        vec(tensor(), 0..3).prop_map(Attr::Tensors),
        vec(graph, 0..3).prop_map(Attr::Graphs),
        sparse().prop_map(|s| Attr::SparseTensor(Box::new(s))),
        vec(sparse(), 0..3).prop_map(Attr::SparseTensors),
        ty().prop_map(Attr::Type),
        vec(ty(), 0..3).prop_map(Attr::Types),
        reference.prop_map(|(attribute, kind)| Attr::Ref { attribute, kind }),
    ]
    .boxed()
}

/// Attributes with names of their own, and texts for some.
fn attributes(graph: BoxedStrategy<Graph>) -> BoxedStrategy<(Named<Attr>, Named<String>)> {
    vec((attr(graph), option::of("[a-z]{1,3}")), 0..3)
        .prop_map(|all| {
            let name = |i: usize| format!("attr{i}");
            let docs = all.iter().enumerate();
            let docs = docs
                .filter_map(|(i, (_, d))| Some((name(i), d.clone()?)))
                .collect();
            let attrs = all.into_iter().enumerate();
            (attrs.map(|(i, (a, _))| (name(i), a)).collect(), docs)
        })
        .boxed()
}

fn node(graph: BoxedStrategy<Graph>) -> BoxedStrategy<Node> {
    let words = || vec(word(), 0..3);
    let texts = (word(), word(), word(), word(), word());
    let devices = vec(vec(any::<u8>(), 0..3), 0..2);
    (texts, words(), words(), attributes(graph), pairs(), devices)
        .prop_map(
            |(texts, inputs, outputs, attributes, metadata, devices)| Node {
                op_type: texts.0,
                domain: texts.1,
                overload: texts.2,
                name: texts.3,
                doc: texts.4,
                inputs,
                outputs,
                attributes: attributes.0,
                attribute_docs: attributes.1,
                metadata,
                devices,
            },
        )
        .boxed()
}

fn graph() -> BoxedStrategy<Graph> {
    let values = || vec(value_info(), 0..2);
    let base = (
        word(),
        word(),
        values(),
        values(),
        values(),
        vec(tensor(), 0..2),
    );
    let more = (vec(sparse(), 0..2), vec((word(), pairs()), 0..2), pairs());
    let leaf = (base, more).prop_map(|(base, more)| Graph {
        name: base.0,
        doc: base.1,
        inputs: base.2,
        outputs: base.3,
        value_info: base.4,
        initializers: base.5,
        sparse_initializers: more.0,
        quantization: more.1,
        metadata: more.2,
        nodes: vec![],
    });
    leaf.prop_recursive(2, 6, 2, |inner| {
        (inner.clone(), vec(node(inner), 0..3)).prop_map(|(g, nodes)| Graph { nodes, ..g })
    })
    .boxed()
}

fn function() -> BoxedStrategy<Function> {
    let words = || vec(word(), 0..3);
    let texts = (word(), word(), word(), word());
    let lists = (
        words(),
        words(),
        words(),
        vec(node(Just(Graph::default()).boxed()), 0..2),
    );
    let opsets = vec((word(), any::<i64>()), 0..2);
    let defaults = attributes(Just(Graph::default()).boxed());
    (
        texts,
        lists,
        defaults,
        opsets,
        vec(value_info(), 0..2),
        pairs(),
    )
        .prop_map(
            |(texts, lists, defaults, opsets, value_info, metadata)| Function {
                domain: texts.0,
                name: texts.1,
                overload: texts.2,
                doc: texts.3,
                inputs: lists.0,
                outputs: lists.1,
                attributes: lists.2,
                nodes: lists.3,
                defaults: defaults.0,
                default_docs: defaults.1,
                opsets,
                value_info,
                metadata,
            },
        )
        .boxed()
}

fn model() -> BoxedStrategy<Model> {
    let raw = || vec(vec(any::<u8>(), 0..4), 0..2);
    (
        graph(),
        vec(function(), 0..2),
        raw(),
        raw(),
        pairs(),
        any::<i64>(),
    )
        .prop_map(
            |(graph, functions, training, devices, metadata, model_version)| Model {
                graph,
                functions,
                training,
                devices,
                metadata,
                model_version,
                ..super::tests::rich()
            },
        )
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_model_comes_back(model in model()) {
        let bytes = model.encode();
        let back = Model::decode(&bytes);
        prop_assert_eq!(back.as_ref().ok(), Some(&model), "{:?}", back.as_ref().err());
        prop_assert_eq!(back.map(|m| m.encode()).ok(), Some(bytes));
    }

    /// Models of any kind have both texts: whatever breaks rules is shown, and nothing panics.
    #[test]
    fn any_model_has_its_texts(model in model()) {
        prop_assert!(!crate::text::text(&model).is_empty());
        prop_assert!(!crate::text::canonical(&model).is_empty());
    }
}

/// The message a file of these bytes means after it went through our types.
#[track_caller]
fn through(message: &pb::ModelProto) -> pb::ModelProto {
    let model = Model::decode(&message.encode_to_vec()).unwrap();
    pb::ModelProto::decode(model.encode().as_slice()).unwrap()
}

fn with_node(node: pb::NodeProto) -> pb::ModelProto {
    pb::ModelProto {
        graph: Some(pb::GraphProto {
            node: vec![node],
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn type_of(value: type_proto::Value) -> pb::TypeProto {
    pb::TypeProto {
        denotation: "note".into(),
        value: Some(value),
    }
}

#[test]
fn messages_of_other_writers_come_back_as_they_were() {
    let attribute = |name: &str, kind: AttributeType| pb::AttributeProto {
        name: name.into(),
        doc_string: "about".into(),
        r#type: kind as i32,
        ..Default::default()
    };
    let tensor = |name: &str, dims: Vec<i64>, bytes: usize| pb::TensorProto {
        name: name.into(),
        data_type: DType::I64.code(),
        dims,
        raw_data: Some(vec![1; bytes]),
        ..Default::default()
    };
    let sparse = pb::SparseTensorProto {
        values: Some(tensor("s", vec![2], 16)),
        indices: Some(tensor("", vec![2], 16)),
        dims: vec![4, 4],
    };
    let element = Box::new(type_of(type_proto::Value::TensorType(type_proto::Tensor {
        elem_type: DType::F64.code(),
        shape: None,
    })));
    let sequence = type_of(type_proto::Value::SequenceType(Box::new(
        type_proto::Sequence {
            elem_type: Some(element),
        },
    )));
    let optional = type_of(type_proto::Value::OptionalType(Box::new(
        type_proto::Optional {
            elem_type: Some(Box::new(sequence.clone())),
        },
    )));
    let node = pb::NodeProto {
        op_type: "Many".into(),
        domain: "com.microsoft".into(),
        overload: "v2".into(),
        attribute: vec![
            pb::AttributeProto {
                ref_attr_name: "outer".into(),
                ..attribute("ref", AttributeType::Floats)
            },
            pb::AttributeProto {
                tp: Some(optional.clone()),
                ..attribute("type", AttributeType::TypeProto)
            },
            pb::AttributeProto {
                type_protos: vec![sequence.clone(), optional.clone()],
                ..attribute("types", AttributeType::TypeProtos)
            },
            pb::AttributeProto {
                sparse_tensor: Some(sparse.clone()),
                ..attribute("sparse", AttributeType::SparseTensor)
            },
            pb::AttributeProto {
                sparse_tensors: vec![sparse.clone()],
                ..attribute("sparses", AttributeType::SparseTensors)
            },
        ],
        device_configurations: vec![vec![0x0a, 1, b'x']],
        ..Default::default()
    };
    let value = pb::ValueInfoProto {
        name: "x".into(),
        r#type: Some(optional),
        ..Default::default()
    };
    let mut message = with_node(node.clone());
    message.functions = vec![pb::FunctionProto {
        name: "f".into(),
        domain: "org.example".into(),
        overload: "v2".into(),
        attribute: vec!["alpha".into()],
        attribute_proto: vec![pb::AttributeProto {
            i: Some(0),
            ..attribute("beta", AttributeType::Int)
        }],
        node: vec![node],
        value_info: vec![value.clone()],
        ..Default::default()
    }];
    message.training_info = vec![vec![0x0a, 0]];
    message.configuration = vec![vec![0x0a, 1, b'd']];
    let graph = message.graph.get_or_insert_default();
    graph.input = vec![value];
    graph.sparse_initializer = vec![sparse];
    assert_eq!(through(&message), message);
}

#[test]
fn values_in_two_fields_and_unknown_fields_are_refused() {
    let both = pb::AttributeProto {
        name: "a".into(),
        ref_attr_name: "outer".into(),
        i: Some(1),
        r#type: AttributeType::Int as i32,
        ..Default::default()
    };
    let refused = |bytes: &[u8]| Model::decode(bytes).unwrap_err().to_string();
    let node = pb::NodeProto {
        attribute: vec![both],
        ..Default::default()
    };
    let text = refused(&with_node(node).encode_to_vec());
    assert!(text.contains("has a value in `i`"), "{text}");
    let mut bytes = with_node(pb::NodeProto::default()).encode_to_vec();
    bytes.extend([0xf8, 0x3f, 1]);
    let text = refused(&bytes);
    assert!(text.contains("field 1023 of ModelProto"), "{text}");
}
