//! The minrnn command: train, export, verify, generate, inspect
