// minGRU with the candidates `g` and `linear`; `slow.rs` beside this file is the definition.
#define OP min_gru
#define CELL_PARTS 2
#define ALL

#define CELL rec::MinGru<true>
#define KIND g
#include "../recurrence/types.cuh"
#define CELL rec::MinGru<false>
#define KIND linear
#include "../recurrence/types.cuh"
