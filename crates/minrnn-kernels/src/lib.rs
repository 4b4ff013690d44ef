//! The linear recurrence and the fused layers of minrnn as candle custom operations
