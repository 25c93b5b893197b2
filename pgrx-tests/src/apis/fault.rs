//! What an emulator can be told to do wrong, and to which of the next requests.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::exchange::{Answer, Request};

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum What {
    /// The service's own answer of this status, with `Retry-After` in seconds if wanted.
    Status(u16, Option<u64>),
    /// An answer that only this service has, by its name; see the modules of the services.
    Named(String),
    /// This answer, whatever it is.
    Answer(Answer),
    /// An HTML page of this status where JSON or XML belongs.
    Html(u16),
    /// The request is read and never answered.
    Stall,
    /// The right answer, cut off after so many bytes of its body: the connection breaks.
    Cut(usize),
    /// The right answer, compressed, of which only so many bytes come; the HTTP is whole.
    TruncatedGzip(usize),
    /// The right answer, so much later.
    Delay(Duration),
    /// Something changes in the service before it answers; see the modules of the services.
    Change(Value),
}

impl What {
    /// How the log names it.
    pub fn name(&self) -> &'static str {
        match self {
            What::Status(..) => "status",
            What::Named(_) => "named",
            What::Answer(_) => "answer",
            What::Html(_) => "html",
            What::Stall => "stall",
            What::Cut(_) => "cut",
            What::TruncatedGzip(_) => "truncated gzip",
            What::Delay(_) => "delay",
            What::Change(_) => "change",
        }
    }
}

/// A fault, and the requests it is for.
#[derive(Debug, Clone)]
pub struct Fault {
    what: What,
    target: String,
    body: String,
    skip: u64,
    times: u64,
}

impl Fault {
    /// For the next request, whichever it is.
    pub fn new(what: What) -> Fault {
        Fault { what, target: String::new(), body: String::new(), skip: 0, times: 1 }
    }

    /// Only for requests whose path and query contain `part`.
    #[must_use]
    pub fn on(mut self, part: &str) -> Fault {
        self.target = part.to_owned();
        self
    }

    /// Only for requests whose body contains `part`.
    #[must_use]
    pub fn with_body(mut self, part: &str) -> Fault {
        self.body = part.to_owned();
        self
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Fault {
        self.skip = requests;
        self
    }

    /// For so many matching requests, instead of one.
    #[must_use]
    pub fn times(mut self, requests: u64) -> Fault {
        self.times = requests;
        self
    }

    /// For every matching request from now on.
    #[must_use]
    pub fn always(self) -> Fault {
        self.times(u64::MAX)
    }

    /// Reads a fault as the control endpoint takes it:
    /// `{"fault": "status", "status": 429, "retry_after": 30, "on": "/transactions", "times": 2}`.
    ///
    /// The kinds are `status`, `named` (`name`), `answer` (`status`, `type`, `text`), `html`
    /// (`status`), `stall`, `cut` (`bytes`), `gzip` (`bytes`), `delay` (`ms`) and `change`
    /// (`change`). `on`, `body`, `after` and `times` (0: always) may be left out.
    pub fn from_json(value: &Value) -> Result<Fault> {
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let size = |name: &str| number(name).and_then(|size| usize::try_from(size).ok());
        let status = |usual: u16| -> Result<u16> {
            number("status").map_or(Ok(usual), |status| Ok(u16::try_from(status)?))
        };
        let what = match text("fault").context("a fault needs `fault`, its kind")? {
            "status" => What::Status(status(500)?, number("retry_after")),
            "named" => What::Named(text("name").context("`name` is missing")?.to_owned()),
            "answer" => What::Answer(Answer::new(
                status(200)?,
                text("type").unwrap_or("application/json"),
                text("text").unwrap_or_default(),
            )),
            "html" => What::Html(status(200)?),
            "stall" => What::Stall,
            "cut" => What::Cut(size("bytes").unwrap_or(0)),
            "gzip" => What::TruncatedGzip(size("bytes").unwrap_or(20)),
            "delay" => What::Delay(Duration::from_millis(number("ms").unwrap_or(100))),
            "change" => What::Change(value.get("change").context("`change` is missing")?.clone()),
            kind => bail!("there is no fault {kind}"),
        };
        let fault = Fault::new(what)
            .on(text("on").unwrap_or_default())
            .with_body(text("body").unwrap_or_default())
            .after(number("after").unwrap_or(0));
        Ok(match number("times") {
            None => fault,
            Some(0) => fault.always(),
            Some(times) => fault.times(times),
        })
    }

    fn matches(&self, request: &Request) -> bool {
        request.target.contains(&self.target)
            && (self.body.is_empty() || String::from_utf8_lossy(&request.body).contains(&self.body))
    }
}

/// The faults that are armed.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Arms one more.
    pub fn arm(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// Disarms all.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// How many are armed and have not been used up.
    pub fn armed(&self) -> usize {
        self.lock().len()
    }

    /// What goes wrong with this request: every delay and change that is for it, and of the others
    /// the one that was armed first.
    pub(super) fn take(&self, request: &Request) -> Vec<What> {
        let mut taken = Vec::new();
        let mut broken = false;
        let mut faults = self.lock();
        for fault in faults.iter_mut() {
            let breaks = !matches!(fault.what, What::Delay(_) | What::Change(_));
            if (breaks && broken) || !fault.matches(request) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times = if fault.times == u64::MAX { u64::MAX } else { fault.times - 1 };
            broken |= breaks;
            taken.push(fault.what.clone());
        }
        faults.retain(|fault| fault.times > 0);
        taken
    }

    /// What the control endpoint says of them.
    pub fn to_json(&self) -> Value {
        let faults = self.lock();
        faults
            .iter()
            .map(|fault| json!({"fault": fault.what.name(), "on": fault.target, "after": fault.skip}))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
