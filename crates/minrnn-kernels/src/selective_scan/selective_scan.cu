// The selective scan; `slow.rs` beside this file is the definition.
//
// LANES neighbouring threads share a channel, each with PER of its states in registers; a block has channels of one group of one sequence
// and goes through time step by step. States are never stored but those before every EVERY-th step; the backward pass computes the
// others again, twice: to one of SUB, then to each (EVERY is 16 where a channel has at most 16 states). Sums over states are shuffles, sums over channels go through shared memory and then, in
// the order of the blocks, through scratch: no order depends on chance.

#include "cuda/elements.cuh"
#include "cuda/reduce.cuh"
#include "selective_scan/tiled_backward.cuh"
#include "selective_scan/tiled_forward.cuh"

constexpr int SUB = 8;
// `Size::every`.
template <int LANES> constexpr int every = LANES < 32 ? 16 : 64;

#define EACH(i, n) \
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < (n); i += (i64)gridDim.x * blockDim.x)

// One channel's inputs, and the rates of this thread's states. A thread behind the last channel of its group (`on` is false) has zeros.
template <class E, int LANES, int PER> struct Scan {
    const float *step;
    const E *x, *b, *c;
    i64 stride_step, stride_x, stride_b, stride_c;
    int N, block, group, sequence, d, head, lane;
    bool on;
    float rate[PER];

    __device__ __forceinline__ Scan(const float *step, i64 stride_step, const E *x, i64 stride_x, const E *b, i64 stride_b,
                                    const E *c, i64 stride_c, const float *log_rates, int G, int width, int P, int N,
                                    int shared_rates, int blocks)
        : step(step), x(x), b(b), c(c), stride_step(stride_step), stride_x(stride_x), stride_b(stride_b), stride_c(stride_c), N(N) {
        block = blockIdx.x % blocks;
        group = blockIdx.x / blocks % G;
        sequence = blockIdx.x / blocks / G;
        const int i = block * (blockDim.x / LANES) + threadIdx.x / LANES;
        on = i < width;
        d = group * width + (on ? i : 0);
        head = d / P;
        lane = threadIdx.x % LANES;
#pragma unroll
        for (int j = 0; j < PER; j++) {
            rate[j] = 0;
            if (mine(j)) rate[j] = -expf(log_rates[shared_rates ? i64(head) : i64(d) * N + state(j)]);
        }
    }
    __device__ __forceinline__ int state(int j) const { return lane + j * LANES; }
    __device__ __forceinline__ bool mine(int j) const { return on && state(j) < N; }
    // Of D N states of a sequence.
    __device__ __forceinline__ i64 at(i64 row, i64 D, int j) const { return (row * D + d) * N + state(j); }
    __device__ __forceinline__ float step_size(i64 row) const { return on ? step[row * stride_step + head] : 0.0f; }
    __device__ __forceinline__ float input(i64 row) const { return on ? wide(x[row * stride_x + d]) : 0.0f; }
    __device__ __forceinline__ float read_b(i64 row, int j) const {
        return state(j) < N ? wide(b[row * stride_b + i64(group) * N + state(j)]) : 0.0f;
    }
    __device__ __forceinline__ float read_c(i64 row, int j) const {
        return state(j) < N ? wide(c[row * stride_c + i64(group) * N + state(j)]) : 0.0f;
    }
    __device__ __forceinline__ void advance(float (&h)[PER], i64 row) const {
        const float s = step_size(row), fed = s * input(row);
#pragma unroll
        for (int j = 0; j < PER; j++) h[j] = expf(s * rate[j]) * h[j] + fed * read_b(row, j);
    }
    // The state that step `stretch` EVERY begins with.
    __device__ __forceinline__ void begin(float (&h)[PER], const float *h0, const float *marks, int stretch, int kept, i64 D) const {
        const float *from = stretch ? marks : h0;
        const i64 row = stretch ? i64(sequence) * kept + stretch - 1 : sequence;
#pragma unroll
        for (int j = 0; j < PER; j++) h[j] = from && mine(j) ? from[at(row, D, j)] : 0.0f;
    }
};

