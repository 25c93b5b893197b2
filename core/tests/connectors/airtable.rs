//! Airtable: import, listings, formulas, the catalogue's tables.

use crate::clock::{Clock, START};
use crate::run;
use crate::server::{Scripted, Server};
use crate::terms::{any, col, is_null, lit, not, op, param, text};
use serde_json::json;
use std::collections::HashMap;
use std::rc::Rc;
use warehouse_core::connectors::airtable::{self, Airtable, Base};
use warehouse_core::connectors::{
    ApiError, Changes, Connector, ErrorKind, Extent, Notice, Param, Plan, Query, Row, Scan, Table,
    Taken, Value, time,
};
use warehouse_core::predicate::Expr;

fn connector(endpoint: &str, more: &[(&str, &str)]) -> Airtable {
    let mut options = vec![("endpoint", endpoint)];
    options.extend(more);
    let options = airtable::Options::parse(options).expect("options");
    let credential = airtable::Credential::parse([("token", "patCANARY")]).expect("a token");
    Airtable::new(options, credential).expect("a connector")
}

/// The schema of a base whose fields are called so, as (id, name, type, options).
fn schema(fields: &[(&str, &str, &str, serde_json::Value)]) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|(id, name, of, options)| json!({"id": id, "name": name, "type": of, "options": options}))
        .collect();
    json!({"tables": [{"id": "tbl1", "name": "Leads", "primaryFieldId": "fldT", "fields": fields,
        "views": [{"id": "viw1", "name": "Grid", "type": "grid", "visibleFieldIds": ["fldT"]}]}]})
    .to_string()
}

fn fields() -> Vec<(&'static str, &'static str, &'static str, serde_json::Value)> {
    vec![
        ("fldT", "Na}me", "singleLineText", json!({})),
        ("fldN", "Score", "number", json!({"precision": 1})),
        ("fldC", "Done", "checkbox", json!({})),
        ("fldD", "When", "dateTime", json!({})),
        ("fldB", "Born", "date", json!({})),
        ("fldS", "Tags", "multipleSelects", json!({})),
        (
            "fldF",
            "Sum",
            "formula",
            json!({"result": {"type": "number", "options": {"precision": 0}}}),
        ),
        ("fldL", "Looked", "multipleLookupValues", json!({"result": {"type": "number"}})),
        ("fldA", "Ai", "aiText", json!({})),
        ("fldX", "New type", "futureType", json!({})),
    ]
}

