//! A short list without a heap: states are cloned and hashed millions of times.

/// At most `N` values, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Few<T, const N: usize> {
    len: u8,
    /// Places behind `len` hold the default, so that equal lists are equal values.
    values: [T; N],
}

impl<T: Copy + Default, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self { len: 0, values: [T::default(); N] }
    }
}

impl<T: Copy + Default, const N: usize> Few<T, N> {
    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One more, behind the others. More than `N` are a defect of the model's bounds.
    pub fn push(&mut self, value: T) {
        assert!(self.len() < N, "a list of {N} is too short for these bounds");
        let len = self.len();
        self.values[len] = value;
        self.len += 1;
    }

    /// Takes out the one at `index`; those behind it move up.
    pub fn remove(&mut self, index: usize) -> T {
        let value = self.values[index];
        let len = self.len();
        self.values.copy_within(index + 1..len, index);
        self.len -= 1;
        self.values[len - 1] = T::default();
        value
    }

    /// All of them, oldest first.
    pub fn all(&self) -> &[T] {
        &self.values[..self.len()]
    }

    /// The one at `index`, to be changed.
    pub fn at(&mut self, index: usize) -> &mut T {
        &mut self.values[index]
    }
}

/// A number that the bounds keep small.
pub(super) fn byte(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
