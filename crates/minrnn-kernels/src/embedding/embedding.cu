// Rows of a table by index, and the gradient of the table: the rows of dy with one id are added in their order within
// a chunk of tokens, then the chunks in theirs.

#include "cuda/elements.cuh"
#include "cuda/philox.cuh"

// y[n] = dropout(table[ids[n]]); an id that is not in the table gives NaN.
template <class Y, int VEC>
__device__ __forceinline__ void forward(const uint32_t *__restrict__ ids, const float *__restrict__ table, Y *__restrict__ y, const uint32_t *control,
                                        uint32_t threshold, float keep, uint32_t site, i64 n, int m, int v) {
    const int c = (blockIdx.x * blockDim.x + threadIdx.x) * VEC;
    if (c >= m) return;
    const Dropout dropout(control, site, threshold, keep);
    const i64 stride = i64(gridDim.y) * blockDim.y;
#pragma unroll 4
    for (i64 row = i64(blockIdx.y) * blockDim.y + threadIdx.y; row < n; row += stride) {
        uint32_t id = ids[row];
        float values[VEC];
        if (id < v) {
            load_parameter(values, table + i64(id) * m + c);
        } else {
#pragma unroll
            for (int j = 0; j < VEC; j++) values[j] = __int_as_float(0x7fffffff);
        }
        dropout.apply(values, row * m + c);
        store(y + row * m + c, values);
    }
}

// dy of one token for VEC channels of a lane.
template <class Y, int VEC> struct Token {
    Pack<Y, VEC> pack;
    uint32_t row, place;
};

constexpr uint32_t NOWHERE = 0xffffffffu;

template <class Y, int VEC>
__device__ __forceinline__ void fetch(Token<Y, VEC> &token, const Y *dy, uint32_t row, uint32_t place, int m, int c) {
    token.place = c < m ? place : NOWHERE;
    token.row = row;
    if (token.place != NOWHERE) token.pack.fetch(dy + i64(row) * m + c);
}

// sums [place, VEC channels of each lane] += dy.
template <class Y, int VEC>
__device__ __forceinline__ void add(const Token<Y, VEC> &token, float *sums, int stride, const Dropout &dropout, int m, int c) {
    if (token.place == NOWHERE) return;
    float values[VEC], sum[VEC];
    token.pack.spread(values);
    dropout.apply(values, i64(token.row) * m + c);
    float *to = sums + i64(token.place) * stride + threadIdx.x % 32 * VEC;
    load(sum, to);
#pragma unroll
    for (int j = 0; j < VEC; j++) sum[j] += values[j];
    store(to, sum);
}

constexpr int AHEAD = 8;

// Small vocabularies: a warp has sums of its own for all ids and 32 * VEC channels; the warps of a block share a chunk.
// partials [gridDim.y, v, m]; gridDim.x covers the channels.
template <class Y, int VEC>
__device__ __forceinline__ void backward_small(const uint32_t *ids, const Y *dy, float *partials, const uint32_t *control,
                                               uint32_t threshold, float keep, uint32_t site, i64 n, i64 chunk, int m, int v) {
    DYNAMIC_SHARED(float, shared);
    constexpr int STRIDE = 32 * VEC;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    const int c = blockIdx.x * STRIDE + lane * VEC;
    const Dropout dropout(control, site, threshold, keep);
    for (int i = threadIdx.x; i < warps * v * STRIDE / VEC; i += blockDim.x) {
        float zeros[VEC] = {};
        store(shared + i * VEC, zeros);
    }
    __syncthreads();
    float *sums = shared + i64(warp) * v * STRIDE;
    const i64 part = (chunk + warps - 1) / warps;
    const i64 chunk_end = min(n, (blockIdx.y + 1) * chunk);
    i64 row = min(chunk_end, blockIdx.y * chunk + warp * part);
    const i64 end = min(chunk_end, row + part);
    for (; row < end; row += 32) {
        const uint32_t mine = row + lane < end ? ids[row + lane] : NOWHERE;
        const int count = end - row < 32 ? int(end - row) : 32;
        for (int from = 0; from < count; from += AHEAD) {
            Token<Y, VEC> tokens[AHEAD];
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                uint32_t id = __shfl_sync(0xffffffffu, mine, from + i);
                fetch(tokens[i], dy, uint32_t(row) + from + i, id < v ? id : NOWHERE, m, c);
            }
#pragma unroll
            for (int i = 0; i < AHEAD; i++) add(tokens[i], sums, STRIDE, dropout, m, c);
        }
    }
    __syncthreads();
    float *partial = partials + i64(blockIdx.y) * v * m;
    for (int i = threadIdx.x; i < v * STRIDE; i += blockDim.x) {
        float sum = shared[i];
        for (int w = 1; w < warps; w++) sum += shared[i64(w) * v * STRIDE + i];
        int id = i / STRIDE, channel = blockIdx.x * STRIDE + i % STRIDE;
        if (channel < m) partial[i64(id) * m + channel] = sum;
    }
}

constexpr int LIST = 1024; // places and rows of as many tokens, and 32 counts, lie before the sums in shared memory

