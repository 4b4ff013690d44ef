// The global norm of all gradients with the checks of what is not finite, and the AdamW update, over one flat buffer.

#include "cuda/elements.cuh"
#include "cuda/reduce.cuh"

// Elements that a block sums up.
constexpr int CHUNK = 8192;

// Sums of squares, f64, of every piece: the part of a parameter in a chunk. Pieces are in order, and that of parameter p in
// chunk c has the place c + p: either number grows from piece to piece. segments [parameters + 1]: begins, then n.
extern "C" __global__ void __launch_bounds__(256)
    adamw_squares(const float *grads, const uint32_t *segments, double *pieces, i64 n, int parameters) {
    __shared__ double shared[32];
    const i64 chunk_begin = i64(blockIdx.x) * CHUNK, chunk_end = min(n, chunk_begin + CHUNK);
    // The last parameter that begins at or before the chunk.
    int low = 0, high = parameters - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (segments[middle] <= chunk_begin) low = middle;
        else high = middle - 1;
    }
    for (int p = low; p < parameters && segments[p] < chunk_end; p++) {
        const i64 begin = max(chunk_begin, i64(segments[p])), end = min(chunk_end, i64(segments[p + 1]));
        if (begin >= end) continue;
        const uintptr_t address = reinterpret_cast<uintptr_t>(grads + begin);
        const i64 head = min(end, begin + i64((16 - address % 16) % 16 / 4)), packs = (end - head) / 4;
        double sum = 0;
#pragma unroll 4
        for (i64 i = threadIdx.x; i < packs; i += blockDim.x) {
            float g[4];
            load(g, grads + head + 4 * i);
#pragma unroll
            for (int j = 0; j < 4; j++) sum += double(g[j]) * g[j];
        }
        for (i64 i = begin + threadIdx.x; i < head; i += blockDim.x) sum += double(grads[i]) * grads[i];
        for (i64 i = head + 4 * packs + threadIdx.x; i < end; i += blockDim.x) sum += double(grads[i]) * grads[i];
        sum = block_sum(sum, shared);
        if (threadIdx.x == 0) pieces[blockIdx.x + i64(p)] = sum;
    }
}

__device__ __forceinline__ bool is_finite(double x) { return fabs(x) <= 1.7976931348623157e308; }

// What the latch says: nothing, the loss, the gradient of a parameter, its square; that a step is left out, which is no trouble of
// those behind it.
constexpr uint32_t LOSS = 1, GRADIENT = 2, SQUARE = 3, LEFT_OUT = 4;

