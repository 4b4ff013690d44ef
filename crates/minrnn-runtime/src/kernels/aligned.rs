//! Memory that begins on a cache line.

/// Values that begin on a cache line: loads and stores of whole registers cross none. A value that is stored and soon
/// loaded again, such as a state, is five times slower where they do.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    data: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy> Aligned<T> {
    const LINE: usize = 64;

    /// `len` times `value`.
    pub(crate) fn new(len: usize, value: T) -> Self {
        let slack = Self::LINE / size_of::<T>();
        let data = vec![value; len + slack];
        // An allocator that cannot tell where the line begins costs speed only.
        let start = data.as_ptr().align_offset(Self::LINE).min(slack);
        Self { data, start, len }
    }

    pub(crate) fn get(&self) -> &[T] {
        &self.data[self.start..][..self.len]
    }

    pub(crate) fn get_mut(&mut self) -> &mut [T] {
        &mut self.data[self.start..][..self.len]
    }

    /// Memory in use, slack included.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len() * size_of::<T>()
    }
}
