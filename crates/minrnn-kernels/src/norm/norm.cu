// Normalisation of rows (root mean square, or mean and deviation), with the sum of a residual stream before it and
// dropout on its branch. A row lies in registers, spread over one or more warps; rows too wide for that are read again.

#include "cuda/elements.cuh"
#include "cuda/philox.cuh"
#include "cuda/reduce.cuh"
#include "cuda/turns.cuh"

// Threads of a block: GROUPS rows at a time, WARPS warps each.
template <int WARPS> struct Shape {
    static constexpr int THREADS = WARPS > 8 ? 32 * WARPS : 256;
    static constexpr int GROUPS = THREADS / (32 * WARPS);
    static constexpr int SPAN = 32 * WARPS;
};

// Sum over the warps of a row. One barrier: the places alternate, so a warp that is ahead writes to others.
template <int WARPS> struct RowSum {
    float (*places)[2][WARPS];
    int flip;

    __device__ __forceinline__ float operator()(float x) {
        x = warp_sum(x);
        if (WARPS == 1) return x;
        int group = threadIdx.x / (32 * WARPS), warp = threadIdx.x / 32 % WARPS;
        float *place = places[group][flip];
        flip ^= 1;
        if (threadIdx.x % 32 == 0) place[warp] = x;
        group_barrier(1 + group, 32 * WARPS);
        float total = 0;
#pragma unroll
        for (int w = 0; w < WARPS; w++) total += place[w];
        return total;
    }
};

template <class S, class C> struct Forward {
    const S *x;
    const C *branch;
    S *sum;
    const float *weight, *bias;
    C *y;
    float *stats;
    const uint32_t *control;
    uint32_t threshold;
    float keep;
    uint32_t site;
    float eps;
    int layer;
    i64 rows;
    int width;
};

// y = norm(s), s = x + dropout(branch). The sum is rounded to its type before it is normalised: the backward pass reads it so.
template <class S, class C, int VEC, int PACKS, int WARPS> __device__ __forceinline__ void forward(const Forward<S, C> &p) {
    typedef Shape<WARPS> Shape;
    __shared__ float places[Shape::GROUPS][2][WARPS];
    RowSum<WARPS> row_sum = {places, 0};
    const int thread = threadIdx.x % Shape::SPAN;
    const i64 row = i64(blockIdx.x) * Shape::GROUPS + threadIdx.x / Shape::SPAN;
    if (row >= p.rows) return;
    const i64 begin = row * p.width;
    float s[PACKS][VEC];
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        int c = (i * Shape::SPAN + thread) * VEC;
#pragma unroll
        for (int j = 0; j < VEC; j++) s[i][j] = 0;
        if (c < p.width) load(s[i], p.x + begin + c);
    }
    if (p.branch) {
        Dropout dropout(p.control, p.site, p.threshold, p.keep);
        Pack<C, VEC> packs[PACKS];
#pragma unroll
        for (int i = 0; i < PACKS; i++) {
            int c = (i * Shape::SPAN + thread) * VEC;
            if (c < p.width) packs[i].fetch(p.branch + begin + c);
        }
#pragma unroll
        for (int i = 0; i < PACKS; i++) {
            int c = (i * Shape::SPAN + thread) * VEC;
            if (c < p.width) {
                float a[VEC];
                packs[i].spread(a);
                dropout.apply(a, begin + c);
#pragma unroll
                for (int j = 0; j < VEC; j++) s[i][j] = __fadd_rn(s[i][j], a[j]);
                Pack<S, VEC> rounded;
                rounded.gather(s[i]);
                rounded.put(p.sum + begin + c);
                rounded.spread(s[i]);
            }
        }
    }
    float mean = 0;
    if (p.layer) {
        float part = 0;
#pragma unroll
        for (int i = 0; i < PACKS; i++)
#pragma unroll
            for (int j = 0; j < VEC; j++) part += s[i][j];
        mean = row_sum(part) / p.width;
    }
    float part = 0;
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        bool inside = (i * Shape::SPAN + thread) * VEC < p.width;
#pragma unroll
        for (int j = 0; j < VEC; j++) part += inside ? (s[i][j] - mean) * (s[i][j] - mean) : 0.0f;
    }
    float scale = __frcp_rn(__fsqrt_rn(row_sum(part) / p.width + p.eps));
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        int c = (i * Shape::SPAN + thread) * VEC;
        if (c < p.width) {
            float w[VEC], b[VEC];
            load_parameter(w, p.weight + c);
            if (p.bias) load_parameter(b, p.bias + c);
#pragma unroll
            for (int j = 0; j < VEC; j++) {
                s[i][j] = (s[i][j] - mean) * scale * w[j];
                if (p.bias) s[i][j] += b[j];
            }
            store(p.y + begin + c, s[i]);
        }
    }
    if (thread == 0) {
        p.stats[2 * row] = mean;
        p.stats[2 * row + 1] = scale;
    }
}

