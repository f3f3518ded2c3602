//! DynamoDB numbers: compared by value, never through a float.

use std::fmt;

/// A number of up to 38 significant digits, in one canonical form: `digits × 10^exponent`, without leading or
/// trailing zeros. Two numbers are equal exactly when their canonical forms are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads plain (`-12.50`) and scientific (`1.25E+1`) notation; `None` when the text is not a number.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (unsigned.get(..at)?, unsigned.get(at + 1..)?.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let mut digits = String::with_capacity(whole.len() + fraction.len());
        digits.push_str(whole);
        digits.push_str(fraction);
        let mut exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let kept = digits.trim_end_matches('0').len();
        exponent = exponent.checked_add(i64::try_from(digits.len() - kept).ok()?)?;
        digits.truncate(kept);
        let digits = digits.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits: "0".into(), exponent: 0 });
        }
        Some(Self { negative, digits, exponent })
    }
}

/// Plain notation: what DynamoDB itself prints for a number of ordinary size.
impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Beyond this many zeros the scientific form is shorter; DynamoDB allows exponents from -130 to 125.
        const LONGEST_RUN_OF_ZEROS: i64 = 130;
        if self.negative {
            out.write_str("-")?;
        }
        let count = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        let point = count.saturating_add(self.exponent);
        if self.exponent.abs() > LONGEST_RUN_OF_ZEROS + count {
            write!(out, "{}E{}", self.digits, self.exponent)
        } else if self.exponent >= 0 {
            out.write_str(&self.digits)?;
            (0..self.exponent).try_for_each(|_| out.write_str("0"))
        } else if point > 0 {
            let (whole, fraction) = self.digits.split_at(usize::try_from(point).unwrap_or(0));
            write!(out, "{whole}.{fraction}")
        } else {
            out.write_str("0.")?;
            (0..point.saturating_neg()).try_for_each(|_| out.write_str("0"))?;
            out.write_str(&self.digits)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        Decimal::parse(text).unwrap().to_string()
    }

    #[test]
    fn one_value_has_one_form() {
        for text in ["1", "1.0", "01", "+1", "1E0", "10E-1", "0.1e1", "1.000"] {
            assert_eq!(canonical(text), "1");
        }
        for text in ["0", "-0", "0.00", "0E9"] {
            assert_eq!(canonical(text), "0");
        }
        assert_eq!(canonical("-12.50"), "-12.5");
        assert_eq!(canonical("1.25E+3"), "1250");
        assert_eq!(canonical("125E-5"), "0.00125");
    }

    #[test]
    fn thirty_eight_digits_are_kept() {
        let text = "12345678901234567890123456789012345678";
        assert_eq!(canonical(text), text);
        assert_ne!(Decimal::parse(text), Decimal::parse("12345678901234567890123456789012345679"));
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in ["", "-", ".", "1.2.3", "0x1", "1e", "e5", "NaN", "١"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_again_keeps_the_value(digits in "[0-9]{1,38}", exponent in -120i64..120, negative: bool) {
            let text = format!("{}{digits}E{exponent}", if negative { "-" } else { "" });
            let number = Decimal::parse(&text).unwrap();
            prop_assert_eq!(Decimal::parse(&number.to_string()).unwrap(), number);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            if let Some(number) = Decimal::parse(&text) {
                prop_assert_eq!(Decimal::parse(&number.to_string()).unwrap(), number);
            }
        }
    }
}
