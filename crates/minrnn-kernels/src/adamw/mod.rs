//! AdamW on CUDA, over all parameters in one flat buffer.

pub mod cuda;
#[cfg(test)]
mod tests;
