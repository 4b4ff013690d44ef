//! Minimal recurrent networks (minGRU, minLSTM) described once: graph, layers, configuration, float64 oracle