/// A server with this schema, whose listings answer so.
async fn serve(
    fields: &[(&str, &str, &str, serde_json::Value)],
    listing: impl Fn(&serde_json::Value) -> Scripted + Send + Sync + 'static,
) -> Server {
    let schema = schema(fields);
    Server::start(move |_, received| {
        let path = received.path.split('?').next().unwrap_or_default();
        match path {
            "/v0/meta/bases/app1/tables" => Scripted::json(schema.clone()),
            "/v0/app1/tbl1/listRecords" => listing(&received.json()),
            "/v0/app1/tbl1/rec1" => Scripted::json(
                r#"{"id":"rec1","createdTime":"2024-01-01T00:00:00.000Z","fields":{"fldT":"a"}}"#,
            ),
            _ => Scripted::new(404, "application/json", r#"{"error":"NOT_FOUND"}"#),
        }
    })
    .await
}

fn nothing(_: &serde_json::Value) -> Scripted {
    Scripted::json(r#"{"records":[]}"#)
}

async fn imported(airtable: &Airtable) -> Rc<Table> {
    let base = Base { id: "app1".into(), name: "Admissions".into() };
    let tables = airtable.import(Clock::new().as_ref(), &base, &HashMap::new()).await;
    Rc::new(tables.expect("tables").remove(0))
}

fn plan(airtable: &Airtable, table: &Rc<Table>, columns: &[&str], conditions: &[Expr]) -> Plan {
    let places = columns.iter().map(|name| table.column(name).expect("a column").0);
    let query = Query {
        table,
        columns: &places.collect::<Vec<_>>(),
        conditions,
        params: &[],
        limit: None,
        changes: None,
    };
    airtable.plan(&query).expect("a plan")
}

async fn read(plan: &Plan, clock: Rc<Clock>) -> Result<Vec<Row>, ApiError> {
    let mut scan = Scan::open(plan, clock);
    let mut rows = Vec::new();
    while let Some(page) = scan.next_page().await? {
        rows.extend(page.rows);
    }
    Ok(rows)
}

#[test]
fn values_are_read_by_type() {
    run(async {
        let server = serve(&fields(), |asked| {
            assert_eq!(asked["returnFieldsByFieldId"], true);
            Scripted::json(
                r##"{"records":[
                  {"id":"rec1","createdTime":"2024-01-01T00:00:00.000Z","fields":{
                    "fldT":"a","fldN":0.1,"fldC":true,"fldD":"2024-01-02T03:04:05.678Z","fldB":"2000-01-02",
                    "fldS":["x","y"],"fldF":3.5,"fldL":[1,{"error":"#ERROR!"},2.50],
                    "fldA":{"state":"generated","isStale":false,"value":"hi"},"fldX":{"any":[1]}}},
                  {"id":"rec2","createdTime":"2024-01-01T00:00:00.000Z","fields":{"fldF":{"error":"#ERROR!"}}},
                  {"id":"rec3","createdTime":"2024-01-01T00:00:00.000Z","fields":{"fldF":{"specialValue":"NaN"},"fldL":[]}},
                  {"id":"rec4","createdTime":"2024-01-01T00:00:00.000Z","fields":{}}]}"##,
            )
        })
        .await;
        let airtable = connector(&server.endpoint, &[]);
        let table = imported(&airtable).await;
        let names = [
            "_id",
            "_created_time",
            "na_me",
            "score",
            "done",
            "when",
            "born",
            "tags",
            "sum",
            "looked",
            "ai",
            "new_type",
        ];
        let rows = read(&plan(&airtable, &table, &names, &[]), Clock::new()).await.expect("rows");
        let text = |text: &str| Value::Text(text.into());
        let number = |text: &str| Value::Numeric(text.into());
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[0][2..5], [text("a"), number("0.1"), Value::Bool(true)]);
        assert_eq!(
            Some(&rows[0][5]),
            time::timestamp("2024-01-02T03:04:05.678Z").map(Value::Timestamp).as_ref()
        );
        assert_eq!(
            rows[0][6..9],
            [Value::Date(1), Value::Array(vec![text("x"), text("y")]), number("3.5")]
        );
        assert_eq!(rows[0][9], Value::Array(vec![number("1"), Value::Null, number("2.50")]));
        assert_eq!(rows[0][10..12], [text("hi"), Value::Json(r#"{"any":[1]}"#.into())]);
        assert_eq!(rows[1][8], Value::Null);
        assert_eq!(rows[2][8..10], [Value::Null, Value::Array(vec![])]);
        assert_eq!(rows[3][4], Value::Bool(false), "an unticked box is left out");
        assert_eq!(rows[3][0], text("rec4"));
    });
}

#[test]
fn formula_errors_may_be_errors() {
    run(async {
        let server = serve(&fields(), |_| {
            Scripted::json(r##"{"records":[{"id":"rec2","fields":{"fldF":{"error":"#ERROR!"}}}]}"##)
        })
        .await;
        let airtable = connector(&server.endpoint, &[("on_formula_error", "error")]);
        let table = imported(&airtable).await;
        let result = read(&plan(&airtable, &table, &["sum"], &[]), Clock::new()).await;
        assert!(matches!(result, Err(ApiError::Value { .. })), "{result:?}");
    });
}

#[test]
fn formulas() {
    run(async {
        let server = serve(&fields(), nothing).await;
        let airtable = connector(&server.endpoint, &[]);
        let table = imported(&airtable).await;
        let stamp = |symbol: &str| {
            op(symbol, col("when"), lit("2024-01-02 00:00:00+00", "timestamp with time zone"))
        };
        let cases: Vec<(Expr, Option<&str>)> = vec![
            (text("na_me", "=", "O'Hara\\"), Some(r"{Na\}me}='O\'Hara\\'")),
            (text("na_me", "=", "two\nlines"), None),
            (text("na_me", "=", ""), None),
            (text("na_me", "<>", "x"), None),
            (any("na_me", "{b,a}"), Some(r"OR({Na\}me}='a',{Na\}me}='b')")),
            (text("na_me", "~~", "%x%"), Some(r"FIND('x',{Na\}me})>0")),
            (text("na_me", "~~", "%x"), Some(r"FIND('x',{Na\}me})>0")),
            (text("na_me", "~~", "x🙂%"), Some(r"LEFT({Na\}me},3)='x🙂'")),
            (text("na_me", "~~*", "%x%"), Some(r"SEARCH('x',{Na\}me})")),
            (text("na_me", "~~*", "%ß%"), None),
            (is_null("na_me", false), Some(r"{Na\}me}=BLANK()")),
            (is_null("na_me", true), None),
            (is_null("score", false), None),
            (op("=", col("score"), lit("3", "integer")), Some("{Score}=3")),
            (op(">", col("score"), lit("-3.50", "numeric")), Some("{Score}>=-3.50")),
            (op("<", lit("3", "integer"), col("score")), Some("{Score}>=3")),
            (op("<=", col("score"), lit("NaN", "numeric")), None),
            (op("=", col("score"), lit("1e3", "numeric")), None),
            (col("done"), Some("{Done}")),
            (not(col("done")), Some("NOT({Done})")),
            (stamp(">"), Some("IS_AFTER({When},'2024-01-01T23:59:59.000Z')")),
            (stamp("<="), Some("IS_BEFORE({When},'2024-01-02T00:00:01.000Z')")),
            (
                stamp("="),
                Some(
                    "AND(IS_AFTER({When},'2024-01-01T23:59:59.000Z'),IS_BEFORE({When},'2024-01-02T00:00:01.000Z'))",
                ),
            ),
            (
                op(
                    ">=",
                    col("_created_time"),
                    lit("2024-01-02 00:00:00+00", "timestamp with time zone"),
                ),
                Some("IS_AFTER(CREATED_TIME(),'2024-01-01T23:59:59.000Z')"),
            ),
            (
                op(">=", col("born"), lit("2000-01-10", "date")),
                Some("IS_AFTER({Born},'2000-01-08')"),
            ),
            (
                Expr::AnyAll {
                    op: warehouse_core::predicate::OperatorName::builtin("="),
                    all: false,
                    left: Box::new(lit("x", "text")),
                    right: Box::new(col("tags")),
                },
                Some(r"FIND('x',ARRAYJOIN({Tags},'\n'))>0"),
            ),
            (op("=", col("sum"), lit("3", "integer")), None),
            (
                Expr::Or(vec![col("done"), op("=", col("score"), lit("3", "integer"))]),
                Some("OR({Done},{Score}=3)"),
            ),
            (Expr::Or(vec![col("done"), op("=", col("sum"), lit("3", "integer"))]), None),
            (
                Expr::Or(vec![
                    Expr::And(vec![col("done"), op("=", col("sum"), lit("3", "integer"))]),
                    text("_id", "=", "rec1"),
                ]),
                Some("OR({Done},RECORD_ID()='rec1')"),
            ),
        ];
        for (condition, want) in cases {
            let before = server.count();
            let conditions = [condition.clone()];
            let plan = plan(&airtable, &table, &["_id"], &conditions);
            assert_eq!(plan.taken[0], if want.is_some() { Taken::Wider } else { Taken::No });
            read(&plan, Clock::new()).await.expect("no rows");
            let requests = server.requests();
            let asked = requests.last().expect("a request").json();
            assert_eq!(
                asked.get("filterByFormula").and_then(|f| f.as_str()),
                want,
                "{condition:?}"
            );
            assert_eq!(requests.len() - before, if want.is_some() { 2 } else { 1 });
            if let Some(want) = want {
                let shown = plan.requests[0].to_string();
                assert!(shown.contains(want), "{shown}");
            }
        }
    });
}

#[test]
fn a_rename_changes_the_formula_and_not_the_table() {
    run(async {
        let before = serve(&fields(), nothing).await;
        let table = imported(&connector(&before.endpoint, &[])).await;
        let mut renamed = fields();
        // Score is called Points now, and what is called Score is another field.
        renamed[1].1 = "Points";
        renamed[6].1 = "Score";
        let server = serve(&renamed, nothing).await;
        let airtable = connector(&server.endpoint, &[]);
        let conditions = [op(">=", col("score"), lit("3", "integer"))];
        read(&plan(&airtable, &table, &["score"], &conditions), Clock::new())
            .await
            .expect("no rows");
        let asked = server.requests()[1].json();
        assert_eq!(asked["filterByFormula"], "{Points}>=3");
        assert_eq!(asked["fields"], json!(["fldN"]));
    });
}

#[test]
fn a_formula_that_is_refused_is_left_out() {
    run(async {
        let server = serve(&fields(), |asked| {
            if asked.get("filterByFormula").is_some() {
                let body = r#"{"error":{"type":"INVALID_FILTER_BY_FORMULA","message":"The formula is invalid"}}"#;
                return Scripted::new(422, "application/json", body);
            }
            Scripted::json(r#"{"records":[{"id":"rec1","fields":{"fldN":5}}]}"#)
        })
        .await;
        let airtable = connector(&server.endpoint, &[]);
        let table = imported(&airtable).await;
        let conditions = [op(">=", col("score"), lit("3", "integer"))];
        let clock = Clock::new();
        let rows = read(&plan(&airtable, &table, &["score"], &conditions), clock.clone()).await;
        assert_eq!(rows.expect("rows").len(), 1);
        assert!(matches!(clock.notices.borrow()[0], Notice::ConditionRefused { .. }));
        // Without a formula, the same error is one.
        let always = serve(&fields(), |_| {
            let body = r#"{"error":{"type":"UNKNOWN_FIELD_NAME","message":"Unknown field name"}}"#;
            Scripted::new(422, "application/json", body)
        })
        .await;
        let airtable = connector(&always.endpoint, &[]);
        let error = read(&plan(&airtable, &table, &["score"], &conditions), Clock::new()).await;
        assert_eq!(error.expect_err("an error").kind(), ErrorKind::Configuration);
    });
}

#[test]
fn a_token_that_may_not_see_the_schema_reads_without_formula() {
    run(async {
        let with = serve(&fields(), nothing).await;
        let table = imported(&connector(&with.endpoint, &[])).await;
        let server = Server::start(|_, received| {
            if received.path.contains("/meta/") {
                let body =
                    r#"{"error":{"type":"INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND","message":"x"}}"#;
                return Scripted::new(403, "application/json", body);
            }
            assert!(received.json().get("filterByFormula").is_none());
            Scripted::json(r#"{"records":[{"id":"rec1","fields":{}}]}"#)
        })
        .await;
        let conditions = [col("done")];
        let plan = plan(&connector(&server.endpoint, &[]), &table, &["_id"], &conditions);
        assert_eq!(read(&plan, Clock::new()).await.expect("rows").len(), 1);
    });
}

#[test]
fn records_by_id() {
    run(async {
        let server = serve(&fields(), |asked| {
            let formula = asked["filterByFormula"].as_str().unwrap_or_default().to_owned();
            let ids = formula.split('\'').filter(|part| part.starts_with("rec"));
            let records: Vec<_> = ids.map(|id| json!({"id": id, "fields": {}})).collect();
            Scripted::json(json!({"records": records}).to_string())
        })
        .await;
        let airtable = connector(&server.endpoint, &[]);
        let table = imported(&airtable).await;
        let rows = async |conditions: Vec<Expr>| {
            let before = server.count();
            let plan = plan(&airtable, &table, &["_id", "na_me"], &conditions);
            assert!(plan.taken.iter().all(|how| *how == Taken::Exactly));
            let rows = read(&plan, Clock::new()).await.expect("rows").len();
            (rows, server.count() - before)
        };
        assert_eq!(rows(vec![text("_id", "=", "rec1")]).await, (1, 1));
        assert_eq!(rows(vec![text("_id", "=", "rec404")]).await, (0, 1));
        assert_eq!(rows(vec![text("_id", "=", "x') OR TRUE() OR ('")]).await, (0, 0));
        assert_eq!(rows(vec![any("_id", "{rec1,rec2}"), any("_id", "{rec3}")]).await, (0, 0));
        let many: Vec<String> = (0..120).map(|n| format!("rec{n}")).collect();
        let list = format!("{{{}}}", many.join(","));
        assert_eq!(rows(vec![any("_id", &list)]).await, (120, 3));
    });
}

#[test]
fn parameters() {
    run(async {
        let server = serve(&fields(), nothing).await;
        let airtable = connector(&server.endpoint, &[]);
        let table = imported(&airtable).await;
        let conditions =
            [op("=", col("na_me"), param(0, "text")), op("=", col("_id"), param(1, "text"))];
        let planned = |conditions: &[Expr], params: &[Param]| {
            let query = Query {
                table: &table,
                columns: &[0],
                conditions,
                params,
                limit: None,
                changes: None,
            };
            airtable.plan(&query).expect("a plan")
        };
        let unknown = planned(&conditions, &[]);
        assert_eq!(
            (unknown.extent, unknown.requests[0].path.as_str()),
            (Extent::Keys(1), "app1/tbl1/$2")
        );
        let shown = planned(&conditions[..1], &[]).requests[0].to_string();
        assert!(shown.contains(r"{Na\}me}=$1"), "{shown}");
        assert!(read(&planned(&conditions[..1], &[]), Clock::new()).await.is_err());
        let null = planned(&conditions, &[Param::Null, Param::Text("rec1".into())]);
        assert_eq!((null.extent, null.requests.len()), (Extent::Nothing, 0));
    });
}

#[test]
fn nothing_wanted_asks_for_one_field() {
    run(async {
        let server = serve(&fields(), nothing).await;
        let airtable = connector(&server.endpoint, &[]);
        let table = imported(&airtable).await;
        read(&plan(&airtable, &table, &[], &[]), Clock::new()).await.expect("no rows");
        assert_eq!(server.requests()[1].json()["fields"], json!(["fldT"]));
    });
}

#[test]
fn changes_are_between_two_moments() {
    run(async {
        let mut with = fields();
        let server = serve(&with, nothing).await;
        let airtable = connector(&server.endpoint, &[]);
        let table = imported(&airtable).await;
        with.push((
            "fldM",
            "Changed",
            "lastModifiedTime",
            json!({"referencedFieldIds": [], "result": {"type": "dateTime"}}),
        ));
        let other = serve(&with, nothing).await;
        let by_field = imported(&connector(&other.endpoint, &[])).await;
        let changes = Changes { since: START - 3_600_000_000, until: START };
        for (table, server, subject) in
            [(&table, &server, "LAST_MODIFIED_TIME()"), (&by_field, &other, "{Changed}")]
        {
            let query = Query {
                table,
                columns: &[0],
                conditions: &[],
                params: &[],
                limit: None,
                changes: Some(changes),
            };
            let plan = connector(&server.endpoint, &[]).plan(&query).expect("a plan");
            assert!(!plan.cacheable);
            read(&plan, Clock::new()).await.expect("no rows");
            let asked = server.requests().last().expect("a request").json();
            assert_eq!(
                asked["filterByFormula"],
                format!(
                    "AND(IS_AFTER({subject},'2024-05-31T22:59:00.000Z'),IS_BEFORE({subject},'2024-06-01T00:00:00.000Z'))"
                )
            );
        }
    });
}

#[test]
fn bases_by_name_or_id() {
    run(async {
        let server = Server::start(|_, received| {
            Scripted::json(if received.path.ends_with("offset=n%2F1") {
                r#"{"bases":[{"id":"app3","name":"Twice"}]}"#
            } else {
                r#"{"bases":[{"id":"app1","name":"Once"},{"id":"app2","name":"Twice"}],"offset":"n/1"}"#
            })
        })
        .await;
        let airtable = connector(&server.endpoint, &[]);
        let clock = Clock::new();
        let find = async |wanted: &str| {
            airtable.find_base(clock.as_ref(), wanted).await.map(|base| base.id)
        };
        assert_eq!(find("Once").await, Ok("app1".into()));
        assert_eq!(find("app3").await, Ok("app3".into()));
        let error = find("Twice").await.expect_err("two").to_string();
        assert!(error.contains("app2, app3"), "{error}");
        let error = find("Never").await.expect_err("none").to_string();
        assert!(error.contains("Once, Twice"), "{error}");
    });
}

#[test]
fn the_catalogue_has_tables_too() {
    run(async {
        let schema = schema(&fields());
        let server = Server::start(move |_, received| {
            let path = received.path.split('?').next().unwrap_or_default();
            Scripted::json(match path {
                "/v0/meta/bases" => r#"{"bases":[{"id":"app1","name":"A","permissionLevel":"read"},{"id":"app2","name":"B"}]}"#.to_owned(),
                "/v0/meta/bases/app1/tables" | "/v0/meta/bases/app2/tables" => schema.clone(),
                "/v0/app1/tbl1/rec1/comments" => r#"{"comments":[{"id":"com1","text":"hi","author":{"id":"usr1"},"createdTime":"2024-01-01T00:00:00.000Z"}],"offset":null}"#.to_owned(),
                "/v0/app1/tbl1/listRecords" => r#"{"records":[{"id":"rec1","createdTime":"2024-01-01T00:00:00.000Z","fields":{"Name":"a"}}]}"#.to_owned(),
                other => panic!("{other}"),
            })
        })
        .await;
        let airtable = connector(&server.endpoint, &[]);
        let tables = airtable::catalogue(None);
        let table = |name: &str| {
            Rc::new(tables.iter().find(|table| table.name == name).expect("a table").clone())
        };
        let rows = async |name: &str, columns: &[&str], conditions: &[Expr]| {
            let table = table(name);
            read(&plan(&airtable, &table, columns, conditions), Clock::new()).await.expect("rows")
        };
        let id = |text: &str| Value::Text(text.into());
        assert_eq!(
            rows("bases", &["id", "permission_level"], &[]).await[0],
            [id("app1"), id("read")]
        );
        assert_eq!(
            rows("tables", &["base_id", "id"], &[]).await,
            [[id("app1"), id("tbl1")], [id("app2"), id("tbl1")]]
        );
        let one = [text("base_id", "=", "app2")];
        let found = rows("fields", &["base_id", "table_id", "id", "is_primary"], &one).await;
        assert_eq!(found.len(), 10);
        assert_eq!(found[0], [id("app2"), id("tbl1"), id("fldT"), Value::Bool(true)]);
        let views = rows("views", &["id", "visible_field_ids"], &one).await;
        assert_eq!(views[0], [id("viw1"), Value::Array(vec![id("fldT")])]);
        let place = [
            text("base_id", "=", "app1"),
            text("table_id", "=", "tbl1"),
            text("record_id", "=", "rec1"),
        ];
        assert_eq!(
            rows("comments", &["record_id", "id", "text"], &place).await,
            [[id("rec1"), id("com1"), id("hi")]]
        );
        let records = rows("records", &["_id", "table_id", "fields"], &place[..2]).await;
        assert_eq!(records, [[id("rec1"), id("tbl1"), Value::Json(r#"{"Name":"a"}"#.into())]]);
        let table = table("comments");
        let query = Query {
            table: &table,
            columns: &[0],
            conditions: &place[..2],
            params: &[],
            limit: None,
            changes: None,
        };
        assert!(matches!(
            airtable.plan(&query),
            Err(ApiError::NeedsKey { column: "record_id", .. })
        ));
    });
}
