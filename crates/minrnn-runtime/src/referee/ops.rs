//! Operations that tract runs in the place of its own: those whose results would hang on its choice of kernels.

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::rows;
use crate::kernels::{self, Cpu, Reduction, Unary};

/// One operation, before and after tract knows the types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Own {
    /// f32, value by value.
    Unary(Unary),
    /// f32, the last axis.
    Reduce {
        op: Reduction,
        keep: bool,
        axis: i64,
    },
    /// f32, the last axis, its sum from the first value on.
    Softmax,
    /// `[.., K]` times `[K, N]`, or `[.., M, K]` times `[.., K, N]` with the same axes before: f32; or f16 of one matrix, where the f32 chain is rounded once, at its end.
    Product,
    /// The same of u8, to i32. Inputs with the zero points, where there are any.
    ProductInt {
        x_zero: Option<usize>,
        w_zero: Option<usize>,
    },
    /// a, b `[B, T, D]`, h0 `[B, D]`: h `[B, T, D]`.
    Recurrence,
    /// The same of complex numbers, `[re | im]`.
    Complex,
    /// `[B, C, L]` by `[M, 1, K]` in as many groups as channels.
    Conv { stride: usize, behind: usize },
}

impl Own {
    fn words(&self) -> &'static str {
        match self {
            Self::Unary(_) => "RefereeUnary",
            Self::Reduce { .. } => "RefereeReduce",
            Self::Softmax => "RefereeSoftmax",
            Self::Product => "RefereeProduct",
            Self::ProductInt { .. } => "RefereeProductInt",
            Self::Recurrence => "RefereeRecurrence",
            Self::Complex => "RefereeComplex",
            Self::Conv { .. } => "RefereeConv",
        }
    }

    fn arity(&self) -> usize {
        match self {
            Self::Unary(_) | Self::Reduce { .. } | Self::Softmax => 1,
            Self::Product | Self::Conv { .. } => 2,
            Self::ProductInt { x_zero, w_zero } => {
                2 + usize::from(x_zero.is_some()) + usize::from(w_zero.is_some())
            }
            Self::Recurrence | Self::Complex => 3,
        }
    }

    /// The shape of the output; refuses shapes that the operation is not defined for.
    fn shape(&self, inputs: &[&[TDim]]) -> TractResult<TVec<TDim>> {
        let x = inputs[0];
        let (Some((last, lead)), name) = (x.split_last(), self.words()) else {
            bail!("{} of a number", self.words());
        };
        match self {
            Self::Unary(_) | Self::Softmax => Ok(x.into()),
            Self::Reduce { keep, axis, .. } => {
                let rank = x.len() as i64;
                ensure!(
                    *axis == -1 || *axis == rank - 1,
                    "{name} over axis {axis} of {rank}, not the last"
                );
                let one = keep.then(|| 1.to_dim());
                Ok(lead.iter().cloned().chain(one).collect())
            }
            Self::Product if inputs[1].len() > 2 => {
                let (rank, w) = (x.len(), inputs[1]);
                let fits =
                    w.len() == rank && w[..rank - 2] == x[..rank - 2] && w[rank - 2] == x[rank - 1];
                ensure!(fits, "{name} of {x:?} with {w:?}");
                Ok(lead.iter().chain(w.last()).cloned().collect())
            }
            Self::Product | Self::ProductInt { .. } => {
                let [k, n] = inputs[1] else {
                    bail!("{name} with a matrix of {} axes", inputs[1].len());
                };
                ensure!(k == last, "{name} of {last} values with {k} rows");
                Ok(lead.iter().cloned().chain([n.clone()]).collect())
            }
            Self::Conv { stride, behind } => {
                let ([batch, _, len], [outputs, _, kernel]) = (x, inputs[1]) else {
                    bail!("{name} of {} axes", x.len());
                };
                let room = len.clone() + *behind as i64 + *stride as i64 - kernel.to_i64()?;
                Ok(tvec!(batch.clone(), outputs.clone(), room / *stride as u64))
            }
            Self::Recurrence | Self::Complex => {
                ensure!(
                    x.len() == 3 && inputs[1] == x && inputs[2] == [x[0].clone(), x[2].clone()],
                    "{name} of a {x:?}, b {:?}, h0 {:?}",
                    inputs[1],
                    inputs[2]
                );
                Ok(x.into())
            }
        }
    }

    /// The type of the output; refuses types that the operation is not defined for.
    fn datum(&self, inputs: &[DatumType]) -> TractResult<DatumType> {
        let (f32s, f16s, u8s) = (f32::datum_type(), f16::datum_type(), u8::datum_type());
        let all = |t: DatumType| inputs.iter().all(|i| *i == t);
        match self {
            Self::ProductInt { .. } if all(u8s) => Ok(i32::datum_type()),
            Self::Product if all(f16s) => Ok(f16s),
            Self::Unary(_)
            | Self::Reduce { .. }
            | Self::Softmax
            | Self::Product
            | Self::Conv { .. }
            | Self::Recurrence
            | Self::Complex
                if all(f32s) =>
            {
                Ok(f32s)
            }
            _ => bail!("{} of {inputs:?}", self.words()),
        }
    }

    fn run(&self, inputs: &[TValue], shape: &[usize]) -> TractResult<Tensor> {
        let count: usize = shape.iter().product();
        match self {
            Self::Unary(op) => {
                let x = values::<f32>(&inputs[0])?;
                let mut out = vec![0.0; count];
                kernels::unary(Cpu::scalar(), *op, &x, &mut out);
                Tensor::from_shape(shape, &out)
            }
            Self::Reduce { op, .. } => {
                let x = values::<f32>(&inputs[0])?;
                let width = inputs[0].shape().last().copied().unwrap_or(1);
                ensure!(width > 0, "{} of nothing", self.words());
                let one = |row: &[f32]| match op {
                    Reduction::Sum => rows::sum(row),
                    Reduction::Mean => rows::sum(row) / width as f32,
                    Reduction::Max => rows::extreme(row, true),
                    Reduction::Min => rows::extreme(row, false),
                };
                let out: Vec<f32> = x.chunks_exact(width).map(one).collect();
                Tensor::from_shape(shape, &out)
            }
            Self::Product if inputs[0].datum_type() == f16::datum_type() => {
                let wide = |t: &TValue| -> TractResult<Vec<f32>> {
                    Ok(values::<f16>(t)?.iter().map(|v| v.to_f32()).collect())
                };
                let out = products(&wide(&inputs[0])?, &wide(&inputs[1])?, shape);
                let out: Vec<f16> = out.iter().map(|v| f16::from_f32(*v)).collect();
                Tensor::from_shape(shape, &out)
            }
            Self::Softmax => {
                let mut out = values::<f32>(&inputs[0])?;
                let width = inputs[0].shape().last().copied().unwrap_or(1);
                out.chunks_exact_mut(width.max(1)).for_each(rows::softmax);
                Tensor::from_shape(shape, &out)
            }
            Self::Product if inputs[1].rank() > 2 => {
                let (x, w) = (values::<f32>(&inputs[0])?, values::<f32>(&inputs[1])?);
                let matrices: usize = shape[..shape.len() - 2].iter().product();
                let each = |v: &[f32]| (v.len() / matrices.max(1)).max(1);
                let pairs = x.chunks_exact(each(&x)).zip(w.chunks_exact(each(&w)));
                let one = &shape[shape.len() - 2..];
                let out: Vec<f32> = pairs.flat_map(|(x, w)| products(x, w, one)).collect();
                Tensor::from_shape(shape, &out)
            }
            Self::Product => {
                let (x, w) = (values::<f32>(&inputs[0])?, values::<f32>(&inputs[1])?);
                Tensor::from_shape(shape, &products(&x, &w, shape))
            }
            Self::ProductInt { x_zero, w_zero } => {
                let zero = |at: &Option<usize>| match at.map(|i| values::<u8>(&inputs[i])) {
                    None => Ok(0),
                    Some(Ok(v)) if v.len() == 1 => Ok(v[0]),
                    _ => bail!("{}: a zero point that is no number", self.words()),
                };
                let (x, w) = (values::<u8>(&inputs[0])?, values::<u8>(&inputs[1])?);
                let (x_zero, w_zero) = (zero(x_zero)?, zero(w_zero)?);
                let mut out = vec![0; count];
                for (x, out) in by_row(&x, &mut out, shape) {
                    rows::product_int(x, x_zero, &w, w_zero, out);
                }
                Tensor::from_shape(shape, &out)
            }
            Self::Conv { stride, .. } => {
                let (x, w) = (values::<f32>(&inputs[0])?, values::<f32>(&inputs[1])?);
                let (channels, len) = (inputs[0].shape()[1], inputs[0].shape()[2]);
                let (outputs, kernel) = (inputs[1].shape()[0], inputs[1].shape()[2]);
                ensure!(
                    inputs[1].shape()[1] == 1 && channels > 0 && outputs % channels == 0,
                    "{} of more than one channel a group",
                    self.words()
                );
                let mut out = vec![0.0; count];
                for (at, out) in out.chunks_exact_mut(shape[2].max(1)).enumerate() {
                    let (row, output) = (at / outputs, at % outputs);
                    let channel = output / (outputs / channels);
                    let x = &x[(row * channels + channel) * len..][..len];
                    rows::convolution(x, &w[output * kernel..][..kernel], *stride, out);
                }
                Tensor::from_shape(shape, &out)
            }
            Self::Recurrence | Self::Complex => {
                let [a, b, h0] = [0, 1, 2].map(|i| values::<f32>(&inputs[i]));
                let (a, b, h0) = (a?, b?, h0?);
                let mut out = vec![0.0; count];
                let (block, d) = (shape[1] * shape[2], shape[2]);
                for (row, out) in out.chunks_exact_mut(block.max(1)).enumerate() {
                    let steps = row * block..(row + 1) * block;
                    let start = &h0[row * d..(row + 1) * d];
                    match self {
                        Self::Complex => rows::complex(&a[steps.clone()], &b[steps], start, out),
                        _ => rows::recurrence(&a[steps.clone()], &b[steps], start, out),
                    }
                }
                Tensor::from_shape(shape, &out)
            }
        }
    }
}

