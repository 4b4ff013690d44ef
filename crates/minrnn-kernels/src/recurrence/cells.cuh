// The recurrences as cells: what one element of one row is, forward and backward.
//
// x[p] is the element's value of part p. `gates`: h = a prev + b. `keep`: a alone. `slopes`: a, and for each part
// the factor f[p] of its gradient: with d the gradient of h[t], the gradient of part p is d f[p]. `keep` and `slopes`
// read the first READ_BACK parts only.
#pragma once
#include "gates.cuh"

namespace rec {

// How affine maps x -> A x + H are joined where |a| <= 1: products stay finite.
struct Bounded {
  __device__ static __forceinline__ float apply(float A, float H, float x) { return fmaf(A, x, H); }
  // (A, H) followed by (a, h).
  __device__ static __forceinline__ void join(float &A, float &H, float a, float h) {
    H = fmaf(a, H, h);
    A *= a;
  }
};

// The same for any a: a product of many may overflow, and infinity times a state of 0 would be NaN
// where one step after the other gives 0.
struct Unbounded {
  __device__ static __forceinline__ float apply(float A, float H, float x) { return times0(A, x) + H; }
  __device__ static __forceinline__ void join(float &A, float &H, float a, float h) {
    H = times0(a, H) + h;
    A = times0(a, A);
  }
  // 0 if one of them is 0 and neither is NaN.
  __device__ static __forceinline__ float times0(float a, float x) {
    float y = a * x;
    return (a == 0.f && x == x) || (x == 0.f && a == a) ? 0.f : y;
  }
};

struct LinearScan : Unbounded {
  static constexpr int PARTS = 2, READ_BACK = 1;
  static constexpr bool PACKED = false;  // parts are tensors of their own, the first one f32
  __device__ static __forceinline__ void gates(const float (&x)[3], float &a, float &b) {
    a = x[0];
    b = x[1];
  }
  __device__ static __forceinline__ float keep(const float (&x)[3]) { return x[0]; }
  __device__ static __forceinline__ void slopes(const float (&x)[3], float prev, float &a, float (&f)[3]) {
    a = x[0];
    f[0] = prev;
    f[1] = 1.f;
  }
};

// z = sigmoid(k), a = 1 - z, and c = max(v, 0) + s, where s = e / (1 + e), e = e^min(v,0). With one reciprocal
// r = 1 / ((1 + e^-k) (1 + e)): z = r (1 + e) and z s = r e.
template <bool G> struct MinGru : Bounded {
  static constexpr int PARTS = 2, READ_BACK = 2;
  static constexpr bool PACKED = true;

  // If e^-k overflows, r and z are 0 and a is exactly 1, as is right.
  __device__ static __forceinline__ void gates(const float (&x)[3], float &a, float &b) {
    const float ek = exp_any(-x[0]);
    if constexpr (G) {
      const float ev = exp_min0(x[1]), pv = 1.f + ev, r = reciprocal(fmaf(ek, pv, pv)), z = r * pv;
      a = 1.f - z;
      b = fmaf(z, fmaxf(x[1], 0.f), ev * r);
    } else {
      const float z = reciprocal(1.f + ek);
      a = 1.f - z;
      b = z * x[1];
    }
  }
  __device__ static __forceinline__ float keep(const float (&x)[3]) { return 1.f - reciprocal(1.f + exp_any(-x[0])); }
  // In f[0], z a = z (e^-k z), which keeps its relative accuracy where a is small.
  __device__ static __forceinline__ void slopes(const float (&x)[3], float prev, float &a, float (&f)[3]) {
    const float ek = exp_limited(-x[0]), pk = 1.f + ek;
    if constexpr (G) {
      const float ev = exp_min0(x[1]), pv = 1.f + ev, r = reciprocal(pk * pv), z = r * pv, zs = ev * r;
      a = 1.f - z;
      f[0] = fmaf(z, fmaxf(x[1], 0.f) - prev, zs) * (ek * z);
      f[1] = x[1] >= 0.f ? z : zs * (r * pk);
    } else {
      const float z = reciprocal(pk);
      a = 1.f - z;
      f[0] = (x[1] - prev) * z * (ek * z);
      f[1] = z;
    }
  }
};

template <bool G, bool N> struct MinLstm : Bounded {
  static constexpr int PARTS = 3, READ_BACK = 3;
  static constexpr bool PACKED = true;

  // Both gates multiplied by e^m (1 + e^-p)(1 + e^-q), m = min(0,p,q): their sum lies in [1,4].
  __device__ static __forceinline__ Two scaled(float p, float q) {
    const float m = fminf(fminf(p, q), 0.f), e = exp_neg(m);
    return {e + exp_neg(m - q), e + exp_neg(m - p)};
  }
  __device__ static __forceinline__ void gates(const float (&x)[3], float &a, float &b) {
    float ev = 0.f, pv = 1.f, share;  // share: the input gate over pv
    if constexpr (G) {
      ev = exp_min0(x[2]);
      pv = 1.f + ev;
    }
    if constexpr (N) {
      const Two s = scaled(x[0], x[1]);
      share = s.second * reciprocal((s.first + s.second) * pv);
      a = 1.f - share * pv;
    } else {
      const float ep = exp_neg_abs(x[0]), eq = exp_neg_abs(x[1]), pp = 1.f + ep, pq = 1.f + eq;
      const float r = reciprocal(pp * pq * pv);
      a = sigmoids(x[0], ep, r * pq * pv).first;
      share = (x[1] >= 0.f ? 1.f : eq) * (r * pp);
    }
    b = G ? fmaf(share * pv, fmaxf(x[2], 0.f), share * ev) : share * x[2];
  }
  __device__ static __forceinline__ float keep(const float (&x)[3]) {
    if constexpr (N) {
      const Two s = scaled(x[0], x[1]);
      return 1.f - s.second * reciprocal(s.first + s.second);
    } else {
      const float e = exp_neg_abs(x[0]);
      return sigmoids(x[0], e, reciprocal(1.f + e)).first;
    }
  }
  __device__ static __forceinline__ void slopes(const float (&x)[3], float prev, float &a, float (&f)[3]) {
    const float ep = exp_neg_abs(x[0]), eq = exp_neg_abs(x[1]), pp = 1.f + ep, pq = 1.f + eq;
    float ev = 0.f, pv = 1.f, total = 1.f;
    Two s;
    if constexpr (G) {
      ev = exp_min0(x[2]);
      pv = 1.f + ev;
    }
    if constexpr (N) {
      s = scaled(x[0], x[1]);
      total = s.first + s.second;
    }
    // One reciprocal for all of them.
    const float left = pp * pq, right = total * pv, r = reciprocal(left * right);
    const float r_left = r * right, r_right = r * left;
    const Two sp = sigmoids(x[0], ep, r_left * pq), sq = sigmoids(x[1], eq, r_left * pp);
    const float rv = r_right * total;
    const float c = G ? g(x[2], ev, rv) : x[2];
    float input;
    if constexpr (N) {
      const float rt = r_right * pv;
      input = s.second * rt;
      a = 1.f - input;
      const float both = (prev - c) * (s.first * rt * input);
      f[0] = both * sp.second;
      f[1] = -(both * sq.second);
    } else {
      a = sp.first;
      input = sq.first;
      f[0] = prev * (a * sp.second);
      f[1] = c * (input * sq.second);
    }
    f[2] = G ? input * g_slope(x[2], ev, rv) : input;
  }
};

} // namespace rec
