//! The binary COPY format, reading side.
//!
//! Source: PostgreSQL manual, COPY, "Binary Format". A backend sends one CopyData message a row; the
//! first message carries the file header in front of its row, the last one only the trailer.

use thiserror::Error;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Where one field's bytes are in its message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Field {
    /// Offset of the first byte of the value. The four bytes before it are the length word.
    pub offset: usize,
    /// Length in bytes, -1 for NULL.
    pub len: i32,
}

/// What a message held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// A row; the fields are filled.
    Row,
    /// The end of the data.
    Trailer,
}

/// A message that does not follow the format. Never carries any of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CopyError {
    /// The stream does not start with the signature.
    #[error("the stream does not begin with the binary COPY signature")]
    Signature,
    /// A message ended in the middle of a field.
    #[error("a row ends in the middle of a field")]
    Truncated,
    /// A row has another number of fields than asked for.
    #[error("a row has {found} fields instead of {expected}")]
    FieldCount {
        /// How many came.
        found: i16,
        /// How many were asked for.
        expected: usize,
    },
    /// A message is longer than its fields.
    #[error("a row is followed by unexpected bytes")]
    Excess,
}

/// Splits the messages of one COPY into fields.
#[derive(Debug, Default)]
pub struct Splitter {
    started: bool,
}

impl Splitter {
    /// Finds the fields of the next message. `fields` must have one entry a column.
    pub fn split(&mut self, message: &[u8], fields: &mut [Field]) -> Result<Message, CopyError> {
        let mut at = 0;
        if !self.started {
            at = header(message)?;
            self.started = true;
        }
        let count = i16::from_be_bytes(take(message, at)?);
        at += 2;
        if count == -1 {
            return Ok(Message::Trailer);
        }
        if usize::try_from(count) != Ok(fields.len()) {
            return Err(CopyError::FieldCount { found: count, expected: fields.len() });
        }
        for field in fields.iter_mut() {
            let len = i32::from_be_bytes(take(message, at)?);
            at += 4;
            *field = Field { offset: at, len };
            if len > 0 {
                at += len as usize;
                if at > message.len() {
                    return Err(CopyError::Truncated);
                }
            } else if len < -1 {
                return Err(CopyError::Truncated);
            }
        }
        if at == message.len() { Ok(Message::Row) } else { Err(CopyError::Excess) }
    }
}

fn header(message: &[u8]) -> Result<usize, CopyError> {
    if message.get(..11) != Some(SIGNATURE.as_slice()) {
        return Err(CopyError::Signature);
    }
    let _flags: [u8; 4] = take(message, 11)?;
    let extension = u32::from_be_bytes(take(message, 15)?) as usize;
    let end = 19usize.checked_add(extension).ok_or(CopyError::Truncated)?;
    if end > message.len() { Err(CopyError::Truncated) } else { Ok(end) }
}

fn take<const N: usize>(message: &[u8], at: usize) -> Result<[u8; N], CopyError> {
    message
        .get(at..at + N)
        .and_then(|bytes| <[u8; N]>::try_from(bytes).ok())
        .ok_or(CopyError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(values: &[Option<Vec<u8>>], first: bool) -> Vec<u8> {
        let mut out = Vec::new();
        if first {
            out.extend_from_slice(SIGNATURE);
            out.extend_from_slice(&[0; 8]);
        }
        out.extend_from_slice(&(values.len() as i16).to_be_bytes());
        for value in values {
            match value {
                None => out.extend_from_slice(&(-1i32).to_be_bytes()),
                Some(bytes) => {
                    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
                    out.extend_from_slice(bytes);
                }
            }
        }
        out
    }

    #[test]
    fn empty_result() {
        let mut message = SIGNATURE.to_vec();
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(&[0xff, 0xff]);
        assert_eq!(Splitter::default().split(&message, &mut []), Ok(Message::Trailer));
    }

    #[test]
    fn wrong_counts_and_noise_are_refused() {
        let one = row(&[Some(vec![1])], true);
        let mut fields = [Field::default(); 2];
        assert_eq!(
            Splitter::default().split(&one, &mut fields),
            Err(CopyError::FieldCount { found: 1, expected: 2 })
        );
        assert_eq!(Splitter::default().split(b"<html>", &mut fields), Err(CopyError::Signature));
        let mut long = row(&[Some(vec![1])], true);
        long.push(0);
        assert_eq!(Splitter::default().split(&long, &mut fields[..1]), Err(CopyError::Excess));
    }

    proptest! {
        #[test]
        fn rows_come_back(rows in prop::collection::vec(
            prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), 3), 1..5)) {
            let mut splitter = Splitter::default();
            for (i, values) in rows.iter().enumerate() {
                let message = row(values, i == 0);
                let mut fields = [Field::default(); 3];
                prop_assert_eq!(splitter.split(&message, &mut fields), Ok(Message::Row));
                for (field, value) in fields.iter().zip(values) {
                    let got = (field.len >= 0)
                        .then(|| message[field.offset..field.offset + field.len as usize].to_vec());
                    prop_assert_eq!(&got, value);
                }
            }
        }

        /// Whatever arrives, the answer is a result and never a panic or a field out of bounds.
        #[test]
        fn garbage_is_survived(started in any::<bool>(), message in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut splitter = Splitter { started };
            let mut fields = [Field::default(); 3];
            if splitter.split(&message, &mut fields) == Ok(Message::Row) {
                for field in fields {
                    prop_assert!(field.offset + field.len.max(0) as usize <= message.len());
                }
            }
        }
    }
}
