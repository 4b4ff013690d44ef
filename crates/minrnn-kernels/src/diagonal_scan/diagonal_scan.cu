// The diagonal scan; `slow.rs` beside this file is the definition.
//
// LANES neighbouring threads share a channel, each with PER of its complex states in registers; channels share nothing, so no thread waits for
// another warp. States are never stored but those before every EVERY-th step; the backward pass computes the others again, twice: to one of
// SUB, then to each, in shared memory that belongs to its thread alone. Sums over states are shuffles, sums over time go step by step, sums
// over sequences in their order: no order depends on chance. What follows from parameters alone is computed in double precision.

#include "cuda/elements.cuh"
#include "cuda/reduce.cuh"

constexpr int EVERY = 64, SUB = 8;

#define EACH(i, n) \
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < (n); i += (i64)gridDim.x * blockDim.x)

struct Complex {
    double re, im;
};

__device__ __forceinline__ Complex times(Complex x, Complex y) { return {x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re}; }

// x times the conjugate of y.
__device__ __forceinline__ Complex times_conjugate(Complex x, Complex y) { return times(x, {y.re, -y.im}); }

__device__ __forceinline__ Complex over(Complex x, Complex y) {
    const double square = y.re * y.re + y.im * y.im;
    const Complex z = times_conjugate(x, y);
    return {z.re / square, z.im / square};
}

// A state's parameters, discretised: exp(s A), and (exp(s A) - 1) / A.
struct Held {
    double step;
    Complex a, decay, input;

    __device__ __forceinline__ Held(float log_step, float log_rate, float frequency) {
        step = exp(double(log_step));
        a = {-exp(double(log_rate)), double(frequency)};
        const double x = step * a.re, y = step * a.im, size = exp(x), half = sin(0.5 * y);
        decay = {size * cos(y), size * sin(y)};
        const Complex less = {expm1(x) * cos(y) - 2 * half * half, decay.im};
        input = over(less, a);
    }
};

// Six parts of W = D N / 2: re and im of the decays, of what x is multiplied by, of what h is read by (2 re C, -2 im C).
extern "C" __global__ void __launch_bounds__(256)
    diagonal_scan_coefficients(const float *log_step, const float *log_rates, const float *frequencies, const float *readout, float *out,
                               int pairs, i64 n) {
    EACH(i, n) {
        const Held held(log_step[i / pairs], log_rates[i], frequencies[i]);
        out[i] = float(held.decay.re);
        out[n + i] = float(held.decay.im);
        out[2 * n + i] = float(held.input.re);
        out[3 * n + i] = float(held.input.im);
        out[4 * n + i] = 2 * readout[i];
        out[5 * n + i] = -2 * readout[n + i];
    }
}

