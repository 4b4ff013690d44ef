//! The operator LinearAttention (opset 27) as the recurrence: one node.
//!
//! Its gated rule `S[t] = exp(g[t]) * S[t-1] + k[t] v[t]`, `o[t] = scale * q[t] S[t]` with as many heads as channels, keys and
//! values of width 1, `q = k = 1`, `v = b`, `g = ln(a)` and a scale of 1 is `h[t] = a[t] * h[t-1] + b[t]`. A closed gate,
//! a = 0, has `g = -inf`, and `exp(-inf)` is 0 again.

use super::Lower;
use crate::builder::Val;
use crate::ir::Attr;

impl Lower<'_> {
    /// `a`, `b [B, T, D]`; gives `h [B, T, D]` and the last state `[B, D]`.
    pub(super) fn linear_attention(&mut self, a: Val, b: Val, h0: Val, width: i64) -> (Val, Val) {
        let g = &mut self.b;
        let shape = g.shape(b);
        let one = g.f32_filled(&[1, 1, 1], 1.0);
        let ones = g.expand(one, shape);
        let decay = g.log(a);
        let past = g.unsqueeze(h0, 2);
        let past = g.unsqueeze(past, 3);
        let attributes = vec![
            ("kv_num_heads", Attr::Int(width)),
            ("q_num_heads", Attr::Int(width)),
            ("scale", Attr::Float(1.0)),
            ("update_rule", Attr::Str(b"gated".to_vec())),
        ];
        let results = g.node_n(
            "LinearAttention",
            &[ones, ones, b, past, decay],
            2,
            attributes,
        );
        let last = g.squeeze(results[1], 3);
        (results[0], g.squeeze(last, 2))
    }
}
