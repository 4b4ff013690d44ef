//! What the flags choose, as far as they tell it without a checkpoint.

use anyhow::{Context, Result, anyhow, bail};
use minrnn_model::graph::Graph;
use minrnn_onnx::export::{
    Choices, ExportError, ExportOptions, Form, Lowering, Placement, StateLayout, StateNames, Target,
};

use crate::args::{Export, FormChoice};
use crate::given::flag;
use crate::ui::Ui;

/// Target, lowering, forms and names, with the target's defaults.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice<'a> {
    pub(super) target: Target,
    pub(super) lowering: Lowering,
    pub(super) forms: Vec<Form>,
    pub(super) names: StateNames,
    pub(super) dtype: &'a str,
    /// Whether the form step is of the lowering too: known with the model.
    pub(super) steps: bool,
    /// T of the sequence forms, where it is fixed.
    pub(super) seq_len: Option<usize>,
    pub(super) max_seq_len: usize,
}

impl<'a> Choice<'a> {
    /// # Errors
    /// What the target does not take.
    pub(super) fn of(args: &'a Export) -> Result<Self> {
        let target = Target::from_name(&args.target).context("no such target")?;
        let choices = target.choices();
        let lowering = match &args.lowering {
            None => choices.lowering,
            Some(name) => Lowering::ALL
                .into_iter()
                .find(|l| l.name() == name)
                .context("no such lowering")?,
        };
        let names = StateNames::ALL
            .into_iter()
            .find(|n| n.name() == args.state_names)
            .context("no such names")?;
        takes_type(&choices, target, &args.dtype)?;
        Ok(Self {
            target,
            lowering,
            forms: forms(args.form, &choices, target, names)?,
            names,
            dtype: &args.dtype,
            steps: false,
            seq_len: args.seq_len.0,
            max_seq_len: args.max_seq_len,
        })
    }

    /// Of all forms those that the model has; whether that left one out, which is told.
    pub(super) fn leave_out_what_is_not(
        &mut self,
        asked: FormChoice,
        graph: &Graph,
        ui: &Ui,
    ) -> bool {
        let (forms, before) = (Form::of(graph), self.forms.len());
        if asked != FormChoice::All {
            return false;
        }
        self.forms.retain(|form| forms.contains(form));
        let left_out = self.forms.len() < before;
        if left_out {
            let names: Vec<&str> = self.forms.iter().map(|f| f.name()).collect();
            ui.note(&format!(
                "note: there is no form parallel of this model, which feeds back step by step; written is {}",
                names.join(" and ")
            ));
        }
        left_out
    }

    pub(super) fn has(&self, form: Form) -> bool {
        self.forms.contains(&form)
    }

    /// Whether nothing here runs a form: it has the operator LinearAttention.
    pub(super) fn is_for_other_engines(&self, form: Form) -> bool {
        let whole = form == Form::Parallel || form == Form::Step && self.steps;
        whole && self.lowering == Lowering::LinearAttention
    }

    /// What the flags say of every form; the type of the weights apart, which may need data.
    ///
    /// # Errors
    /// A value that makes no file.
    pub(super) fn options(&self, args: &Export) -> Result<ExportOptions> {
        let choices = self.target.choices();
        if beside(args) && !choices.external {
            bail!(
                "--weights {}: {} reads no weights from another file; use inline",
                args.weights,
                self.target.name()
            );
        }
        let options = ExportOptions {
            lowering: self.lowering,
            block: args.block.unwrap_or(choices.block),
            batch: args.batch.0,
            seq_len: self.seq_len,
            max_seq_len: self.max_seq_len,
            opset: args.opset.unwrap_or(choices.opset),
            fused_norms: choices.fused_norms,
            fused_cells: choices.fused_cells,
            state_names: self.names,
            state_layout: match args.state_layout.as_str() {
                "stacked" => StateLayout::Stacked,
                _ => StateLayout::Separate,
            },
            lengths: args.lengths,
            reset: args.reset,
            target: self.target,
            ..ExportOptions::default()
        };
        for form in &self.forms {
            let one = ExportOptions {
                form: *form,
                lengths: options.lengths && *form != Form::Step,
                ..options.clone()
            };
            one.validate().map_err(by_flag)?;
        }
        Ok(options)
    }
}

/// Whether weights are asked for in files of their own.
pub(super) fn beside(args: &Export) -> bool {
    matches!(placement(args), Placement::External | Placement::Shared)
}

pub(super) fn placement(args: &Export) -> Placement {
    match args.weights.as_str() {
        "inline" => Placement::Inline,
        "external" => Placement::External,
        "shared" => Placement::Shared,
        _ => Placement::Auto,
    }
}

/// The error of an option by the name of its flag.
pub(super) fn by_flag(error: ExportError) -> anyhow::Error {
    let ExportError::Option { option, what } = &error else {
        return error.into();
    };
    let name = match *option {
        "placement" => "weights",
        "batch" | "seq_len" | "max_seq_len" | "block" | "opset" | "end_of_stream" => option,
        _ => return error.into(),
    };
    anyhow!("{}: {what}", flag(name))
}

fn takes_type(choices: &Choices, target: Target, dtype: &str) -> Result<()> {
    if choices.weights.contains(&dtype) {
        return Ok(());
    }
    bail!(
        "--target {} takes weights of {}, not {dtype}; choose another --dtype or --target",
        target.name(),
        choices.weights.join(", ")
    )
}

fn forms(
    choice: FormChoice,
    choices: &Choices,
    target: Target,
    names: StateNames,
) -> Result<Vec<Form>> {
    let can = choices.forms;
    let one = match choice {
        FormChoice::All => {
            // genai feeds sequences, also of one token, to one graph.
            let wanted = |f: &&Form| names != StateNames::Genai || **f != Form::Step;
            return Ok(can.iter().filter(wanted).copied().collect());
        }
        FormChoice::Parallel => Form::Parallel,
        FormChoice::Scan => Form::Scan,
        FormChoice::Step => Form::Step,
    };
    if can.contains(&one) {
        return Ok(vec![one]);
    }
    let all: Vec<&str> = can.iter().map(|f| f.name()).collect();
    bail!(
        "--target {} has no operator Scan; use --form {}",
        target.name(),
        all.join(" or --form ")
    )
}
