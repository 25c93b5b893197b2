//! From the connectors' errors to SQLSTATEs.

use crate::pg::error::Error;
use pgrx::PgSqlErrorCode as Code;
use warehouse_core::connectors::{ApiError, OptionError};

/// An error of an API, as the client is told it.
pub fn of(error: ApiError) -> Error {
    let code = match &error {
        ApiError::Connection { .. } | ApiError::Timeout { .. } => Code::ERRCODE_CONNECTION_FAILURE,
        ApiError::Malformed { cut: true, .. } => Code::ERRCODE_CONNECTION_FAILURE,
        ApiError::Refused { .. } => Code::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
        ApiError::RateLimited { .. } => Code::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
        ApiError::NotFound { .. } | ApiError::Rejected { .. } | ApiError::NeedsKey { .. } => {
            Code::ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION
        }
        ApiError::Service { .. }
        | ApiError::TooLarge { .. }
        | ApiError::Malformed { .. }
        | ApiError::Paging { .. }
        | ApiError::Incomplete { .. } => Code::ERRCODE_FDW_UNABLE_TO_CREATE_REPLY,
        ApiError::Redirect { .. } | ApiError::Setup(_) => {
            Code::ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION
        }
        ApiError::Value { .. } => Code::ERRCODE_FDW_INVALID_DATA_TYPE,
        ApiError::Unknown(_) => Code::ERRCODE_FDW_TABLE_NOT_FOUND,
        ApiError::Option(error) => return option(error.clone()),
        ApiError::Host(_) => Code::ERRCODE_FDW_ERROR,
        ApiError::Bug(_) => Code::ERRCODE_INTERNAL_ERROR,
    };
    let hint = error.hint();
    let told = Error::new(code, error.to_string());
    match hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

/// An option that is wrong. It does not hold the option's value.
pub fn option(error: OptionError) -> Error {
    let code = match &error {
        OptionError::Unknown { .. } => Code::ERRCODE_FDW_INVALID_OPTION_NAME,
        OptionError::Malformed { .. } => Code::ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
        OptionError::Missing { .. } => Code::ERRCODE_FDW_OPTION_NAME_NOT_FOUND,
    };
    match error {
        OptionError::Unknown { name, valid } => {
            Error::new(code, format!("invalid option \"{name}\""))
                .hint(format!("Valid options here are: {}.", valid.join(", ")))
        }
        error => Error::new(code, error.to_string()),
    }
}