// Any vocabulary: a block has a tile of ids (blockIdx.z), the tokens of its chunk that are in it are listed in order, and
// each warp adds them up for its own channels. partials [gridDim.y, v, m]. LIST tokens are looked at between barriers.
template <class Y, int VEC>
__device__ __forceinline__ void backward_tiled(const uint32_t *ids, const Y *dy, float *partials, const uint32_t *control,
                                               uint32_t threshold, float keep, uint32_t site, i64 n, i64 chunk, int m, int v,
                                               int tile) {
    DYNAMIC_SHARED(uint32_t, places);
    uint32_t *rows = places + LIST, *counts = rows + LIST;
    float *sums = reinterpret_cast<float *>(counts + 32);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    const int stride = 32 * VEC * warps, c = blockIdx.x * stride + threadIdx.x * VEC;
    const uint32_t first = blockIdx.z * uint32_t(tile), size = min(uint32_t(tile), uint32_t(v) - first);
    const Dropout dropout(control, site, threshold, keep);
    for (int i = threadIdx.x; i < int(size) * stride; i += blockDim.x) sums[i] = 0;
    const i64 begin = blockIdx.y * chunk, end = min(n, begin + chunk);
    const int part = LIST / warps / 32 * 32;
    for (i64 from = begin; from < end; from += i64(part) * warps) {
        // Each warp counts its tokens, then puts them behind those of the warps before it.
        const i64 mine = from + i64(warp) * part;
        int count = 0;
        for (int i = lane; i < part; i += 32) {
            bool hit = mine + i < end && ids[mine + i] - first < size;
            count += __popc(__ballot_sync(0xffffffffu, hit));
        }
        if (lane == 0) counts[warp] = count;
        __syncthreads();
        int at = 0, total = 0;
        for (int w = 0; w < warps; w++) {
            if (w < warp) at += counts[w];
            total += counts[w];
        }
        for (int i = lane; i < part; i += 32) {
            uint32_t place = mine + i < end ? ids[mine + i] - first : NOWHERE;
            unsigned hits = __ballot_sync(0xffffffffu, place < size);
            if (place < size) {
                int to = at + __popc(hits & ((1u << lane) - 1));
                places[to] = place;
                rows[to] = uint32_t(mine + i);
            }
            at += __popc(hits);
        }
        __syncthreads();
        for (int next = 0; next < total; next += AHEAD) {
            Token<Y, VEC> tokens[AHEAD];
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                bool there = next + i < total;
                fetch(tokens[i], dy, there ? rows[next + i] : 0, there ? places[next + i] : NOWHERE, m, c);
            }
#pragma unroll
            for (int i = 0; i < AHEAD; i++) add(tokens[i], sums + warp * 32 * VEC, stride, dropout, m, c);
        }
        __syncthreads();
    }
    __syncthreads();
    float *partial = partials + (i64(blockIdx.y) * v + first) * m;
    for (int i = threadIdx.x; i < int(size) * stride; i += blockDim.x) {
        int id = i / stride, channel = blockIdx.x * stride + i % stride;
        if (channel < m) partial[i64(id) * m + channel] = sums[i];
    }
}

// Computed whole numbers as indices; what is none becomes one that no table has.
extern "C" __global__ void __launch_bounds__(256) embedding_numbers(const float *at, uint32_t *ids, i64 n) {
    const i64 i = blockIdx.x * i64(blockDim.x) + threadIdx.x;
    if (i >= n) return;
    const float x = at[i];
    ids[i] = x >= 0.0f && x < 2147483648.0f && x == floorf(x) ? uint32_t(x) : 0x7fffffffu;
}

#define MASK const uint32_t *control, uint32_t threshold, float keep, uint32_t site
#define FORWARD(Y, VEC)                                                                                    \
    extern "C" __global__ void __launch_bounds__(256)                                                      \
        embedding_fwd_##Y##_v##VEC(const uint32_t *__restrict__ ids, const float *__restrict__ table,        \
                                   Y *__restrict__ y, MASK, i64 n, int m, int v) {                         \
        forward<Y, VEC>(ids, table, y, control, threshold, keep, site, n, m, v);                           \
    }
#define SMALL(Y, VEC)                                                                                      \
    extern "C" __global__ void __launch_bounds__(256)                                                      \
        embedding_small_##Y##_v##VEC(const uint32_t *ids, const Y *dy, float *partials, MASK, i64 n,       \
                                     i64 chunk, int m, int v) {                                            \
        backward_small<Y, VEC>(ids, dy, partials, control, threshold, keep, site, n, chunk, m, v);         \
    }
#define TILED(Y, VEC)                                                                                      \
    extern "C" __global__ void __launch_bounds__(256)                                                      \
        embedding_tiled_##Y##_v##VEC(const uint32_t *ids, const Y *dy, float *partials, MASK, i64 n,       \
                                     i64 chunk, int m, int v, int tile) {                                  \
        backward_tiled<Y, VEC>(ids, dy, partials, control, threshold, keep, site, n, chunk, m, v, tile);   \
    }
#define ALL(Y)    \
    FORWARD(Y, 4) \
    FORWARD(Y, 1) \
    SMALL(Y, 4)   \
    TILED(Y, 4)   \
    TILED(Y, 1)

ALL(f32)
ALL(bf16)
ALL(f16)
