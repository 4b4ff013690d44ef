// The forward pass of `tiled.cuh`, and of its segments.
#pragma once

#include "selective_scan/tiled.cuh"

namespace tiled {

template <class E> struct Forward {
    Fed<E> fed[2];
    Shared<E> c[2];
};

template <class E>
__device__ __forceinline__ void forward(const Place<E> &at, const float *log_rates, const float *skip, const float *h0,
                                        const uint32_t *lens, E *y, float *last, float *marks) {
    DYNAMIC_SHARED(char, memory);
    Forward<E> &shared = *reinterpret_cast<Forward<E> *>(memory);
    const int T = at.T, kept = (T - 1) / STRETCH, len = lens ? int(lens[at.sequence]) : T;
    const float straight = at.on() ? skip[at.d()] : 0.0f;
    float rate[4][4], h[4][4];
    const int first = at.first(), past = at.past();
    at.rates(rate, log_rates);
    if (first > 0) at.load(h, marks, i64(at.sequence) * kept + first - 1);
    else at.load(h, h0, at.sequence);
    auto ask_for = [&](int k) {
        if (k < past) {
            at.ask_for(shared.fed[k % 2], k * STRETCH);
            if (threadIdx.x >= 64)
                shared.c[k % 2].ask_for(at.c + at.row(k * STRETCH) * at.stride_c + at.group * STATES, at.stride_c, T - k * STRETCH);
        }
        asked();
    };
    ask_for(first);
    for (int k = first; k < past; k++) {
        answered<0>();
        __syncthreads();
        ask_for(k + 1);
        const Fed<E> &fed = shared.fed[k % 2];
        if (marks && k > first) at.store(marks, i64(at.sequence) * kept + k - 1, h);
#pragma unroll 4
        for (int i = 0; i < STRETCH; i++) {
            const int t = k * STRETCH + i;
            advance(at, fed, i, rate, h, h);
            float c[4], part[4];
            quad(c, &shared.c[k % 2].at[i][at.states]);
#pragma unroll
            for (int j = 0; j < 4; j++) part[j] = h[j][0] * c[0] + h[j][1] * c[1] + h[j][2] * c[2] + h[j][3] * c[3];
            const float sum = sum_states(part) + wide(fed.x.at[i][at.own]) * straight;
            if (t < T && at.on()) y[at.row(t) * at.D + at.d()] = narrow<E>(sum);
            if (last && t + 1 == len) at.store(last, at.sequence, h);
        }
    }
}

// What a segment makes of zeros goes where the states that the next one begins with will be; the sums of its step sizes, D of them, into
// the place of the states before its last stretch, which come later.
template <class E> __device__ __forceinline__ void forward_ends(const Place<E> &at, const float *log_rates, float *marks) {
    DYNAMIC_SHARED(char, memory);
    Fed<E> *shared = reinterpret_cast<Fed<E> *>(memory);
    const int kept = (at.T - 1) / STRETCH, first = at.first(), past = at.past();
    if (past > kept) return;
    float rate[4][4], h[4][4] = {}, sum = 0;
    at.rates(rate, log_rates);
    at.ask_for(shared[first % 2], first * STRETCH);
    asked();
    for (int k = first; k < past; k++) {
        answered<0>();
        __syncthreads();
        if (k + 1 < past) at.ask_for(shared[(k + 1) % 2], (k + 1) * STRETCH);
        asked();
#pragma unroll 4
        for (int i = 0; i < STRETCH; i++) {
            advance(at, shared[k % 2], i, rate, h, h);
            sum += shared[k % 2].step.at[i][at.own];
        }
    }
    const i64 mark = i64(at.sequence) * kept + past - 1;
    at.store(marks, mark, h);
    if (at.on()) marks[(mark - 1) * at.D * STATES + at.d()] = sum;
}

// One state of one channel of one sequence, of `wide` states of a sequence.
__device__ __forceinline__ void forward_join(const float *log_rates, const float *h0, float *marks, int T, int segments, int length, int wide,
                                             i64 i) {
    const int kept = (T - 1) / STRETCH, own = int(i % wide);
    const i64 sequence = i / wide;
    const float rate = -LOG2_E * expf(log_rates[own]);
    float h = h0 ? h0[i] : 0.0f;
    for (int segment = 1; segment < segments; segment++) {
        const i64 mark = sequence * kept + segment * length - 1;
        const float sum = marks[(mark - 1) * wide + own / STATES];
        h = exp2_fast(rate * sum) * h + marks[mark * wide + own];
        marks[mark * wide + own] = h;
    }
}

} // namespace tiled
