//! Serialized transition states of the numeric aggregates, from counts and sums.
//!
//! Source: utils/adt/numeric.c of PostgreSQL 14 to 17 (int8_avg_serialize, numeric_avg_serialize,
//! numeric_poly_serialize, numeric_serialize, numericvar_serialize). A sum that is not finite says all
//! that its group's values can still contribute: NaN, or an infinity.

use super::private::State;
use warehouse_core::copy::Field;

/// A numeric in the binary form of numeric_send.
struct Sum<'a> {
    weight: i16,
    sign: u16,
    dscale: u16,
    digits: &'a [u8],
}

const NAN: u16 = 0xC000;
const POSITIVE_INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

impl<'a> Sum<'a> {
    fn new(bytes: &'a [u8]) -> Option<Sum<'a>> {
        let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        let count = word(0)? as usize;
        let digits = bytes.get(8..)?;
        (digits.len() == 2 * count).then_some(())?;
        Some(Sum { weight: word(2)? as i16, sign: word(4)?, dscale: word(6)?, digits })
    }

    fn zero() -> Sum<'static> {
        Sum { weight: 0, sign: 0, dscale: 0, digits: &[] }
    }

    fn is_finite(&self) -> bool {
        !matches!(self.sign, NAN | POSITIVE_INFINITY | NEGATIVE_INFINITY)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&((self.digits.len() / 2) as i32).to_be_bytes());
        out.extend_from_slice(&i32::from(self.weight).to_be_bytes());
        out.extend_from_slice(&i32::from(self.sign).to_be_bytes());
        out.extend_from_slice(&i32::from(self.dscale).to_be_bytes());
        out.extend_from_slice(self.digits);
    }
}

/// The serialized state, from its parts in `message`; `None` if they are none.
pub fn serialized(state: State, message: &[u8], parts: &[Field]) -> Option<Vec<u8>> {
    let bytes = |at: usize| -> Option<Option<&[u8]>> {
        let field = parts.get(at)?;
        if field.len < 0 {
            return Some(None);
        }
        Some(Some(message.get(field.offset..field.offset + field.len as usize)?))
    };
    let sum = |at: usize| -> Option<Sum<'_>> {
        match bytes(at)? {
            Some(bytes) => Sum::new(bytes),
            None => Some(Sum::zero()),
        }
    };
    let count = i64::from_be_bytes(bytes(0)??.try_into().ok()?);
    let total = sum(1)?;
    let squares = if state.parts() == 3 { Some(sum(2)?) } else { None };

    let mut out = Vec::with_capacity(96);
    // What is not finite is counted apart from the rest: one such value decides what the others give.
    let finite = total.is_finite();
    let others = if finite { count } else { (count - 1).max(0) };
    out.extend_from_slice(&others.to_be_bytes());
    for part in [Some(&total), squares.as_ref()].into_iter().flatten() {
        if finite { part.write(&mut out) } else { Sum::zero().write(&mut out) }
    }
    if matches!(state, State::NumericSum | State::NumericSquares) {
        let scale = if finite { i32::from(total.dscale) } else { 0 };
        out.extend_from_slice(&scale.to_be_bytes());
        out.extend_from_slice(&(if finite { count } else { 0 }).to_be_bytes());
        for special in [NAN, POSITIVE_INFINITY, NEGATIVE_INFINITY] {
            out.extend_from_slice(&i64::from(total.sign == special).to_be_bytes());
        }
    }
    Some(out)
}
