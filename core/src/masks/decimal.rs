//! Exact decimals of up to 38 digits.
//!
//! Enough for what is masked by width or noise. What has more digits is said to be out of range,
//! never rounded.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// `units / 10^scale`.
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    units: i128,
    scale: u32,
}

const MAX_SCALE: u32 = 38;
/// So many digits are always a number of 64 bits. Division and printing take several times as long for
/// 128 bits.
const SHORT: usize = 18;

fn power(of: u32) -> Option<i128> {
    10i128.checked_pow(of)
}

impl Decimal {
    /// `units / 10^scale`, or nothing with more than 38 places.
    pub fn new(units: i128, scale: u32) -> Option<Decimal> {
        (scale <= MAX_SCALE).then_some(Decimal { units, scale })
    }

    /// The number times `10^scale`, and the scale.
    pub fn parts(self) -> (i128, u32) {
        (self.units, self.scale)
    }

    /// Whether it is above zero.
    pub fn is_positive(self) -> bool {
        self.units > 0
    }

    /// The number as an integer, if it is one of 64 bits.
    pub fn to_i64(self) -> Option<i64> {
        let power = power(self.scale)?;
        if self.units % power != 0 {
            return None;
        }
        i64::try_from(self.units / power).ok()
    }

    /// The nearest float.
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The same number with more places, if it fits.
    fn at(self, scale: u32) -> Option<i128> {
        self.units.checked_mul(power(scale.checked_sub(self.scale)?)?)
    }

    /// The sum, if it fits.
    pub fn checked_add(self, other: Decimal) -> Option<Decimal> {
        let scale = self.scale.max(other.scale);
        let units = self.at(scale)?.checked_add(other.at(scale)?)?;
        Some(Decimal { units, scale })
    }

    /// The greatest multiple of `width` that is not greater, without needless places, if it fits.
    /// `width` is above zero.
    pub fn floor_to(self, width: Decimal) -> Option<Decimal> {
        let scale = self.scale.max(width.scale);
        let (units, step) = (self.at(scale)?, width.at(scale)?);
        let below = match (i64::try_from(units), i64::try_from(step)) {
            (Ok(units), Ok(step)) => {
                i128::from(units) - i128::from(units.checked_rem_euclid(step)?)
            }
            _ => units.checked_div_euclid(step)?.checked_mul(step)?,
        };
        Some(Decimal { units: below, scale }.reduced(width.scale))
    }

    /// `self × (numerator / 10^9)`, rounded half away from zero to `scale` places, if it fits.
    pub fn scaled(self, numerator: i64, scale: u32) -> Option<Decimal> {
        let product = self.units.checked_mul(i128::from(numerator))?;
        let places = self.scale + 9;
        let units = if places >= scale {
            let by = power(places - scale)?;
            let rounded = product.checked_abs()?.checked_add(by / 2)? / by;
            rounded * product.signum()
        } else {
            product.checked_mul(power(scale - places)?)?
        };
        Some(Decimal { units, scale })
    }

    /// Drops zeros at the end, but keeps `scale` places.
    fn reduced(mut self, scale: u32) -> Decimal {
        if let Ok(mut units) = i64::try_from(self.units) {
            while self.scale > scale && units % 10 == 0 {
                units /= 10;
                self.scale -= 1;
            }
            self.units = units.into();
            return self;
        }
        while self.scale > scale && self.units % 10 == 0 {
            self.units /= 10;
            self.scale -= 1;
        }
        self
    }

    /// The number without zeros at the end.
    pub fn normalized(self) -> Decimal {
        self.reduced(0)
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Decimal { units: i128::from(value), scale: 0 }
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.at(scale), other.at(scale)) {
            (Some(a), Some(b)) => a.cmp(&b),
            // The one that does not fit is the greater in size.
            (None, _) => self.units.cmp(&0),
            (_, None) => 0.cmp(&other.units),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let units = self.units.unsigned_abs();
        if self.scale == 0 {
            return write!(f, "{sign}{units}");
        }
        let scale = self.scale as usize;
        if let (Ok(units), Some(power)) = (u64::try_from(units), 10u64.checked_pow(self.scale)) {
            return write!(f, "{sign}{}.{:0scale$}", units / power, units % power);
        }
        let (whole, part) = match 10u128.checked_pow(self.scale) {
            Some(power) => (units / power, units % power),
            None => (0, units),
        };
        write!(f, "{sign}{whole}.{part:0scale$}")
    }
}

