//! Decimal numbers of any length, compared by their digits without converting them: no overflow to fear.

use std::cmp::Ordering;

/// Digits without the zeros in front. No digits are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number<'a>(&'a [u8]);

impl<'a> Number<'a> {
    /// The number 0.
    pub(super) const ZERO: Self = Self(b"");

    /// Takes ASCII digits, at least one.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| Self::significant(text.as_bytes()))
    }

    fn significant(digits: &'a [u8]) -> Self {
        let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
        Self(digits.get(zeros..).unwrap_or_default())
    }

    /// Splits the digits at the start of a text off; where there are none, the number is 0.
    pub(super) fn take(text: &'a str) -> (Self, &'a str) {
        let (digits, rest) = leading(text, |byte| byte.is_ascii_digit());
        (Self::significant(digits.as_bytes()), rest)
    }

    /// [`Self::take`] for bytes.
    pub(super) fn take_bytes(text: &'a [u8]) -> (Self, &'a [u8]) {
        let (digits, rest) = text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count());
        (Self::significant(digits), rest)
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(other.0))
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Splits a text after the bytes at its start that satisfy `accept`, which may accept ASCII only.
pub(super) fn leading(text: &str, accept: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii() || !accept(byte)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_order_by_value_whatever_their_length_and_the_zeros_in_front() {
        let number = |text| Number::parse(text).unwrap();
        assert_eq!(number("000"), Number::ZERO);
        assert_eq!(number("0010"), number("10"));
        assert!(number("9") < number("10") && number("99999999999999999999999") < number("100000000000000000000000"));
        assert_eq!(Number::parse(""), None);
        assert_eq!(Number::parse("1a"), None);
        assert_eq!(Number::take("012.x"), (number("12"), ".x"));
        assert_eq!(Number::take("é1"), (Number::ZERO, "é1"));
    }
}
