//! What the gateway answers when it does not answer.

use serde_json::json;

use super::xml;
use crate::apis::exchange::Answer;

/// The content type of all XML answers.
pub(super) const XML: &str = "application/xml; charset=utf-8";

/// A status by itself; the SDKs look at nothing else.
pub(super) fn of_status(status: u16) -> Answer {
    if status == 422 {
        return search_timeout();
    }
    Answer::empty(status)
}

/// A search that took too long. The same request may succeed a moment later.
pub(super) fn search_timeout() -> Answer {
    let reason = json!({"reason": "timeout"});
    Answer::new(422, XML, xml::document("unprocessable-entity", &reason))
}

/// A value that cannot be.
pub(super) fn validation(object: &str, attribute: &str, code: &str, message: &str) -> Answer {
    let text = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let message = text(message);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<api-error-response><errors>\
         <errors type=\"array\"/><{object}><errors type=\"array\"><error><code>{code}</code>\
         <attribute type=\"symbol\">{attribute}</attribute><message>{message}</message></error>\
         </errors></{object}></errors><params><{object}><type>sale</type></{object}></params>\
         <message>{message}</message></api-error-response>"
    );
    Answer::new(422, XML, body)
}