// One channel's input, and the coefficients of this thread's states. A thread behind the last channel (`on` is false) has zeros.
template <class E, int LANES, int PER> struct Scan {
    const E *x;
    int D, pairs, sequence, d, lane;
    bool on;
    float skip, ar[PER], ai[PER], br[PER], bi[PER], cr[PER], ci[PER];

    __device__ __forceinline__ Scan(const E *x, const float *coefficients, const float *skips, int D, int pairs, int blocks)
        : x(x), D(D), pairs(pairs) {
        sequence = blockIdx.x / blocks;
        const int i = blockIdx.x % blocks * (blockDim.x / LANES) + threadIdx.x / LANES;
        on = i < D;
        d = on ? i : 0;
        lane = threadIdx.x % LANES;
        skip = on ? skips[d] : 0.0f;
        const i64 wide = i64(D) * pairs;
#pragma unroll
        for (int j = 0; j < PER; j++) {
            const float *own = coefficients + i64(d) * pairs + state(j);
            const bool mine = this->mine(j);
            ar[j] = mine ? own[0] : 0.0f;
            ai[j] = mine ? own[wide] : 0.0f;
            br[j] = mine ? own[2 * wide] : 0.0f;
            bi[j] = mine ? own[3 * wide] : 0.0f;
            cr[j] = mine ? own[4 * wide] : 0.0f;
            ci[j] = mine ? own[5 * wide] : 0.0f;
        }
    }
    __device__ __forceinline__ int state(int j) const { return lane + j * LANES; }
    __device__ __forceinline__ bool mine(int j) const { return on && state(j) < pairs; }
    // The real part of state j in row `row` of [.., D N]; its imaginary part lies D N / 2 behind it.
    __device__ __forceinline__ i64 at(i64 row, int j) const { return 2 * row * D * pairs + i64(d) * pairs + state(j); }
    __device__ __forceinline__ i64 imaginary() const { return i64(D) * pairs; }
    // SUB steps of a row of values, zeros from `past` on.
    __device__ __forceinline__ void fetch(float (&to)[SUB], const E *from, int first, int past, int T) const {
#pragma unroll
        for (int s = 0; s < SUB; s++) {
            const bool there = on && first + s < past;
            to[s] = there ? wide(from[(i64(sequence) * T + first + s) * D + d]) : 0.0f;
        }
    }
    __device__ __forceinline__ void advance(float (&re)[PER], float (&im)[PER], float x) const {
#pragma unroll
        for (int j = 0; j < PER; j++) {
            const float before = re[j];
            re[j] = before * ar[j] - im[j] * ai[j] + br[j] * x;
            im[j] = before * ai[j] + im[j] * ar[j] + bi[j] * x;
        }
    }
    // The state that stretch `stretch` begins with.
    __device__ __forceinline__ void begin(float (&re)[PER], float (&im)[PER], const float *h0, const float *marks, int stretch,
                                          int kept) const {
        const float *from = stretch ? marks : h0;
        const i64 row = stretch ? i64(sequence) * kept + stretch - 1 : sequence;
#pragma unroll
        for (int j = 0; j < PER; j++) {
            const bool there = from && mine(j);
            re[j] = there ? from[at(row, j)] : 0.0f;
            im[j] = there ? from[at(row, j) + imaginary()] : 0.0f;
        }
    }
    __device__ __forceinline__ void keep(float *to, i64 row, const float (&re)[PER], const float (&im)[PER]) const {
#pragma unroll
        for (int j = 0; j < PER; j++) {
            if (!mine(j)) continue;
            to[at(row, j)] = re[j];
            to[at(row, j) + imaginary()] = im[j];
        }
    }
};

template <class E, int LANES, int PER>
__device__ __forceinline__ void scan_forward(const Scan<E, LANES, PER> &scan, const float *h0, const uint32_t *lens, E *y, float *last,
                                             float *marks, int T) {
    const int kept = (T - 1) / EVERY, len = lens ? int(lens[scan.sequence]) : T;
    float re[PER], im[PER];
    scan.begin(re, im, h0, nullptr, 0, kept);
    for (int first = 0; first < T; first += SUB) {
        if (marks && first > 0 && first % EVERY == 0) scan.keep(marks, i64(scan.sequence) * kept + first / EVERY - 1, re, im);
        float x[SUB], sum[SUB];
        scan.fetch(x, scan.x, first, T, T);
#pragma unroll
        for (int s = 0; s < SUB; s++) {
            sum[s] = 0;
            if (first + s >= T) continue;
            scan.advance(re, im, x[s]);
#pragma unroll
            for (int j = 0; j < PER; j++) sum[s] += re[j] * scan.cr[j] + im[j] * scan.ci[j];
            if (last && first + s + 1 == len) scan.keep(last, scan.sequence, re, im);
        }
#pragma unroll
        for (int s = 0; s < SUB; s++) {
            const float all = warp_sum<LANES>(sum[s]);
            if (scan.on && scan.lane == 0 && first + s < T)
                y[(i64(scan.sequence) * T + first + s) * scan.D + scan.d] = narrow<E>(all + x[s] * scan.skip);
        }
    }
}

