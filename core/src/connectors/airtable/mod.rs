//! Airtable: bases as schemas, tables as tables.
//!
//! Columns are bound to field ids, so that a rename there changes nothing here; conditions become
//! formulas, which name fields as they are called at that moment. The shared reference's section 3 is
//! the specification.

mod bind;
mod catalogue;
mod drift;
mod fields;
mod formula;
mod import;
mod listing;
mod names;
mod options;
mod planner;
mod sample;
mod schema;

pub use bind::{BoundColumn, TableOptions, bind};
pub use catalogue::catalogue;
pub use drift::{Drift, drift};
pub use import::table;
pub use names::{fold, unique};
pub use options::{Credential, Options};
pub use schema::{Base, Field, TableSchema, View};

use super::catalogue::{Filter, Table};
use super::error::ApiError;
use super::host::{Host, Limit, LimitKey};
use super::http::{Client, Format, Request, segment};
use super::limit::Quota;
use super::plan::{Connector, Plan, Query};
use super::retry::Policy;
use super::secret::Secret;
use super::service::{Said, Service};
use super::statistics::Statistics;
use super::tree::{self, Tree};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// Requests a second to one base.
const BASE_RATE: u16 = 5;
/// Requests a second of one user.
const USER_RATE: u16 = 50;
/// A second, and some for requests that overtake each other on their way.
const WINDOW: u64 = 1_050_000;
/// Requests in flight by default.
const CONCURRENCY: u16 = 5;
/// The most keys of one plan; fifty go into a request.
const MOST_KEYS: usize = 1000;
/// What the service asks for after "too many requests".
const PENALTY: Duration = Duration::from_secs(30);

/// An account with a credential.
#[derive(Debug, Clone)]
pub struct Airtable {
    service: Rc<Service>,
    options: Options,
    fingerprint: [u8; 16],
    endpoint: String,
}

fn digest(parts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut out = [0; 16];
    out.copy_from_slice(&hash.finalize()[..16]);
    out
}

impl Airtable {
    /// A connector. Sends nothing.
    pub fn new(options: Options, credential: Credential) -> Result<Airtable, ApiError> {
        let token = credential.token;
        let authorization = Secret::new(format!("Bearer {}", token.expose()));
        let endpoint = options
            .network
            .endpoint
            .clone()
            .unwrap_or_else(|| "https://api.airtable.com".to_owned());
        let base = format!("{endpoint}/v0");
        let client = Client::new(&options.network, base, Format::Json, &authorization, &[])?;
        let fingerprint = digest(&[&endpoint, token.expose()]);
        let policy = Policy { penalty: options.penalty.unwrap_or(PENALTY), ..Policy::default() };
        let service = Service {
            client,
            policy,
            retry_timeout: options.network.retry_timeout,
            said,
            secrets: vec![token],
        };
        Ok(Airtable { service: Rc::new(service), options, fingerprint, endpoint })
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The limits of a request: that of the base first, to which a penalty belongs.
    fn limits(&self, base: Option<&str>) -> Rc<[Limit]> {
        let network = &self.options.network;
        let lease = network.request_timeout + network.connect_timeout + Duration::from_secs(5);
        let limit = |key: [u8; 16], rate: u16, concurrency: u16| Limit {
            key: LimitKey(key),
            quota: Quota { rate, window: WINDOW, concurrency },
            lease,
        };
        let rate = network.requests_per_second.unwrap_or(BASE_RATE);
        let of_base = base.map(|base| {
            let concurrency = network.concurrency.unwrap_or(CONCURRENCY);
            // Whoever asks: the service counts by base.
            limit(digest(&[&self.endpoint, base]), rate, concurrency)
        });
        let of_user = limit(self.fingerprint, USER_RATE.max(rate), 0);
        of_base.into_iter().chain([of_user]).collect()
    }

    async fn ask(
        &self,
        host: &dyn Host,
        base: Option<&str>,
        request: Request,
    ) -> Result<Tree, ApiError> {
        let limits = self.limits(base);
        let statistics = Statistics::default();
        Ok(self.service.exchange(host, &limits, &statistics, &request).await?.tree)
    }

    /// The bases that the credential sees.
    pub async fn bases(&self, host: &dyn Host) -> Result<Vec<Base>, ApiError> {
        let mut out = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let request = schema::bases_request(token.as_deref());
            let endpoint = request.endpoint();
            let tree = self.ask(host, None, request).await?;
            let (bases, next) = schema::bases(&tree, &endpoint)?;
            out.extend(bases);
            match next {
                Some(next) if token.as_deref() == Some(next.as_str()) => {
                    let what = "a token for the next page came twice";
                    return Err(ApiError::Paging { endpoint, what });
                }
                Some(next) => token = Some(next),
                None => return Ok(out),
            }
        }
    }

