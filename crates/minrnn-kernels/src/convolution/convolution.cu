// Convolutions over time by sums: a block has 32 channels and 64 results, a thread 8 of them. Rows of both factors go through shared memory, 64 of
// the first and the 127 of the second that they meet; of these a thread holds 15 at a time. The order of a sum depends on sizes alone.

#include "cuda/elements.cuh"

constexpr int LANES = 32, WARPS = 8, EACH = 8, TILE = WARPS * EACH;

struct Tiles {
    float a[TILE][LANES];
    float b[2 * TILE - 1][LANES];
};

// Adds sum_i a(i) b(o - i) for the thread's results o, `first` being that of the block's first one. Rows of a are from a_begin to a_end, those of b
// from b_begin to b_end.
template <class A, class B>
__device__ __forceinline__ void add_products(float (&sums)[EACH], Tiles &tiles, int first, int a_begin, int a_end, int b_begin, int b_end,
                                             const A &a, const B &b) {
    const int lane = threadIdx.x, warp = threadIdx.y;
    const int begin = max(a_begin, first - b_end + 1), end = min(a_end, first + TILE - b_begin);
    for (int at = begin; at < end; at += TILE) {
        // The row of b that the block's first result and the last row of this tile meet by.
        const int lowest = first - at - (TILE - 1);
        __syncthreads();
        for (int i = warp; i < TILE; i += WARPS) tiles.a[i][lane] = at + i < end ? a(at + i) : 0.0f;
        for (int i = warp; i < 2 * TILE - 1; i += WARPS) {
            const int j = lowest + i;
            tiles.b[i][lane] = j >= b_begin && j < b_end ? b(j) : 0.0f;
        }
        __syncthreads();
        // Result r and row k of eight rows of a meet by held[r - k + 7].
        float held[2 * EACH - 1];
#pragma unroll
        for (int i = 0; i < EACH - 1; i++) held[i] = tiles.b[TILE + warp * EACH + i][lane];
#pragma unroll
        for (int eight = 0; eight < TILE / EACH; eight++) {
            const int from = TILE - EACH + (warp - eight) * EACH;
            float rows[EACH];
#pragma unroll
            for (int i = EACH - 2; i >= 0; i--) held[i + EACH] = held[i];
#pragma unroll
            for (int i = 0; i < EACH; i++) {
                held[i] = tiles.b[from + i][lane];
                rows[i] = tiles.a[eight * EACH + i][lane];
            }
#pragma unroll
            for (int k = 0; k < EACH; k++)
#pragma unroll
                for (int r = 0; r < EACH; r++) sums[r] = fmaf(rows[k], held[r - k + EACH - 1], sums[r]);
        }
    }
}

// x [b,t,d], window [b,taps-1,d] or none, taps [taps,d].
struct Size {
    int b, t, d, taps;

    __device__ __forceinline__ int tiles() const { return (t + TILE - 1) / TILE; }
};

// The rows before the begin, if there are any, and x behind them: one channel of one sequence.
template <class C> struct Line {
    const C *x;
    const float *window;
    int past, d;

    __device__ __forceinline__ Line(const C *values, const float *before, Size size, i64 sequence, int channel)
        : x(values + sequence * size.t * size.d + channel), window(before), past(before ? size.taps - 1 : 0), d(size.d) {
        if (window) window += sequence * past * d + channel;
    }
    __device__ __forceinline__ float operator()(int i) const { return i < past ? window[i64(i) * d] : wide(x[i64(i - past) * d]); }
};

// A block's channel and sequence, and which of the sequence's results.
struct Own {
    int channel, first;
    i64 sequence;
    bool on;

    __device__ __forceinline__ explicit Own(Size size) {
        sequence = blockIdx.x / size.tiles();
        first = blockIdx.x % size.tiles() * TILE;
        channel = blockIdx.y * LANES + threadIdx.x;
        on = channel < size.d;
    }
};

