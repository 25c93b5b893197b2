//! Random conditions against the model of the gateway: pushed down, capped and rechecked, the rows are
//! exactly those that the condition means.

use crate::braintree::{Ask, connector, sale, serve, start, texts};
use crate::gateway::{Gateway, Sale};
use crate::run;
use crate::terms::{any, col, lit, op, text};
use proptest::prelude::*;
use std::rc::Rc;
use warehouse_core::connectors::{ApiError, Taken, time};
use warehouse_core::predicate::Expr;

/// A condition and what it means.
#[derive(Clone)]
struct Meaning {
    expr: Expr,
    means: Rc<dyn Fn(&Sale) -> bool>,
}

impl std::fmt::Debug for Meaning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.expr.fmt(f)
    }
}

fn meaning(expr: Expr, means: impl Fn(&Sale) -> bool + 'static) -> Meaning {
    Meaning { expr, means: Rc::new(means) }
}

fn any_meaning() -> impl Strategy<Value = Meaning> {
    let symbols = || prop::sample::select(vec!["=", "<", "<=", ">", ">="]);
    fn compare<T: PartialOrd>(symbol: &str, left: T, right: T) -> bool {
        match symbol {
            "=" => left == right,
            "<" => left < right,
            "<=" => left <= right,
            ">" => left > right,
            _ => left >= right,
        }
    }
    prop_oneof![
        (symbols(), -5000_i64..100, prop::sample::select(vec![0_i64, 500_000])).prop_map(
            |(symbol, ago, micros)| {
                let at = (start() + ago) * 1_000_000 + micros;
                let value = time::milli_text(at).replace('T', " ").replace('Z', "+00");
                let expr = op(symbol, col("created_at"), lit(&value, "timestamp with time zone"));
                meaning(expr, move |sale| compare(symbol, sale.created * 1_000_000, at))
            }
        ),
        (symbols(), 0_i64..5000).prop_map(|(symbol, cents)| {
            let value = format!("{}.{:02}", cents / 100, cents % 100);
            meaning(op(symbol, col("amount"), lit(&value, "numeric")), move |sale| {
                compare(symbol, sale.cents, cents)
            })
        }),
        prop::sample::subsequence(vec!["settled", "voided", "authorized", "failed"], 1..4)
            .prop_map(|statuses| {
                let list = format!("{{{}}}", statuses.join(","));
                meaning(any("status", &list), move |sale| statuses.contains(&sale.status))
            }),
        prop::sample::select(vec!["Web", "web-1", "APP", "-2"]).prop_map(|part| {
            meaning(text("order_id", "~~", &format!("%{part}%")), move |sale| {
                sale.order.contains(part)
            })
        }),
        prop::sample::select(vec!["Web", "web-1", "App"]).prop_map(|part| {
            meaning(text("order_id", "~~", &format!("{part}%")), move |sale| {
                sale.order.starts_with(part)
            })
        }),
        prop::sample::subsequence(vec!["c1", "C1", "c2", "c5"], 1..4).prop_map(|values| {
            let list = format!("{{{}}}", values.join(","));
            meaning(any("customer_id", &list), move |sale| values.contains(&sale.customer.as_str()))
        }),
        Just(()).prop_map(|()| { meaning(col("is_refund"), |sale| sale.refunds.is_some()) }),
        prop::collection::vec(0_usize..150, 1..5).prop_map(|numbers| {
            let ids: Vec<String> = numbers.iter().map(|n| format!("t{n:04}")).collect();
            let list = format!("{{{}}}", ids.join(","));
            meaning(any("id", &list), move |sale| ids.contains(&sale.id))
        }),
        Just(()).prop_map(|()| {
            meaning(text("order_id", "<>", "Web-0"), |sale| sale.order != "Web-0")
        }),
    ]
}

proptest! {
    // A failure is told soon rather than small; nothing is written beside the test.
    #![proptest_config(ProptestConfig {
        cases: 300,
        max_shrink_iters: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever is asked: after the recheck, exactly the right rows, each once; and what is said to be
    /// taken exactly needs no recheck.
    #[test]
    fn pushed_or_not_the_rows_are_the_same(
        gaps in prop::collection::vec(0_i64..90, 0..120),
        cap in 12_usize..60,
        meanings in prop::collection::vec(any_meaning(), 0..4),
    ) {
        let mut at = start();
        let sales: Vec<Sale> = gaps.iter().enumerate().map(|(n, gap)| {
            at -= gap;
            sale(n, at)
        }).collect();
        let dense = sales.iter().any(|one| {
            sales.iter().filter(|other| (one.created..one.created + 62).contains(&other.created)).count() >= cap
        });
        let conditions: Vec<Expr> = meanings.iter().map(|one| one.expr.clone()).collect();
        let cap_text = cap.to_string();
        let gateway = Gateway { sales: sales.clone(), cap, deleted: Vec::new() };
        let (taken, rows) = run(async {
            let server = serve(gateway).await;
            let braintree = connector(&server.endpoint, &[("transaction_cap", &cap_text)]);
            let ask = Ask { conditions: &conditions, ..Ask::default() };
            (ask.plan(&braintree).expect("a plan").taken, ask.rows(&braintree).await)
        });
        match rows {
            Err(ApiError::Incomplete { .. }) if dense => {}
            Err(error) => prop_assert!(false, "{error}"),
            Ok(rows) => {
                let by_id = |id: &String| sales.iter().find(|sale| sale.id == *id).expect("a sale");
                let ids = texts(&rows);
                for (how, one) in taken.iter().zip(&meanings) {
                    if *how == Taken::Exactly {
                        prop_assert!(ids.iter().all(|id| (one.means)(by_id(id))));
                    }
                }
                let holds = |sale: &Sale| meanings.iter().all(|one| (one.means)(sale));
                let mut got: Vec<String> = ids.into_iter().filter(|id| holds(by_id(id))).collect();
                got.sort();
                let mut want: Vec<String> =
                    sales.iter().filter(|sale| holds(sale)).map(|sale| sale.id.clone()).collect();
                want.sort();
                prop_assert_eq!(got, want);
            }
        }
    }
}