// A block for a row of any width; each thread reads again what it wrote.
template <class S, class C> __device__ __forceinline__ void forward_wide(const Forward<S, C> &p) {
    __shared__ float shared[32];
    const i64 begin = i64(blockIdx.x) * p.width;
    const S *s = p.branch ? p.sum : p.x;
    if (p.branch) {
        Dropout dropout(p.control, p.site, p.threshold, p.keep);
        for (int c = threadIdx.x; c < p.width; c += blockDim.x) {
            float a[1] = {wide(p.branch[begin + c])};
            dropout.apply(a, begin + c);
            p.sum[begin + c] = narrow<S>(__fadd_rn(wide(p.x[begin + c]), a[0]));
        }
    }
    float mean = 0;
    if (p.layer) {
        float part = 0;
        for (int c = threadIdx.x; c < p.width; c += blockDim.x) part += wide(s[begin + c]);
        mean = block_sum(part, shared) / p.width;
    }
    float part = 0;
    for (int c = threadIdx.x; c < p.width; c += blockDim.x) {
        float centred = wide(s[begin + c]) - mean;
        part += centred * centred;
    }
    float scale = __frcp_rn(__fsqrt_rn(block_sum(part, shared) / p.width + p.eps));
    for (int c = threadIdx.x; c < p.width; c += blockDim.x) {
        float y = (wide(s[begin + c]) - mean) * scale * p.weight[c];
        p.y[begin + c] = narrow<C>(p.bias ? y + p.bias[c] : y);
    }
    if (threadIdx.x == 0) {
        p.stats[2 * i64(blockIdx.x)] = mean;
        p.stats[2 * i64(blockIdx.x) + 1] = scale;
    }
}

template <class S, class C> struct Backward {
    const S *s;
    const float *weight, *stats;
    const C *dy;
    const S *dsum;
    S *ds;
    C *dbranch;
    const uint32_t *control;
    uint32_t threshold;
    float keep;
    uint32_t site;
    float *partials;
    i64 rows;
    int width;
};

