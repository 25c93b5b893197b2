//! What is wrong with a mask or a key, as a Postgres ERROR. The one place that gives it its SQLSTATE.
//!
//! Core's errors hold no value and no key, and nothing is added here.

use crate::pg::error::Error;
use pgrx::PgSqlErrorCode as Code;
use warehouse_core::masks::{ErrorKind, MaskError};
use warehouse_core::privacy::KeyError;

/// How to come to a key.
const CREATE: &str = "Set warehouse.key_file to an absolute path and call warehouse.create_key() as a \
                      superuser, or set warehouse.key_command.";

impl From<MaskError> for Error {
    fn from(error: MaskError) -> Error {
        let message = error.to_string();
        match error {
            MaskError::Key(error) => error.into(),
            MaskError::NoKey { mask } => {
                let message = format!("mask {mask} needs a key, and none is set");
                Error::new(code(error.kind()), message).hint(CREATE)
            }
            MaskError::Misfit(misfit) => {
                let fitting = misfit.fitting.join(", ");
                Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, message)
                    .hint(format!("Masks that fit: {fitting}."))
            }
            MaskError::OutOfRange { .. } => {
                Error::new(Code::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, message)
            }
            MaskError::TooShort { .. } | MaskError::OutsideAlphabet => {
                Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, message)
                    .hint("Use pseudonym or token for such values.")
            }
            MaskError::NotAToken => Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, message)
                .hint("A token is read with the domain it was made in, until its key version is shredded."),
            _ => Error::new(code(error.kind()), message),
        }
    }
}

fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Configuration => Code::ERRCODE_INVALID_PARAMETER_VALUE,
        ErrorKind::Key => Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        ErrorKind::Data => Code::ERRCODE_DATA_EXCEPTION,
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Error {
        let message = error.to_string();
        match error {
            KeyError::TooShort { .. }
            | KeyError::TooLong
            | KeyError::Encoding
            | KeyError::NotRandom
            | KeyError::Line { .. } => Error::new(Code::ERRCODE_CONFIG_FILE_ERROR, message),
            KeyError::NoRandomness => Error::new(Code::ERRCODE_SYSTEM_ERROR, message),
            KeyError::DomainName => Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, message),
            KeyError::NoVersion { .. } => Error::new(Code::ERRCODE_UNDEFINED_OBJECT, message)
                .hint("SELECT * FROM warehouse.keys() lists the versions."),
            KeyError::Shredded { .. } => {
                Error::new(Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            }
            KeyError::InUse { domain, .. } => Error::new(Code::ERRCODE_OBJECT_IN_USE, message)
                .hint(format!("Call warehouse.rotate_key('{domain}') first.")),
            KeyError::Exhausted { .. } => Error::new(Code::ERRCODE_PROGRAM_LIMIT_EXCEEDED, message),
        }
    }
}
