// minLSTM, normalised and not, with the candidates `g` and `linear`; `slow.rs` beside this file is the definition.
#define OP min_lstm
#define CELL_PARTS 3
#define ALL

namespace rec {
template <bool G, bool N> struct MinLstm;
using MinLstmG = MinLstm<true, true>;
using MinLstmLinear = MinLstm<false, true>;
using MinLstmGFree = MinLstm<true, false>;
using MinLstmLinearFree = MinLstm<false, false>;
} // namespace rec

#define CELL rec::MinLstmG
#define KIND g_normalized
#include "../recurrence/types.cuh"
#define CELL rec::MinLstmLinear
#define KIND linear_normalized
#include "../recurrence/types.cuh"
// Gates that do not sum to 1 are for comparison: tiles for any shape will do.
#undef ALL
#define CELL rec::MinLstmGFree
#define KIND g
#include "../recurrence/types.cuh"
#define CELL rec::MinLstmLinearFree
#define KIND linear
#include "../recurrence/types.cuh"
