//! From a launch of the plan to the kernel that does it.

use minrnn_kernels::Elem;
use minrnn_kernels::cuda::{CudaError, Matmul, Operand, Result, View};
use minrnn_kernels::elementwise::cuda as elementwise;
use minrnn_kernels::{
    activation, adamw, causal_conv, column_sum, cross_entropy, embedding, linear_scan, mean_square,
    min_gru, min_lstm, norm,
};
use minrnn_model::graph::{Binary, Unary};

use super::machine::Machine;
use crate::tape::{
    ActivationKind, Cell, Columns, Launch, Map1, Mask, NormKind, Place, Size, Space,
};

impl Machine {
    fn opt(&self, place: Option<Place>) -> Result<Option<View<'_>>> {
        place.map(|p| self.view(p)).transpose()
    }

    fn mask(&self, mask: Option<Mask>) -> Result<Option<norm::cuda::Mask<'_>>> {
        let Some(mask) = mask else { return Ok(None) };
        Ok(Some(norm::cuda::Mask {
            p: mask.p,
            site: mask.site,
            control: self.store.view(Space::Control)?,
        }))
    }

    fn columns(&self, columns: Columns) -> Result<elementwise::Columns<'_>> {
        Ok(elementwise::Columns {
            view: self.view(columns.place)?,
            stride: columns.stride,
            from: columns.from,
        })
    }

    /// Puts one launch of the plan on the stream.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn launch(&self, launch: &Launch) -> Result<()> {
        match launch {
            Launch::Matmul { .. } => self.matmul(launch),
            Launch::Norm { .. } | Launch::NormGrad { .. } => self.norm(launch),
            Launch::Conv { .. } | Launch::ConvGrad { .. } => self.conv(launch),
            Launch::Cell { .. } | Launch::CellGrad { .. } => self.cell(launch),
            Launch::Scan { .. } | Launch::ScanGrad { .. } => self.scan(launch),
            Launch::CrossEntropy { .. } | Launch::Correct { .. } | Launch::MeanSquare { .. } => {
                self.loss(launch)
            }
            Launch::GradNorm { .. } | Launch::AdamW { .. } => self.optimizer(launch),
            Launch::Map1 { .. }
            | Launch::Map1Grad { .. }
            | Launch::Map2 { .. }
            | Launch::Map2Grad { .. }
            | Launch::Vec { .. }
            | Launch::Mean { .. }
            | Launch::MeanGrad { .. } => self.elementwise(launch),
            Launch::CopyColumns { .. }
            | Launch::Delay { .. }
            | Launch::DelayGrad { .. }
            | Launch::Last { .. }
            | Launch::LastGrad { .. }
            | Launch::Repeat { .. }
            | Launch::Zero { .. } => self.moved(launch),
            Launch::Embed { .. }
            | Launch::EmbedGrad { .. }
            | Launch::ColumnSum { .. }
            | Launch::AddDropout { .. }
            | Launch::Activation { .. }
            | Launch::ActivationGrad { .. } => self.layer(launch),
        }
    }

    fn layer(&self, launch: &Launch) -> Result<()> {
        let gpu = &self.gpu;
        match *launch {
            Launch::Embed {
                ids,
                table,
                mask,
                y,
                rows,
                width,
                vocab,
            } => embedding::cuda::forward(
                gpu,
                self.view(ids)?,
                self.view(table)?,
                self.view(y)?,
                self.mask(mask)?,
                embedding::cuda::Size {
                    n: rows,
                    m: width,
                    v: vocab,
                },
            ),
            Launch::EmbedGrad {
                ids,
                dy,
                mask,
                dtable,
                scratch,
                rows,
                width,
                vocab,
            } => embedding::cuda::backward(
                gpu,
                self.view(ids)?,
                self.view(dy)?,
                self.mask(mask)?,
                self.view(dtable)?,
                self.view(scratch)?,
                embedding::cuda::Size {
                    n: rows,
                    m: width,
                    v: vocab,
                },
            ),
            Launch::ColumnSum {
                x,
                out,
                scratch,
                rows,
                width,
                add,
            } => {
                let (x, out, scratch) = (self.view(x)?, self.view(out)?, self.view(scratch)?);
                column_sum::cuda::sum(gpu, x, out, add, scratch, rows, width)
            }
            Launch::AddDropout { x, a, mask, y } => {
                let (x, a, out) = (self.opt(x)?, self.view(a)?, self.view(y)?);
                let mask = self.mask(mask)?;
                if x.is_none() && a.elem() == Elem::F32 {
                    return norm::cuda::add_dropout_backward(gpu, a, mask, out, y.len);
                }
                norm::cuda::add_dropout(gpu, x, a, mask, out, y.len)
            }
            Launch::Activation { kind, x, y } => {
                activation::cuda::forward(gpu, of(kind), self.view(x)?, self.view(y)?, y.len)
            }
            Launch::ActivationGrad {
                kind,
                x,
                dy,
                dx,
                sums,
            } => {
                let (u, dg, du) = (self.view(x)?, self.view(dy)?, self.view(dx)?);
                let Some((sums, scratch)) = sums else {
                    return activation::cuda::backward(gpu, of(kind), u, dg, du, dx.len);
                };
                let both = activation::cuda::BackwardSum {
                    u,
                    dg,
                    du,
                    sums: self.view(sums)?,
                    scratch: self.view(scratch)?,
                    n: dx.len / sums.len,
                    w: sums.len,
                };
                activation::cuda::backward_sum(gpu, of(kind), &both)
            }
            _ => Ok(()),
        }
    }

    fn matmul(&self, launch: &Launch) -> Result<()> {
        match self.product(launch)? {
            Some(product) => product.launch(&self.gpu),
            None => Ok(()),
        }
    }

    /// Chooses the algorithms of all matrix products by time; what they write is lost.
    pub(super) fn tune(&self) -> Result<()> {
        for launch in &self.plan.launches {
            if let Some(product) = self.product(launch)? {
                product.tune(&self.gpu)?;
            }
        }
        Ok(())
    }

    fn product(&self, launch: &Launch) -> Result<Option<Matmul<'_>>> {
        let Launch::Matmul {
            a,
            a_transposed,
            b,
            b_transposed,
            bias,
            c,
            m,
            n,
            k,
            add,
        } = *launch
        else {
            return Ok(None);
        };
        let operand = |view, transposed| Operand { view, transposed };
        Ok(Some(Matmul {
            a: operand(self.view(a)?, a_transposed),
            b: operand(self.view(b)?, b_transposed),
            c: self.view(c)?,
            m,
            n,
            k,
            bias: self.opt(bias)?,
            accumulate: add,
            precision: self.precision,
        }))
    }

    fn norm(&self, launch: &Launch) -> Result<()> {
        let gpu = &self.gpu;
        match *launch {
            Launch::Norm {
                kind,
                x,
                branch,
                weight,
                bias,
                eps,
                y,
                stats,
                rows,
                width,
            } => {
                let branch = match branch {
                    Some((a, mask, sum)) => Some(norm::cuda::Branch {
                        a: self.view(a)?,
                        dropout: self.mask(mask)?,
                        sum: self.view(sum)?,
                    }),
                    None => None,
                };
                let forward = norm::cuda::Forward {
                    kind: norm_kind(kind),
                    x: self.view(x)?,
                    branch,
                    weight: self.view(weight)?,
                    bias: self.opt(bias)?,
                    eps,
                    y: self.view(y)?,
                    stats: self.view(stats)?,
                    rows,
                    width,
                };
                norm::cuda::forward(gpu, &forward)
            }
            Launch::NormGrad {
                kind,
                s,
                weight,
                stats,
                dy,
                dsum,
                ds,
                branch,
                sums,
                dweight,
                dbias,
                scratch,
                rows,
                width,
            } => {
                let branch = match branch {
                    Some((da, mask)) => Some(norm::cuda::BranchGrad {
                        da: self.view(da)?,
                        dropout: self.mask(mask)?,
                        sums: self.opt(sums)?,
                    }),
                    None => None,
                };
                let backward = norm::cuda::Backward {
                    kind: norm_kind(kind),
                    s: self.view(s)?,
                    weight: self.view(weight)?,
                    stats: self.view(stats)?,
                    dy: self.view(dy)?,
                    dsum: self.opt(dsum)?,
                    ds: self.view(ds)?,
                    branch,
                    dweight: self.view(dweight)?,
                    dbias: self.opt(dbias)?,
                    scratch: self.view(scratch)?,
                    rows,
                    width,
                };
                norm::cuda::backward(gpu, &backward)
            }
            _ => Ok(()),
        }
    }

    fn conv(&self, launch: &Launch) -> Result<()> {
        let gpu = &self.gpu;
        match *launch {
            Launch::Conv {
                x,
                state,
                weight,
                bias,
                y,
                size,
                kernel,
            } => causal_conv::cuda::forward(
                gpu,
                self.view(x)?,
                self.opt(state)?,
                self.view(weight)?,
                self.opt(bias)?,
                self.view(y)?,
                conv_size(size, kernel),
            ),
            Launch::ConvGrad {
                x,
                state,
                weight,
                dy,
                dx,
                dweight,
                dbias,
                dstate,
                scratch,
                size,
                kernel,
            } => {
                let backward = causal_conv::cuda::Backward {
                    x: self.view(x)?,
                    state: self.opt(state)?,
                    weight: self.view(weight)?,
                    dy: self.view(dy)?,
                    dx: self.view(dx)?,
                    dweight: self.view(dweight)?,
                    dbias: self.opt(dbias)?,
                    dstate: self.opt(dstate)?,
                    scratch: self.view(scratch)?,
                    size: conv_size(size, kernel),
                };
                causal_conv::cuda::backward(gpu, &backward)
            }
            _ => Ok(()),
        }
    }

    fn cell(&self, launch: &Launch) -> Result<()> {
        let gpu = &self.gpu;
        match *launch {
            Launch::Cell {
                cell,
                x,
                h0,
                h,
                scratch,
                size,
            } => {
                let (x, h0, h) = (self.view(x)?, self.opt(h0)?, self.view(h)?);
                let scratch = self.view(scratch)?;
                match cell {
                    Cell::MinGru(c) => {
                        min_gru::cuda::forward(gpu, x, h0, h, sized(size), c, scratch)
                    }
                    Cell::MinLstm(c, n) => {
                        min_lstm::cuda::forward(gpu, x, h0, h, sized(size), c, n, scratch)
                    }
                }
            }
            Launch::CellGrad {
                cell,
                x,
                h0,
                h,
                dh,
                dx,
                dh0,
                scratch,
                size,
            } => {
                let (x, h0, h) = (self.view(x)?, self.opt(h0)?, self.view(h)?);
                let (dh, dx, dh0) = (self.view(dh)?, self.view(dx)?, self.opt(dh0)?);
                let (scratch, size) = (self.view(scratch)?, sized(size));
                match cell {
                    Cell::MinGru(c) => {
                        min_gru::cuda::backward(gpu, x, h0, h, dh, dx, dh0, size, c, scratch)
                    }
                    Cell::MinLstm(c, n) => {
                        min_lstm::cuda::backward(gpu, x, h0, h, dh, dx, dh0, size, c, n, scratch)
                    }
                }
            }
            _ => Ok(()),
        }
    }

    fn scan(&self, launch: &Launch) -> Result<()> {
        let gpu = &self.gpu;
        match *launch {
            Launch::Scan {
                a,
                b,
                h0,
                h,
                scratch,
                size,
            } => linear_scan::cuda::forward(
                gpu,
                self.view(a)?,
                self.view(b)?,
                self.opt(h0)?,
                self.view(h)?,
                sized(size),
                self.view(scratch)?,
            ),
            Launch::ScanGrad {
                a,
                h0,
                h,
                dh,
                da,
                db,
                dh0,
                scratch,
                size,
            } => linear_scan::cuda::backward(
                gpu,
                self.view(a)?,
                self.opt(h0)?,
                self.view(h)?,
                self.view(dh)?,
                self.view(da)?,
                self.view(db)?,
                self.opt(dh0)?,
                sized(size),
                self.view(scratch)?,
            ),
            _ => Ok(()),
        }
    }

    fn elementwise(&self, launch: &Launch) -> Result<()> {
        let gpu = &self.gpu;
        match *launch {
            Launch::Map1 { f, x, y, add } => {
                elementwise::map1(gpu, map1(f)?, self.view(x)?, self.view(y)?, add)
            }
            Launch::Map1Grad { f, x, dy, dx, add } => {
                let (x, dy, dx) = (self.view(x)?, self.view(dy)?, self.view(dx)?);
                elementwise::map1_grad(gpu, map1(f)?, x, dy, dx, add)
            }
            Launch::Map2 {
                f,
                a,
                b,
                y,
                rows,
                width,
            } => {
                let (a, b, y) = (self.view(a)?, self.view(b)?, self.view(y)?);
                elementwise::map2(gpu, map2(f)?, a, b, y, rows, width)
            }
            Launch::Map2Grad {
                f,
                which,
                a,
                b,
                dy,
                dx,
                rows,
                width,
                add,
            } => {
                let grad = elementwise::Map2Grad {
                    f: map2(f)?,
                    which,
                    a: self.view(a)?,
                    b: self.view(b)?,
                    dy: self.view(dy)?,
                    dx: self.view(dx)?,
                    add,
                };
                elementwise::map2_grad(gpu, grad, rows, width)
            }
            Launch::Vec {
                multiply,
                x,
                p,
                y,
                rows,
                width,
                add,
            } => {
                let (x, p, y) = (self.view(x)?, self.view(p)?, self.view(y)?);
                elementwise::vec(gpu, multiply, x, p, y, add, rows, width)
            }
            Launch::Mean { x, y, rows, width } => {
                elementwise::mean(gpu, self.view(x)?, self.view(y)?, rows, width)
            }
            Launch::MeanGrad {
                dy,
                dx,
                rows,
                width,
                add,
            } => elementwise::mean_grad(gpu, self.view(dy)?, self.view(dx)?, add, rows, width),
            _ => Ok(()),
        }
    }

    fn moved(&self, launch: &Launch) -> Result<()> {
        let gpu = &self.gpu;
        let dims = |s: Size| [s.batch, s.time, s.width];
        match *launch {
            Launch::Zero { to } => self.view(to)?.fill(gpu, 0),
            Launch::CopyColumns {
                from,
                to,
                rows,
                width,
                add,
            } => {
                let (from, to) = (self.columns(from)?, self.columns(to)?);
                elementwise::copy_columns(gpu, from, to, add, rows, width)
            }
            Launch::Delay {
                x,
                state,
                y,
                size,
                lag,
                by,
            } => {
                let (x, state, y) = (self.view(x)?, self.opt(state)?, self.view(y)?);
                elementwise::delay(gpu, x, state, y, delay(size, lag, by))
            }
            Launch::DelayGrad {
                dy,
                dx,
                dstate,
                size,
                lag,
                by,
                add,
            } => {
                let (dy, dx, dstate) = (self.view(dy)?, self.view(dx)?, self.opt(dstate)?);
                elementwise::delay_grad(gpu, dy, dx, dstate, add, delay(size, lag, by))
            }
            Launch::Last { x, lens, y, size } => {
                let (x, lens, y) = (self.view(x)?, self.opt(lens)?, self.view(y)?);
                elementwise::last(gpu, x, lens, y, dims(size))
            }
            Launch::LastGrad {
                dy,
                lens,
                dx,
                size,
                add,
            } => {
                let (dy, lens, dx) = (self.view(dy)?, self.opt(lens)?, self.view(dx)?);
                elementwise::last_grad(gpu, dy, lens, dx, add, dims(size))
            }
            Launch::Repeat { p, y, rows } => {
                elementwise::repeat(gpu, self.view(p)?, self.view(y)?, rows)
            }
            _ => Ok(()),
        }
    }

    fn loss(&self, launch: &Launch) -> Result<()> {
        let gpu = &self.gpu;
        match *launch {
            Launch::CrossEntropy {
                logits,
                targets,
                weights,
                loss,
                dlogits,
                scratch,
                rows,
                width,
            } => {
                let step = cross_entropy::cuda::Step {
                    logits: self.view(logits)?,
                    targets: self.view(targets)?,
                    weights: self.opt(weights)?,
                    loss: self.view(loss)?,
                    dlogits: self.opt(dlogits)?,
                    scratch: self.view(scratch)?,
                    n: rows,
                    v: width,
                };
                cross_entropy::cuda::step(gpu, &step)
            }
            Launch::Correct {
                logits,
                targets,
                weights,
                out,
                scratch,
                rows,
                width,
            } => {
                let correct = cross_entropy::cuda::Correct {
                    logits: self.view(logits)?,
                    targets: self.view(targets)?,
                    weights: self.opt(weights)?,
                    out: self.view(out)?,
                    scratch: self.view(scratch)?,
                    n: rows,
                    v: width,
                };
                cross_entropy::cuda::correct(gpu, &correct)
            }
            Launch::MeanSquare {
                y,
                targets,
                weights,
                loss,
                dy,
                scratch,
                rows,
                width,
            } => {
                let step = mean_square::cuda::Step {
                    y: self.view(y)?,
                    targets: self.opt(targets)?,
                    weights: self.opt(weights)?,
                    loss: self.view(loss)?,
                    dy: self.opt(dy)?,
                    scratch: self.view(scratch)?,
                    n: rows,
                    w: width,
                };
                mean_square::cuda::step(gpu, &step)
            }
            _ => Ok(()),
        }
    }

    fn optimizer(&self, launch: &Launch) -> Result<()> {
        let gpu = &self.gpu;
        let store = &self.store;
        let o = &self.optimizer;
        match *launch {
            Launch::GradNorm { grads, scratch } => {
                let loss = Place::new(Space::Loss, 1, Elem::F32);
                let norm = adamw::cuda::Norm {
                    grads: self.view(grads)?,
                    segments: store.segments()?,
                    loss: self.has(Space::Loss).then(|| self.view(loss)).transpose()?,
                    clip_norm: o.clip_norm,
                    scratch: self.view(scratch)?,
                    report: store.view(Space::Report)?,
                    latch: store.view(Space::Latch)?,
                    control: store.view(Space::Control)?,
                };
                adamw::cuda::norm(gpu, &norm)
            }
            Launch::AdamW { len, decayed } => {
                let flat = |space| store.view(space)?.slice(0, len);
                let update = adamw::cuda::Update {
                    params: flat(Space::Params)?,
                    grads: flat(Space::Grads)?,
                    first: flat(Space::First)?,
                    second: flat(Space::Second)?,
                    shadow: match store.compute {
                        Elem::F32 => None,
                        _ => Some(flat(Space::Shadow)?),
                    },
                    decayed,
                    beta1: o.beta1,
                    beta2: o.beta2,
                    eps: o.eps,
                    weight_decay: o.weight_decay,
                    report: store.view(Space::Report)?,
                    latch: store.view(Space::Latch)?,
                    control: store.view(Space::Control)?,
                };
                adamw::cuda::update(gpu, &update)
            }
            _ => Ok(()),
        }
    }
}