// With x' = (s - mean) * scale and g = weight * dy: ds = dsum + scale * (g - mean(g) - x' mean(g x')), without mean(g) for
// the root mean square. Each block leaves its sums of dy x' (and of dy, or with
// SUMS of the gradient of the branch) in `partials` [blocks, 1 or 2, width].
template <class S, class C, bool LAYER, bool SUMS, int VEC, int PACKS, int WARPS>
__device__ __forceinline__ void backward(const Backward<S, C> &p) {
    typedef Shape<WARPS> Shape;
    constexpr bool TWO = LAYER || SUMS;
    constexpr int COLUMNS = Shape::GROUPS > 1 ? PACKS * Shape::SPAN * VEC : 1;
    __shared__ float places[Shape::GROUPS][2][WARPS], places2[Shape::GROUPS][2][WARPS];
    __shared__ float totals[TWO ? 2 : 1][COLUMNS];
    RowSum<WARPS> row_sum = {places, 0}, row_sum2 = {places2, 0};
    const int thread = threadIdx.x % Shape::SPAN, group = threadIdx.x / Shape::SPAN;
    // What does not fit into registers is loaded again for each row.
    constexpr bool HOLD = !(TWO && PACKS * VEC > 12);
    float weight[HOLD ? PACKS : 1][VEC], dweight[PACKS][VEC], second[TWO ? PACKS : 1][VEC];
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        int c = (i * Shape::SPAN + thread) * VEC;
#pragma unroll
        for (int j = 0; j < VEC; j++) {
            if (HOLD) weight[i][j] = 0;
            dweight[i][j] = 0;
            if (TWO) second[i][j] = 0;
        }
        if (HOLD && c < p.width) load_parameter(weight[i], p.weight + c);
    }
    const Dropout dropout(p.control, p.site, p.threshold, p.keep);
    // Where registers are left, a row is on its way while the one before it is computed: nobody else writes to it.
    constexpr bool AHEAD = PACKS <= 3;
    const i64 step = i64(gridDim.x) * Shape::GROUPS;
    Pack<S, VEC> next_s[PACKS], next_dsum[PACKS];
    Pack<C, VEC> next_dy[PACKS];
    auto fetch = [&](i64 row) {
#pragma unroll
        for (int i = 0; i < PACKS; i++) {
            const int c = (i * Shape::SPAN + thread) * VEC;
            const i64 at = row * p.width + c;
            next_s[i].clear();
            next_dy[i].clear();
            next_dsum[i].clear();
            if (c < p.width && row < p.rows) {
                next_s[i].fetch(p.s + at);
                next_dy[i].fetch(p.dy + at);
                if (p.dsum) next_dsum[i].fetch(p.dsum + at);
            }
        }
    };
    i64 row = i64(blockIdx.x) * Shape::GROUPS + group;
    if constexpr (AHEAD) fetch(row);
    for (; row < p.rows; row += step) {
        if constexpr (!AHEAD) fetch(row);
        const i64 begin = row * p.width;
        const float mean = LAYER ? p.stats[2 * row] : 0, scale = p.stats[2 * row + 1];
        Pack<S, VEC> s_packs[PACKS], dsum_packs[PACKS];
        Pack<C, VEC> dy_packs[PACKS];
#pragma unroll
        for (int i = 0; i < PACKS; i++) {
            s_packs[i] = next_s[i];
            dsum_packs[i] = next_dsum[i];
            dy_packs[i] = next_dy[i];
        }
        if constexpr (AHEAD) fetch(row + step);
        float level = 0, along = 0;
#pragma unroll
        for (int i = 0; i < PACKS; i++) {
            float s[VEC], dy[VEC];
            s_packs[i].spread(s);
            dy_packs[i].spread(dy);
            int c = (i * Shape::SPAN + thread) * VEC;
            if (!HOLD) {
#pragma unroll
                for (int j = 0; j < VEC; j++) weight[0][j] = 0;
                if (c < p.width) load_parameter(weight[0], p.weight + c);
            }
#pragma unroll
            for (int j = 0; j < VEC; j++) {
                float centred = (s[j] - mean) * scale, g = weight[HOLD ? i : 0][j] * dy[j];
                if (LAYER) level += g;
                along += g * centred;
                dweight[i][j] += dy[j] * centred;
                if (LAYER) second[i][j] += dy[j];
            }
        }
        if (LAYER) level = row_sum(level) / p.width;
        along = row_sum2(along) / p.width;
#pragma unroll
        for (int i = 0; i < PACKS; i++) {
            int c = (i * Shape::SPAN + thread) * VEC;
            if (c < p.width) {
                float s[VEC], dy[VEC], ds[VEC];
                s_packs[i].spread(s);
                dy_packs[i].spread(dy);
                dsum_packs[i].spread(ds);
                if (!HOLD) load_parameter(weight[0], p.weight + c);
#pragma unroll
                for (int j = 0; j < VEC; j++) {
                    float centred = (s[j] - mean) * scale;
                    ds[j] += scale * (weight[HOLD ? i : 0][j] * dy[j] - level - centred * along);
                }
                Pack<S, VEC> rounded;
                rounded.gather(ds);
                rounded.put(p.ds + begin + c);
                if (p.dbranch) {
                    rounded.spread(ds);
                    dropout.apply(ds, begin + c);
                    Pack<C, VEC> branch;
                    branch.gather(ds);
                    branch.put(p.dbranch + begin + c);
                    if (SUMS) {
                        branch.spread(ds);
#pragma unroll
                        for (int j = 0; j < VEC; j++) second[i][j] += ds[j];
                    }
                }
            }
        }
    }
    float *partial = p.partials + i64(blockIdx.x) * (TWO ? 2 : 1) * p.width;
    // A group of warps without a row in the last round has passed fewer barriers of its own; from here on all of the block pass the same.
    // racecheck, which seems to count barriers a thread and not by their number, then reports `totals` (11 errors in one test), though a
    // __syncthreads of the whole block lies between a turn's stores and the loads of the next.
    for (int turn = 0; turn < Shape::GROUPS; turn++) {
        if (group == turn) {
#pragma unroll
            for (int i = 0; i < PACKS; i++)
#pragma unroll
                for (int j = 0; j < VEC; j++) {
                    int c = (i * Shape::SPAN + thread) * VEC + j;
                    if (c >= p.width) continue;
                    float *to = Shape::GROUPS > 1 ? &totals[0][c] : &partial[c];
                    *to = turn == 0 ? dweight[i][j] : *to + dweight[i][j];
                    if (TWO) {
                        to = Shape::GROUPS > 1 ? &totals[TWO][c] : &partial[p.width + c];
                        *to = turn == 0 ? second[i][j] : *to + second[i][j];
                    }
                }
        }
        if (Shape::GROUPS > 1) __syncthreads();
    }
    if constexpr (Shape::GROUPS > 1) {
        for (int c = threadIdx.x; c < p.width; c += Shape::THREADS) {
            partial[c] = totals[0][c];
            if (TWO) partial[p.width + c] = totals[TWO][c];
        }
    }
}