// Gradients of the coefficients go to `parts` [B, 6, W], of the skip to `skips` [B, D].
template <class E, int LANES, int PER>
__device__ __forceinline__ void scan_backward(const Scan<E, LANES, PER> &scan, const float *h0, const uint32_t *lens, const float *marks,
                                              const E *dy, const float *dlast, E *dx, float *dh0, float *parts, float *skips, int T) {
    DYNAMIC_SHARED(float, shared);
    const int kept = (T - 1) / EVERY, len = lens ? int(lens[scan.sequence]) : T, width = blockDim.x;
    // This thread's states before every SUB-th step, and before each.
    float *some = shared + threadIdx.x, *each = some + EVERY / SUB * 2 * PER * width;
    float later_re[PER], later_im[PER], dar[PER], dai[PER], dbr[PER], dbi[PER], dcr[PER], dci[PER], dskip = 0;
#pragma unroll
    for (int j = 0; j < PER; j++) later_re[j] = later_im[j] = dar[j] = dai[j] = dbr[j] = dbi[j] = dcr[j] = dci[j] = 0;
    for (int stretch = (T - 1) / EVERY; stretch >= 0; stretch--) {
        const int begin = stretch * EVERY, end = min(T, begin + EVERY);
        float re[PER], im[PER];
        scan.begin(re, im, h0, marks, stretch, kept);
        for (int first = begin; first < end; first += SUB) {
            float x[SUB];
            scan.fetch(x, scan.x, first, end, T);
#pragma unroll
            for (int j = 0; j < PER; j++) {
                some[((first - begin) / SUB * 2 * PER + j) * width] = re[j];
                some[((first - begin) / SUB * 2 * PER + PER + j) * width] = im[j];
            }
            if (first + SUB >= end) continue;
#pragma unroll
            for (int s = 0; s < SUB; s++) scan.advance(re, im, x[s]);
        }
        for (int sub = (end - 1 - begin) / SUB; sub >= 0; sub--) {
            const int first = begin + sub * SUB;
            float x[SUB], d[SUB], sum[SUB];
            scan.fetch(x, scan.x, first, end, T);
            scan.fetch(d, dy, first, end, T);
#pragma unroll
            for (int j = 0; j < PER; j++) {
                re[j] = some[(sub * 2 * PER + j) * width];
                im[j] = some[(sub * 2 * PER + PER + j) * width];
            }
#pragma unroll
            for (int s = 0; s < SUB; s++) {
                if (first + s >= end) continue;
#pragma unroll
                for (int j = 0; j < PER; j++) {
                    each[(s * 2 * PER + j) * width] = re[j];
                    each[(s * 2 * PER + PER + j) * width] = im[j];
                }
                scan.advance(re, im, x[s]);
            }
#pragma unroll
            for (int s = SUB - 1; s >= 0; s--) {
                sum[s] = 0;
                if (first + s >= end) continue;
#pragma unroll
                for (int j = 0; j < PER; j++) {
                    const float before_re = each[(s * 2 * PER + j) * width], before_im = each[(s * 2 * PER + PER + j) * width];
                    float g_re = later_re[j] + d[s] * scan.cr[j], g_im = later_im[j] + d[s] * scan.ci[j];
                    if (dlast && first + s + 1 == len && scan.mine(j)) {
                        g_re += dlast[scan.at(scan.sequence, j)];
                        g_im += dlast[scan.at(scan.sequence, j) + scan.imaginary()];
                    }
                    dcr[j] += d[s] * re[j];
                    dci[j] += d[s] * im[j];
                    dbr[j] += g_re * x[s];
                    dbi[j] += g_im * x[s];
                    dar[j] += g_re * before_re + g_im * before_im;
                    dai[j] += g_im * before_re - g_re * before_im;
                    sum[s] += g_re * scan.br[j] + g_im * scan.bi[j];
                    later_re[j] = g_re * scan.ar[j] + g_im * scan.ai[j];
                    later_im[j] = g_im * scan.ar[j] - g_re * scan.ai[j];
                    re[j] = before_re;
                    im[j] = before_im;
                }
                dskip += d[s] * x[s];
            }
#pragma unroll
            for (int s = 0; s < SUB; s++) {
                const float all = warp_sum<LANES>(sum[s]);
                if (scan.on && scan.lane == 0 && first + s < end)
                    dx[(i64(scan.sequence) * T + first + s) * scan.D + scan.d] = narrow<E>(all + d[s] * scan.skip);
            }
        }
    }
    if (dh0) scan.keep(dh0, scan.sequence, later_re, later_im);
    const i64 wide = scan.imaginary();
#pragma unroll
    for (int j = 0; j < PER; j++) {
        if (!scan.mine(j)) continue;
        float *to = parts + i64(scan.sequence) * 6 * wide + i64(scan.d) * scan.pairs + scan.state(j);
        to[0] = dar[j];
        to[wide] = dai[j];
        to[2 * wide] = dbr[j];
        to[3 * wide] = dbi[j];
        to[4 * wide] = dcr[j];
        to[5 * wide] = dci[j];
    }
    if (scan.on && scan.lane == 0) skips[i64(scan.sequence) * scan.D + scan.d] = dskip;
}

