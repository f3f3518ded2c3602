//! How numbers are written for people.

/// Digits in groups of three: `1,234,567`.
pub fn grouped(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// So many of something: `1 item`, `2,000 items`. The plural takes an `s`.
pub fn counted(number: impl TryInto<u64>, what: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number))
}

/// With one decimal, and never `-0.0`.
pub fn tenths(number: f64) -> String {
    // Adding zero turns a negative zero into zero.
    format!("{:.1}", (number * 10.0).round() / 10.0 + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!([0_u64, 100, 1_000, 1_234_567].map(grouped), ["0", "100", "1,000", "1,234,567"]);
        assert_eq!([0_u32, 1, 2, 3_000].map(|n| counted(n, "item")), ["0 items", "1 item", "2 items", "3,000 items"]);
        assert_eq!([-0.04, 0.04, -0.3, 12.25].map(tenths), ["0.0", "0.0", "-0.3", "12.3"]);
    }
}
