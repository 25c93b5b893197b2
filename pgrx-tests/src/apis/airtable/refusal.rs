//! What Airtable answers when it does not answer.

use serde_json::json;

use crate::apis::exchange::Answer;

/// An error with a type and a message.
pub(super) fn typed(status: u16, kind: &str, message: &str) -> Answer {
    Answer::json(status, &json!({"error": {"type": kind, "message": message}}))
}

/// The usual error of a status.
pub(super) fn of_status(status: u16) -> Answer {
    match status {
        401 => typed(401, "AUTHENTICATION_REQUIRED", "Authentication required"),
        403 => typed(
            403,
            "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
            "Invalid permissions, or the requested model was not found. Check that both your user \
             and your token have the required permissions, and that the model names and/or ids are \
             correct.",
        ),
        404 => Answer::json(404, &json!({"error": "NOT_FOUND"})),
        413 => typed(413, "REQUEST_TOO_LARGE", "Request body is too large"),
        422 => invalid("Invalid request: parameter validation failed. Check your request data."),
        429 => Answer::json(
            429,
            &json!({"errors": [{
                "error": "RATE_LIMIT_REACHED",
                "message": "Rate limit exceeded. Please try again later",
            }]}),
        ),
        // What stands in front of the service answers, not the service.
        500 | 502 | 503 | 504 => Answer::html(status),
        _ => typed(status, "UNKNOWN", "The emulator answers so because it was told to"),
    }
}

/// A token that is not known.
pub(super) fn wrong_token() -> Answer {
    typed(401, "UNAUTHORIZED", "Invalid authentication token")
}

/// A parameter that cannot be.
pub(super) fn invalid(message: &str) -> Answer {
    typed(422, "INVALID_REQUEST_UNKNOWN", message)
}

/// A formula that cannot be worked out.
pub(super) fn formula(message: &str) -> Answer {
    let message = format!("The formula for filtering records is invalid: {message}");
    typed(422, "INVALID_FILTER_BY_FORMULA", &message)
}

/// A field that does not exist.
pub(super) fn unknown_field(name: &str) -> Answer {
    typed(422, "UNKNOWN_FIELD_NAME", &format!("Unknown field name: \"{name}\""))
}

/// An offset that is not good any more.
pub(super) fn expired_offset() -> Answer {
    let message = "The iterator for this request is no longer available";
    typed(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE", message)
}
