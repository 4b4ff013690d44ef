//! Export of minrnn models to ONNX: builder, lowerings of the recurrence, checker, canonical text
