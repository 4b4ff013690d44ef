//! Runs exported minrnn models with tract: whole sequences and streaming sessions