template <class E, int LANES, int PER>
__device__ __forceinline__ void scan_forward(const Scan<E, LANES, PER> &scan, const float *skip, const float *h0,
                                             const uint32_t *lens, E *y, float *last, float *marks, int T, i64 D) {
    constexpr int EVERY = every<LANES>;
    const int kept = (T - 1) / EVERY, len = lens ? int(lens[scan.sequence]) : T;
    const float straight = scan.on ? skip[scan.head] : 0.0f;
    float h[PER];
    scan.begin(h, h0, nullptr, 0, kept, D);
    for (int t = 0; t < T; t++) {
        const i64 row = i64(scan.sequence) * T + t;
        if (marks && t > 0 && t % EVERY == 0) {
#pragma unroll
            for (int j = 0; j < PER; j++)
                if (scan.mine(j)) marks[scan.at(i64(scan.sequence) * kept + t / EVERY - 1, D, j)] = h[j];
        }
        scan.advance(h, row);
        float sum = 0;
#pragma unroll
        for (int j = 0; j < PER; j++) sum += h[j] * scan.read_c(row, j);
        sum = warp_sum<LANES>(sum);
        if (scan.on && scan.lane == 0) y[row * D + scan.d] = narrow<E>(sum + scan.input(row) * straight);
        if (last && t + 1 == len) {
#pragma unroll
            for (int j = 0; j < PER; j++)
                if (scan.mine(j)) last[scan.at(scan.sequence, D, j)] = h[j];
        }
    }
}

// Steps `to` - 1 down to `from`, a multiple of EVERY; `carry` [B, D, N] has the gradient that comes from step `to`, unless that is T, and
// gets that of the state before step `from`. Sums over the channels of a block go to `parts_b`, `parts_c` [blocks, B, to - from, G N], sums
// over time to `sum_rates` ([B, D N], or over states too: [B, D]) and `sum_skip` [B, D].
template <class E, int LANES, int PER>
__device__ __forceinline__ void scan_backward(const Scan<E, LANES, PER> &scan, const float *skip, const float *h0, const float *marks,
                                              const E *dy, const float *dlast, const uint32_t *lens, float *dstep, i64 stride_dstep,
                                              E *dx, i64 stride_dx, float *parts_b, float *parts_c, float *carry, float *sum_rates,
                                              float *sum_skip, int B, int T, int from, int to, i64 D, int G, int shared_rates) {
    DYNAMIC_SHARED(float, shared);
    constexpr int EVERY = every<LANES>;
    const int width = blockDim.x * PER, N = scan.N, kept = (T - 1) / EVERY, len = lens ? int(lens[scan.sequence]) : T;
    const bool resumed = to < T;
    // States before every SUB-th step; before each, later what goes to b; what goes to c.
    float *some = shared, *each = some + EVERY / SUB * width, *other = each + SUB * width;
    const float straight = scan.on ? skip[scan.head] : 0.0f;
    float later[PER], drate[PER], dskip = 0;
#pragma unroll
    for (int j = 0; j < PER; j++) {
        drate[j] = 0;
        later[j] = resumed && scan.mine(j) ? carry[scan.at(scan.sequence, D, j)] : 0.0f;
    }
    for (int stretch = (to - 1) / EVERY; stretch * EVERY >= from; stretch--) {
        const int begin = stretch * EVERY, end = min(to, begin + EVERY);
        float h[PER];
        scan.begin(h, h0, marks, stretch, kept, D);
        for (int t = begin; t < end; t++) {
            if ((t - begin) % SUB == 0) {
#pragma unroll
                for (int j = 0; j < PER; j++) some[(t - begin) / SUB * width + j * blockDim.x + threadIdx.x] = h[j];
            }
            scan.advance(h, i64(scan.sequence) * T + t);
        }
        for (int sub = (end - 1 - begin) / SUB; sub >= 0; sub--) {
            const int first = begin + sub * SUB, past = min(end, first + SUB);
#pragma unroll
            for (int j = 0; j < PER; j++) h[j] = some[sub * width + j * blockDim.x + threadIdx.x];
            for (int t = first; t < past; t++) {
#pragma unroll
                for (int j = 0; j < PER; j++) each[(t - first) * width + j * blockDim.x + threadIdx.x] = h[j];
                scan.advance(h, i64(scan.sequence) * T + t);
            }
            for (int t = past - 1; t >= first; t--) {
                const i64 row = i64(scan.sequence) * T + t;
                const float s = scan.step_size(row), x = scan.input(row), fed = s * x;
                const float d = scan.on ? wide(dy[row * D + scan.d]) : 0.0f;
                float along_b = 0, along_rate = 0;
#pragma unroll
                for (int j = 0; j < PER; j++) {
                    const int own = (t - first) * width + j * blockDim.x + threadIdx.x;
                    const float before = each[own], decay = expf(s * scan.rate[j]);
                    float g = later[j] + d * scan.read_c(row, j);
                    if (dlast && t + 1 == len && scan.mine(j)) g += dlast[scan.at(scan.sequence, D, j)];
                    each[own] = g * fed;
                    other[own] = d * h[j];
                    along_b += g * scan.read_b(row, j);
                    const float q = g * decay * before;
                    along_rate += q * scan.rate[j];
                    drate[j] += q * s;
                    later[j] = g * decay;
                    h[j] = before;
                }
                along_b = warp_sum<LANES>(along_b);
                along_rate = warp_sum<LANES>(along_rate);
                if (scan.on && scan.lane == 0) {
                    dx[row * stride_dx + scan.d] = narrow<E>(along_b * s + d * straight);
                    dstep[row * stride_dstep + scan.d] = along_b * x + along_rate;
                    dskip += d * x;
                }
            }
            __syncthreads();
            for (int o = threadIdx.x; o < (past - first) * N; o += blockDim.x) {
                const int t = o / N, k = o % N, channels = blockDim.x / LANES;
                const int at = t * width + k / LANES * blockDim.x + k % LANES;
                float sum_b = 0, sum_c = 0;
                for (int i = 0; i < channels; i++) {
                    sum_b += each[at + i * LANES];
                    sum_c += other[at + i * LANES];
                }
                const i64 row = (i64(scan.block) * B + scan.sequence) * (to - from) + first + t - from;
                parts_b[(row * G + scan.group) * N + k] = sum_b;
                parts_c[(row * G + scan.group) * N + k] = sum_c;
            }
            __syncthreads();
        }
    }
    float all = 0;
#pragma unroll
    for (int j = 0; j < PER; j++) {
        all += drate[j];
        if (!scan.mine(j)) continue;
        const i64 at = scan.at(scan.sequence, D, j);
        carry[at] = later[j];
        if (!shared_rates) sum_rates[at] = resumed ? sum_rates[at] + drate[j] : drate[j];
    }
    all = warp_sum<LANES>(all);
    if (!scan.on || scan.lane != 0) return;
    const i64 at = scan.sequence * D + scan.d;
    if (shared_rates) sum_rates[at] = resumed ? sum_rates[at] + all : all;
    sum_skip[at] = resumed ? sum_skip[at] + dskip : dskip;
}