fn values<T: Datum + Copy>(tensor: &Tensor) -> TractResult<Vec<T>> {
    Ok(tensor.to_plain_array_view::<T>()?.iter().copied().collect())
}

/// Rows of the left operand, each with its row of the product.
fn by_row<'a, X, Y>(
    x: &'a [X],
    out: &'a mut [Y],
    shape: &[usize],
) -> impl Iterator<Item = (&'a [X], &'a mut [Y])> {
    let n = shape.last().copied().unwrap_or(0).max(1);
    let rows = (out.len() / n).max(1);
    x.chunks_exact((x.len() / rows).max(1))
        .zip(out.chunks_exact_mut(n))
}

fn products(x: &[f32], weights: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut out = vec![0.0; shape.iter().product()];
    for (x, out) in by_row(x, &mut out, shape) {
        rows::product(x, weights, out);
    }
    out
}

impl Expansion for Own {
    fn name(&self) -> StaticName {
        self.words().into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        // A reduction may name its axes in an input, which the parser has read.
        ensure!(inputs.len() >= self.arity(), "{} inputs", inputs.len());
        let types = inputs[..self.arity()].iter().map(|i| &i.datum_type);
        s.given_all(types, move |s, types| {
            s.equals(&outputs[0].datum_type, self.datum(&types)?)
        })?;
        let shapes = inputs[..self.arity()].iter().map(|i| &i.shape);
        s.given_all(shapes, move |s, shapes| {
            let shapes: Vec<&[TDim]> = shapes.iter().map(|s| &s[..]).collect();
            s.equals(&outputs[0].shape, self.shape(&shapes)?)
        })
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), &inputs[..self.arity()])
    }
}

impl Op for Own {
    fn name(&self) -> StaticName {
        self.words().into()
    }

    op_as_typed_op!();
}

impl EvalOp for Own {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let dims: Vec<Vec<TDim>> = inputs
            .iter()
            .map(|i| i.shape().iter().map(|d| d.to_dim()).collect())
            .collect();
        let types: Vec<DatumType> = inputs.iter().map(|i| i.datum_type()).collect();
        self.datum(&types)?;
        let shapes: Vec<&[TDim]> = dims.iter().map(Vec::as_slice).collect();
        let shape = self.shape(&shapes)?;
        let mut sizes: TVec<usize> = tvec!();
        for dim in &shape {
            sizes.push(dim.to_usize()?);
        }
        Ok(tvec!(self.run(&inputs, &sizes)?.into_tvalue()))
    }
}

impl TypedOp for Own {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let types: Vec<DatumType> = inputs.iter().map(|i| i.datum_type).collect();
        let dims: Vec<TVec<TDim>> = inputs.iter().map(|i| i.shape.to_tvec()).collect();
        let shapes: Vec<&[TDim]> = dims.iter().map(|d| &d[..]).collect();
        Ok(tvec!(self.datum(&types)?.fact(self.shape(&shapes)?)))
    }

    as_op!();
}
