// Activations and their gradients.

#include "cuda/elements.cuh"
#include "cuda/turns.cuh"

struct ValueSlope {
    float value, slope;
};

// sigmoid(x) and sigmoid(-x), both relatively accurate.
__device__ __forceinline__ void sigmoids(float x, float &s, float &r) {
    float e = fast_exp(-fabsf(x));
    float large = fast_reciprocal(1.0f + e), small = e * large;
    s = x >= 0 ? large : small;
    r = x >= 0 ? small : large;
    if (x != x) s = r = x;
}

struct GeluErf {
    // P(X > y) = e^(-y^2/2) t Q(t), t = 1 / (1 + 0.23164 y), y >= 0: Q is a fit, relative error 1e-7.
    __device__ static ValueSlope at(float x) {
        float y = fabsf(x), t = fast_reciprocal(fmaf(0.231641888f, y, 1.0f));
        float bell = fast_exp2(-(y * y) * 0.72134752f);
        float q = -0.0709341466f;
        q = fmaf(q, t, 0.249883279f);
        q = fmaf(q, t, -0.205598116f);
        q = fmaf(q, t, 0.229053587f);
        q = fmaf(q, t, 0.0114239668f);
        q = fmaf(q, t, 0.103340328f);
        q = fmaf(q, t, 0.0903003365f);
        q = fmaf(q, t, 0.0925308168f);
        float tail = bell * (t * q), below = x >= 0 ? 1.0f - tail : tail;
        return {x * below, fmaf(x, bell * 0.398942280f, below)};
    }
};

struct GeluTanh {
    // Beyond 16 the sigmoid is 0 or 1 and its slope 0, whatever x is: there x is limited, so that its powers are finite.
    __device__ static ValueSlope at(float x) {
        float y = x > 16.0f ? 16.0f : x < -16.0f ? -16.0f : x, s, r;
        sigmoids(1.59576912f * fmaf(0.044715f * y, y * y, y), s, r);
        float slope = 1.59576912f * fmaf(0.134145f * y, y, 1.0f);
        return {x * s, fmaf(y, (s * r) * slope, s)};
    }
};

struct Silu {
    __device__ static ValueSlope at(float x) {
        float s, r;
        sigmoids(x, s, r);
        return {x * s, fmaf(x, s * r, s)};
    }
};

constexpr int THREADS = 256, PACKS = 4;

template <class F, class C, int VEC> __device__ __forceinline__ void forward(const C *u, C *g, i64 n) {
    const i64 first = (i64(blockIdx.x) * PACKS * THREADS + threadIdx.x) * VEC;
    Pack<C, VEC> packs[PACKS];
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        i64 at = first + i64(i) * THREADS * VEC;
        if (at + VEC <= n) packs[i].fetch(u + at);
    }
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        i64 at = first + i64(i) * THREADS * VEC;
        if (at + VEC <= n) {
            float x[VEC];
            packs[i].spread(x);
#pragma unroll
            for (int j = 0; j < VEC; j++) x[j] = F::at(x[j]).value;
            store(g + at, x);
        } else if constexpr (VEC > 1) {
            for (i64 one = at; one < n; one++) g[one] = narrow<C>(F::at(wide(u[one])).value);
        }
    }
}

template <class F, class C, int VEC> __device__ __forceinline__ void backward(const C *u, const C *dg, C *du, i64 n) {
    const i64 first = (i64(blockIdx.x) * PACKS * THREADS + threadIdx.x) * VEC;
    Pack<C, VEC> u_packs[PACKS], dg_packs[PACKS];
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        i64 at = first + i64(i) * THREADS * VEC;
        if (at + VEC <= n) {
            u_packs[i].fetch(u + at);
            dg_packs[i].fetch(dg + at);
        }
    }
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        i64 at = first + i64(i) * THREADS * VEC;
        if (at + VEC <= n) {
            float x[VEC], d[VEC];
            u_packs[i].spread(x);
            dg_packs[i].spread(d);
#pragma unroll
            for (int j = 0; j < VEC; j++) d[j] *= F::at(x[j]).slope;
            store(du + at, d);
        } else if constexpr (VEC > 1) {
            for (i64 one = at; one < n; one++) du[one] = narrow<C>(F::at(wide(u[one])).slope * wide(dg[one]));
        }
    }
}

// The same for a matrix [rows, width], with partial sums of the columns of du [gridDim.y, width]: each block sums rows of a
// stride, first per thread, then over blockDim.y. Sums are of du as it is rounded.
template <class F, class C, int VEC>
__device__ __forceinline__ void backward_sum(const C *u, const C *dg, C *du, float *partials, i64 rows, int width) {
    DYNAMIC_SHARED(float, shared);
    constexpr int AHEAD = VEC > 4 ? 2 : 4;
    const int c = (blockIdx.x * blockDim.x + threadIdx.x) * VEC;
    const i64 stride = i64(gridDim.y) * blockDim.y;
    float sum[VEC];
#pragma unroll
    for (int j = 0; j < VEC; j++) sum[j] = 0;
    if (c < width) {
        for (i64 first = i64(blockIdx.y) * blockDim.y + threadIdx.y; first < rows; first += AHEAD * stride) {
            Pack<C, VEC> u_packs[AHEAD], dg_packs[AHEAD];
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                i64 row = first + i * stride;
                if (row < rows) {
                    u_packs[i].fetch(u + row * width + c);
                    dg_packs[i].fetch(dg + row * width + c);
                }
            }
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                i64 row = first + i * stride;
                if (row < rows) {
                    float x[VEC], d[VEC];
                    u_packs[i].spread(x);
                    dg_packs[i].spread(d);
#pragma unroll
                    for (int j = 0; j < VEC; j++) d[j] *= F::at(x[j]).slope;
                    Pack<C, VEC> rounded;
                    rounded.gather(d);
                    rounded.put(du + row * width + c);
                    rounded.spread(d);
#pragma unroll
                    for (int j = 0; j < VEC; j++) sum[j] += d[j];
                }
            }
        }
    }
    float *mine = shared + (threadIdx.y * blockDim.x + threadIdx.x) * VEC;
