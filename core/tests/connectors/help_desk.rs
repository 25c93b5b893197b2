//! A third API, small and invented: a help desk that lists its tickets as JSON.
//!
//! `docs/apis.md` shows how an API is added by quoting this file; [`the_document_quotes_this_file`]
//! keeps the quotations true.

use crate::clock::{Clock, START};
use crate::run;
use crate::server::{Received, Scripted, Server};
use crate::terms::{any, col, lit, op, param, text};
use sha2::{Digest, Sha256};
use std::rc::Rc;
use std::time::Duration;
use warehouse_core::connectors::catalogue::{Column, ColumnType, Filter, Origin, Table};
use warehouse_core::connectors::condition::{Comparison, Condition, Operand, convert};
use warehouse_core::connectors::limit::Quota;
use warehouse_core::connectors::paging::{Each, TokenPage, Tokens};
use warehouse_core::connectors::tree::{self, Tree};
use warehouse_core::connectors::{
    Answer, ApiError, ChangeCursor, Changes, Client, Connector, Cursor, ErrorKind, Extent, Format,
    Limit, LimitKey, Line, Network, Nothing, Param, Plan, Policy, Query, Record, Request, Row,
    Said, Scan, Secret, Service, Strategy, Taken, Unknown, Value, segment, time,
};
use warehouse_core::predicate::Expr;
use warehouse_core::privacy::Kind;

/// The help desk with a credential.
pub struct HelpDesk {
    service: Rc<Service>,
    limits: Rc<[Limit]>,
    fingerprint: [u8; 16],
}

/// Requests a second and at once that the help desk allows.
const RATE: u16 = 10;
const AT_ONCE: u16 = 4;

impl HelpDesk {
    /// A connector. Sends nothing.
    pub fn new(network: &Network, token: &str) -> Result<HelpDesk, ApiError> {
        let endpoint = network.endpoint.as_deref().unwrap_or("https://api.helpdesk.example");
        let authorization = Secret::new(format!("Bearer {token}"));
        let base = format!("{endpoint}/v1");
        let client = Client::new(network, base, Format::Json, &authorization, &[])?;
        let mut fingerprint = [0; 16];
        let digest = Sha256::digest(format!("{}:{endpoint}{token}", endpoint.len()));
        fingerprint.copy_from_slice(&digest[..16]);
        let quota = Quota {
            rate: network.requests_per_second.unwrap_or(RATE),
            window: 1_000_000,
            concurrency: network.concurrency.unwrap_or(AT_ONCE),
        };
        let lease = network.request_timeout + network.connect_timeout;
        let service = Service {
            client,
            policy: Policy::default(),
            retry_timeout: network.retry_timeout,
            said,
            secrets: vec![Secret::new(token)],
        };
        Ok(HelpDesk {
            service: Rc::new(service),
            limits: Rc::from([Limit { key: LimitKey(fingerprint), quota, lease }]),
            fingerprint,
        })
    }
}

/// What an error says: `{"error": "…"}`.
fn said(_status: u16, body: &str) -> Said {
    let message = tree::parse_json(body).ok().and_then(|it| it.text_of("error").map(str::to_owned));
    Said { message, ..Said::default() }
}

/// The table `tickets`.
pub fn tickets() -> Table {
    let text = |name: &str| Column::new(name, ColumnType::Text);
    let column = Column::new;
    Table {
        name: "tickets".to_owned(),
        comment: Some("What people asked the help desk".to_owned()),
        columns: vec![
            text("id").takes(Filter::Key).public(),
            text("status")
                .takes(Filter::OneOf("status".to_owned(), &["open", "pending", "solved"]))
                .public(),
            text("subject"),
            text("requester_email").at(&["requester", "email"]).kind(Kind::Email),
            column("minutes", ColumnType::Numeric).comment("Time spent on it"),
            column("updated_at", ColumnType::Timestamp).takes(Filter::Time("since".to_owned())),
            column("attrs", ColumnType::Json).from(Origin::Whole).personal(),
        ],
        key: vec!["id".to_owned()],
        cursor: ChangeCursor::Changes { settle: 30 },
        needs: None,
        options: Vec::new(),
    }
}