// One block. sums [parameters], f64; float64 arguments come as their bits, a limit of 0 is none. report: norm, clip factor. latch: step (2 words), parameter + 1 (0: none), what; the
// first trouble stays there until the host clears it. scale [1], if there: what the gradients were multiplied by; the norm is that of
// the gradients without it, the factor takes it away.
extern "C" __global__ void __launch_bounds__(1024)
    adamw_norm(const double *pieces, const uint32_t *segments, double *sums, const float *loss, float *report, uint32_t *latch,
               const uint32_t *control, const float *scale, i64 clip_norm_bits, int parameters) {
    __shared__ double shared[32];
    __shared__ int firsts[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    for (int p = warp; p < parameters; p += warps) {
        const i64 begin = segments[p], end = segments[p + 1];
        double sum = 0;
        if (begin < end)
            for (i64 chunk = begin / CHUNK + lane; chunk <= (end - 1) / CHUNK; chunk += 32) sum += pieces[chunk + p];
        sum = warp_sum(sum);
        if (lane == 0) sums[p] = sum;
    }
    __syncthreads();
    double part = 0;
    for (int p = threadIdx.x; p < parameters; p += blockDim.x) part += sums[p];
    const double total = block_sum(part, shared);
    const double each = scale ? 1.0 / double(scale[0]) : 1.0;
    const double norm = sqrt(total) * each, limit = __longlong_as_double(clip_norm_bits);
    const double clip = (limit > 0 && norm > limit ? limit / norm : 1.0) * each;
    // The first parameter in trouble, not finite before too large.
    int first = 0x7fffffff;
    for (int p = threadIdx.x; p < parameters; p += blockDim.x) {
        const double sum = sums[p];
        const int key = !is_finite(sum) ? p : !(sum * clip * clip <= 3.4028234663852886e38) ? parameters + p : 0x7fffffff;
        first = min(first, key);
    }
#pragma unroll
    for (int step = 16; step > 0; step /= 2) first = min(first, __shfl_xor_sync(ALL, first, step));
    if (lane == 0) firsts[warp] = first;
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (int w = 1; w < warps; w++) first = min(first, firsts[w]);
    report[0] = float(norm);
    report[1] = float(clip);
    const bool bad_loss = loss && !is_finite(loss[0]);
    if (latch[3] == LEFT_OUT) latch[3] = 0;
    if (latch[3] == 0 && (bad_loss || first != 0x7fffffff)) {
        latch[0] = control[2];
        latch[1] = control[3];
        latch[2] = bad_loss ? 0 : 1 + first % parameters;
        latch[3] = bad_loss ? LOSS : first < parameters ? GRADIENT : SQUARE;
    }
}

struct Coefficients {
    float beta1, fresh1, beta2, fresh2, clip, keep, rate, root, eps;
};

// Each product and each sum rounded, as on the CPU.
__device__ __forceinline__ void one(float &w, float g, float &m, float &v, const Coefficients &k, bool decays) {
    g = __fmul_rn(g, k.clip);
    m = __fadd_rn(__fmul_rn(k.beta1, m), __fmul_rn(k.fresh1, g));
    v = __fadd_rn(__fmul_rn(k.beta2, v), __fmul_rn(k.fresh2, __fmul_rn(g, g)));
    const float below = __fadd_rn(__fmul_rn(__fsqrt_rn(v), k.root), k.eps);
    const float kept = decays ? __fmul_rn(k.keep, w) : w;
    w = __fsub_rn(kept, __fdiv_rn(__fmul_rn(k.rate, m), below));
}

// control: [4] learning rate, [5] 1/(1-beta1^t), [6] 1/(1-beta2^t), as bits of f32. The first `decayed` elements decay.
template <class C, int VEC>
__device__ __forceinline__ void update(float *w, const float *g, float *m, float *v, C *shadow, const uint32_t *control,
                                       const float *report, const uint32_t *latch, float beta1, float fresh1, float beta2,
                                       float fresh2, float eps, i64 weight_decay_bits, i64 n, i64 decayed) {
    const i64 at = (i64(blockIdx.x) * 256 + threadIdx.x) * VEC;
    if (at >= n || latch[3] != 0) return;
    const float lr = __uint_as_float(control[4]);
    const Coefficients k = {beta1, fresh1, beta2, fresh2, report[1], float(1.0 - double(lr) * __longlong_as_double(weight_decay_bits)),
                            __fmul_rn(lr, __uint_as_float(control[5])), __fsqrt_rn(__uint_as_float(control[6])), eps};
    if (VEC > 1 && at + VEC <= n) {
        float w4[VEC], g4[VEC], m4[VEC], v4[VEC];
        load(w4, w + at);
        load(g4, g + at);
        load(m4, m + at);
        load(v4, v + at);
#pragma unroll
        for (int j = 0; j < VEC; j++) one(w4[j], g4[j], m4[j], v4[j], k, at + j < decayed);
        store(w + at, w4);
        store(m + at, m4);
        store(v + at, v4);
        if (shadow) store(shadow + at, w4);
        return;
    }
    for (i64 i = at; i < n && i < at + VEC; i++) {
        one(w[i], g[i], m[i], v[i], k, i < decayed);
        if (shadow) shadow[i] = narrow<C>(w[i]);
    }
}

#define UPDATE(C, VEC)                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256)                                                                   \
        adamw_update_##C##_v##VEC(float *w, const float *g, float *m, float *v, C *shadow, const uint32_t *control,     \
                                  const float *report, const uint32_t *latch, float beta1, float fresh1, float beta2,   \
                                  float fresh2, float eps, i64 weight_decay_bits, i64 n, i64 decayed) {                    \
        update<C, VEC>(w, g, m, v, shadow, control, report, latch, beta1, fresh1, beta2, fresh2, eps, weight_decay_bits, n,  \
                       decayed);                                                                                        \
    }

UPDATE(f32, 4)
UPDATE(f32, 1)
UPDATE(bf16, 4)
UPDATE(bf16, 1)
UPDATE(f16, 4)
UPDATE(f16, 1)
