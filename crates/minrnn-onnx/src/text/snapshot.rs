//! Graphs as snapshots in tests.

/// Asserts that the [canonical text](crate::text::canonical) of a model is the one in the snapshot, with
/// [insta](https://insta.rs).
///
/// Takes a [`Model`](crate::ir::Model) or a reference to one, and before it, if you like, the snapshot's name; without
/// one insta takes that of the test. As with every snapshot of insta, a new text is written beside the old one as
/// `.snap.new`, to be reviewed with `cargo insta review`.
///
/// It needs insta in the tests that use it: either as a dependency of their own (`cargo add --dev insta`), or by the
/// feature `insta` of this crate.
///
/// ```
/// use minrnn_onnx::{assert_graph_snapshot, builder::Builder, ir::{DType, Dim, Model}};
///
/// let mut b = Builder::new("double");
/// let x = b.input("x", DType::F32, vec![Dim::symbol("batch")]);
/// let y = b.add(x, x);
/// b.output("y", y, DType::F32, vec![Dim::symbol("batch")]);
/// let graph = b.finish()?;
/// let model = Model { ir_version: 8, opsets: vec![(String::new(), 17)], graph, ..Model::default() };
/// # let mut settings = insta::Settings::clone_current();
/// # settings.set_prepend_module_to_snapshot(false);
/// # settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/src/text/snapshots"));
/// # let _bound = settings.bind_to_scope();
///
/// assert_graph_snapshot!("double", model);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// If the text is another one, as every assertion of insta does.
#[macro_export]
macro_rules! assert_graph_snapshot {
    ($name:expr, $model:expr $(,)?) => {{
        let canonical = $crate::text::canonical(&$model);
        $crate::__assert_snapshot!($name, canonical);
    }};
    ($model:expr $(,)?) => {{
        let canonical = $crate::text::canonical(&$model);
        $crate::__assert_snapshot!(canonical);
    }};
}

/// The insta of this crate.
#[cfg(feature = "insta")]
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_snapshot {
    ($($args:tt)*) => { $crate::__insta::assert_snapshot!($($args)*) };
}

/// The insta of whoever asserts.
#[cfg(not(feature = "insta"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_snapshot {
    ($($args:tt)*) => { ::insta::assert_snapshot!($($args)*) };
}