#define INPUTS(C)                                                                                                       \
    const C *x, const float *coefficients, const float *skip, const float *h0, const uint32_t *lens, int T, int D, int pairs, int blocks
#define SCAN(C, LANES, PER) Scan<C, LANES, PER>(x, coefficients, skip, D, pairs, blocks)

#define TILE(C, LANES, PER)                                                                                            \
    extern "C" __global__ void __launch_bounds__(128)                                                                  \
        diagonal_scan_fwd_##C##_##LANES##_##PER(INPUTS(C), C *y, float *last, float *marks) {                          \
        scan_forward<C, LANES, PER>(SCAN(C, LANES, PER), h0, lens, y, last, marks, T);                                 \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128)                                                                  \
        diagonal_scan_bwd_##C##_##LANES##_##PER(INPUTS(C), const float *marks, const C *dy, const float *dlast, C *dx, \
                                                float *dh0, float *parts, float *skips) {                              \
        scan_backward<C, LANES, PER>(SCAN(C, LANES, PER), h0, lens, marks, dy, dlast, dx, dh0, parts, skips, T);       \
    }

// Tiles stand in `cuda/tile.rs` too, which chooses among them.
#define TILES(C)    \
    TILE(C, 4, 1)   \
    TILE(C, 8, 1)   \
    TILE(C, 8, 2)   \
    TILE(C, 8, 4)   \
    TILE(C, 16, 4)  \
    TILE(C, 32, 4)
TILES(f32)
TILES(bf16)
TILES(f16)

// The gradients of the parameters of each state from `parts` [B, 6, W], and what they are to the step size in `steps` [W].
extern "C" __global__ void __launch_bounds__(256)
    diagonal_scan_fold(const float *parts, const float *log_step, const float *log_rates, const float *frequencies, float *dlog_rates,
                       float *dfrequencies, float *dreadout, float *steps, int B, int pairs, i64 n) {
    EACH(i, n) {
        double sum[6] = {0, 0, 0, 0, 0, 0};
        for (int b = 0; b < B; b++)
            for (int p = 0; p < 6; p++) sum[p] += parts[(i64(b) * 6 + p) * n + i];
        const Held held(log_step[i / pairs], log_rates[i], frequencies[i]);
        const Complex of_decay = {sum[0], sum[1]}, of_input = {sum[2], sum[3]};
        // z = s A gives the decay e = exp(z), whose slope is e, and (e - 1) / A.
        const Complex one = times_conjugate(of_decay, held.decay), two = times_conjugate(of_input, over(held.decay, held.a));
        const Complex of_z = {one.re + two.re, one.im + two.im};
        const Complex direct = times_conjugate(of_input, over(held.input, held.a));
        dlog_rates[i] = float((held.step * of_z.re - direct.re) * held.a.re);
        dfrequencies[i] = float(held.step * of_z.im - direct.im);
        dreadout[i] = float(2 * sum[4]);
        dreadout[n + i] = float(-2 * sum[5]);
        steps[i] = float(times_conjugate(of_z, held.a).re * held.step);
    }
}

// Of each channel: the sum of `steps` over its states, and of `skips` [B, D] over sequences.
extern "C" __global__ void __launch_bounds__(256)
    diagonal_scan_fold_channels(const float *steps, const float *skips, float *dlog_step, float *dskip, int B, int pairs, i64 n) {
    EACH(i, n) {
        double step = 0, skip = 0;
        for (int j = 0; j < pairs; j++) step += steps[i * pairs + j];
        for (int b = 0; b < B; b++) skip += skips[b * n + i];
        dlog_step[i] = float(step);
        dskip[i] = float(skip);
    }
}
