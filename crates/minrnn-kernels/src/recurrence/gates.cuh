// Gates and candidates in f32, from exponentials that never overflow and one reciprocal an element.
#pragma once

namespace rec {

constexpr float LOG2_E = 1.4426950408889634f;

// 2^x, flushed to 0 below the smallest normal number; NaN stays NaN.
__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// The smaller of the two, NaN if one of them is.
__device__ __forceinline__ float min_nan(float x, float y) {
  float z;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y));
  return z;
}

// e^-|x|.
__device__ __forceinline__ float exp_neg_abs(float x) { return exp2_approx(fabsf(x) * -LOG2_E); }
// e^x for x <= 0.
__device__ __forceinline__ float exp_neg(float x) { return exp2_approx(x * LOG2_E); }
// e^min(v, 0), NaN if v is.
__device__ __forceinline__ float exp_min0(float v) { return exp2_approx(min_nan(v, 0.f) * LOG2_E); }
// e^x, and 2^115 beyond that.
__device__ __forceinline__ float exp_limited(float x) { return exp2_approx(min_nan(x * LOG2_E, 115.f)); }

struct Two {
  float first, second;
};

// (sigmoid(x), sigmoid(-x)) from `e` = e^-|x| and `r` = 1 / (1 + e). The larger of the two is one
// minus the smaller: a gate that is closed to the last bit is exactly 1, whatever `r` rounds to,
// and keeps a state over any number of steps.
__device__ __forceinline__ Two sigmoids(float x, float e, float r) {
  float small = e * r, large = 1.f - small;
  return x >= 0.f ? Two{large, small} : Two{small, large};
}

// e^x, infinite where it overflows.
__device__ __forceinline__ float exp_any(float x) { return exp2_approx(x * LOG2_E); }

// `g(v)` = v + 0.5 if v >= 0, else sigmoid(v), from `e` = e^min(v,0) and `r` = 1 / (1 + e):
// where v >= 0, e r is 0.5.
__device__ __forceinline__ float g(float v, float e, float r) { return fmaf(e, r, fmaxf(v, 0.f)); }
// The slope of `g`; from the right at 0.
__device__ __forceinline__ float g_slope(float v, float e, float r) { return v >= 0.f ? 1.f : e * r * r; }

} // namespace rec
