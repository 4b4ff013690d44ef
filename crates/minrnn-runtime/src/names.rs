//! What is known of tensors, by their names.

use std::collections::HashMap;

/// Never gone through, so no order of it is in a result. Names of a graph share long beginnings: hashing them once is several
/// times as fast as comparing them with others.
pub(crate) type ByName<N, V> = HashMap<N, V, foldhash::fast::RandomState>;