    /// The base of this id or name.
    pub async fn find_base(&self, host: &dyn Host, wanted: &str) -> Result<Base, ApiError> {
        let all = self.bases(host).await?;
        if let Some(base) = all.iter().find(|base| base.id == wanted) {
            return Ok(base.clone());
        }
        let named: Vec<_> = all.iter().filter(|base| base.name == wanted).collect();
        match named.as_slice() {
            [only] => Ok((*only).clone()),
            [] => {
                let mut names: Vec<_> = all.iter().map(|base| base.name.as_str()).collect();
                names.sort_unstable();
                names.truncate(20);
                Err(ApiError::Unknown(format!(
                    "no base has the id or name \"{wanted}\"; the credential sees: {}",
                    names.join(", ")
                )))
            }
            several => Err(ApiError::Unknown(format!(
                "{} bases are called \"{wanted}\"; name one by its id: {}",
                several.len(),
                several.iter().map(|base| base.id.as_str()).collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// The tables of a base as they are now.
    pub async fn schema(&self, host: &dyn Host, base: &str) -> Result<Vec<TableSchema>, ApiError> {
        let request = schema::tables_request(base);
        let endpoint = request.endpoint();
        let tree = self.ask(host, Some(base), request).await?;
        schema::tables(&tree, &endpoint)
    }

    /// The tables of a base as foreign tables. `known` holds the names of tables and columns that were
    /// imported before, by table and field id: they stay.
    pub async fn import(
        &self,
        host: &dyn Host,
        base: &Base,
        known: &HashMap<String, String>,
    ) -> Result<Vec<Table>, ApiError> {
        let schemas = self.schema(host, &base.id).await?;
        Ok(import::tables(base, &schemas, &self.options, known))
    }
}

impl Connector for Airtable {
    fn plan(&self, query: &Query<'_>) -> Result<Plan, ApiError> {
        planner::plan(self, query)
    }

    fn sample(&self, query: &Query<'_>, records: usize) -> Result<Plan, ApiError> {
        sample::plan(self, query, records)
    }

    fn batch(&self, table: &Table, column: &str) -> Option<usize> {
        match &table.column(column)?.1.filter {
            Filter::Key => Some(MOST_KEYS),
            Filter::Text(_) | Filter::Number(_) | Filter::Parent => Some(formula::MOST),
            _ => None,
        }
    }

    fn fingerprint(&self) -> [u8; 16] {
        self.fingerprint
    }
}

/// An id as a path segment. The ids of Airtable hold letters and digits alone.
fn id_segment(id: &str) -> String {
    segment(id)
}

/// What an error's body says, in any of the three shapes seen.
fn said(_status: u16, body: &str) -> Said {
    let Ok(tree) = tree::parse_json(body) else { return Said::default() };
    let text = |tree: &Tree, name: &str| tree.text_of(name).map(str::to_owned);
    match tree.get("error") {
        Some(Tree::Text(code)) => Said { code: Some(code.clone()), ..Said::default() },
        Some(error) => {
            Said { code: text(error, "type"), message: text(error, "message"), transient: false }
        }
        None => match tree.get("errors").map(Tree::items) {
            Some([first, ..]) => Said {
                code: text(first, "error"),
                message: text(first, "message"),
                transient: false,
            },
            _ => Said::default(),
        },
    }
}

/// Whether an error has this name at the API.
fn is_code(error: &ApiError, wanted: &[&str]) -> bool {
    matches!(error, ApiError::Rejected { code: Some(code), .. } if wanted.contains(&code.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_three_shapes() {
        let of = |body| said(422, body);
        assert_eq!(of(r#"{"error":"NOT_FOUND"}"#).code.as_deref(), Some("NOT_FOUND"));
        let object = of(r#"{"error":{"type":"UNKNOWN_FIELD_NAME","message":"m"}}"#);
        assert_eq!(
            (object.code.as_deref(), object.message.as_deref()),
            (Some("UNKNOWN_FIELD_NAME"), Some("m"))
        );
        let plural = of(r#"{"errors":[{"error":"RATE_LIMIT_REACHED","message":"m"}]}"#);
        assert_eq!(plural.code.as_deref(), Some("RATE_LIMIT_REACHED"));
        assert_eq!(of("<html>"), Said::default());
    }
}
