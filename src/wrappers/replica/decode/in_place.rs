//! Values of types with a fixed layout, from where they stand in the message.

use super::Kind;
use pgrx::pg_sys::Datum;

pub(super) struct Scratch<'a> {
    words: &'a mut [u64],
    used: usize,
}

impl<'a> Scratch<'a> {
    pub(super) fn new(words: &'a mut [u64]) -> Scratch<'a> {
        Scratch { words, used: 0 }
    }

    /// `len` bytes at an address that is a multiple of 8.
    fn take(&mut self, len: usize) -> Option<&mut [u8]> {
        let words = len.div_ceil(8);
        let slice = self.words.get_mut(self.used..self.used + words)?;
        self.used += words;
        // SAFETY: u64 has no padding, and the slice covers at least `len` bytes.
        Some(unsafe { std::slice::from_raw_parts_mut(slice.as_mut_ptr().cast::<u8>(), len) })
    }
}

/// Whether the bytes are UTF-8 without NUL; one pass where they are ASCII.
fn is_text(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = bytes.as_chunks::<8>();
    // No byte with its high bit set and, where that is so, no zero byte.
    let plain = words.iter().all(|word| {
        let word = u64::from_ne_bytes(*word);
        (word | word.wrapping_sub(ONES)) & HIGH == 0
    }) && rest.iter().all(|byte| byte.wrapping_sub(1) < 127);
    plain || (std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0))
}

fn be<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok()
}

/// The value of `len` bytes of the message; `None` if they are none of the kind, or the kind has a function.
pub(super) fn in_place(
    kind: &Kind,
    message: &mut [u8],
    start: usize,
    len: usize,
    scratch: &mut Scratch<'_>,
) -> Option<Datum> {
    let bytes = &message[start..start + len];
    Some(match kind {
        Kind::Bool => Datum::from(*bytes.first().filter(|_| len == 1)? != 0),
        Kind::Int2 => Datum::from(i16::from_be_bytes(be(bytes)?)),
        Kind::Int4 => Datum::from(i32::from_be_bytes(be(bytes)?)),
        Kind::Int8 => Datum::from(i64::from_be_bytes(be(bytes)?)),
        Kind::Float4 => Datum::from(i32::from_be_bytes(be(bytes)?)),
        Kind::Oid => Datum::from(u32::from_be_bytes(be(bytes)?)),
        Kind::Date => {
            let days = i32::from_be_bytes(be(bytes)?);
            (days == i32::MIN || days == i32::MAX || (-2_451_545..=2_145_031_948).contains(&days))
                .then(|| Datum::from(days))?
        }
        Kind::Timestamp => {
            let micros = i64::from_be_bytes(be(bytes)?);
            let finite = (-211_813_488_000_000_000..9_223_371_331_200_000_000).contains(&micros);
            (finite || micros == i64::MIN || micros == i64::MAX).then(|| Datum::from(micros))?
        }
        Kind::Text => is_text(bytes).then(|| varlena(message, start, len, scratch))??,
        Kind::Bytes => varlena(message, start, len, scratch)?,
        Kind::Uuid => {
            if len != 16 {
                return None;
            }
            Datum::from(message[start..].as_ptr())
        }
        Kind::Interval => {
            let time = i64::from_be_bytes(be(bytes.get(..8)?)?);
            let day = i32::from_be_bytes(be(bytes.get(8..12)?)?);
            let month = i32::from_be_bytes(be(bytes.get(12..)?)?);
            let out = scratch.take(16)?;
            out[..8].copy_from_slice(&time.to_ne_bytes());
            out[8..12].copy_from_slice(&day.to_ne_bytes());
            out[12..].copy_from_slice(&month.to_ne_bytes());
            Datum::from(out.as_ptr())
        }
        Kind::Numeric => numeric(bytes, scratch)?,
        Kind::State(_) | Kind::Receive(_) | Kind::Input(_) => return None,
    })
}

