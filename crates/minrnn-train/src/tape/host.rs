//! The slow twin: every launch in plain float64 loops over an arena in host memory.
//!
//! It says what a launch means. Plans are tested with it against candle's gradients, kernels against it.

use std::collections::BTreeMap;

use half::{bf16, f16};
use minrnn_kernels::Elem;
use minrnn_kernels::{activation, causal_conv, cross_entropy, linear_scan, min_gru, min_lstm};
use minrnn_model::graph::{Binary, Unary};

use super::launch::{
    ActivationKind, Cell, Columns, Launch, Map1, Mask, NormKind, Place, Size, Space,
};
use super::plan::{Need, Plan, Scratch};
use crate::run::dropout_mask;

/// The twin needs no scratch.
#[derive(Debug, Clone, Copy)]
pub struct NoScratch;

impl Scratch for NoScratch {
    fn len(&self, _: Need) -> usize {
        1
    }
}

/// Numbers of the optimizer.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Beside the root.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Largest norm of the gradient.
    pub clip_norm: Option<f64>,
}

/// Host memory that a plan runs in.
#[derive(Debug)]
pub struct Host {
    plan: Plan,
    arena: Vec<u8>,
    spaces: BTreeMap<Space, Vec<u8>>,
    /// Seed and step of dropout.
    pub seed_and_step: (u64, u64),
    /// Numbers of the optimizer.
    pub update: Update,
    /// Learning rate and number of the update, from 1.
    pub rate: (f64, u64),
}

impl Host {
    /// Memory for a plan; parameters zero, buffers poisoned.
    pub fn new(plan: Plan, update: Update) -> Self {
        let mut spaces = BTreeMap::new();
        let total = plan.layout.total;
        for space in [Space::Params, Space::Grads, Space::First, Space::Second] {
            spaces.insert(space, vec![0; total * 4]);
        }
        spaces.insert(Space::Shadow, vec![0; total * 2]);
        spaces.insert(Space::Loss, vec![0xFF; 4]);
        spaces.insert(Space::Correct, vec![0xFF; 4]);
        spaces.insert(Space::Report, vec![0; 8]);
        Self {
            arena: vec![0xFF; plan.arena],
            plan,
            spaces,
            seed_and_step: (0, 0),
            update,
            rate: (0.0, 1),
        }
    }

