// One step of a GRU and of an LSTM, one channel, forward and backward; `slow.rs` beside this file is the definition.
#pragma once

#include "cuda/elements.cuh"

__device__ __forceinline__ float sigmoid_of(float x) { return fast_reciprocal(1.0f + fast_exp(-x)); }

// From `e` = e^-2|x| and `r` = 1 / (1 + e). Near 0, where the quotient would lose digits, the series.
__device__ __forceinline__ float tanh_from(float x, float e, float r) {
    float size = fabsf(x), q = x * x;
    float far = copysignf((1.0f - e) * r, x);
    float p = 2.186949e-2f;
    p = p * q - 5.3968254e-2f;
    p = p * q + 0.13333334f;
    p = p * q - 0.33333334f;
    return size < 0.3f ? x + x * (q * p) : far;
}
__device__ __forceinline__ float tanh_of(float x) {
    float e = fast_exp(-2.0f * fabsf(x));
    return tanh_from(x, e, fast_reciprocal(1.0f + e));
}

struct Gru {
    // Gates, and values that are saved of a step.
    static constexpr int PARTS = 3, SAVED = 4;
    // Whether there is a state c; whether the gradient of the product of the state is that of x.
    static constexpr bool LSTM = false;

    // `m`: the product of the state, with its bias. h, c: the states before, then after.
    static __device__ __forceinline__ void step(const float *x, const float *m, float &h, float &, float *saved) {
        float r = sigmoid_of(x[0] + m[0]), z = sigmoid_of(x[1] + m[1]);
        float n = tanh_of(x[2] + r * m[2]);
        h = (h - n) * z + n;
        saved[0] = r;
        saved[1] = z;
        saved[2] = n;
        saved[3] = m[2];
    }
    // `h`, `c`: the states before. `grad`: of h after; then of h before, but for what comes through the product. `dc`: the same of c.
    static __device__ __forceinline__ void back(const float *saved, float h, float, float &grad, float &, float *dx,
                                                float *dm) {
        float r = saved[0], z = saved[1], n = saved[2];
        float dn = grad * (1.0f - z) * (1.0f - n * n);
        dx[0] = dm[0] = dn * saved[3] * r * (1.0f - r);
        dx[1] = dm[1] = grad * (h - n) * z * (1.0f - z);
        dx[2] = dn;
        dm[2] = dn * r;
        grad *= z;
    }
};

struct Lstm {
    static constexpr int PARTS = 4, SAVED = 5;
    static constexpr bool LSTM = true;

    static __device__ __forceinline__ void step(const float *x, const float *m, float &h, float &c, float *saved) {
        float i = sigmoid_of(x[0] + m[0]), f = sigmoid_of(x[1] + m[1]);
        float g = tanh_of(x[2] + m[2]), o = sigmoid_of(x[3] + m[3]);
        c = f * c + i * g;
        h = o * tanh_of(c);
        saved[0] = i;
        saved[1] = f;
        saved[2] = g;
        saved[3] = o;
        saved[4] = c;
    }
    static __device__ __forceinline__ void back(const float *saved, float, float c, float &grad, float &dc, float *dx,
                                                float *dm) {
        float i = saved[0], f = saved[1], g = saved[2], o = saved[3], t = tanh_of(saved[4]);
        float all = grad * o * (1.0f - t * t) + dc;
        dx[0] = dm[0] = all * g * i * (1.0f - i);
        dx[1] = dm[1] = all * c * f * (1.0f - f);
        dx[2] = dm[2] = all * i * (1.0f - g * g);
        dx[3] = dm[3] = grad * t * o * (1.0f - o);
        dc = all * f;
        grad = 0.0f;
    }
};

// Sizes; P D columns have the products.
struct Sizes {
    i64 batch, time, channels;
};

// What a cell reads; null: absent, which is zeros.
struct Inputs {
    const float *x, *weight, *bias, *h0, *c0;
};

// What it writes; `saved` and `last` may be null. The plain kernel reads h again.
struct Outputs {
    float *h, *saved, *last;
};

// What the backward pass reads besides, and what it writes: `dmoved` null where it is `dx`, `dh0` and `dc0` where they are not wanted.
// The plain kernel keeps what it carries from step to step in places of `before` and `dx` that are written later.
struct Gradients {
    const float *h, *saved, *dh;
    float *dx, *dmoved, *before, *dh0, *dc0;
};

__device__ __forceinline__ float or_zero(const float *from, i64 at) { return from == nullptr ? 0.0f : from[at]; }
