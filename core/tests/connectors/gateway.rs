//! A small model of Braintree's gateway: transactions, their search with its caps and its minute.

use crate::server::{Received, Scripted};
use serde_json::Value as Json;
use warehouse_core::connectors::time;

/// A transaction.
#[derive(Debug, Clone)]
pub struct Sale {
    pub id: String,
    /// Seconds since 2000-01-01.
    pub created: i64,
    pub status: &'static str,
    /// In cents.
    pub cents: i64,
    pub order: String,
    pub customer: String,
    pub refunds: Option<String>,
}

impl Sale {
    pub fn xml(&self) -> String {
        let created = time::second_text(self.created);
        let refunds = match &self.refunds {
            Some(id) => format!("<refunded-transaction-id>{id}</refunded-transaction-id>"),
            None => "<refunded-transaction-id nil=\"true\"/>".to_owned(),
        };
        format!(
            "<transaction><id>{}</id><status>{}</status><type>{}</type><amount>{}.{:02}</amount>\
             <order-id>{}</order-id><customer><id>{}</id></customer>{refunds}\
             <created-at type=\"datetime\">{created}</created-at>\
             <custom-fields><source>web</source></custom-fields>\
             <status-history type=\"array\"><status-event><timestamp type=\"datetime\">{created}</timestamp>\
             <status>{}</status><amount>{}.{:02}</amount></status-event></status-history></transaction>",
            self.id,
            self.status,
            if self.refunds.is_some() { "credit" } else { "sale" },
            self.cents / 100,
            self.cents % 100,
            self.order,
            self.customer,
            self.status,
            self.cents / 100,
            self.cents % 100,
        )
    }
}

/// The gateway.
#[derive(Debug, Clone)]
pub struct Gateway {
    pub sales: Vec<Sale>,
    pub cap: usize,
    /// Gone between the two steps.
    pub deleted: Vec<String>,
}

fn second(value: &Json) -> Option<i64> {
    Some(time::timestamp(value.as_str()?)?.div_euclid(1_000_000))
}

fn cents(value: &Json) -> Option<i64> {
    Some((value.as_str()?.parse::<f64>().ok()? * 100.0).round() as i64)
}

/// Text is compared without its case here, as the service may.
fn text(criterion: &Json, value: &str) -> bool {
    let value = value.to_lowercase();
    criterion.as_object().expect("operators").iter().all(|(operator, wanted)| {
        let wanted = wanted.as_str().expect("text").to_lowercase();
        match operator.as_str() {
            "is" => value == wanted,
            "starts_with" => value.starts_with(&wanted),
            "ends_with" => value.ends_with(&wanted),
            "contains" => value.contains(&wanted),
            other => panic!("operator {other}"),
        }
    })
}

fn listed(criterion: &Json, value: &str) -> bool {
    criterion.as_array().expect("a list").iter().any(|one| one.as_str() == Some(value))
}

impl Gateway {
    fn matches(&self, sale: &Sale, criteria: &Json) -> bool {
        criteria.as_object().expect("criteria").iter().all(|(field, criterion)| {
            match field.as_str() {
                "ids" => listed(criterion, &sale.id),
                "status" => listed(criterion, sale.status),
                "created_at" => {
                    second(&criterion["min"]).is_none_or(|min| min <= sale.created)
                        && second(&criterion["max"]).is_none_or(|max| sale.created < max + 60)
                }
                "amount" => {
                    cents(&criterion["is"]).is_none_or(|is| is == sale.cents)
                        && cents(&criterion["min"]).is_none_or(|min| min <= sale.cents)
                        && cents(&criterion["max"]).is_none_or(|max| sale.cents <= max)
                }
                "order_id" => text(criterion, &sale.order),
                "customer_id" => text(criterion, &sale.customer),
                "refund" => criterion.as_bool() == Some(sale.refunds.is_some()),
                // The status history has one event, at creation.
                field if field.ends_with("_at") => {
                    field == format!("{}_at", sale.status)
                        && second(&criterion["min"]).is_none_or(|min| min <= sale.created)
                        && second(&criterion["max"]).is_none_or(|max| sale.created < max + 60)
                }
                "disbursement_date" | "dispute_date" => false,
                other => panic!("field {other}"),
            }
        })
    }

    pub fn answer(&self, received: &Received) -> Scripted {
        let path = received.path.split("/merchants/m/").nth(1).expect("a merchant");
        let criteria = received.json()["search"].clone();
        let mut found: Vec<&Sale> = match path {
            "transactions/advanced_search_ids" | "transactions/advanced_search" => {
                self.sales.iter().filter(|sale| self.matches(sale, &criteria)).collect()
            }
            _ => {
                let id = path.strip_prefix("transactions/").unwrap_or_default();
                return match self.sales.iter().find(|sale| sale.id == id) {
                    Some(sale) => Scripted::xml(sale.xml()).gzip(),
                    None => Scripted::status(404),
                };
            }
        };
        found.sort_by_key(|sale| (-sale.created, sale.id.clone()));
        if path.ends_with("_ids") {
            // A capped answer leaves out records inside the range.
            if found.len() > self.cap {
                let every = found.len() - self.cap;
                for i in 0..every {
                    found.remove((i * 2) % found.len());
                }
            }
            let ids: String =
                found.iter().map(|sale| format!("<item>{}</item>", sale.id)).collect();
            return Scripted::xml(format!(
                "<search-results><page-size type=\"integer\">50</page-size>\
                 <ids type=\"array\">{ids}</ids></search-results>"
            ))
            .gzip();
        }
        found.retain(|sale| !self.deleted.contains(&sale.id));
        assert!(found.len() <= 50, "a page has 50 records");
        let sales: String = found.iter().map(|sale| sale.xml()).collect();
        Scripted::xml(format!(
            "<credit-card-transactions type=\"collection\">\
             <current-page-number type=\"integer\">1</current-page-number>\
             <page-size type=\"integer\">50</page-size>\
             <total-items type=\"integer\">{}</total-items>{sales}</credit-card-transactions>",
            found.len()
        ))
        .gzip()
    }
}