#define INPUTS(C)                                                                                                       \
    const float *step, i64 stride_step, const C *x, i64 stride_x, const C *b, i64 stride_b, const C *c, i64 stride_c,  \
        const float *log_rates, const float *skip, const float *h0, const uint32_t *lens, int B, int T, int G, int width, \
        int P, int N, int shared_rates, int blocks
#define SCAN(C, LANES, PER)                                                                                            \
    Scan<C, LANES, PER>(step, stride_step, x, stride_x, b, stride_b, c, stride_c, log_rates, G, width, P, N, shared_rates, blocks)

#define TILE(C, LANES, PER)                                                                                            \
    extern "C" __global__ void __launch_bounds__(128)                                                                  \
        selective_scan_fwd_##C##_##LANES##_##PER(INPUTS(C), C *y, float *last, float *marks) {                         \
        scan_forward<C, LANES, PER>(SCAN(C, LANES, PER), skip, h0, lens, y, last, marks, T, i64(G) * width);           \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(PER > 2 ? 1024 / PER : 512)                                   \
        selective_scan_bwd_##C##_##LANES##_##PER(INPUTS(C), const float *marks, const C *dy, const float *dlast,       \
                                                 float *dstep, i64 stride_dstep, C *dx, i64 stride_dx, float *parts_b, \
                                                 float *parts_c, float *carry, float *sum_rates, float *sum_skip,      \
                                                 int from, int to) {                                                   \
        scan_backward<C, LANES, PER>(SCAN(C, LANES, PER), skip, h0, marks, dy, dlast, lens, dstep, stride_dstep, dx,   \
                                     stride_dx, parts_b, parts_c, carry, sum_rates, sum_skip, B, T, from, to,          \
                                     i64(G) * width, G, shared_rates);                                                 \
    }

// Tiles stand in `cuda/tile.rs` too, which chooses among them.
#define TILES(C)    \
    TILE(C, 4, 1)   \
    TILE(C, 16, 1)  \
    TILE(C, 32, 1)  \
    TILE(C, 32, 2)  \
    TILE(C, 32, 4)  \
    TILE(C, 32, 8)
TILES(f32)
TILES(bf16)
TILES(f16)

// Of channels that have 16 states and a step size of their own: `tiled.cuh`.
#define PLACE(C)                                                                                                        \
    {step, x, b, c, stride_step, stride_x, stride_b, stride_c, i64(G) * width, int(blockIdx.x % blocks) * tiled::CHANNELS, width, \
     int(blockIdx.x / blocks / G / segments), int(blockIdx.x / blocks % G), int(blockIdx.x % blocks), T, int(threadIdx.x), \
     int(threadIdx.x) / 4 * 4, int(threadIdx.x) % 4 * 4, int(blockIdx.x / blocks / G % segments), segments, length}