#pragma unroll
    for (int j = 0; j < VEC; j++) mine[j] = sum[j];
    __syncthreads();
    if (threadIdx.y != 0 || c >= width) return;
    for (int y = 1; y < blockDim.y; y++)
#pragma unroll
        for (int j = 0; j < VEC; j++) sum[j] += mine[y * blockDim.x * VEC + j];
#pragma unroll
    for (int j = 0; j < VEC; j++) partials[i64(blockIdx.y) * width + c + j] = sum[j];
}

// y = a f(u): a gate.
template <class F, class C, int VEC> __device__ __forceinline__ void gate_forward(const C *a, const C *u, C *y, i64 n) {
    const i64 first = (i64(blockIdx.x) * PACKS * THREADS + threadIdx.x) * VEC;
    Pack<C, VEC> u_packs[PACKS], a_packs[PACKS];
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        i64 at = first + i64(i) * THREADS * VEC;
        if (at + VEC <= n) {
            u_packs[i].fetch(u + at);
            a_packs[i].fetch(a + at);
        }
    }
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        i64 at = first + i64(i) * THREADS * VEC;
        if (at + VEC <= n) {
            float x[VEC], left[VEC];
            u_packs[i].spread(x);
            a_packs[i].spread(left);
#pragma unroll
            for (int j = 0; j < VEC; j++) x[j] = left[j] * F::at(x[j]).value;
            store(y + at, x);
        } else if constexpr (VEC > 1) {
            for (i64 one = at; one < n; one++) y[one] = narrow<C>(wide(a[one]) * F::at(wide(u[one])).value);
        }
    }
}

// Its gradients; da may lie where dy or a does, du where u does.
template <class F, class C, int VEC>
__device__ __forceinline__ void gate_backward(const C *a, const C *u, const C *dy, C *da, C *du, i64 n) {
    const i64 first = (i64(blockIdx.x) * PACKS * THREADS + threadIdx.x) * VEC;
    Pack<C, VEC> u_packs[PACKS], a_packs[PACKS], d_packs[PACKS];
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        i64 at = first + i64(i) * THREADS * VEC;
        if (at + VEC <= n) {
            u_packs[i].fetch(u + at);
            a_packs[i].fetch(a + at);
            d_packs[i].fetch(dy + at);
        }
    }
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        i64 at = first + i64(i) * THREADS * VEC;
        if (at + VEC <= n) {
            float x[VEC], left[VEC], d[VEC];
            u_packs[i].spread(x);
            a_packs[i].spread(left);
            d_packs[i].spread(d);
#pragma unroll
            for (int j = 0; j < VEC; j++) {
                const ValueSlope f = F::at(x[j]);
                x[j] = d[j] * left[j] * f.slope;
                d[j] *= f.value;
            }
            store(da + at, d);
            store(du + at, x);
        } else if constexpr (VEC > 1) {
            for (i64 one = at; one < n; one++) {
                const ValueSlope f = F::at(wide(u[one]));
                const float d = wide(dy[one]), left = wide(a[one]);
                da[one] = narrow<C>(d * f.value);
                du[one] = narrow<C>(d * left * f.slope);
            }
        }
    }
}

#define KERNELS(F, NAME, C, VEC)                                                                     \
    extern "C" __global__ void __launch_bounds__(THREADS)                                            \
        NAME##_fwd_##C##_v##VEC(const C *u, C *g, i64 n) {                                           \
        take_turns();                                                                                \
        forward<F, C, VEC>(u, g, n);                                                                 \
    }                                                                                                \
    extern "C" __global__ void __launch_bounds__(THREADS)                                            \
        NAME##_bwd_##C##_v##VEC(const C *u, const C *dg, C *du, i64 n) {                             \
        take_turns();                                                                                \
        backward<F, C, VEC>(u, dg, du, n);                                                           \
    }                                                                                                \
    extern "C" __global__ void __launch_bounds__(THREADS)                                            \
        NAME##_gate_fwd_##C##_v##VEC(const C *a, const C *u, C *y, i64 n) {                          \
        take_turns();                                                                                \
        gate_forward<F, C, VEC>(a, u, y, n);                                                         \
    }                                                                                                \
    extern "C" __global__ void __launch_bounds__(THREADS)                                            \
        NAME##_gate_bwd_##C##_v##VEC(const C *a, const C *u, const C *dy, C *da, C *du, i64 n) {     \
        take_turns();                                                                                \
        gate_backward<F, C, VEC>(a, u, dy, da, du, n);                                               \
    }                                                                                                \
    extern "C" __global__ void __launch_bounds__(THREADS)                                            \
        NAME##_bwd_sum_##C##_v##VEC(const C *u, const C *dg, C *du, float *partials, i64 rows, int width) { \
        take_turns();                                                                                \
        backward_sum<F, C, VEC>(u, dg, du, partials, rows, width);                                   \
    }
#define TYPES(F, NAME)        \
    KERNELS(F, NAME, f32, 4)  \
    KERNELS(F, NAME, f32, 1)  \
    KERNELS(F, NAME, bf16, 8) \
    KERNELS(F, NAME, bf16, 1) \
    KERNELS(F, NAME, f16, 8)  \
    KERNELS(F, NAME, f16, 1)

TYPES(GeluErf, gelu_erf)
TYPES(GeluTanh, gelu_tanh)
TYPES(Silu, silu)