// Any width: the sums for the parameters stay in `partials`, each place with one thread.
template <class S, class C, bool LAYER> __device__ __forceinline__ void backward_wide(const Backward<S, C> &p) {
    __shared__ float shared[32];
    float *dweight = p.partials + i64(blockIdx.x) * (LAYER ? 2 : 1) * p.width, *dbias = dweight + p.width;
    for (int c = threadIdx.x; c < p.width; c += blockDim.x) {
        dweight[c] = 0;
        if (LAYER) dbias[c] = 0;
    }
    const Dropout dropout(p.control, p.site, p.threshold, p.keep);
    for (i64 row = blockIdx.x; row < p.rows; row += gridDim.x) {
        const i64 begin = row * p.width;
        const float mean = LAYER ? p.stats[2 * row] : 0, scale = p.stats[2 * row + 1];
        float level = 0, along = 0;
        for (int c = threadIdx.x; c < p.width; c += blockDim.x) {
            float centred = (wide(p.s[begin + c]) - mean) * scale, dy = wide(p.dy[begin + c]), g = p.weight[c] * dy;
            if (LAYER) level += g;
            along += g * centred;
            dweight[c] += dy * centred;
            if (LAYER) dbias[c] += dy;
        }
        if (LAYER) level = block_sum(level, shared) / p.width;
        along = block_sum(along, shared) / p.width;
        for (int c = threadIdx.x; c < p.width; c += blockDim.x) {
            float centred = (wide(p.s[begin + c]) - mean) * scale, g = p.weight[c] * wide(p.dy[begin + c]);
            float ds = p.dsum ? wide(p.dsum[begin + c]) : 0;
            S rounded = narrow<S>(ds + scale * (g - level - centred * along));
            p.ds[begin + c] = rounded;
            if (p.dbranch) {
                float a[1] = {wide(rounded)};
                dropout.apply(a, begin + c);
                p.dbranch[begin + c] = narrow<C>(a[0]);
            }
        }
    }
}

