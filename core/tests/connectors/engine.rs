//! HTTP, retries, paging, cancellation.

use crate::clock::Clock;
use crate::run;
use crate::server::{Scripted, Server};
use std::rc::Rc;
use std::time::Duration;
use warehouse_core::connectors::airtable::{self, Airtable, BoundColumn, TableOptions};
use warehouse_core::connectors::{
    ApiError, ColumnType, Connector, ErrorKind, Notice, Plan, Query, Scan, Table, Value,
};

const TOKEN: &str = "patCANARY0123456789";

fn table() -> Rc<Table> {
    let options = TableOptions::parse([("base_id", "app1"), ("table_id", "tbl1")]);
    let columns = [
        BoundColumn { name: "_id", of: ColumnType::Text, options: vec![] },
        BoundColumn {
            name: "n",
            of: ColumnType::Numeric,
            options: vec![("field_id", "fld1"), ("field_type", "number")],
        },
    ];
    let server = airtable::Options::parse([]).expect("options");
    Rc::new(airtable::bind("t", &options.expect("options"), &columns, &server).expect("a table"))
}

fn connector(server: &Server, more: &[(&str, &str)]) -> Airtable {
    let mut options = vec![("endpoint", server.endpoint.as_str()), ("rate_limit_penalty", "30 s")];
    options.extend(more);
    let options = airtable::Options::parse(options).expect("options");
    let credential = airtable::Credential::parse([("token", TOKEN)]).expect("a token");
    Airtable::new(options, credential).expect("a connector")
}

fn plan(airtable: &Airtable, limit: Option<u64>) -> Plan {
    let table = table();
    let query = Query {
        table: &table,
        columns: &[0, 1],
        conditions: &[],
        params: &[],
        limit,
        changes: None,
    };
    airtable.plan(&query).expect("a plan")
}

