//! Braintree: its search protocol, its tables, what is pushed.

use crate::clock::{Clock, START};
use crate::gateway::{Gateway, Sale};
use crate::run;
use crate::server::{Received, Scripted, Server};
use crate::terms::{any, col, is_null, lit, not, op, param, text};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use warehouse_core::connectors::braintree::{self, Braintree};
use warehouse_core::connectors::{
    ApiError, Changes, Connector, ErrorKind, Extent, Param, Plan, Query, Row, Scan, SessionHost,
    Table, Taken, Value, time,
};
use warehouse_core::predicate::Expr;

pub fn connector(endpoint: &str, more: &[(&str, &str)]) -> Braintree {
    let mut options = vec![("endpoint", endpoint), ("merchant_id", "m")];
    options.extend(more);
    let options = braintree::Options::parse(options).expect("options");
    let keys = [("public_key", "pubCANARY"), ("private_key", "privCANARY")];
    Braintree::new(options, braintree::Credential::parse(keys).expect("keys")).expect("a connector")
}

fn table(name: &str) -> Rc<Table> {
    Rc::new(braintree::tables().into_iter().find(|table| table.name == name).expect("a table"))
}

/// A question, with everything that most tests leave alone.
pub struct Ask<'a> {
    pub table: &'a str,
    pub columns: &'a [&'a str],
    pub conditions: &'a [Expr],
    pub params: &'a [Param],
    pub limit: Option<u64>,
    pub changes: Option<Changes>,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        let table = "transactions";
        Ask { table, columns: &["id"], conditions: &[], params: &[], limit: None, changes: None }
    }
}

impl Ask<'_> {
    pub fn plan(&self, braintree: &Braintree) -> Result<Plan, ApiError> {
        let table = table(self.table);
        let place = |name: &&str| table.column(name).expect("a column").0;
        let columns: Vec<usize> = self.columns.iter().map(place).collect();
        braintree.plan(&Query {
            table: &table,
            columns: &columns,
            conditions: self.conditions,
            params: self.params,
            limit: self.limit,
            changes: self.changes,
        })
    }

    pub async fn rows(&self, braintree: &Braintree) -> Result<Vec<Row>, ApiError> {
        let mut scan = Scan::open(&self.plan(braintree)?, Clock::new());
        let mut rows = Vec::new();
        while let Some(page) = scan.next_page().await? {
            rows.extend(page.rows);
        }
        Ok(rows)
    }
}

pub fn texts(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| of(&row[0])).collect()
}

fn of(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Numeric(text) | Value::Json(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Null => "∅".to_owned(),
        other => format!("{other:?}"),
    }
}

pub fn sale(n: usize, created: i64) -> Sale {
    Sale {
        id: format!("t{n:04}"),
        created,
        status: ["settled", "voided", "authorized"][n % 3],
        cents: (n as i64 * 37) % 5000,
        order: format!("{}-{n}", ["Web", "web", "App"][n % 3]),
        customer: format!("c{}", n % 7),
        refunds: n.is_multiple_of(10).then(|| format!("t{:04}", n + 1)),
    }
}

/// Seconds since 2000-01-01 of the clock's start.
pub fn start() -> i64 {
    (START / 1_000_000) as i64 - time::UNIX_TO_POSTGRES
}

fn gateway(count: usize, apart: i64, cap: usize) -> Gateway {
    let sales = (0..count).map(|n| sale(n, start() - 1000 - n as i64 * apart)).collect();
    Gateway { sales, cap, deleted: Vec::new() }
}

pub async fn serve(gateway: Gateway) -> Server {
    Server::start(move |_, received| gateway.answer(received)).await
}

