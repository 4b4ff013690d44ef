//! A choice with a default, which remembers whether somebody made it.

use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value, and whether it was stated or is the default of something that was left out. What was left out may follow from other things;
/// what was stated is not overruled. It is written and compared as the value.
#[derive(Debug, Clone, Copy)]
pub struct Stated<T> {
    value: T,
    stated: bool,
}

impl<T> Stated<T> {
    /// The value of what was left out.
    pub const fn left_out(value: T) -> Self {
        Self {
            value,
            stated: false,
        }
    }

    /// Whether somebody said it.
    pub const fn is_stated(&self) -> bool {
        self.stated
    }

    /// The same value, as if it had been left out.
    pub fn forgotten(self) -> Self {
        Self::left_out(self.value)
    }
}

impl<T> From<T> for Stated<T> {
    fn from(value: T) -> Self {
        Self {
            value,
            stated: true,
        }
    }
}

impl<T> Deref for Stated<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Stated<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: PartialEq> PartialEq<T> for Stated<T> {
    fn eq(&self, other: &T) -> bool {
        self.value == *other
    }
}

impl<T: Serialize> Serialize for Stated<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(to)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Stated<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(from).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_stated_and_equal_to_what_is_left_out() {
        let read: Stated<bool> = serde_json::from_str("true").unwrap();
        let default = Stated::left_out(true);
        assert!(read.is_stated() && !default.is_stated() && !read.forgotten().is_stated());
        assert_eq!(read, default);
        assert!(read == true && *default);
        assert_eq!(serde_json::to_string(&default).unwrap(), "true");
    }
}