#define FORWARD_PARAMETERS(S, C)                                                                                        \
    const S *x, const C *branch, S *sum, const float *weight, const float *bias, C *y, float *stats,                    \
        const uint32_t *control, uint32_t threshold, float keep, uint32_t site, float eps, int layer, i64 rows, int width
#define FORWARD_ARGUMENTS \
    { x, branch, sum, weight, bias, y, stats, control, threshold, keep, site, eps, layer, rows, width }
#define BACKWARD_PARAMETERS(S, C)                                                                                       \
    const S *s, const float *weight, const float *stats, const C *dy, const S *dsum, S *ds, C *dbranch,                 \
        const uint32_t *control, uint32_t threshold, float keep, uint32_t site, float *partials, i64 rows, int width
#define BACKWARD_ARGUMENTS \
    { s, weight, stats, dy, dsum, ds, dbranch, control, threshold, keep, site, partials, rows, width }
#define THREADS_OF(WARPS) (Shape<WARPS>::THREADS)

#define FORWARD(S, C, VEC, PACKS, WARPS)                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS_OF(WARPS))                                       \
        norm_fwd_##S##_##C##_v##VEC##_p##PACKS##_w##WARPS(FORWARD_PARAMETERS(S, C)) {                     \
        take_turns();                                                                                     \
        forward<S, C, VEC, PACKS, WARPS>(FORWARD_ARGUMENTS);                                              \
    }
#define BACKWARD(KIND, LAYER, S, C, VEC, PACKS, WARPS)                                                    \
    extern "C" __global__ void __launch_bounds__(THREADS_OF(WARPS), WARPS > 8 ? 1 : 2)                    \
        norm_bwd_##KIND##_##S##_##C##_v##VEC##_p##PACKS##_w##WARPS(BACKWARD_PARAMETERS(S, C)) {           \
        take_turns();                                                                                     \
        backward<S, C, LAYER, false, VEC, PACKS, WARPS>(BACKWARD_ARGUMENTS);                              \
    }
#define BACKWARD_SUMS(S, C, VEC, PACKS, WARPS)                                                            \
    extern "C" __global__ void __launch_bounds__(THREADS_OF(WARPS), 2)                                    \
        norm_bwd_rms_sums_##S##_##C##_v##VEC##_p##PACKS##_w##WARPS(BACKWARD_PARAMETERS(S, C)) {           \
        take_turns();                                                                                     \
        backward<S, C, false, true, VEC, PACKS, WARPS>(BACKWARD_ARGUMENTS);                               \
    }
#define BOTH(S, C, VEC, PACKS, WARPS)               \
    FORWARD(S, C, VEC, PACKS, WARPS)                \
    BACKWARD(rms, false, S, C, VEC, PACKS, WARPS)   \
    BACKWARD(layer, true, S, C, VEC, PACKS, WARPS)
#define ADD_DROPOUT(S, C, VEC)                                                                                          \
    extern "C" __global__ void __launch_bounds__(256) add_dropout_fwd_##S##_##C##_v##VEC(                               \
        const S *x, const C *a, S *y, const uint32_t *control, uint32_t threshold, float keep, uint32_t site, i64 n) {  \
        take_turns();                                                                                                   \
        add_dropout<S, C, VEC>(x, a, y, control, threshold, keep, site, n);                                             \
    }                                                                                                                   \
    extern "C" __global__ void __launch_bounds__(256) add_dropout_bwd_##S##_##C##_v##VEC(                               \
        const S *dy, C *da, const uint32_t *control, uint32_t threshold, float keep, uint32_t site, i64 n) {            \
        take_turns();                                                                                                   \
        add_dropout<C, S, VEC>((const C *)nullptr, dy, da, control, threshold, keep, site, n);                          \
    }