fn page(from: usize, count: usize, next: Option<&str>) -> Scripted {
    let records: Vec<String> = (from..from + count)
        .map(|i| {
            format!(
                r#"{{"id":"rec{i:05}","createdTime":"2024-01-01T00:00:00.000Z","fields":{{"fld1":{i}.10}}}}"#
            )
        })
        .collect();
    let next = next.map(|next| format!(r#","offset":"{next}""#)).unwrap_or_default();
    Scripted::json(format!(r#"{{"records":[{}]{next}}}"#, records.join(",")))
}

async fn all(scan: &mut Scan) -> Result<usize, ApiError> {
    let mut rows = 0;
    while let Some(page) = scan.next_page().await? {
        rows += page.rows.len();
    }
    Ok(rows)
}

/// Reads everything from a server that answers so.
fn read(
    answer: impl Fn(usize) -> Scripted + Send + Sync + 'static,
    more: &[(&str, &str)],
) -> (Result<usize, ApiError>, Server, Rc<Clock>, warehouse_core::connectors::Counts) {
    run(async {
        let server = Server::start(move |number, _| answer(number)).await;
        let clock = Clock::new();
        let mut scan = Scan::open(&plan(&connector(&server, more), None), clock.clone());
        let result = all(&mut scan).await;
        let counts = scan.counts();
        if let Err(error) = &result {
            let text = format!("{error} {error:?}");
            assert!(!text.contains("CANARY"), "{text}");
            assert_eq!(scan.next_page().await, Err(error.clone()), "an error stays");
        }
        (result, server, clock, counts)
    })
}

#[test]
fn numbers_come_as_they_were_written() {
    run(async {
        let server = Server::start(|_, _| page(7, 1, None)).await;
        let airtable = connector(&server, &[]);
        let mut scan = Scan::open(&plan(&airtable, None), Clock::new());
        let page = scan.next_page().await.expect("a page").expect("rows");
        assert_eq!(page.rows[0], [Value::Text("rec00007".into()), Value::Numeric("7.10".into())]);
        assert_eq!(scan.next_page().await, Ok(None));
        assert_eq!(scan.next_page().await, Ok(None));
        let request = &server.requests()[0];
        assert!(
            request
                .headers
                .to_lowercase()
                .contains(&format!("authorization: bearer {TOKEN}").to_lowercase())
        );
        assert_eq!(request.json()["fields"], serde_json::json!(["fld1"]));
    });
}

#[test]
fn the_first_page_comes_before_the_second_is_asked_for() {
    run(async {
        let server = Server::start(|number, _| match number {
            0 => page(0, 100, Some("a")),
            1 => page(100, 100, Some("b")),
            _ => page(200, 30, None),
        })
        .await;
        let mut scan = Scan::open(&plan(&connector(&server, &[]), None), Clock::new());
        assert_eq!(server.count(), 0, "nothing is sent before somebody reads");
        for (before, rows) in [(1, 100), (2, 100), (3, 30)] {
            let page = scan.next_page().await.expect("a page").expect("rows");
            assert_eq!((server.count(), page.rows.len()), (before, rows));
        }
        assert_eq!(scan.next_page().await, Ok(None));
        assert_eq!(scan.counts().pages, 3);
        assert_eq!(scan.counts().rows, 230);
    });
}

#[test]
fn a_limit_stops_paging() {
    run(async {
        let server =
            Server::start(|number, _| page(number * 100, 100, Some(&number.to_string()))).await;
        let mut scan = Scan::open(&plan(&connector(&server, &[]), Some(150)), Clock::new());
        assert_eq!(all(&mut scan).await, Ok(150));
        assert_eq!(server.count(), 2);
        assert_eq!(server.requests()[0].json()["maxRecords"], 150);
    });
}

#[test]
fn what_passes_is_tried_again() {
    for status in [408, 500, 502, 503, 504] {
        let (result, server, clock, counts) =
            read(move |n| if n < 2 { Scripted::status(status) } else { page(0, 3, None) }, &[]);
        assert_eq!(result, Ok(3), "{status}");
        assert_eq!((server.count(), counts.retries, counts.requests), (3, 2, 3));
        assert_eq!(clock.waits(Duration::from_millis(250)).len(), 2);
        let retries = clock.notices.borrow();
        assert!(retries.iter().all(|notice| matches!(notice, Notice::Retry { .. })));
    }
}

#[test]
fn what_stays_is_told_once() {
    for (status, kind) in [
        (400, ErrorKind::Configuration),
        (401, ErrorKind::Auth),
        (403, ErrorKind::Auth),
        (404, ErrorKind::Configuration),
        (413, ErrorKind::Configuration),
        (422, ErrorKind::Configuration),
        (426, ErrorKind::Configuration),
    ] {
        let (result, server, ..) = read(move |_| Scripted::status(status), &[]);
        assert_eq!(result.expect_err("an error").kind(), kind, "{status}");
        assert_eq!(server.count(), 1, "{status}");
    }
}

#[test]
fn too_many_requests_wait_as_asked() {
    let limited = |n: usize, header: Option<&'static str>| match (n, header) {
        (0, Some(seconds)) => Scripted::status(429).with("retry-after", seconds),
        (0, None) => Scripted::status(429),
        _ => page(0, 1, None),
    };
    let (result, _, clock, counts) = read(move |n| limited(n, Some("7")), &[]);
    assert_eq!(result, Ok(1));
    assert!(clock.waits(Duration::from_secs(7)).len() == 1, "{:?}", clock.slept.borrow());
    assert!(counts.waited >= Duration::from_secs(7));
    let (result, _, clock, _) = read(move |n| limited(n, None), &[]);
    assert_eq!(result, Ok(1));
    assert_eq!(clock.waits(Duration::from_secs(30)).len(), 1, "Airtable asks for 30 s");
}

#[test]
fn a_deadline_ends_retries() {
    let (result, server, clock, _) = read(|_| Scripted::status(500), &[("retry_timeout", "60 s")]);
    assert_eq!(result.expect_err("an error").kind(), ErrorKind::Retryable);
    assert!((5..12).contains(&server.count()), "{}", server.count());
    assert!(clock.slept.borrow().iter().sum::<Duration>() < Duration::from_secs(61));
    let (result, ..) =
        read(|_| Scripted::status(429).with("retry-after", "40"), &[("retry_timeout", "60 s")]);
    assert_eq!(result.expect_err("an error").kind(), ErrorKind::RateLimited);
}

#[test]
fn cut_answers_are_tried_again_and_never_taken_for_whole() {
    let whole = page(0, 50, None);
    let length = whole.body.len();
    for at in [0, 1, length / 2, length - 1] {
        let (first, rest) = (whole.clone().cut(at), whole.clone());
        let (result, server, ..) =
            read(move |n| if n == 0 { first.clone() } else { rest.clone() }, &[]);
        assert_eq!((result, server.count()), (Ok(50), 2), "cut at {at}");
    }
    // Compressed, with a length that hides the cut.
    let packed = whole.clone().gzip();
    for at in [1, 10, packed.body.len() / 2, packed.body.len() - 1] {
        let mut short = packed.clone();
        short.body.truncate(at);
        let rest = packed.clone();
        let (result, server, ..) =
            read(move |n| if n == 0 { short.clone() } else { rest.clone() }, &[]);
        assert_eq!((result, server.count()), (Ok(50), 2), "gzip cut at {at}");
    }
    let mut damaged = packed.clone();
    let middle = damaged.body.len() / 2;
    damaged.body[middle] ^= 0xff;
    let (result, server, ..) = read(move |_| damaged.clone(), &[]);
    assert!(matches!(result, Err(ApiError::Malformed { .. })), "{result:?}");
    assert_eq!(server.count(), 4);
    // JSON that ends too early though the length is right.
    let (result, ..) = read(|_| Scripted::json(r#"{"records":[{"id":"rec1""#), &[]);
    assert!(matches!(result, Err(ApiError::Malformed { cut: true, .. })), "{result:?}");
}

#[test]
fn an_error_on_a_later_page_is_an_error() {
    let (result, server, ..) =
        read(|n| if n == 0 { page(0, 100, Some("a")) } else { Scripted::status(403) }, &[]);
    assert_eq!(result.expect_err("an error").kind(), ErrorKind::Auth);
    assert_eq!(server.count(), 2);
}

#[test]
fn what_is_not_the_api() {
    let (result, server, ..) = read(|_| Scripted::new(200, "text/html", "<html>hello</html>"), &[]);
    assert!(matches!(result, Err(ApiError::Malformed { .. })), "{result:?}");
    assert_eq!(server.count(), 4);
    let (result, server, ..) = read(|_| Scripted::json(r#"{"data":[]}"#), &[]);
    assert_eq!(result.expect_err("an error").kind(), ErrorKind::Data);
    assert_eq!(server.count(), 1);
    let deep = format!(
        r#"{{"records":[{{"id":"rec1","fields":{{"fld1":{}{}}}}}]}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let (result, ..) = read(move |_| Scripted::json(deep.clone()), &[]);
    assert_eq!(result.expect_err("an error").kind(), ErrorKind::Data);
}

#[test]
fn a_value_of_another_type_names_its_column_and_not_itself() {
    let body = r#"{"records":[{"id":"rec1","createdTime":"2024-01-01T00:00:00.000Z","fields":{"fld1":"canary"}}]}"#;
    let (result, ..) = read(move |_| Scripted::json(body), &[]);
    let error = result.expect_err("an error");
    assert_eq!(error.kind(), ErrorKind::Data);
    let text = format!("{error} {error:?}");
    assert!(text.contains("numeric") && !text.contains("canary"), "{text}");
}

#[test]
fn bodies_are_bounded_also_when_compressed() {
    let zeros = " ".repeat(1_000_000);
    let plain = Scripted::json(zeros);
    let packed = plain.clone().gzip();
    assert!(packed.body.len() < 60_000);
    for scripted in [plain, packed] {
        let (result, server, ..) = read(move |_| scripted.clone(), &[("max_body", "64kB")]);
        assert_eq!(result.clone().expect_err("an error").kind(), ErrorKind::Data);
        assert!(matches!(result, Err(ApiError::TooLarge { limit: 65_536, .. })));
        assert_eq!(server.count(), 1);
    }
    let field = "x".repeat(10 << 20);
    let body = format!(r#"{{"records":[{{"id":"rec1","fields":{{"other":"{field}"}}}}]}}"#);
    let (result, ..) = read(move |_| Scripted::json(body.clone()).gzip(), &[]);
    assert_eq!(result, Ok(1));
}

#[test]
fn paging_that_does_not_end_is_an_error() {
    let (result, server, ..) = read(|n| page(n * 100, 100, Some("again")), &[]);
    assert!(matches!(result, Err(ApiError::Paging { .. })), "{result:?}");
    assert_eq!(server.count(), 2);
}

#[test]
fn an_expired_offset_begins_again_without_duplicates() {
    let expired = || {
        let body = r#"{"error":{"type":"LIST_RECORDS_ITERATOR_NOT_AVAILABLE","message":"x"}}"#;
        Scripted::new(422, "application/json", body)
    };
    let (result, server, clock, _) = read(
        move |n| match n {
            0 => page(0, 100, Some("a")),
            1 => expired(),
            2 => page(0, 100, Some("b")),
            3 => page(50, 100, Some("c")),
            _ => page(150, 50, None),
        },
        &[],
    );
    assert_eq!((result, server.count()), (Ok(200), 5));
    assert!(matches!(clock.notices.borrow()[0], Notice::Restarted { .. }));
    let (result, server, ..) =
        read(move |n| if n % 2 == 0 { page(0, 100, Some("a")) } else { expired() }, &[]);
    assert!(matches!(result, Err(ApiError::Rejected { .. })), "{result:?}");
    assert_eq!(server.count(), 8);
}

#[test]
fn redirects_keep_the_credential_at_home() {
    run(async {
        let elsewhere = Server::start(|_, _| page(0, 1, None)).await;
        let to = elsewhere.endpoint.clone();
        let server = Server::start(move |_, _| {
            Scripted::status(307).with("location", &format!("{to}/v0/app1/tbl1/listRecords"))
        })
        .await;
        let mut scan = Scan::open(&plan(&connector(&server, &[]), None), Clock::new());
        let error = scan.next_page().await.expect_err("an error");
        assert!(matches!(error, ApiError::Redirect { .. }), "{error:?}");
        assert_eq!(elsewhere.count(), 0);
        let here = Server::start(|number, received| match number {
            0 => Scripted::status(307).with("location", &format!("{}/", received.path)),
            _ => page(0, 1, None),
        })
        .await;
        let mut scan = Scan::open(&plan(&connector(&here, &[]), None), Clock::new());
        assert_eq!(all(&mut scan).await, Ok(1));
    });
}

#[test]
fn dropping_the_future_cancels_and_the_scan_goes_on() {
    run(async {
        let server = Server::start(|number, _| {
            let mut scripted = page(number * 10, 10, (number < 2).then_some("a"));
            scripted.hang = number == 1;
            scripted
        })
        .await;
        let airtable = connector(&server, &[]);
        let clock = Clock::new();
        let mut scan = Scan::open(&plan(&airtable, None), clock.clone());
        assert!(scan.next_page().await.is_ok());
        for _ in 0..3 {
            let patience = Duration::from_millis(10);
            assert!(tokio::time::timeout(patience, scan.next_page()).await.is_err());
        }
        assert_eq!(server.count(), 2, "what is in flight stays with the scan");
        drop(scan);
        // The permit came back: another scan begins at once.
        let mut again = Scan::open(&plan(&airtable, None), clock);
        let next = tokio::time::timeout(Duration::from_secs(2), again.next_page()).await;
        assert!(next.is_ok_and(|page| page.is_ok()));
    });
}

#[test]
fn a_silent_service_times_out() {
    let (result, server, ..) = read(
        |_| {
            let mut scripted = page(0, 1, None);
            scripted.hang = true;
            scripted
        },
        &[("request_timeout", "40ms")],
    );
    assert!(matches!(result, Err(ApiError::Timeout { .. })), "{result:?}");
    assert_eq!(server.count(), 2);
}

#[test]
fn a_dead_service_is_told_soon() {
    run(async {
        let server = Server::start(|_, _| page(0, 1, None)).await;
        let dead = Server { endpoint: "http://127.0.0.1:1".to_owned(), ..server };
        let clock = Clock::new();
        let mut scan = Scan::open(&plan(&connector(&dead, &[]), None), clock.clone());
        let error = scan.next_page().await.expect_err("an error");
        assert!(matches!(error, ApiError::Connection { .. }), "{error:?}");
        assert!(clock.slept.borrow().iter().sum::<Duration>() < Duration::from_secs(3));
    });
}

#[test]
fn five_requests_a_second_over_all_scans() {
    run(async {
        let server =
            Server::start(|number, _| page(number * 10, 10, (number < 22).then_some("x"))).await;
        let airtable = connector(&server, &[]);
        let clock = Clock::new();
        let mut scans: Vec<Scan> =
            (0..23).map(|_| Scan::open(&plan(&airtable, None), clock.clone())).collect();
        for scan in &mut scans {
            assert!(scan.next_page().await.is_ok());
        }
        use warehouse_core::connectors::Host;
        let passed = clock.now() - crate::clock::START;
        assert!((4_200_000..5_500_000).contains(&passed), "{passed}");
    });
}
