//! Rows of a matrix in memory of someone else.

/// Rows to read: row r is `data[r * stride..][..width]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, T = f32> {
    data: &'a [T],
    stride: usize,
    width: usize,
    rows: usize,
}

/// Rows to write: row r is `data[r * stride..][..width]`.
#[derive(Debug)]
pub(crate) struct RowsMut<'a, T = f32> {
    data: &'a mut [T],
    stride: usize,
    width: usize,
    rows: usize,
}

/// Holds the promise of the two types: all rows lie inside, and rows to write do not overlap.
fn check(len: usize, rows: usize, width: usize, stride: usize) {
    assert!(
        width <= stride || rows <= 1,
        "rows of {width} at a stride of {stride}"
    );
    let end = match rows {
        0 => Some(0),
        _ => (rows - 1)
            .checked_mul(stride)
            .and_then(|start| start.checked_add(width)),
    };
    assert!(
        end.is_some_and(|end| end <= len),
        "{rows} rows of {width} at a stride of {stride} in {len}"
    );
}

impl<'a, T> Rows<'a, T> {
    /// `rows` rows of `width`, each `stride` after the one before.
    #[inline]
    pub(crate) fn new(data: &'a [T], rows: usize, width: usize, stride: usize) -> Self {
        check(data.len(), rows, width, stride);
        Self {
            data,
            stride,
            width,
            rows,
        }
    }

    /// One row.
    #[cfg(test)]
    pub(crate) fn one(data: &'a [T]) -> Self {
        let width = data.len();
        Self {
            data,
            stride: width,
            width,
            rows: 1,
        }
    }

    /// `rows` rows without gaps that fill all of `data`.
    #[cfg(test)]
    pub(crate) fn dense(data: &'a [T], rows: usize) -> Self {
        let width = data.len() / rows.max(1);
        assert_eq!(width * rows, data.len(), "{rows} rows");
        Self::new(data, rows, width, width)
    }

    #[inline(always)]
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    #[inline(always)]
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Rows `from..from + count`.
    pub(crate) fn part(&self, from: usize, count: usize) -> Self {
        Self::new(
            &self.data[from * self.stride..],
            count,
            self.width,
            self.stride,
        )
    }

    #[inline(always)]
    pub(crate) fn row(&self, r: usize) -> &'a [T] {
        &self.data[r * self.stride..][..self.width]
    }
}

impl<'a, T> RowsMut<'a, T> {
    /// `rows` rows of `width`, each `stride` after the one before.
    #[inline]
    pub(crate) fn new(data: &'a mut [T], rows: usize, width: usize, stride: usize) -> Self {
        check(data.len(), rows, width, stride);
        Self {
            data,
            stride,
            width,
            rows,
        }
    }

    /// One row.
    #[cfg(test)]
    pub(crate) fn one(data: &'a mut [T]) -> Self {
        let width = data.len();
        Self {
            data,
            stride: width,
            width,
            rows: 1,
        }
    }

    /// `rows` rows without gaps that fill all of `data`.
    #[inline]
    pub(crate) fn dense(data: &'a mut [T], rows: usize) -> Self {
        let width = data.len() / rows.max(1);
        assert_eq!(width * rows, data.len(), "{rows} rows");
        Self::new(data, rows, width, width)
    }

    #[inline(always)]
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    #[inline(always)]
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Rows `from..from + count`.
    pub(crate) fn part_mut(&mut self, from: usize, count: usize) -> RowsMut<'_, T> {
        let data = &mut self.data[from * self.stride..];
        RowsMut::new(data, count, self.width, self.stride)
    }

    #[inline(always)]
    pub(crate) fn row_mut(&mut self, r: usize) -> &mut [T] {
        &mut self.data[r * self.stride..][..self.width]
    }
}