template <class C>
__device__ __forceinline__ void forward(const C *x, const float *window, const float *taps, C *y, Size size) {
    __shared__ Tiles tiles;
    const Own own(size);
    const Line<C> line(x, window, size, own.sequence, own.channel);
    float sums[EACH] = {};
    add_products(
        sums, tiles, line.past + own.first, 0, line.past + size.t, 0, size.taps, [&](int i) { return own.on ? line(i) : 0.0f; },
        [&](int j) { return own.on ? taps[i64(j) * size.d + own.channel] : 0.0f; });
    if (!own.on) return;
#pragma unroll
    for (int r = 0; r < EACH; r++) {
        const int t = own.first + threadIdx.y * EACH + r;
        if (t < size.t) y[(own.sequence * size.t + t) * size.d + own.channel] = narrow<C>(sums[r]);
    }
}

// dx: the same from the end on.
template <class C> __device__ __forceinline__ void backward(const float *taps, const C *dy, C *dx, Size size) {
    __shared__ Tiles tiles;
    const Own own(size);
    const auto at = [&](int i) { return (own.sequence * size.t + size.t - 1 - i) * size.d + own.channel; };
    float sums[EACH] = {};
    add_products(
        sums, tiles, own.first, 0, size.t, 0, size.taps, [&](int i) { return own.on ? wide(dy[at(i)]) : 0.0f; },
        [&](int j) { return own.on ? taps[i64(j) * size.d + own.channel] : 0.0f; });
    if (!own.on) return;
#pragma unroll
    for (int r = 0; r < EACH; r++) {
        const int i = own.first + threadIdx.y * EACH + r;
        if (i < size.t) dx[at(i)] = narrow<C>(sums[r]);
    }
}

// Gradients of the taps, of `each` sequences by a block: partials [groups,taps,d]. Tap j is result t - 1 - j of dy from the end on, and x.
template <class C>
__device__ __forceinline__ void taps_backward(const C *x, const float *window, const C *dy, float *partials, int each, Size size) {
    __shared__ Tiles tiles;
    const int across = (size.taps + TILE - 1) / TILE;
    const i64 group = blockIdx.x / across;
    const int first = size.t - size.taps + int(blockIdx.x % across) * TILE;
    const int channel = blockIdx.y * LANES + threadIdx.x;
    const bool on = channel < size.d;
    float sums[EACH] = {};
    const i64 end = min((group + 1) * each, i64(size.b));
    for (i64 sequence = group * each; sequence < end; sequence++) {
        const Line<C> line(x, window, size, sequence, channel);
        const C *last = dy + (sequence * size.t + size.t - 1) * size.d + channel;
        add_products(
            sums, tiles, first, 0, size.t, -line.past, size.t, [&](int i) { return on ? wide(last[-i64(i) * size.d]) : 0.0f; },
            [&](int j) { return on ? line(j + line.past) : 0.0f; });
    }
    if (!on) return;
#pragma unroll
    for (int r = 0; r < EACH; r++) {
        const int tap = size.t - 1 - (first + int(threadIdx.y) * EACH + r);
        if (tap >= 0) partials[(group * size.taps + tap) * size.d + channel] = sums[r];
    }
}

#define KERNELS(C)                                                                                                              \
    extern "C" __global__ void __launch_bounds__(LANES *WARPS)                                                                  \
        convolution_fwd_##C(const C *x, const float *window, const float *taps, C *y, int b, int t, int d, int k) {             \
        forward<C>(x, window, taps, y, {b, t, d, k});                                                                           \
    }                                                                                                                           \
    extern "C" __global__ void __launch_bounds__(LANES *WARPS)                                                                  \
        convolution_bwd_##C(const float *taps, const C *dy, C *dx, int b, int t, int d, int k) {                                \
        backward<C>(taps, dy, dx, {b, t, d, k});                                                                                \
    }                                                                                                                           \
    extern "C" __global__ void __launch_bounds__(LANES *WARPS) convolution_taps_##C(const C *x, const float *window, const C *dy, \
                                                                                    float *partials, int b, int t, int d, int k, \
                                                                                    int each) {                                 \
        taps_backward<C>(x, window, dy, partials, each, {b, t, d, k});                                                          \
    }

KERNELS(f32)
KERNELS(bf16)
KERNELS(f16)
