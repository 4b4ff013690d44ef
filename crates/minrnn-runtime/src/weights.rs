//! Packed weights, held once however many models use them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::kernels::{Matrix, MatrixU8};

/// Packed weights of models that are opened with clones of one `Weights` ([`Options::weights`](crate::Options::weights)): a
/// tensor that several of them hold, such as those of the three forms of one export, is in memory once. Tensors are the same
/// if all their bits are; names and hashes in files are not believed. What no model uses any more is freed.
#[derive(Debug, Clone, Default)]
pub struct Weights(Arc<Mutex<Pool>>);

#[derive(Debug, Default)]
struct Pool {
    matrices: Shelf<Matrix>,
    bytes: Shelf<MatrixU8>,
    tables: Shelf<[f32]>,
    byte_tables: Shelf<[u8]>,
}

/// Tensors by their sizes; those of equal size differ in values.
type Shelf<T> = BTreeMap<[usize; 2], Vec<Weak<T>>>;

impl Weights {
    /// Bytes of all tensors that are in use: matrices, packed, and tables of embeddings.
    pub fn bytes(&self) -> usize {
        let pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let matrices: usize = live(&pool.matrices).map(|m| m.bytes()).sum();
        let bytes: usize = live(&pool.bytes).map(|m| m.bytes()).sum();
        let tables: usize = live(&pool.tables).map(|t| 4 * t.len()).sum();
        let byte_tables: usize = live(&pool.byte_tables).map(|t| t.len()).sum();
        matrices + bytes + tables + byte_tables
    }

    pub(crate) fn matrix(&self, k: usize, n: usize, values: &[f32]) -> Arc<Matrix> {
        self.one(
            |pool| &mut pool.matrices,
            [k, n],
            |m| m.holds(values),
            || Arc::new(Matrix::pack(k, n, values)),
        )
    }

    pub(crate) fn matrix_u8(&self, k: usize, n: usize, values: &[u8], zero: u8) -> Arc<MatrixU8> {
        self.one(
            |pool| &mut pool.bytes,
            [k, n],
            |m| m.holds(values, zero),
            || Arc::new(MatrixU8::pack(k, n, values, zero)),
        )
    }

    pub(crate) fn table(&self, values: &[f32]) -> Arc<[f32]> {
        let same = |t: &[f32]| {
            t.iter()
                .zip(values)
                .all(|(a, b)| a.to_bits() == b.to_bits())
        };
        let size = [values.len(), 1];
        self.one(|pool| &mut pool.tables, size, same, || values.into())
    }

    pub(crate) fn byte_table(&self, values: &[u8]) -> Arc<[u8]> {
        let size = [values.len(), 1];
        self.one(
            |pool| &mut pool.byte_tables,
            size,
            |t| t == values,
            || values.into(),
        )
    }

    /// The tensor on the shelf that `same` knows, or a new one.
    fn one<T: ?Sized>(
        &self,
        shelf: impl FnOnce(&mut Pool) -> &mut Shelf<T>,
        size: [usize; 2],
        same: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Arc<T>,
    ) -> Arc<T> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = shelf(&mut pool).entry(size).or_default();
        place.retain(|held| held.strong_count() > 0);
        let held = place.iter().filter_map(Weak::upgrade).find(|t| same(t));
        held.unwrap_or_else(|| {
            let new = make();
            place.push(Arc::downgrade(&new));
            new
        })
    }
}

fn live<T: ?Sized>(shelf: &Shelf<T>) -> impl Iterator<Item = Arc<T>> {
    shelf.values().flatten().filter_map(Weak::upgrade)
}