// y = x + dropout(a), or dropout(a) where x is null. Four packs a thread, all loaded before the first is used.
template <class S, class C, int VEC>
__device__ __forceinline__ void add_dropout(const S *x, const C *a, S *y, const uint32_t *control, uint32_t threshold,
                                            float keep, uint32_t site, i64 n) {
    constexpr int PACKS = 4;
    const Dropout dropout(control, site, threshold, keep);
    const i64 first = (i64(blockIdx.x) * PACKS * 256 + threadIdx.x) * VEC;
    Pack<S, VEC> x_packs[PACKS];
    Pack<C, VEC> a_packs[PACKS];
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        i64 at = first + i64(i) * 256 * VEC;
        x_packs[i].clear();
        if (at + VEC <= n) {
            a_packs[i].fetch(a + at);
            if (x) x_packs[i].fetch(x + at);
        }
    }
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        i64 at = first + i64(i) * 256 * VEC;
        if (at + VEC <= n) {
            float sum[VEC], branch[VEC];
            x_packs[i].spread(sum);
            a_packs[i].spread(branch);
            dropout.apply(branch, at);
#pragma unroll
            for (int j = 0; j < VEC; j++) sum[j] = x ? __fadd_rn(sum[j], branch[j]) : branch[j];
            store(y + at, sum);
        } else if constexpr (VEC > 1) {
            for (i64 one = at; one < n; one++) {
                float branch[1] = {wide(a[one])};
                dropout.apply(branch, one);
                y[one] = narrow<S>(x ? __fadd_rn(wide(x[one]), branch[0]) : branch[0]);
            }
        }
    }
}

// The sizes: a row of up to VEC * PACKS * 32 * WARPS elements.
#define ALL(S, C)                                                                                      \
    BOTH(S, C, 4, 1, 1)                                                                                \
    BOTH(S, C, 4, 2, 1)                                                                                \
    BOTH(S, C, 4, 3, 1)                                                                                \
    BOTH(S, C, 4, 4, 1)                                                                                \
    BOTH(S, C, 4, 3, 2)                                                                                \
    BOTH(S, C, 4, 4, 2)                                                                                \
    BOTH(S, C, 4, 3, 4)                                                                                \
    BOTH(S, C, 4, 4, 4)                                                                                \
    BOTH(S, C, 4, 4, 16)                                                                               \
    BACKWARD_SUMS(S, C, 4, 1, 1)                                                                       \
    BACKWARD_SUMS(S, C, 4, 2, 1)                                                                       \
    BACKWARD_SUMS(S, C, 4, 3, 1)                                                                       \
    BACKWARD_SUMS(S, C, 4, 4, 1)                                                                       \
    BACKWARD_SUMS(S, C, 4, 3, 2)                                                                       \
    BACKWARD_SUMS(S, C, 4, 4, 2)                                                                       \
    BACKWARD_SUMS(S, C, 4, 3, 4)                                                                       \
    BACKWARD_SUMS(S, C, 4, 4, 4)                                                                       \
    FORWARD(S, C, 4, 4, 32)                                                                            \
    BOTH(S, C, 1, 4, 1)                                                                                \
    BOTH(S, C, 1, 4, 4)                                                                                \
    BOTH(S, C, 1, 4, 16)                                                                               \
    extern "C" __global__ void __launch_bounds__(1024) norm_fwd_##S##_##C##_wide(FORWARD_PARAMETERS(S, C)) { \
        take_turns();                                                                                  \
        forward_wide<S, C>(FORWARD_ARGUMENTS);                                                         \
    }                                                                                                  \
    extern "C" __global__ void __launch_bounds__(1024) norm_bwd_rms_##S##_##C##_wide(BACKWARD_PARAMETERS(S, C)) { \
        take_turns();                                                                                  \
        backward_wide<S, C, false>(BACKWARD_ARGUMENTS);                                                \
    }                                                                                                  \
    extern "C" __global__ void __launch_bounds__(1024) norm_bwd_layer_##S##_##C##_wide(BACKWARD_PARAMETERS(S, C)) { \
        take_turns();                                                                                  \
        backward_wide<S, C, true>(BACKWARD_ARGUMENTS);                                                 \
    }                                                                                                  \
    ADD_DROPOUT(S, C, 4)                                                                               \
    ADD_DROPOUT(S, C, 1)

ALL(f32, f32)
ALL(f32, bf16)
ALL(f32, f16)
ALL(bf16, bf16)
ALL(f16, f16)
