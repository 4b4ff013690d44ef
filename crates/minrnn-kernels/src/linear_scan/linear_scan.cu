// h[t] = a[t] h[t-1] + b[t]; `slow.rs` beside this file is the definition.
#define OP linear_scan
#define CELL_PARTS 2
#define ALL

#define CELL rec::LinearScan
#define KIND any
#include "../recurrence/types.cuh"