/// What is asked of the help desk.
#[derive(Clone, Default)]
struct Asked {
    ids: Option<Vec<String>>,
    statuses: Option<Vec<String>>,
    /// Seconds since 2000-01-01.
    since: Option<i64>,
    /// A value is not known yet: the plan is for EXPLAIN.
    unknown: bool,
    never: bool,
}

impl Asked {
    /// Takes what the API can answer of a condition. What it takes may be wider, never narrower.
    fn take(&mut self, table: &Table, condition: &Condition) -> Taken {
        match condition {
            Condition::Never => {
                self.never = true;
                Taken::Exactly
            }
            Condition::All(parts) => {
                let taken: Vec<Taken> = parts.iter().map(|part| self.take(table, part)).collect();
                match (
                    taken.iter().all(|it| *it == Taken::Exactly),
                    taken.contains(&Taken::Exactly),
                ) {
                    (true, _) => Taken::Exactly,
                    (_, true) => Taken::Wider,
                    _ if taken.contains(&Taken::Wider) => Taken::Wider,
                    _ => Taken::No,
                }
            }
            single => {
                let column = single.column().and_then(|name| table.column(name));
                column.and_then(|(_, it)| self.single(&it.filter, single)).unwrap_or(Taken::No)
            }
        }
    }

    fn single(&mut self, filter: &Filter, condition: &Condition) -> Option<Taken> {
        match filter {
            Filter::Key if self.ids.is_none() => {
                self.ids = Some(self.values(condition)?);
                Some(Taken::Exactly)
            }
            Filter::OneOf(_, members) if self.statuses.is_none() => {
                let values = self.values(condition)?;
                // A status that we do not know may be new there: then nothing is narrowed.
                let known = |value: &String| members.contains(&value.as_str());
                if !self.unknown && !values.iter().all(known) {
                    return None;
                }
                self.statuses = Some(values);
                Some(Taken::Exactly)
            }
            Filter::Time(_) => {
                let Condition::Compare { comparison, operand, .. } = condition else { return None };
                if !(comparison.is_lower() && operand.of == "timestamp with time zone") {
                    return None;
                }
                // Down to a whole second: the API takes no fraction.
                let second = match operand.known() {
                    Some(text) => time::timestamp(text)?.div_euclid(1_000_000),
                    None => 0,
                };
                self.unknown |= operand.known().is_none();
                self.since = Some(self.since.map_or(second, |known| known.max(second)));
                Some(Taken::Wider)
            }
            _ => None,
        }
    }

    /// The values of an equality or a list of texts.
    fn values(&mut self, condition: &Condition) -> Option<Vec<String>> {
        let operands = match condition {
            Condition::Compare { comparison: Comparison::Equal, operand, .. } => {
                std::slice::from_ref(operand)
            }
            Condition::OneOf { operands, .. } => operands,
            Condition::OneOfParam { param, .. } => {
                self.unknown = true;
                return Some(vec![format!("${}", param + 1)]);
            }
            _ => return None,
        };
        self.unknown |= operands.iter().any(|operand| operand.known().is_none());
        let are_texts = operands.iter().all(|operand| operand.of == "text");
        are_texts.then(|| operands.iter().map(Operand::shown).collect())
    }

    /// The listing's query, without the token of a page.
    fn query(&self) -> String {
        let statuses = self.statuses.iter().map(|values| {
            let values: Vec<String> = values.iter().map(|value| segment(value)).collect();
            format!("status={}", values.join(","))
        });
        let since = self.since.map(|since| format!("since={}", time::second_text(since)));
        statuses.chain(since).collect::<Vec<_>>().join("&")
    }
}

/// How far a window of changes begins before the end of the last one, in microseconds.
const LOOK_BACK: u64 = 60_000_000;

