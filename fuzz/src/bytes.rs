//! The input, taken piece by piece.

/// The bytes of an input that are left.
#[derive(Debug)]
pub struct Bytes<'i>(&'i [u8]);

impl<'i> Bytes<'i> {
    /// The whole input.
    pub fn new(input: &'i [u8]) -> Self {
        Self(input)
    }

    /// Whether all is used up. What is taken from then on is zero.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// One of the choices.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }
}