fn sized(size: Size) -> minrnn_kernels::Size {
    minrnn_kernels::Size {
        b: size.batch,
        t: size.time,
        d: size.width,
    }
}

fn conv_size(size: Size, kernel: usize) -> causal_conv::cuda::Size {
    causal_conv::cuda::Size {
        b: size.batch,
        t: size.time,
        w: size.width,
        k: kernel,
    }
}

fn delay(size: Size, lag: usize, by: usize) -> elementwise::Delay {
    elementwise::Delay {
        batch: size.batch,
        time: size.time,
        width: size.width,
        lag,
        by,
    }
}

fn of(kind: ActivationKind) -> activation::cuda::Kind {
    match kind {
        ActivationKind::GeluErf => activation::cuda::Kind::GeluErf,
        ActivationKind::GeluTanh => activation::cuda::Kind::GeluTanh,
        ActivationKind::Silu => activation::cuda::Kind::Silu,
    }
}

fn norm_kind(kind: NormKind) -> norm::cuda::Kind {
    match kind {
        NormKind::Rms => norm::cuda::Kind::Rms,
        NormKind::Layer => norm::cuda::Kind::Layer,
    }
}

fn map1(f: Map1) -> Result<elementwise::Map1> {
    Ok(match f {
        Map1::Copy => elementwise::Map1::Copy,
        Map1::Affine { mul, add } => elementwise::Map1::Affine {
            mul: mul as f32,
            add: add as f32,
        },
        Map1::Unary(f) => match f {
            Unary::Neg => elementwise::Map1::Neg,
            Unary::Abs => elementwise::Map1::Abs,
            Unary::Relu => elementwise::Map1::Relu,
            Unary::Sigmoid => elementwise::Map1::Sigmoid,
            Unary::Tanh => elementwise::Map1::Tanh,
            Unary::Exp => elementwise::Map1::Exp,
            Unary::Sqrt => elementwise::Map1::Sqrt,
            Unary::Erf => elementwise::Map1::Erf,
            other => return Err(no_kernel(other.name())),
        },
    })
}

fn map2(f: Binary) -> Result<elementwise::Map2> {
    Ok(match f {
        Binary::Add => elementwise::Map2::Add,
        Binary::Sub => elementwise::Map2::Sub,
        Binary::Mul => elementwise::Map2::Mul,
        Binary::Div => elementwise::Map2::Div,
        Binary::Min => elementwise::Map2::Min,
        other @ Binary::Max => return Err(no_kernel(other.name())),
    })
}

fn no_kernel(op: &'static str) -> CudaError {
    let problem = "has no kernel".to_owned();
    CudaError::Value { op, problem }
}
