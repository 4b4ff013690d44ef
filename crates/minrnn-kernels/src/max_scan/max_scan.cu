// The largest so far; `slow.rs` beside this file is the definition.
//
// A thread has one channel and a piece of its steps: first each piece by itself, then what comes to it from the pieces before (backward: behind),
// then its steps. The largest of numbers is the same in any order; sums of gradients are made piece by piece, which depend on sizes alone.

#include "cuda/elements.cuh"

constexpr int THREADS = 256;

// What is no number stays none.
__device__ __forceinline__ float larger(float h, float b) { return b >= h || b != b ? b : h; }

// A thread's channel, and its piece of steps.
struct Piece {
    int channel, lane, piece, pieces, begin, end;
    i64 sequence;
    bool on;

    __device__ __forceinline__ Piece(int T, int D, int lanes) {
        const int across = (D + lanes - 1) / lanes;
        sequence = blockIdx.x / across;
        lane = threadIdx.x % lanes;
        channel = blockIdx.x % across * lanes + lane;
        piece = threadIdx.x / lanes;
        pieces = THREADS / lanes;
        const int steps = (T + pieces - 1) / pieces;
        begin = min(T, piece * steps);
        end = min(T, begin + steps);
        on = channel < D;
    }
    __device__ __forceinline__ i64 at(int t, int T, int D) const { return (sequence * T + t) * D + channel; }
    __device__ __forceinline__ float first(const float *h0, int D) const { return h0 ? h0[sequence * D + channel] : 0.0f; }
};

extern "C" __global__ void __launch_bounds__(THREADS)
    max_scan_fwd(const float *b, const float *h0, float *h, int T, int D, int lanes) {
    __shared__ float largest[THREADS];
    const Piece own(T, D, lanes);
    float most = -INFINITY;
    if (own.on)
        for (int t = own.begin; t < own.end; t++) most = larger(most, b[own.at(t, T, D)]);
    largest[threadIdx.x] = most;
    __syncthreads();
    if (!own.on) return;
    float state = own.first(h0, D);
    for (int i = 0; i < own.piece; i++) state = larger(state, largest[i * lanes + own.lane]);
    for (int t = own.begin; t < own.end; t++) {
        state = larger(state, b[own.at(t, T, D)]);
        h[own.at(t, T, D)] = state;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    max_scan_bwd(const float *b, const float *h0, const float *h, const float *dh, float *db, float *dh0, int T, int D, int lanes) {
    __shared__ float carried[THREADS];
    // Whether a step of a piece takes b: nothing from behind comes through.
    __shared__ int cut[THREADS];
    const Piece own(T, D, lanes);
    const auto taken = [&](int t) {
        const float before = t ? h[own.at(t - 1, T, D)] : own.first(h0, D);
        return b[own.at(t, T, D)] >= before;
    };
    float carry = 0;
    int any = 0;
    if (own.on)
        for (int t = own.end - 1; t >= own.begin; t--) {
            const bool now = taken(t);
            any |= now;
            carry = now ? 0.0f : dh[own.at(t, T, D)] + carry;
        }
    carried[threadIdx.x] = carry;
    cut[threadIdx.x] = any;
    __syncthreads();
    if (!own.on) return;
    float later = 0;
    for (int i = own.pieces - 1; i > own.piece; i--) {
        const int at = i * lanes + own.lane;
        later = cut[at] ? carried[at] : carried[at] + later;
    }
    for (int t = own.end - 1; t >= own.begin; t--) {
        const float d = dh[own.at(t, T, D)] + later;
        const bool now = taken(t);
        db[own.at(t, T, D)] = now ? d : 0.0f;
        later = now ? 0.0f : d;
    }
    if (dh0 && own.piece == 0) dh0[own.sequence * D + own.channel] = later;
}