#define TILED_KERNEL(C, LEAST, NAME, ...)                                                                               \
    extern "C" __global__ void __launch_bounds__(tiled::THREADS, LEAST)                                                 \
        selective_scan_##NAME##_##C##_tiled(INPUTS(C), int segments, int length, __VA_ARGS__)
#define TILED(C)                                                                                                        \
    TILED_KERNEL(C, 3, fwd, C *y, float *last, float *marks) {                                                          \
        const tiled::Place<C> place = PLACE(C);                                                                         \
        tiled::forward<C>(place, log_rates, skip, h0, lens, y, last, marks);                                            \
    }                                                                                                                   \
    TILED_KERNEL(C, 3, fwd_ends, float *marks) {                                                                        \
        const tiled::Place<C> place = PLACE(C);                                                                         \
        tiled::forward_ends<C>(place, log_rates, marks);                                                                \
    }                                                                                                                   \
    TILED_KERNEL(C, 3, bwd, const float *marks, const C *dy, const float *dlast, float *dstep, i64 stride_dstep, C *dx, \
                 i64 stride_dx, float *parts_b, float *parts_c, float *carry, float *sum_rates, float *sum_skip,        \
                 const float *ends) {                                                                                   \
        const tiled::Place<C> place = PLACE(C);                                                                         \
        tiled::backward<C>(place, log_rates, skip, h0, marks, dy, dlast, lens, dstep, stride_dstep, dx, stride_dx,      \
                           parts_b, parts_c, carry, sum_rates, sum_skip, ends, B, G);                                   \
    }                                                                                                                   \
    TILED_KERNEL(C, 3, bwd_ends, const C *dy, const float *dlast, float *ends, float *sums) {                           \
        const tiled::Place<C> place = PLACE(C);                                                                         \
        tiled::backward_ends<C>(place, log_rates, dy, dlast, lens, ends, sums);                                         \
    }
TILED(f32)
TILED(bf16)
TILED(f16)
extern "C" __global__ void __launch_bounds__(256)
    selective_scan_fwd_join(const float *log_rates, const float *h0, float *marks, int T, int segments, int length, int wide, i64 n) {
    EACH(i, n) tiled::forward_join(log_rates, h0, marks, T, segments, length, wide, i);
}
extern "C" __global__ void __launch_bounds__(256)
    selective_scan_bwd_join(const float *log_rates, float *ends, const float *sums, int segments, int wide, i64 n) {
    EACH(i, n) tiled::backward_join(log_rates, ends, sums, segments, wide, i);
}

// Rows `from` to `from` + `len` of each sequence of out [B, T, width]: the sum of parts [blocks, B, len, width] in the order of the blocks.
#define FOLD(C)                                                                                                         \
    extern "C" __global__ void __launch_bounds__(256)                                                                   \
        selective_scan_fold_##C(const float *parts, C *out, i64 stride, int blocks, int T, int from, int len, int width, i64 n) { \
        EACH(i, n) {                                                                                                    \
            float sum = 0;                                                                                              \
            for (int block = 0; block < blocks; block++) sum += parts[block * n + i];                                   \
            const i64 row = i / width, sequence = row / len;                                                            \
            out[(sequence * T + from + row % len) * stride + i % width] = narrow<C>(sum);                               \
        }                                                                                                               \
    }
FOLD(f32)
FOLD(bf16)
FOLD(f16)

// out [rows, H], rows of a stride: the sum of the P channels of a head.
extern "C" __global__ void __launch_bounds__(256)
    selective_scan_fold_heads(const float *parts, float *out, i64 stride, int H, int P, i64 n) {
    EACH(i, n) {
        float sum = 0;
        for (int p = 0; p < P; p++) sum += parts[i * P + p];
        out[i / H * stride + i % H] = sum;
    }
}

// out [n]: the sum over sequences of the P parts of each, times -exp(log) where there is one.
extern "C" __global__ void __launch_bounds__(256)
    selective_scan_fold_sequences(const float *parts, const float *log, float *out, int B, int P, i64 n) {
    EACH(i, n) {
        float sum = 0;
        for (int b = 0; b < B; b++)
            for (int p = 0; p < P; p++) sum += parts[(b * n + i) * P + p];
        out[i] = log ? -expf(log[i]) * sum : sum;
    }
}