    /// Puts values into a space.
    pub fn set_f32(&mut self, space: Space, values: &[f32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.spaces.insert(space, bytes);
    }

    /// Puts numbers into a space.
    pub fn set_u32(&mut self, space: Space, values: &[u32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.spaces.insert(space, bytes);
    }

    /// Makes the copy of the parameters in the compute type.
    pub fn refresh_shadow(&mut self) {
        let total = self.plan.layout.total;
        let from = self.read(Place::new(Space::Params, total, Elem::F32));
        let elem = self.plan.options.compute;
        if elem != Elem::F32 {
            self.write(Place::new(Space::Shadow, total, elem), &from);
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn bytes(&self, place: Place) -> &[u8] {
        let (from, len) = (
            place.offset * place.elem.size(),
            place.len * place.elem.size(),
        );
        match place.space {
            Space::Buffer(i) => {
                let buffer = self.plan.buffers[i];
                assert!(from + len <= buffer.bytes, "{place:?} beyond its buffer");
                &self.arena[buffer.offset + from..][..len]
            }
            space => &self.spaces[&space][from..][..len],
        }
    }

    /// The values of a place.
    pub fn read(&self, place: Place) -> Vec<f64> {
        let bytes = self.bytes(place);
        match place.elem {
            Elem::F32 => bytes
                .chunks_exact(4)
                .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
                .collect(),
            Elem::Bf16 => bytes
                .chunks_exact(2)
                .map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f64())
                .collect(),
            Elem::F16 => bytes
                .chunks_exact(2)
                .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f64())
                .collect(),
            Elem::U32 => self.read_u32(place).into_iter().map(f64::from).collect(),
        }
    }

    /// The numbers of a place.
    pub fn read_u32(&self, place: Place) -> Vec<u32> {
        let bytes = self.bytes(place).chunks_exact(4);
        bytes
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    fn opt(&self, place: Option<Place>) -> Option<Vec<f64>> {
        place.map(|p| self.read(p))
    }

    /// Writes values, rounded to the place's type.
    pub fn write(&mut self, place: Place, values: &[f64]) {
        assert_eq!(values.len(), place.len, "{place:?}");
        let bytes: Vec<u8> = match place.elem {
            Elem::F32 => values
                .iter()
                .flat_map(|v| (*v as f32).to_le_bytes())
                .collect(),
            Elem::Bf16 => values
                .iter()
                .flat_map(|v| bf16::from_f32(*v as f32).to_le_bytes())
                .collect(),
            Elem::F16 => values
                .iter()
                .flat_map(|v| f16::from_f32(*v as f32).to_le_bytes())
                .collect(),
            Elem::U32 => values
                .iter()
                .flat_map(|v| (*v as u32).to_le_bytes())
                .collect(),
        };
        let from = place.offset * place.elem.size();
        let to = match place.space {
            Space::Buffer(i) => &mut self.arena[self.plan.buffers[i].offset + from..],
            space => &mut self.spaces.get_mut(&space).expect("spaces are made first")[from..],
        };
        to[..bytes.len()].copy_from_slice(&bytes);
    }

    fn put(&mut self, place: Place, values: &[f64], add: bool) {
        if !add {
            return self.write(place, values);
        }
        let old = self.read(place);
        let sum: Vec<f64> = old.iter().zip(values).map(|(a, b)| a + b).collect();
        self.write(place, &sum);
    }

    /// Runs all launches.
    pub fn run(&mut self) {
        for launch in self.plan.launches.clone() {
            self.launch(&launch);
        }
    }

    fn masked(&self, mask: Option<Mask>, mut values: Vec<f64>) -> Vec<f64> {
        if let Some(mask) = mask {
            let (seed, step) = self.seed_and_step;
            let factors = dropout_mask(seed, step, mask.site as usize, mask.p, values.len());
            values
                .iter_mut()
                .zip(factors)
                .for_each(|(v, f)| *v *= f64::from(f));
        }
        values
    }

    /// Runs one launch.
    pub fn launch(&mut self, launch: &Launch) {
        match launch.clone() {
            Launch::Zero { to } => self.write(to, &vec![0.0; to.len]),
            Launch::Embed {
                ids,
                table,
                mask,
                y,
                width,
                ..
            } => {
                let table = self.read(table);
                let rows = self.read_u32(ids).into_iter();
                let rows = rows.flat_map(|id| table[id as usize * width..][..width].to_vec());
                let rows = self.masked(mask, rows.collect());
                self.write(y, &rows);
            }
            Launch::EmbedGrad {
                ids,
                dy,
                mask,
                dtable,
                width,
                ..
            } => {
                let dy = self.masked(mask, self.read(dy));
                let mut sums = vec![0.0; dtable.len];
                for (row, id) in self.read_u32(ids).into_iter().enumerate() {
                    for j in 0..width {
                        sums[id as usize * width + j] += dy[row * width + j];
                    }
                }
                self.write(dtable, &sums);
            }
            Launch::Matmul { .. } => self.matmul(launch),
            Launch::ColumnSum {
                x, out, width, add, ..
            } => {
                let mut sums = vec![0.0; width];
                for row in self.read(x).chunks_exact(width) {
                    sums.iter_mut().zip(row).for_each(|(s, v)| *s += v);
                }
                self.put(out, &sums, add);
            }
            Launch::Norm { .. } => self.norm(launch),
            Launch::NormGrad { .. } => self.norm_grad(launch),
            Launch::AddDropout { x, a, mask, y } => {
                let mut sum = self.masked(mask, self.read(a));
                if let Some(x) = self.opt(x) {
                    sum.iter_mut().zip(x).for_each(|(s, x)| *s += x);
                }
                self.write(y, &sum);
            }
            Launch::Conv { .. } | Launch::ConvGrad { .. } => self.conv(launch),
            Launch::Activation { kind, x, y } => {
                let y_values: Vec<f64> =
                    self.read(x).into_iter().map(|x| slope(kind, x).0).collect();
                self.write(y, &y_values);
            }
            Launch::ActivationGrad {
                kind,
                x,
                dy,
                dx,
                sums,
            } => {
                let pairs = self.read(x).into_iter().zip(self.read(dy));
                let values: Vec<f64> = pairs.map(|(x, d)| slope(kind, x).1 * d).collect();
                self.write(dx, &values);
                self.columns(dx, sums.map(|s| s.0));
            }
            Launch::Cell { .. } | Launch::CellGrad { .. } => self.cell(launch),
            Launch::Scan {
                a, b, h0, h, size, ..
            } => {
                let h0 = self.first(h0, size);
                let all =
                    linear_scan::slow::linear_scan(&self.read(a), &self.read(b), &h0, dims(size));
                self.write(h, &all);
            }
            Launch::ScanGrad {
                a,
                h0,
                h,
                dh,
                da,
                db,
                dh0,
                size,
                ..
            } => {
                let first = self.first(h0, size);
                let (ga, gb, g0) = linear_scan::slow::linear_scan_grad(
                    &self.read(a),
                    &first,
                    &self.read(h),
                    &self.read(dh),
                    dims(size),
                );
                self.write(da, &ga);
                self.write(db, &gb);
                if let Some(dh0) = dh0 {
                    self.write(dh0, &g0);
                }
            }
            Launch::Map1 { f, x, y, add } => {
                let values: Vec<f64> = self.read(x).into_iter().map(|x| map1(f, x).0).collect();
                self.put(y, &values, add);
            }
            Launch::Map1Grad { f, x, dy, dx, add } => {
                let pairs = self.read(x).into_iter().zip(self.read(dy));
                let values: Vec<f64> = pairs.map(|(x, d)| map1(f, x).1 * d).collect();
                self.put(dx, &values, add);
            }
            Launch::Map2 {
                f,
                a,
                b,
                y,
                rows,
                width,
            } => {
                let (a, b) = (self.read(a), self.read(b));
                let at = |v: &[f64], i: usize| v[if v.len() == rows { i / width } else { i }];
                let values: Vec<f64> = (0..rows * width)
                    .map(|i| map2(f, at(&a, i), at(&b, i)).0)
                    .collect();
                self.write(y, &values);
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
                let (a, b, dy) = (self.read(a), self.read(b), self.read(dy));
                let at = |v: &[f64], i: usize| v[if v.len() == rows { i / width } else { i }];
                let mut sums = vec![0.0; dx.len];
                for (i, d) in dy.iter().enumerate() {
                    let to = if dx.len == rows { i / width } else { i };
                    sums[to] += map2(f, at(&a, i), at(&b, i)).1[which] * d;
                }
                self.put(dx, &sums, add);
            }
            Launch::Vec {
                multiply,
                x,
                p,
                y,
                width,
                add,
                ..
            } => {
                let p = self.read(p);
                let values: Vec<f64> = self
                    .read(x)
                    .into_iter()
                    .enumerate()
                    .map(|(i, x)| {
                        if multiply {
                            x * p[i % width]
                        } else {
                            x + p[i % width]
                        }
                    })
                    .collect();
                self.put(y, &values, add);
            }
            Launch::Mean { x, y, width, .. } => {
                let x = self.read(x);
                let rows = x.chunks_exact(width);
                let means: Vec<f64> = rows.map(|r| r.iter().sum::<f64>() / width as f64).collect();
                self.write(y, &means);
            }
            Launch::MeanGrad {
                dy,
                dx,
                rows,
                width,
                add,
            } => {
                let dy = self.read(dy);
                let values: Vec<f64> = (0..rows * width)
                    .map(|i| dy[i / width] / width as f64)
                    .collect();
                self.put(dx, &values, add);
            }
            Launch::CopyColumns {
                from,
                to,
                rows,
                width,
                add,
            } => self.copy_columns(from, to, rows, width, add),
            Launch::Delay {
                x,
                state,
                y,
                size,
                lag,
                by,
            } => {
                let (x, state) = (self.read(x), self.opt(state));
                let w = size.width;
                let values: Vec<f64> = (0..size.batch * size.time * w)
                    .map(|i| {
                        let (b, t, c) = (i / w / size.time, i / w % size.time, i % w);
                        match t.checked_sub(by) {
                            Some(from) => x[(b * size.time + from) * w + c],
                            None => state
                                .as_ref()
                                .map_or(0.0, |s| s[(b * lag + lag + t - by) * w + c]),
                        }
                    })
                    .collect();
                self.write(y, &values);
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
                let w = size.width;
                let (dy, mut sums) = (self.read(dy), vec![0.0; dx.len]);
                let mut states = vec![0.0; size.batch * lag * w];
                for (i, d) in dy.iter().enumerate() {
                    let (b, t, c) = (i / w / size.time, i / w % size.time, i % w);
                    match t.checked_sub(by) {
                        Some(from) => sums[(b * size.time + from) * w + c] += d,
                        None => states[(b * lag + lag + t - by) * w + c] += d,
                    }
                }
                self.put(dx, &sums, add);
                if let Some(dstate) = dstate {
                    self.put(dstate, &states, true);
                }
            }
            Launch::Last { x, lens, y, size } => {
                let (x, w) = (self.read(x), size.width);
                let last = self.last_steps(lens, size);
                let values = last.into_iter().flat_map(|row| x[row * w..][..w].to_vec());
                self.write(y, &values.collect::<Vec<_>>());
            }
            Launch::LastGrad {
                dy,
                lens,
                dx,
                size,
                add,
            } => {
                let (dy, w) = (self.read(dy), size.width);
                let mut values = vec![0.0; dx.len];
                for (b, row) in self.last_steps(lens, size).into_iter().enumerate() {
                    values[row * w..][..w].copy_from_slice(&dy[b * w..][..w]);
                }
                self.put(dx, &values, add);
            }
            Launch::Repeat { p, y, rows } => {
                let values = self.read(p).repeat(rows);
                self.write(y, &values);
            }
            Launch::CrossEntropy { .. } | Launch::Correct { .. } | Launch::MeanSquare { .. } => {
                self.loss(launch)
            }
            Launch::GradNorm { grads, .. } => {
                let norm = self.read(grads).iter().map(|g| g * g).sum::<f64>().sqrt();
                let clip = self.update.clip_norm.filter(|c| norm > *c);
                let report = Place::new(Space::Report, 2, Elem::F32);
                self.write(report, &[norm, clip.map_or(1.0, |c| c / norm)]);
            }
            Launch::AdamW { len, decayed } => self.adamw(len, decayed),
        }
    }

    fn last_steps(&self, lens: Option<Place>, size: Size) -> Vec<usize> {
        let lens = match lens {
            Some(lens) => self.read_u32(lens),
            None => vec![size.time as u32; size.batch],
        };
        let rows = lens.into_iter().enumerate();
        rows.map(|(b, len)| b * size.time + len as usize - 1)
            .collect()
    }

    fn first(&self, h0: Option<Place>, size: Size) -> Vec<f64> {
        self.opt(h0)
            .unwrap_or_else(|| vec![0.0; size.batch * size.width])
    }

    fn matmul(&mut self, launch: &Launch) {
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
            return;
        };
        let (a, b, bias) = (self.read(a), self.read(b), self.opt(bias));
        let at = |v: &[f64], i: usize, j: usize, rows: usize, columns: usize, t: bool| {
            v[if t { j * rows + i } else { i * columns + j }]
        };
        let mut values = vec![0.0; m * n];
        for i in 0..m {
            for l in 0..k {
                let x = at(&a, i, l, m, k, a_transposed);
                for j in 0..n {
                    values[i * n + j] += x * at(&b, l, j, k, n, b_transposed);
                }
            }
            if let Some(bias) = &bias {
                values[i * n..][..n]
                    .iter_mut()
                    .zip(bias)
                    .for_each(|(v, b)| *v += b);
            }
        }
        self.put(c, &values, add);
    }

    fn norm(&mut self, launch: &Launch) {
        let Launch::Norm {
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
        } = *launch
        else {
            return;
        };
        let mut s = self.read(x);
        if let Some((a, mask, sum)) = branch {
            let a = self.masked(mask, self.read(a));
            s.iter_mut().zip(a).for_each(|(s, a)| *s += a);
            self.write(sum, &s);
        }
        let (weight, bias) = (self.read(weight), self.opt(bias));
        let (mut out, mut all) = (vec![0.0; rows * width], vec![]);
        for (r, row) in s.chunks_exact(width).enumerate() {
            let n = width as f64;
            let mean = match kind {
                NormKind::Rms => 0.0,
                NormKind::Layer => row.iter().sum::<f64>() / n,
            };
            let square = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            let inverse = 1.0 / (square + eps).sqrt();
            all.extend([mean, inverse]);
            for (i, x) in row.iter().enumerate() {
                let bias = bias.as_ref().map_or(0.0, |b| b[i]);
                out[r * width + i] = (x - mean) * inverse * weight[i] + bias;
            }
        }
        self.write(y, &out);
        self.write(stats, &all);
    }

    fn norm_grad(&mut self, launch: &Launch) {
        let Launch::NormGrad {
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
            rows,
            width,
            ..
        } = *launch
        else {
            return;
        };
        let (s, weight, stats, dy) = (
            self.read(s),
            self.read(weight),
            self.read(stats),
            self.read(dy),
        );
        let mut d = self.opt(dsum).unwrap_or_else(|| vec![0.0; rows * width]);
        let (mut dw, mut db) = (vec![0.0; width], vec![0.0; width]);
        let n = width as f64;
        for r in 0..rows {
            let (mean, inverse) = (stats[2 * r], stats[2 * r + 1]);
            let unit = |i: usize| (s[r * width + i] - mean) * inverse;
            let g = |i: usize| dy[r * width + i] * weight[i];
            let along = (0..width).map(|i| g(i) * unit(i)).sum::<f64>() / n;
            let level = match kind {
                NormKind::Rms => 0.0,
                NormKind::Layer => (0..width).map(g).sum::<f64>() / n,
            };
            for i in 0..width {
                dw[i] += dy[r * width + i] * unit(i);
                db[i] += dy[r * width + i];
                d[r * width + i] += inverse * (g(i) - level - unit(i) * along);
            }
        }
        self.write(ds, &d);
        self.write(dweight, &dw);
        if let Some(dbias) = dbias {
            self.write(dbias, &db);
        }
        if let Some((da, mask)) = branch {
            let d = self.masked(mask, d);
            self.write(da, &d);
            self.columns(da, sums);
        }
    }

    /// Sums of the columns of a matrix as it is in memory.
    fn columns(&mut self, x: Place, sums: Option<Place>) {
        let Some(sums) = sums else { return };
        let mut all = vec![0.0; sums.len];
        for row in self.read(x).chunks_exact(sums.len) {
            all.iter_mut().zip(row).for_each(|(s, v)| *s += v);
        }
        self.write(sums, &all);
    }

    fn conv(&mut self, launch: &Launch) {
        match *launch {
            Launch::Conv {
                x,
                state,
                weight,
                bias,
                y,
                size,
                kernel,
            } => {
                let state = self.conv_state(state, size, kernel);
                let bias = self.opt(bias);
                let values = causal_conv::slow::causal_conv(
                    &self.read(x),
                    &state,
                    &self.read(weight),
                    bias.as_deref(),
                    dims(size),
                );
                self.write(y, &values);
            }
            Launch::ConvGrad {
                x,
                state,
                weight,
                dy,
                dx,
                dweight,
                dbias,
                dstate,
                size,
                kernel,
                ..
            } => {
                let first = self.conv_state(state, size, kernel);
                let grads = causal_conv::slow::causal_conv_grad(
                    &self.read(x),
                    &first,
                    &self.read(weight),
                    &self.read(dy),
                    dims(size),
                );
                self.write(dx, &grads.x);
                self.write(dweight, &grads.weight);
                if let Some(dbias) = dbias {
                    self.write(dbias, &grads.bias);
                }
                if let Some(dstate) = dstate {
                    self.write(dstate, &grads.state);
                }
            }
            _ => {}
        }
    }

    fn conv_state(&self, state: Option<Place>, size: Size, kernel: usize) -> Vec<f64> {
        self.opt(state)
            .unwrap_or_else(|| vec![0.0; size.batch * (kernel - 1) * size.width])
    }

    fn cell(&mut self, launch: &Launch) {
        match *launch {
            Launch::Cell {
                cell,
                x,
                h0,
                h,
                size,
                ..
            } => {
                let (x, h0) = (self.read(x), self.first(h0, size));
                let all = match cell {
                    Cell::MinGru(c) => min_gru::slow::min_gru(&x, &h0, c, dims(size)),
                    Cell::MinLstm(c, n) => min_lstm::slow::min_lstm(&x, &h0, c, n, dims(size)),
                };
                self.write(h, &all);
            }
            Launch::CellGrad {
                cell,
                x,
                h0,
                dh,
                dx,
                dh0,
                size,
                ..
            } => {
                let (x, first, dh) = (self.read(x), self.first(h0, size), self.read(dh));
                let (gx, g0) = match cell {
                    Cell::MinGru(c) => min_gru::slow::min_gru_grad(&x, &first, c, &dh, dims(size)),
                    Cell::MinLstm(c, n) => {
                        min_lstm::slow::min_lstm_grad(&x, &first, c, n, &dh, dims(size))
                    }
                };
                self.write(dx, &gx);
                if let Some(dh0) = dh0 {
                    self.write(dh0, &g0);
                }
            }
            _ => {}
        }
    }

    fn copy_columns(&mut self, from: Columns, to: Columns, rows: usize, width: usize, add: bool) {
        let x = self.read(from.place);
        let mut y = self.read(to.place);
        for r in 0..rows {
            for j in 0..width {
                let old = &mut y[r * to.stride + to.from + j];
                let new = x[r * from.stride + from.from + j];
                *old = if add { *old + new } else { new };
            }
        }
        self.write(to.place, &y);
    }

    fn loss(&mut self, launch: &Launch) {
        match *launch {
            Launch::CrossEntropy {
                logits,
                targets,
                weights,
                loss,
                dlogits,
                rows,
                ..
            } => {
                let (y, t) = (self.read(logits), self.read_u32(targets));
                let w = self.opt(weights).unwrap_or_else(|| vec![1.0; rows]);
                self.write(loss, &[cross_entropy::slow::cross_entropy(&y, &t, &w)]);
                if let Some(to) = dlogits {
                    let (d, _) = cross_entropy::slow::cross_entropy_grad(&y, &t, &w, 1.0);
                    self.write(to, &d);
                }
            }
            Launch::Correct {
                logits,
                targets,
                weights,
                out,
                rows,
                width,
                ..
            } => {
                let (y, t) = (self.read(logits), self.read_u32(targets));
                let w = self.opt(weights).unwrap_or_else(|| vec![1.0; rows]);
                let right = |r: usize| {
                    let row = &y[r * width..][..width];
                    let best = (0..width).fold(0, |m, i| if row[i] > row[m] { i } else { m });
                    w[r] != 0.0 && best == t[r] as usize
                };
                let count = (0..rows).filter(|r| right(*r)).count();
                self.write(out, &[count as f64]);
            }
            Launch::MeanSquare {
                y,
                targets,
                weights,
                loss,
                dy,
                rows,
                width,
                ..
            } => {
                let values = self.read(y);
                let t = self.opt(targets).unwrap_or_else(|| vec![0.0; values.len()]);
                let w = self.opt(weights).unwrap_or_else(|| vec![1.0; rows]);
                let total = w.iter().sum::<f64>().max(f64::from(f32::MIN_POSITIVE)) * width as f64;
                let d = |i: usize| values[i] - t[i];
                let sum = (0..values.len()).map(|i| w[i / width] * d(i) * d(i));
                self.write(loss, &[sum.sum::<f64>() / total]);
                if let Some(dy) = dy {
                    let grads = (0..values.len()).map(|i| 2.0 * w[i / width] * d(i) / total);
                    self.write(dy, &grads.collect::<Vec<_>>());
                }
            }
            _ => {}
        }
    }

    fn adamw(&mut self, len: usize, decayed: usize) {
        let flat = |space| Place::new(space, len, Elem::F32);
        let [mut w, g, mut m, mut v] =
            [Space::Params, Space::Grads, Space::First, Space::Second].map(|s| self.read(flat(s)));
        let clip = self.read(Place::new(Space::Report, 2, Elem::F32))[1];
        let (lr, t) = self.rate;
        let u = self.update;
        let (one, two) = (1.0 - u.beta1.powi(t as i32), 1.0 - u.beta2.powi(t as i32));
        for i in 0..len {
            let g = g[i] * clip;
            m[i] = u.beta1 * m[i] + (1.0 - u.beta1) * g;
            v[i] = u.beta2 * v[i] + (1.0 - u.beta2) * g * g;
            let decay = if i < decayed { u.weight_decay } else { 0.0 };
            w[i] = (1.0 - lr * decay) * w[i] - lr / one * m[i] / ((v[i] / two).sqrt() + u.eps);
        }
        self.write(flat(Space::Params), &w);
        self.write(flat(Space::First), &m);
        self.write(flat(Space::Second), &v);
        self.refresh_shadow();
    }
}

fn dims(size: Size) -> [usize; 3] {
    [size.batch, size.time, size.width]
}

fn slope(kind: ActivationKind, x: f64) -> (f64, f64) {
    match kind {
        ActivationKind::GeluErf => activation::slow::gelu_erf(x),
        ActivationKind::GeluTanh => activation::slow::gelu_tanh(x),
        ActivationKind::Silu => activation::slow::silu(x),
    }
}

/// Value and slope.
fn map1(f: Map1, x: f64) -> (f64, f64) {
    match f {
        Map1::Copy => (x, 1.0),
        Map1::Affine { mul, add } => (x * mul + add, mul),
        Map1::Unary(f) => match f {
            Unary::Neg => (-x, -1.0),
            Unary::Abs => (
                x.abs(),
                if x > 0.0 {
                    1.0
                } else if x < 0.0 {
                    -1.0
                } else {
                    0.0
                },
            ),
            Unary::Relu => (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }),
            Unary::Sigmoid => activation::slow::sigmoid(x),
            Unary::Tanh => (libm::tanh(x), 1.0 - libm::tanh(x).powi(2)),
            Unary::Exp => (libm::exp(x), libm::exp(x)),
            Unary::Log => (libm::log(x), 1.0 / x),
            Unary::Sin => (libm::sin(x), libm::cos(x)),
            Unary::Cos => (libm::cos(x), -libm::sin(x)),
            Unary::Sqrt => (x.sqrt(), 0.5 / x.sqrt()),
            Unary::Erf => (
                libm::erf(x),
                std::f64::consts::FRAC_2_SQRT_PI * libm::exp(-x * x),
            ),
        },
    }
}

/// Value and slopes.
fn map2(f: Binary, a: f64, b: f64) -> (f64, [f64; 2]) {
    match f {
        Binary::Add => (a + b, [1.0, 1.0]),
        Binary::Sub => (a - b, [1.0, -1.0]),
        Binary::Mul => (a * b, [b, a]),
        Binary::Div => (a / b, [1.0 / b, -a / (b * b)]),
        Binary::Min if a <= b => (a, [1.0, 0.0]),
        Binary::Min => (b, [0.0, 1.0]),
        Binary::Max if a >= b => (a, [1.0, 0.0]),
        Binary::Max => (b, [0.0, 1.0]),
    }
}
