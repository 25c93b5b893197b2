//! What an emulator can be told and asked over HTTP, for those who did not start it themselves.
//!
//! | request | does |
//! |---|---|
//! | `GET /__control/log` | the requests so far |
//! | `DELETE /__control/log` | forgets them |
//! | `GET /__control/figures?part=P` | counts over requests whose path and query contain P |
//! | `GET`, `POST`, `DELETE /__control/faults` | shows, arms ([`Fault::from_json`]), disarms all |
//! | `POST /__control/delay` | `{"ms": 20}`: what every answer waits for |
//! | `POST /__control/change` | changes data or behaviour; see the services |
//! | `GET /__control/truth` | the kinds of records there are |
//! | `GET /__control/truth/KIND?offset=N&limit=N` | the records, one JSON object a line |

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::exchange::{Answer, Request};
use super::fault::Fault;
use super::server::{Api, Hub};

/// The first part of the path of these requests.
pub(super) const PATH: &str = "__control";

pub(super) fn answer<A: Api>(hub: &Hub<A>, request: &Request) -> Answer {
    match obey(hub, request) {
        Ok(answer) => answer,
        Err(error) => Answer::json(400, &json!({"error": format!("{error:#}")})),
    }
}

fn obey<A: Api>(hub: &Hub<A>, request: &Request) -> Result<Answer> {
    let done = || Answer::json(200, &json!({"done": true}));
    let body = || serde_json::from_slice::<Value>(&request.body).context("the body is not JSON");
    let path = request.path();
    Ok(match (request.method.as_str(), &path[1..]) {
        ("GET", ["log"]) => {
            let entries: Vec<Value> =
                hub.log.entries().iter().map(super::log::Entry::to_json).collect();
            Answer::json(200, &Value::from(entries))
        }
        ("DELETE", ["log"]) => {
            hub.log.clear();
            done()
        }
        ("GET", ["figures"]) => {
            Answer::json(200, &hub.log.figures(request.parameter("part").unwrap_or_default()))
        }
        ("GET", ["faults"]) => Answer::json(200, &hub.faults.to_json()),
        ("POST", ["faults"]) => {
            hub.faults.arm(Fault::from_json(&body()?)?);
            done()
        }
        ("DELETE", ["faults"]) => {
            hub.faults.clear();
            done()
        }
        ("POST", ["delay"]) => {
            let ms = body()?.get("ms").and_then(Value::as_u64).context("`ms` is missing")?;
            hub.set_delay(Duration::from_millis(ms));
            done()
        }
        ("POST", ["change"]) => {
            hub.api.change(&body()?)?;
            done()
        }
        ("GET", ["truth"]) => Answer::json(200, &Value::from(hub.api.kinds())),
        ("GET", ["truth", kind]) => {
            let number = |name: &str, usual: usize| -> Result<usize> {
                let value = request.parameter(name);
                value.map_or(Ok(usual), |value| Ok(value.parse()?))
            };
            let offset = number("offset", 0)?;
            let end = offset.saturating_add(number("limit", usize::MAX)?);
            let mut lines = String::new();
            let mut index = 0;
            hub.api.each(kind, &mut |record| {
                if (offset..end).contains(&index) {
                    lines.push_str(&record.to_string());
                    lines.push('\n');
                }
                index += 1;
            })?;
            Answer::new(200, "application/x-ndjson", lines)
        }
        (method, _) => bail!("no such request: {method} {}", request.target),
    })
}