impl Connector for HelpDesk {
    fn plan(&self, query: &Query<'_>) -> Result<Plan, ApiError> {
        let (mut asked, mut taken, mut pushed) = (Asked::default(), Vec::new(), Vec::new());
        for expr in query.conditions {
            let how = match convert(expr, query.params) {
                None => Taken::No,
                Some(converted) => {
                    let how = asked.take(query.table, &converted.condition);
                    if how != Taken::No {
                        pushed.push(converted.condition);
                    }
                    if converted.exact || how == Taken::No { how } else { Taken::Wider }
                }
            };
            taken.push(how);
        }
        if let Some(Changes { since, .. }) = query.changes {
            let since =
                (since.saturating_sub(LOOK_BACK) / 1_000_000) as i64 - time::UNIX_TO_POSTGRES;
            asked.since = Some(asked.since.map_or(since, |known| known.max(since)));
        }
        let exact = taken.iter().all(|how| *how == Taken::Exactly);
        let (requests, extent, strategy): (Vec<Line>, Extent, Rc<dyn Strategy>) = if asked.never {
            (Vec::new(), Extent::Nothing, Rc::new(Nothing))
        } else {
            let line = |path: String, criteria| Line { method: "GET", path, criteria };
            let (lines, extent) = match &asked.ids {
                Some(ids) => {
                    let lines = ids.iter().map(|id| line(format!("tickets/{id}"), String::new()));
                    (lines.collect(), Extent::Keys(ids.len() as u64))
                }
                None if asked.query().is_empty() => {
                    (vec![line("tickets".to_owned(), String::new())], Extent::All)
                }
                None => (vec![line("tickets".to_owned(), asked.query())], Extent::Part),
            };
            let strategy: Rc<dyn Strategy> =
                if asked.unknown { Rc::new(Unknown) } else { Rc::new(asked.clone()) };
            (lines, extent, strategy)
        };
        Ok(Plan {
            table: query.table.clone(),
            columns: query.columns.to_vec(),
            taken,
            requests,
            // What else is asked of records by their ids is checked on the rows.
            limit: query.limit.filter(|_| exact && asked.ids.is_none() && query.changes.is_none()),
            pushed,
            extent,
            cacheable: query.changes.is_none(),
            service: self.service.clone(),
            limits: self.limits.clone(),
            concurrency: usize::from(AT_ONCE),
            strategy,
        })
    }

    fn batch(&self, table: &Table, column: &str) -> Option<usize> {
        match table.column(column)?.1.filter {
            // One request each.
            Filter::Key => Some(20),
            _ => None,
        }
    }

    fn fingerprint(&self) -> [u8; 16] {
        self.fingerprint
    }
}

impl Strategy for Asked {
    fn start(&self, _now: u64) -> Box<dyn Cursor> {
        if let Some(ids) = &self.ids {
            let one = |id: &String| Request::get(format!("tickets/{}", segment(id)), "tickets/:id");
            let read = |_: usize, answer: Answer| Ok(vec![Record::of(answer.tree)]);
            return Box::new(Each::new(ids.iter().map(one).collect(), Rc::new(read)));
        }
        let query = self.query();
        let ask = move |token: Option<&str>| {
            let token = token.map(|token| format!("after={}", segment(token)));
            let parts: Vec<&str> =
                [Some(query.as_str()), token.as_deref()].into_iter().flatten().collect();
            Request::get(format!("tickets?{}", parts.join("&")), "tickets")
        };
        let endpoint = ask(None).endpoint();
        let read = move |answer: Answer| {
            let mut tree = answer.tree;
            let wrong = |what| ApiError::Malformed { endpoint: endpoint.clone(), what, cut: false };
            let Some(Tree::List(records)) = tree.take("tickets") else {
                return Err(wrong("it has no list of tickets"));
            };
            let mut page = TokenPage { records: Vec::new(), next: None };
            for record in records {
                let id = record.text_of("id").ok_or_else(|| wrong("a ticket has no id"))?;
                page.records.push((id.to_owned(), Record::of(record)));
            }
            page.next = tree.text_of("next").map(str::to_owned);
            Ok(page)
        };
        // Its tokens do not expire.
        Box::new(Tokens::new(Rc::new(ask), Rc::new(read), |_| false))
    }
}

const TOKEN: &str = "deskCANARY0123";

