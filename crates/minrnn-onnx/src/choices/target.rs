//! For which engines a file is written: one table of choices, from which options get their defaults.

use super::{Form, Lowering};

/// An engine, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Target {
    /// Every engine below, and the reference evaluator of ONNX.
    #[default]
    Portable,
    /// ONNX Runtime 1.32 on CPUs.
    OnnxRuntime,
    /// tract 0.23.
    Tract,
    /// candle-onnx 0.11.
    Candle,
    /// OpenVINO 2026.4 on CPUs.
    OpenVino,
    /// ONNX Runtime 1.30 in browsers (WebAssembly) and in node.
    Web,
    /// rten 0.27.
    Rten,
}

/// What is chosen for a target. Every column is a default that a flag can change, or a limit that the checker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choices {
    /// Forms that the engine can run.
    pub forms: &'static [Form],
    /// The form `parallel`.
    pub lowering: Lowering,
    /// Steps in a block.
    pub block: usize,
    /// Version of the operator set.
    pub opset: i64,
    /// Single operators for norms.
    pub fused_norms: bool,
    /// Single operators for GRU and LSTM.
    pub fused_cells: bool,
    /// Types of weights that it takes.
    pub weights: &'static [&'static str],
    /// Whether it reads weights from another file.
    pub external: bool,
    /// Whether its GatherElements reads values that do not lie one behind the other, as those of a Concat of slices may.
    pub strided_gather: bool,
}

const SEQUENCES: &[Form] = &[Form::Parallel, Form::Scan, Form::Step];
const NO_SCAN: &[Form] = &[Form::Parallel, Form::Step];

impl Target {
    /// All targets.
    pub const ALL: [Self; 7] = [
        Self::Portable,
        Self::OnnxRuntime,
        Self::Tract,
        Self::Candle,
        Self::OpenVino,
        Self::Web,
        Self::Rten,
    ];

    /// The name in metadata and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::OnnxRuntime => "onnxruntime",
            Self::Tract => "tract",
            Self::Candle => "candle",
            Self::OpenVino => "openvino",
            Self::Web => "web",
            Self::Rten => "rten",
        }
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// The table.
    pub fn choices(self) -> Choices {
        let portable = Choices {
            forms: SEQUENCES,
            lowering: Lowering::Blocked,
            block: 16,
            opset: 17,
            fused_norms: false,
            fused_cells: false,
            weights: &["f32"],
            external: true,
            strided_gather: true,
        };
        match self {
            Self::Portable => portable,
            Self::OnnxRuntime => Choices {
                fused_norms: true,
                fused_cells: true,
                weights: &["f32", "f16", "bf16", "int8"],
                ..portable
            },
            Self::Tract => Choices {
                weights: &["f32", "f16", "int8"],
                ..portable
            },
            Self::Candle => Choices {
                forms: NO_SCAN,
                weights: &["f32", "f16"],
                external: false,
                strided_gather: false,
                ..portable
            },
            Self::OpenVino => Choices {
                fused_norms: true,
                fused_cells: true,
                weights: &["f32", "f16", "bf16", "int8"],
                ..portable
            },
            Self::Web => Choices {
                fused_norms: true,
                weights: &["f32", "f16", "int8"],
                external: false,
                ..portable
            },
            Self::Rten => Choices {
                forms: NO_SCAN,
                fused_norms: true,
                weights: &["f32", "f16", "int8"],
                ..portable
            },
        }
    }
}
