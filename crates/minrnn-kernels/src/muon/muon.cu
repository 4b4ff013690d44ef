// What is not a product in a step of Muon: momentum and norm, the scaling by it, the polynomial of a Gram matrix, the update.

#include "cuda/elements.cuh"
#include "cuda/reduce.cuh"

// Elements of a matrix that a block takes.
constexpr int CHUNK = 8192;

// m = m + (1 - beta) (g - m), x = g + beta (m - g) with g the clipped gradient, every operation rounded as on the CPU; pieces:
// the sum of the squares of x in each block's chunk, f64. Where the latch holds trouble nothing is written.
extern "C" __global__ void __launch_bounds__(256)
    muon_momentum(const float *grads, float *momentum, float *x, double *pieces, const float *report, const uint32_t *latch,
                  float beta, float fresh, i64 n) {
    __shared__ double shared[32];
    if (latch[3] != 0) return;
    const float clip = report[1];
    const i64 begin = i64(blockIdx.x) * CHUNK, end = min(n, begin + CHUNK);
    double sum = 0;
    for (i64 i = begin + threadIdx.x; i < end; i += 256) {
        const float g = __fmul_rn(grads[i], clip);
        const float m = __fadd_rn(momentum[i], __fmul_rn(fresh, __fsub_rn(g, momentum[i])));
        const float u = __fadd_rn(g, __fmul_rn(beta, __fsub_rn(m, g)));
        momentum[i] = m;
        x[i] = u;
        sum += double(u) * double(u);
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) pieces[blockIdx.x] = sum;
}

// x [count, n] divided by the norm of each matrix, which every block sums up from its pieces [count, gridDim.x] in one order.
extern "C" __global__ void __launch_bounds__(256) muon_normalise(float *x, const double *pieces, double eps, i64 n) {
    __shared__ double shared[32];
    pieces += i64(blockIdx.y) * gridDim.x;
    x += i64(blockIdx.y) * n;
    double sum = 0;
    for (int p = threadIdx.x; p < int(gridDim.x); p += 256) sum += pieces[p];
    sum = block_sum(sum, shared);
    const float scale = float(1.0 / fmax(sqrt(sum), eps));
    const i64 begin = i64(blockIdx.x) * CHUNK, end = min(n, begin + CHUNK);
    for (i64 i = begin + threadIdx.x; i < end; i += 256) x[i] = __fmul_rn(x[i], scale);
}

// a I + b gram + c square of matrices [n, n], in the place of gram; total: elements of all of them.
extern "C" __global__ void __launch_bounds__(256)
    muon_combine(float *gram, const float *square, float a, float b, float c, int n, i64 total) {
    const i64 at = i64(blockIdx.x) * 256 + threadIdx.x;
    if (at >= total) return;
    const i64 own = at % (i64(n) * n);
    const float sum = __fadd_rn(__fmul_rn(b, gram[at]), __fmul_rn(c, square[at]));
    gram[at] = own / n == own % n ? __fadd_rn(sum, a) : sum;
}

// w = (1 - lr decay) w - lr scale x; control: [7] learning rate of the matrices, as bits of f32. Float64 comes as bits.
template <class C>
__device__ __forceinline__ void apply(float *w, const float *x, C *shadow, const uint32_t *control, const uint32_t *latch,
                                      float scale, i64 decay_bits, i64 n) {
    const i64 at = i64(blockIdx.x) * 256 + threadIdx.x;
    if (at >= n || latch[3] != 0) return;
    const float lr = __uint_as_float(control[7]);
    const float keep = float(1.0 - double(lr) * __longlong_as_double(decay_bits));
    const float next = __fsub_rn(__fmul_rn(keep, w[at]), __fmul_rn(__fmul_rn(lr, scale), x[at]));
    w[at] = next;
    if (shadow) shadow[at] = narrow<C>(next);
}

#define APPLY(C)                                                                                                      \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        muon_apply_##C(float *w, const float *x, C *shadow, const uint32_t *control, const uint32_t *latch, float scale, \
                       i64 decay_bits, i64 n) {                                                                       \
        apply<C>(w, x, shadow, control, latch, scale, decay_bits, n);                                                 \
    }

APPLY(f32)
APPLY(bf16)
APPLY(f16)
