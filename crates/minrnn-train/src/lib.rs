//! Training of minrnn models with candle: tasks, data, optimizer, loop, checkpoints