#[test]
fn everything_comes_once_newest_first() {
    run(async {
        let server = serve(gateway(230, 61, 50_000)).await;
        let rows = Ask::default().rows(&connector(&server.endpoint, &[])).await.expect("rows");
        let want: Vec<String> = (0..230).map(|n| format!("t{n:04}")).collect();
        assert_eq!(texts(&rows), want);
        let requests = server.requests();
        assert_eq!(requests.len(), 1 + 5);
        assert!(requests[0].path.ends_with("/merchants/m/transactions/advanced_search_ids"));
        assert_eq!(requests[0].body, r#"{"search":{}}"#);
        let headers = requests[0].headers.to_lowercase();
        assert!(headers.contains("x-apiversion: 6") && headers.contains("accept: application/xml"));
        assert!(headers.contains("authorization: basic "));
        assert_eq!(requests[1].json()["search"]["ids"].as_array().map(Vec::len), Some(50));
    });
}

#[test]
fn columns_are_found_computed_and_exact() {
    run(async {
        let server = serve(gateway(11, 61, 50_000)).await;
        let ask = Ask {
            columns: &[
                "amount",
                "settled_at",
                "is_refund",
                "customer_id",
                "custom_fields",
                "attrs",
                "voided_at",
            ],
            conditions: &[text("id", "=", "t0003")],
            ..Ask::default()
        };
        let rows = ask.rows(&connector(&server.endpoint, &[])).await.expect("rows");
        let row = &rows[0];
        assert_eq!(row[0], Value::Numeric("1.11".into()));
        assert_eq!(row[1], Value::Timestamp((start() - 1000 - 183) * 1_000_000));
        assert_eq!(row[2], Value::Bool(false));
        assert_eq!(row[3], Value::Text("c3".into()));
        assert_eq!(row[4], Value::Json(r#"{"source":"web"}"#.into()));
        assert!(of(&row[5]).contains(r#""refunded_transaction_id":null"#));
        assert_eq!(row[6], Value::Null);
        assert_eq!(server.requests()[0].path, "/merchants/m/transactions/t0003");
        assert_eq!(server.count(), 1);
    });
}

#[test]
fn caps_halve_windows() {
    run(async {
        // Every half minute, at seams and between them.
        let server = serve(gateway(400, 30, 40)).await;
        let braintree = connector(&server.endpoint, &[("transaction_cap", "40")]);
        let rows = Ask::default().rows(&braintree).await.expect("rows");
        let want: Vec<String> = (0..400).map(|n| format!("t{n:04}")).collect();
        assert_eq!(texts(&rows), want);
    });
}

#[test]
fn more_than_the_cap_in_a_second_is_an_error() {
    run(async {
        let server = serve(gateway(30, 0, 20)).await;
        let braintree = connector(&server.endpoint, &[("transaction_cap", "20")]);
        let error = Ask::default().rows(&braintree).await.expect_err("an error");
        assert!(matches!(error, ApiError::Incomplete { .. }), "{error:?}");
        assert!(server.count() < 60, "{}", server.count());
    });
}

#[test]
fn records_that_are_gone_are_missing_and_a_limit_is_filled_nevertheless() {
    run(async {
        let mut gateway = gateway(120, 61, 50_000);
        gateway.deleted = vec!["t0001".into(), "t0060".into()];
        let server = serve(gateway).await;
        let braintree = connector(&server.endpoint, &[]);
        assert_eq!(Ask::default().rows(&braintree).await.expect("rows").len(), 118);
        let before = server.count();
        let ask = Ask { limit: Some(3), ..Ask::default() };
        let rows = ask.rows(&braintree).await.expect("rows");
        assert_eq!(texts(&rows), ["t0000", "t0002", "t0003"]);
        assert_eq!(server.count() - before, 3, "ids, three records, more records");
        let limited = &server.requests()[before + 1];
        assert_eq!(limited.json()["search"]["ids"].as_array().map(Vec::len), Some(3));
    });
}

#[test]
fn a_limit_is_not_applied_to_what_is_checked_here() {
    let braintree = connector("http://127.0.0.1:1", &[]);
    let limit = |conditions: &[Expr]| {
        Ask { conditions, limit: Some(3), ..Ask::default() }.plan(&braintree).expect("a plan").limit
    };
    assert_eq!(limit(&[]), Some(3));
    assert_eq!(limit(&[text("status", "=", "settled")]), Some(3));
    assert_eq!(limit(&[text("order_id", "=", "x")]), None);
    assert_eq!(limit(&[any("id", "{a,b}")]), Some(3));
    // Records by key come whatever their status.
    assert_eq!(limit(&[any("id", "{a,b}"), text("status", "=", "settled")]), None);
    assert_eq!(limit(&[text("status", "=", "settled"), text("channel", "<>", "x")]), None);
}

#[test]
fn keys_are_asked_for_in_batches() {
    run(async {
        let server = serve(gateway(120, 61, 50_000)).await;
        let braintree = connector(&server.endpoint, &[]);
        let keys: Vec<String> = (0..70).map(|n| format!("t{:04}", n % 60)).collect();
        let list = format!("{{{},nope,..}}", keys.join(","));
        let ask = Ask { conditions: &[any("id", &list)], ..Ask::default() };
        let plan = ask.plan(&braintree).expect("a plan");
        assert_eq!((plan.extent, plan.taken[0]), (Extent::Keys(61), Taken::Exactly));
        assert_eq!(ask.rows(&braintree).await.expect("rows").len(), 60);
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        assert!(requests.iter().all(|r| r.path.ends_with("transactions/advanced_search")));
        // Two lists meet; an absent record is no row.
        let conditions = [any("id", "{t0001,t0002,t0003}"), any("id", "{t0003,t0009}")];
        let rows = Ask { conditions: &conditions, ..Ask::default() }.rows(&braintree).await;
        assert_eq!(texts(&rows.expect("rows")), ["t0003"]);
        let absent = [text("id", "=", "nope")];
        let rows = Ask { conditions: &absent, ..Ask::default() }.rows(&braintree).await;
        assert_eq!(rows, Ok(vec![]));
        for nothing in ["..", "", "/"] {
            let before = server.count();
            let rows = Ask { conditions: &[text("id", "=", nothing)], ..Ask::default() };
            assert_eq!(rows.rows(&braintree).await, Ok(vec![]));
            assert!(server.count() - before <= usize::from(nothing == "/"));
        }
    });
}

#[test]
fn refunds_are_transactions_that_refund() {
    run(async {
        let server = serve(gateway(35, 61, 50_000)).await;
        let braintree = connector(&server.endpoint, &[]);
        let ask = |conditions| Ask { table: "refunds", conditions, ..Ask::default() };
        let rows = ask(&[]).rows(&braintree).await.expect("rows");
        assert_eq!(texts(&rows), ["t0000", "t0010", "t0020", "t0030"]);
        let by_id = [text("id", "=", "t0010")];
        assert_eq!(ask(&by_id).rows(&braintree).await.expect("rows").len(), 1);
        let no_refund = [text("id", "=", "t0011")];
        assert_eq!(ask(&no_refund).rows(&braintree).await, Ok(vec![]));
        let events = Ask {
            table: "transaction_status_events",
            columns: &["transaction_id", "seq", "status", "amount"],
            conditions: &[text("transaction_id", "=", "t0001")],
            ..Ask::default()
        };
        let rows = events.rows(&braintree).await.expect("rows");
        assert_eq!(rows[0].iter().map(of).collect::<Vec<_>>(), ["t0001", "1", "voided", "0.37"]);
    });
}

#[test]
fn heavy_records_are_fetched_in_smaller_lots() {
    run(async {
        let gateway = gateway(60, 61, 50_000);
        let server = Server::start(move |_, received| {
            let ids = received.json()["search"]["ids"].as_array().map_or(0, Vec::len);
            if ids > 10 { Scripted::status(500) } else { gateway.answer(received) }
        })
        .await;
        let rows = Ask::default().rows(&connector(&server.endpoint, &[])).await.expect("rows");
        let want: Vec<String> = (0..60).map(|n| format!("t{n:04}")).collect();
        assert_eq!(texts(&rows), want, "in their order");
    });
}

#[test]
fn a_search_that_takes_too_long_is_tried_again_then_narrowed() {
    run(async {
        let gateway = gateway(60, 61, 50_000);
        let server = Server::start(move |_, received| {
            let search = received.json()["search"].clone();
            if received.path.ends_with("_ids") && search["created_at"].is_null() {
                let body = "<unprocessable-entity><reason>timeout</reason></unprocessable-entity>";
                return Scripted::new(422, "application/xml", body);
            }
            gateway.answer(received)
        })
        .await;
        let rows = Ask::default().rows(&connector(&server.endpoint, &[])).await.expect("rows");
        assert_eq!(rows.len(), 60);
        assert!(server.count() > 4);
    });
}

/// Days of the window of a search for ids; all of time is more than any number.
fn days_of(received: &Received) -> i64 {
    let window = received.json()["search"]["created_at"].clone();
    let at =
        |end: &str| window[end].as_str().and_then(time::timestamp).map(|it| it / 86_400_000_000);
    let max = at("max").unwrap_or(start() / 86_400);
    at("min").map_or(i64::MAX, |min| max - min)
}

#[test]
fn narrowing_ends_where_it_does_not_help() {
    let timeout = || {
        let body = "<unprocessable-entity><reason>timeout</reason></unprocessable-entity>";
        Scripted::new(422, "application/xml", body)
    };
    let ask = Ask {
        conditions: &[op(
            ">=",
            col("created_at"),
            lit("2000-01-01 00:00:00+00", "timestamp with time zone"),
        )],
        ..Ask::default()
    };
    run(async {
        let server = Server::start(move |_, _| timeout()).await;
        let error = ask.rows(&connector(&server.endpoint, &[])).await.expect_err("an error");
        assert_eq!(error.kind(), ErrorKind::Retryable);
        // Nine windows, each asked for three times.
        assert_eq!(server.count(), 27);
    });
    // Failures that others follow which do not fail are a matter of size.
    run(async {
        let gateway = gateway(60, 86_400, 50_000);
        let server = Server::start(move |_, received| {
            let is_ids = received.path.ends_with("_ids");
            if is_ids && days_of(received) > 90 { timeout() } else { gateway.answer(received) }
        })
        .await;
        let rows = ask.rows(&connector(&server.endpoint, &[])).await.expect("rows");
        assert_eq!(rows.len(), 60);
        let failed = server.requests().iter().filter(|it| days_of(it) > 90).count();
        assert!(failed > 27, "{failed} failures, with answers in between");
    });
}

#[test]
fn a_gateway_that_stalls_has_one_deadline() {
    run(async {
        let server = Server::start(|_, _| Scripted { hang: true, ..Scripted::status(500) }).await;
        let options = [("request_timeout", "150ms"), ("retry_timeout", "600ms")];
        let braintree = connector(&server.endpoint, &options);
        let plan = Ask::default().plan(&braintree).expect("a plan");
        // With the clock on the wall: nobody sleeps while a request stalls.
        let mut scan = Scan::open(&plan, Rc::new(SessionHost::default()));
        let error = scan.next_page().await.expect_err("an error");
        assert!(matches!(error, ApiError::Timeout { .. }), "{error:?}");
        // Narrowing alone would go on for nine windows, each asked for twice.
        assert!((2..=5).contains(&server.count()), "{} requests", server.count());
    });
}

#[test]
fn validation_is_an_error_with_its_message() {
    run(async {
        let server = Server::start(|_, _| {
            let body = "<api-error-response><errors><errors type=\"array\"/></errors>\
                        <message>Amount is wrong for privCANARY.</message></api-error-response>";
            Scripted::new(422, "application/xml", body)
        })
        .await;
        let error =
            Ask::default().rows(&connector(&server.endpoint, &[])).await.expect_err("an error");
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("Amount is wrong for ***."), "{error}");
        assert_eq!(server.count(), 1);
    });
}

#[test]
fn answers_that_are_not_what_was_asked_for() {
    let cases = [
        "<search-results><page-size type=\"integer\">50</page-size></search-results>",
        "<customers type=\"collection\"/>",
        "<search-results><ids type=\"array\"><item>a</item></ids>",
        "not xml",
    ];
    for body in cases {
        run(async {
            let server = Server::start(move |_, _| Scripted::xml(body)).await;
            let rows = Ask::default().rows(&connector(&server.endpoint, &[])).await;
            assert!(matches!(rows, Err(ApiError::Malformed { .. })), "{body}: {rows:?}");
        });
    }
    // A page with fewer records than it says, and one with others.
    for (total, id) in [(2, "a"), (1, "b")] {
        run(async {
            let server = Server::start(move |n, _| {
                Scripted::xml(if n == 0 {
                    "<search-results><page-size type=\"integer\">50</page-size>\
                     <ids type=\"array\"><item>a</item><item>c</item></ids></search-results>".to_owned()
                } else {
                    format!(
                        "<credit-card-transactions type=\"collection\"><total-items type=\"integer\">{total}</total-items>\
                         <transaction><id>{id}</id></transaction></credit-card-transactions>"
                    )
                })
            })
            .await;
            let rows = Ask::default().rows(&connector(&server.endpoint, &[])).await;
            assert_eq!(rows.expect_err("an error").kind(), ErrorKind::Data);
        });
    }
}

#[test]
fn concurrency_grows_to_its_limit() {
    run(async {
        let gateway = gateway(2000, 61, 50_000);
        // The ids, a page, and two pages; then nothing is answered before four are asked for at once,
        // however slow the machine is.
        let server = Server::start(move |number, received| Scripted {
            together: if number < 4 { 0 } else { 4 },
            ..gateway.answer(received)
        })
        .await;
        let braintree = connector(&server.endpoint, &[("concurrency", "4")]);
        assert_eq!(Ask::default().rows(&braintree).await.expect("rows").len(), 2000);
        assert_eq!(server.busiest.load(Ordering::SeqCst), 4);
        // Early on, little is asked for in advance.
        let before = server.count();
        let mut scan = Scan::open(&Ask::default().plan(&braintree).expect("a plan"), Clock::new());
        scan.next_page().await.expect("a page");
        assert_eq!(server.count() - before, 2);
        scan.next_page().await.expect("a page");
        assert!(server.count() - before <= 4);
    });
}

#[test]
fn changes_are_a_union_without_duplicates() {
    run(async {
        let server = serve(gateway(200, 61, 50_000)).await;
        let braintree = connector(&server.endpoint, &[]);
        let until = START - 1_000_000_000;
        let changes = Some(Changes { since: until - 1_220_000_000, until });
        let rows = Ask { changes, ..Ask::default() }.rows(&braintree).await.expect("rows");
        let mut ids = texts(&rows);
        ids.sort();
        // 1220 seconds, two minutes of looking back, and a record at both ends.
        let want: Vec<String> = (0..22).map(|n| format!("t{n:04}")).collect();
        assert!(ids.starts_with(&want) && ids.len() <= 23, "{ids:?}");
        let searches = server.requests().iter().filter(|r| r.path.ends_with("_ids")).count();
        assert_eq!(searches, 11);
    });
}

fn disputes(ids: &[&str], page: u64, total: usize) -> Scripted {
    let disputes: String = ids
        .iter()
        .map(|id| {
            format!(
                "<dispute><id>{id}</id><transaction><id>t</id><amount>5.00</amount></transaction>\
                 <created-at type=\"dateTime\">2024-01-01T00:00:00Z</created-at></dispute>"
            )
        })
        .collect();
    Scripted::xml(format!(
        "<disputes type=\"collection\"><current-page-number type=\"integer\">{page}</current-page-number>\
         <page-size type=\"integer\">2</page-size><total-items type=\"integer\">{total}</total-items>{disputes}</disputes>"
    ))
}

#[test]
fn numbered_pages_end_by_their_total() {
    run(async {
        let server = Server::start(|n, received| {
            assert!(received.path.ends_with(&format!("disputes/advanced_search?page={}", n + 1)));
            match n {
                0 => disputes(&["a", "b"], 1, 5),
                1 => disputes(&["b", "c"], 2, 5),
                _ => disputes(&["d"], 3, 5),
            }
        })
        .await;
        let ask =
            Ask { table: "disputes", columns: &["id", "transaction_amount"], ..Ask::default() };
        let rows = ask.rows(&connector(&server.endpoint, &[])).await.expect("rows");
        assert_eq!(texts(&rows), ["a", "b", "c", "d"]);
        assert_eq!(rows[0][1], Value::Numeric("5.00".into()));
        assert_eq!(server.count(), 3);
    });
}

#[test]
fn numbered_pages_that_repeat_run_dry_or_shrink() {
    let rows = |answer: fn(usize) -> Scripted| {
        run(async move {
            let server = Server::start(move |n, _| answer(n)).await;
            let ask = Ask { table: "disputes", ..Ask::default() };
            let rows = ask.rows(&connector(&server.endpoint, &[])).await;
            (rows.map(|rows| texts(&rows)), server.count())
        })
    };
    let (result, count) = rows(|n| disputes(&["a", "b"], n as u64 + 1, 100));
    assert!(matches!(result, Err(ApiError::Paging { .. })), "{result:?}");
    assert!(count < 5);
    let (result, _) = rows(|n| disputes(if n == 0 { &["a", "b"] } else { &[] }, n as u64 + 1, 5));
    assert!(matches!(result, Err(ApiError::Incomplete { .. })), "{result:?}");
    let (result, _) = rows(|_| disputes(&["a", "b"], 7, 5));
    assert!(matches!(result, Err(ApiError::Paging { .. })), "{result:?}");
    let (result, _) = rows(|_| disputes(&[], 1, 0));
    assert_eq!(result, Ok(vec![]));
    // "a" left after the first page, so that "c" moved onto it.
    let (result, _) = rows(|n| match n {
        0 => disputes(&["a", "b"], 1, 4),
        1 => disputes(&["d"], 2, 3),
        2 => disputes(&["b", "c"], 1, 3),
        _ => disputes(&["d"], 2, 3),
    });
    assert_eq!(result, Ok(["a", "b", "d", "c"].map(str::to_owned).to_vec()));
}

#[test]
fn small_tables_are_read_whole() {
    run(async {
        let server = Server::start(|_, received| match received.path.as_str() {
            "/merchants/m/plans" => Scripted::xml(
                "<plans type=\"array\"><plan><id>p</id><price>9.90</price><name>A &amp; B</name></plan></plans>",
            ),
            "/merchants/m/add_ons" => Scripted::xml("<add-ons type=\"array\"/>"),
            "/merchants/m/merchant_accounts?page=1" => Scripted::xml(
                "<merchant-accounts type=\"collection\"><total-items type=\"integer\">1</total-items>\
                 <merchant-account><id>a</id><default type=\"boolean\">true</default>\
                 <accepted-payment-methods type=\"array\"><item>Visa</item></accepted-payment-methods>\
                 </merchant-account></merchant-accounts>",
            ),
            "/merchants/m/transactions/t%20x/line_items" => Scripted::xml(
                "<line-items type=\"array\"><line-item><name>A</name><quantity>1.5</quantity></line-item></line-items>",
            ),
            "/merchants/m/settlement_batch_summary" => {
                assert_eq!(received.body, r#"{"settlement_batch_summary":{"settlement_date":"2024-01-02"}}"#);
                Scripted::xml(
                    "<settlement-batch-summary><records type=\"array\"><record><card-type>Visa</card-type>\
                     <count>3</count><amount-settled>30.00</amount-settled></record></records></settlement-batch-summary>",
                )
            }
            "/merchants/m/payment_methods/any/tok" => Scripted::xml(
                "<paypal-account><token>tok</token><customer-id>c</customer-id><default type=\"boolean\">false</default></paypal-account>",
            ),
            _ => Scripted::status(404),
        })
        .await;
        let braintree = connector(&server.endpoint, &[]);
        let read =
            async |table: &'static str, columns: &'static [&'static str], conditions: Vec<Expr>| {
                let ask = Ask { table, columns, conditions: &conditions, ..Ask::default() };
                let rows = ask.rows(&braintree).await?;
                Ok::<_, ApiError>(
                    rows.iter()
                        .map(|row| row.iter().map(of).collect::<Vec<_>>().join("|"))
                        .collect::<Vec<_>>(),
                )
            };
        assert_eq!(
            read("plans", &["id", "price", "name"], vec![]).await.expect("rows"),
            ["p|9.90|A & B"]
        );
        assert_eq!(read("add_ons", &["id"], vec![]).await.expect("rows").len(), 0);
        assert_eq!(
            read("merchant_accounts", &["id", "default"], vec![]).await.expect("rows"),
            ["a|Bool(…)"]
        );
        let key = vec![text("transaction_id", "=", "t x")];
        assert_eq!(
            read("transaction_line_items", &["transaction_id", "seq", "name", "quantity"], key)
                .await
                .expect("rows"),
            ["t x|1|A|1.5"]
        );
        let error = read("transaction_line_items", &["name"], vec![]).await.expect_err("an error");
        assert!(matches!(error, ApiError::NeedsKey { column: "transaction_id", .. }));
        let day = vec![op("=", col("settlement_date"), lit("2024-01-02", "date"))];
        assert_eq!(
            read("settlement_batch_summary", &["card_type", "count", "amount_settled"], day)
                .await
                .expect("rows"),
            ["Visa|3|30.00"]
        );
        let token = vec![text("token", "=", "tok")];
        assert_eq!(
            read("payment_methods", &["token", "kind", "customer_id"], token).await.expect("rows"),
            ["tok|paypal_account|c"]
        );
    });
}

#[test]
fn plans_are_readable_and_show_no_secret() {
    let braintree = connector("http://127.0.0.1:1", &[]);
    let lines = |conditions: &[Expr], params: &[Param]| {
        let plan = Ask { conditions, params, ..Ask::default() }.plan(&braintree).expect("a plan");
        let lines: Vec<String> = plan.requests.iter().map(ToString::to_string).collect();
        assert!(!format!("{lines:?}{plan:?}").contains("CANARY"));
        (lines, plan.taken)
    };
    let since =
        op(">=", col("created_at"), lit("2024-01-02 00:00:00+00", "timestamp with time zone"));
    let (shown, taken) =
        lines(&[since, text("status", "=", "settled"), text("channel", "=", "x")], &[]);
    assert_eq!(
        shown,
        [
            r#"POST transactions/advanced_search_ids {"status":["settled"],"created_at":{"min":"2024-01-02T00:00:00Z"}}"#,
            "POST transactions/advanced_search the same and ids",
        ]
    );
    assert_eq!(taken, [Taken::Wider, Taken::Exactly, Taken::No]);
    let by_param = [op("=", col("id"), param(0, "text"))];
    assert_eq!(lines(&by_param, &[]).0, ["GET transactions/$1"]);
    assert_eq!(lines(&by_param, &[Param::Text("t1".into())]).0, ["GET transactions/t1"]);
    assert_eq!(lines(&by_param, &[Param::Null]).0, Vec::<String>::new());
    run(async {
        let ask = Ask { conditions: &by_param, ..Ask::default() };
        let error = ask.rows(&braintree).await.expect_err("not to be executed");
        assert_eq!(error.kind(), ErrorKind::Bug);
    });
}

#[test]
fn what_is_pushed_and_what_is_not() {
    let braintree = connector("http://127.0.0.1:1", &[]);
    let criteria = |condition: Expr| {
        let conditions = [condition];
        let plan =
            Ask { conditions: &conditions, ..Ask::default() }.plan(&braintree).expect("a plan");
        plan.requests[0].criteria.clone()
    };
    let amount = |symbol, value| op(symbol, col("amount"), lit(value, "numeric"));
    for (condition, want) in [
        (amount("=", "10.00"), r#"{"amount":{"is":"10.00"}}"#),
        (amount(">", "10"), r#"{"amount":{"min":"10"}}"#),
        (amount("<=", "10"), r#"{"amount":{"max":"10"}}"#),
        (op("=", col("amount"), lit("NaN", "numeric")), ""),
        (text("order_id", "~~", "Web%"), r#"{"order_id":{"starts_with":"Web"}}"#),
        (text("order_id", "~~", "%Web"), r#"{"order_id":{"ends_with":"Web"}}"#),
        (text("order_id", "~~", "%We\\%b%"), r#"{"order_id":{"contains":"We%b"}}"#),
        (text("order_id", "~~", "W%b"), ""),
        (text("order_id", "~~*", "Web%"), ""),
        (text("order_id", "<>", "x"), ""),
        (text("order_id", ">", "x"), ""),
        (text("order_id", "=", ""), ""),
        (text("order_id", "=", " x"), ""),
        (text("order_id", "=", &"x".repeat(256)), ""),
        (any("status", "{settled,settling}"), r#"{"status":["settled","settling"]}"#),
        (any("status", "{settled,brand_new}"), ""),
        (text("card_type", "=", "Visa"), r#"{"credit_card_card_type":["Visa"]}"#),
        (text("payment_instrument_type", "=", "credit_card"), ""),
        (col("is_refund"), r#"{"refund":true}"#),
        (not(col("is_refund")), ""),
        (is_null("refunded_transaction_id", true), r#"{"refund":true}"#),
        (is_null("refunded_transaction_id", false), ""),
        (
            op("=", col("disbursement_date"), lit("2024-01-02", "date")),
            r#"{"disbursement_date":{"min":"2024-01-02","max":"2024-01-02"}}"#,
        ),
        (
            op("<", col("settled_at"), lit("2024-01-02 00:00:00.5+00", "timestamp with time zone")),
            r#"{"settled_at":{"max":"2024-01-02T00:00:00Z"}}"#,
        ),
        (
            // A date is midnight somewhere: a week to either side is everywhere.
            op(">=", col("created_at"), lit("2024-01-10", "date")),
            r#"{"created_at":{"min":"2024-01-03T00:00:00Z"}}"#,
        ),
        (Expr::Or(vec![text("order_id", "=", "a"), text("customer_id", "=", "b")]), ""),
    ] {
        assert_eq!(criteria(condition.clone()), want, "{condition:?}");
    }
}