/// Not a decimal of up to 38 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal of up to 38 digits")]
pub struct NotADecimal;

impl FromStr for Decimal {
    type Err = NotADecimal;

    fn from_str(text: &str) -> Result<Self, NotADecimal> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let missing = whole.is_empty() || (digits.contains('.') && part.is_empty());
        let scale = u32::try_from(part.len()).map_err(|_| NotADecimal)?;
        if missing || scale > MAX_SCALE {
            return Err(NotADecimal);
        }
        if whole.len() + part.len() <= SHORT {
            let mut units = 0i64;
            for byte in whole.bytes().chain(part.bytes()) {
                let digit = byte.wrapping_sub(b'0');
                if digit > 9 {
                    return Err(NotADecimal);
                }
                units = units * 10 + i64::from(digit);
            }
            return Ok(Decimal { units: if negative { -units } else { units }.into(), scale });
        }
        let mut units = 0i128;
        for byte in whole.bytes().chain(part.bytes()) {
            if !byte.is_ascii_digit() {
                return Err(NotADecimal);
            }
            let digit = i128::from(byte - b'0');
            units = units.checked_mul(10).and_then(|u| u.checked_add(digit)).ok_or(NotADecimal)?;
        }
        Ok(Decimal { units: if negative { -units } else { units }, scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn floors_to_a_width() {
        assert_eq!(of("42.32378").floor_to(of("10")).unwrap().to_string(), "40");
        assert_eq!(of("-0.01").floor_to(of("10")).unwrap().to_string(), "-10");
        assert_eq!(of("1.37").floor_to(of("0.25")).unwrap().to_string(), "1.25");
        assert_eq!(of("1.5").floor_to(of("0.25")).unwrap().to_string(), "1.50");
    }

    #[test]
    fn reads_only_decimals() {
        for text in ["", "-", ".", "1.", ".5", "1e3", "NaN", "+1", "1.2.3", "١"] {
            assert_eq!(text.parse::<Decimal>(), Err(NotADecimal), "{text}");
        }
        assert_eq!("9".repeat(39).parse::<Decimal>(), Err(NotADecimal));
    }

    #[test]
    fn scales_and_rounds() {
        assert_eq!(of("12.50").scaled(1_100_000_000, 2).unwrap().to_string(), "13.75");
        assert_eq!(of("-12.55").scaled(1_100_000_000, 1).unwrap().to_string(), "-13.8");
    }

    proptest! {
        #[test]
        fn round_trips(units in any::<i64>(), scale in 0u32..20) {
            let decimal = Decimal::new(i128::from(units), scale).unwrap();
            let again: Decimal = decimal.to_string().parse().unwrap();
            prop_assert_eq!(again.parts(), decimal.parts());
        }

        /// The ways of few digits and of many are one.
        #[test]
        fn short_and_long_agree(units in any::<i64>(), scale in 0u32..18, width in 1i64.., places in 0u32..4) {
            let (short, of) = (Decimal::new(units.into(), scale), Decimal::new(width.into(), places));
            let (short, of) = (short.unwrap(), of.unwrap());
            // The same number with so many places that it has no 64 bits.
            let long = Decimal { units: short.at(36).unwrap_or(short.units), scale: 36 };
            let long = if short.at(36).is_some() { long } else { short };
            let text = long.to_string();
            prop_assert_eq!(text.parse::<Decimal>().unwrap(), short);
            if let (Some(one), Some(other)) = (short.floor_to(of), long.floor_to(of)) {
                prop_assert_eq!(one.to_string(), other.to_string());
                let (units, step) = (short.at(scale.max(places)), of.at(scale.max(places)));
                let below = units.unwrap().div_euclid(step.unwrap()) * step.unwrap();
                let plain = Decimal { units: below, scale: scale.max(places) };
                prop_assert_eq!(one, plain);
            }
        }

        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = text.parse::<Decimal>();
        }
    }
}