/// One ticket of the server: number, status, second since 2000-01-01 of its last change.
type Ticket = (usize, &'static str, i64);

/// Seconds since 2000-01-01 of the clock's start.
fn start() -> i64 {
    (START / 1_000_000) as i64 - time::UNIX_TO_POSTGRES
}

fn made() -> Vec<Ticket> {
    (0..25).map(|n| (n, ["open", "solved", "pending"][n % 3], start() - 100 * n as i64)).collect()
}

fn json((number, status, changed): &Ticket) -> String {
    format!(
        r#"{{"id":"T{number}","status":"{status}","subject":"About {number}","requester":{{"email":"p{number}@example.com"}},"minutes":{number}.50,"updated_at":"{}"}}"#,
        time::second_text(*changed)
    )
}

/// What a help desk answers: seven tickets a page.
fn answer(tickets: &[Ticket], received: &Received) -> Scripted {
    let (path, query) = received.path.split_once('?').unwrap_or((&received.path, ""));
    if let Some(id) = path.strip_prefix("/v1/tickets/") {
        let found = tickets.iter().find(|(number, ..)| format!("T{number}") == id);
        return found.map_or(Scripted::status(404), |it| Scripted::json(json(it)));
    }
    assert_eq!(path, "/v1/tickets");
    let parameter = |name: &str| {
        query.split('&').find_map(|it| it.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    let since = parameter("since").map(|it| time::timestamp(&it).expect("a time") / 1_000_000);
    let statuses = parameter("status");
    let after: usize = parameter("after").map_or(0, |it| it.parse().expect("a token"));
    let matching: Vec<&Ticket> = tickets
        .iter()
        .filter(|(_, status, _)| {
            statuses.as_ref().is_none_or(|them| them.split(',').any(|it| it == *status))
        })
        .filter(|(.., changed)| since.is_none_or(|since| *changed >= since))
        .collect();
    let shown: Vec<String> = matching.iter().skip(after).take(7).map(|it| json(it)).collect();
    let next = (after + 7 < matching.len()).then(|| format!(r#","next":"{}""#, after + 7));
    Scripted::json(format!(r#"{{"tickets":[{}]{}}}"#, shown.join(","), next.unwrap_or_default()))
}

fn desk(server: &Server) -> HelpDesk {
    let network = Network { endpoint: Some(server.endpoint.clone()), ..Network::default() };
    HelpDesk::new(&network, TOKEN).expect("a connector")
}

async fn rows(
    desk: &HelpDesk,
    columns: &[usize],
    conditions: &[Expr],
    changes: Option<Changes>,
) -> Result<Vec<Row>, ApiError> {
    let table = Rc::new(tickets());
    let query = Query { table: &table, columns, conditions, params: &[], limit: None, changes };
    let mut scan = Scan::open(&desk.plan(&query)?, Clock::new());
    let mut rows = Vec::new();
    while let Some(page) = scan.next_page().await? {
        rows.extend(page.rows);
    }
    Ok(rows)
}

fn ids(rows: &[Row]) -> Vec<String> {
    let id = |row: &Row| match &row[0] {
        Value::Text(id) => id.clone(),
        other => panic!("{other:?} is no id"),
    };
    rows.iter().map(id).collect()
}

#[test]
fn all_tickets_come_page_by_page() {
    run(async {
        let server = Server::start(|_, received| answer(&made(), received)).await;
        let found = rows(&desk(&server), &[0, 3, 4, 5, 6], &[], None).await.expect("rows");
        let want: Vec<String> = (0..25).map(|n| format!("T{n}")).collect();
        assert_eq!(ids(&found), want);
        assert_eq!(server.count(), 4);
        assert_eq!(found[3][1], Value::Text("p3@example.com".into()));
        assert_eq!(found[3][2], Value::Numeric("3.50".into()));
        assert_eq!(found[3][3], Value::Timestamp((start() - 300) * 1_000_000));
        assert!(matches!(&found[3][4], Value::Json(all) if all.contains("About 3")));
        let headers = server.requests()[0].headers.to_lowercase();
        assert!(headers.contains("authorization: bearer deskcanary0123"), "{headers}");
    });
}

#[test]
fn what_the_api_can_answer_is_asked_of_it() {
    run(async {
        let server = Server::start(|_, received| answer(&made(), received)).await;
        let desk = desk(&server);
        let at = |second: i64| lit(&time::second_text(second), "timestamp with time zone");
        let cases: [(Vec<Expr>, Taken, usize, usize); 6] = [
            (vec![text("status", "=", "open")], Taken::Exactly, 9, 2),
            (vec![any("status", "{open,solved}")], Taken::Exactly, 17, 3),
            // Nobody knows what a new status is called.
            (vec![text("status", "=", "escalated")], Taken::No, 25, 4),
            (vec![op(">", col("updated_at"), at(start() - 500))], Taken::Wider, 6, 1),
            (vec![op("<", col("updated_at"), at(start() - 500))], Taken::No, 25, 4),
            (vec![any("id", "{T3,T4,none}")], Taken::Exactly, 2, 3),
        ];
        for (conditions, taken, count, requests) in cases {
            let table = Rc::new(tickets());
            let query = Query {
                table: &table,
                columns: &[0],
                conditions: &conditions,
                params: &[],
                limit: None,
                changes: None,
            };
            assert_eq!(desk.plan(&query).expect("a plan").taken, [taken], "{conditions:?}");
            let before = server.count();
            let found = rows(&desk, &[0], &conditions, None).await.expect("rows");
            let asked = server.count() - before;
            assert_eq!((found.len(), asked), (count, requests), "{conditions:?}");
        }
        // With a value that is not known yet it can be shown and not read.
        let table = Rc::new(tickets());
        let conditions = [op("=", col("id"), param(0, "text"))];
        let query = Query {
            table: &table,
            columns: &[0],
            conditions: &conditions,
            params: &[],
            limit: None,
            changes: None,
        };
        let plan = desk.plan(&query).expect("a plan");
        assert_eq!(plan.requests[0].to_string(), "GET tickets/$1");
        let known = [Param::Text("T9".to_owned())];
        let plan = desk.plan(&Query { params: &known, ..query }).expect("a plan");
        let mut scan = Scan::open(&plan, Clock::new());
        assert_eq!(ids(&scan.next_page().await.expect("a page").expect("rows").rows), ["T9"]);
    });
}

#[test]
fn changes_come_with_a_look_back() {
    run(async {
        let server = Server::start(|_, received| answer(&made(), received)).await;
        let since = START - 150 * 1_000_000;
        let changes = Some(Changes { since, until: START });
        let found = rows(&desk(&server), &[0], &[], changes).await.expect("rows");
        assert_eq!(ids(&found), ["T0", "T1", "T2"], "the last one changed before the window");
    });
}

#[test]
fn what_goes_wrong_is_the_engines() {
    run(async {
        let server = Server::start(|number, received| match number {
            1 => Scripted::status(429).with("retry-after", "2"),
            _ => answer(&made(), received),
        })
        .await;
        let desk = desk(&server);
        let table = Rc::new(tickets());
        let query = Query {
            table: &table,
            columns: &[0],
            conditions: &[],
            params: &[],
            limit: None,
            changes: None,
        };
        let clock = Clock::new();
        let mut scan = Scan::open(&desk.plan(&query).expect("a plan"), clock.clone());
        let mut count = 0;
        while let Some(page) = scan.next_page().await.expect("a page") {
            count += page.rows.len();
        }
        assert_eq!((count, server.count()), (25, 5));
        assert_eq!(clock.waits(Duration::from_secs(2)).len(), 1);
    });
    run(async {
        let server = Server::start(|_, _| {
            Scripted::new(401, "application/json", r#"{"error":"deskCANARY0123 is no token"}"#)
        })
        .await;
        let error = rows(&desk(&server), &[0], &[], None).await.expect_err("an error");
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
    });
}

/// Every piece of Rust in the document stands in this file.
#[test]
fn the_document_quotes_this_file() {
    let (file, document) = (include_str!("help_desk.rs"), include_str!("../../../docs/apis.md"));
    let quotations: Vec<&str> = document
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("invariant: split gives one part at least"))
        .collect();
    assert!(quotations.len() >= 4, "{} quotations", quotations.len());
    for quotation in quotations {
        assert!(file.contains(quotation), "not in help_desk.rs:\n{quotation}");
    }
}