/// A varlena of the bytes: with a one-byte header in place where they are few, copied behind a
/// four-byte header where they are many (postgres.h, varattrib_1b and varattrib_4b, little endian).
fn varlena(
    message: &mut [u8],
    start: usize,
    len: usize,
    scratch: &mut Scratch<'_>,
) -> Option<Datum> {
    if len < 127 && cfg!(target_endian = "little") {
        // The byte before the value is the last one of its length word.
        message[start - 1] = ((len as u8 + 1) << 1) | 1;
        return Some(Datum::from(message[start - 1..].as_ptr()));
    }
    let total = len.checked_add(4).filter(|total| *total < 1 << 30)?;
    let out = scratch.take(total)?;
    out[..4].copy_from_slice(&varlena_header(total));
    out[4..].copy_from_slice(&message[start..start + len]);
    Some(Datum::from(out.as_ptr()))
}

/// A varlena of bytes that stand elsewhere.
pub(super) fn copied(bytes: &[u8], scratch: &mut Scratch<'_>) -> Option<Datum> {
    let out = scratch.take(bytes.len() + 4)?;
    out[..4].copy_from_slice(&varlena_header(bytes.len() + 4));
    out[4..].copy_from_slice(bytes);
    Some(Datum::from(out.as_ptr()))
}

fn varlena_header(total: usize) -> [u8; 4] {
    if cfg!(target_endian = "little") {
        ((total as u32) << 2).to_ne_bytes()
    } else {
        (total as u32 & 0x3fff_ffff).to_ne_bytes()
    }
}

/// The binary form of numeric_send as a stored numeric (utils/adt/numeric.c, make_result).
fn numeric(bytes: &[u8], scratch: &mut Scratch<'_>) -> Option<Datum> {
    let word = |i: usize| -> Option<u16> { Some(u16::from_be_bytes(be(bytes.get(i..i + 2)?)?)) };
    let (count, mut weight) = (word(0)? as usize, word(2)? as i16 as i32);
    let (sign, dscale) = (word(4)?, word(6)?);
    if bytes.len() != 8 + 2 * count || dscale > 0x3fff {
        return None;
    }
    if matches!(sign, 0xC000 | 0xD000 | 0xF000) {
        let out = scratch.take(6)?;
        out[..4].copy_from_slice(&varlena_header(6));
        out[4..].copy_from_slice(&sign.to_ne_bytes());
        return Some(Datum::from(out.as_ptr()));
    }
    if sign != 0 && sign != 0x4000 {
        return None;
    }
    let digit = |i: usize| u16::from_be_bytes([bytes[8 + 2 * i], bytes[9 + 2 * i]]);
    let (mut first, mut last) = (0, count);
    while first < last && digit(first) == 0 {
        first += 1;
        weight -= 1;
    }
    while last > first && digit(last - 1) == 0 {
        last -= 1;
    }
    let mut negative = sign == 0x4000;
    if first == last {
        weight = 0;
        negative = false;
    }
    let short = dscale <= 0x3f && (-64..=63).contains(&weight);
    let header = if short { 2 } else { 4 };
    let total = 4 + header + 2 * (last - first);
    let out = scratch.take(total)?;
    out[..4].copy_from_slice(&varlena_header(total));
    if short {
        let mut word = 0x8000 | (dscale << 7) | (weight as u16 & 0x3f);
        if negative {
            word |= 0x2000;
        }
        if weight < 0 {
            word |= 0x40;
        }
        out[4..6].copy_from_slice(&word.to_ne_bytes());
    } else {
        out[4..6].copy_from_slice(&(sign_bits(negative) | dscale).to_ne_bytes());
        out[6..8].copy_from_slice(&(i16::try_from(weight).ok()?).to_ne_bytes());
    }
    for (i, at) in (first..last).zip((4 + header..).step_by(2)) {
        let value = digit(i);
        if value > 9999 {
            return None;
        }
        out[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    }
    Some(Datum::from(out.as_ptr()))
}

fn sign_bits(negative: bool) -> u16 {
    if negative { 0x4000 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::is_text;

    #[test]
    fn text_is_utf8_without_nul() {
        for good in
            ["", "a", "eightchr", "sixteen chars ok", "ünïcode", "𝄞 and more", "\u{7f}\u{1}"]
        {
            assert!(is_text(good.as_bytes()), "{good}");
        }
        for at in 0..20 {
            let mut bytes = vec![b'x'; 20];
            bytes[at] = 0;
            assert!(!is_text(&bytes), "NUL at {at}");
            bytes[at] = 0xff;
            assert!(!is_text(&bytes), "0xff at {at}");
        }
    }
}
