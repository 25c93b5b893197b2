//! Braintree's tables: columns, where they lie in the XML, what may be searched, what they say of a
//! person. The reference's section 2.5.
//!
//! Ids, codes, amounts and times are public; names, addresses, card digits and whatever holds them
//! are identifiers. Raw objects (`attrs`) hold everything, and read as NULL until somebody classifies
//! them.

mod catalogues;
mod customers;
mod disputes;
mod subscriptions;
mod transactions;

use crate::connectors::catalogue::{Column, ColumnType, Cursor, Filter, Origin, Table};

/// All tables.
pub fn tables() -> Vec<Table> {
    let mut all = transactions::tables();
    all.extend(customers::tables());
    all.extend(subscriptions::tables());
    all.extend(disputes::tables());
    all.extend(catalogues::tables());
    all
}

/// A table whose last column is `attrs`.
fn table(name: &str, comment: &str, key: &[&str], cursor: Cursor, columns: Vec<Column>) -> Table {
    let mut columns = columns;
    columns.push(
        Column::new("attrs", ColumnType::Json)
            .from(Origin::Whole)
            .personal()
            .comment("The whole object as the API gave it"),
    );
    Table {
        name: name.to_owned(),
        comment: Some(comment.to_owned()),
        columns,
        key: key.iter().map(|&name| name.to_owned()).collect(),
        cursor,
        needs: None,
        options: Vec::new(),
    }
}

/// Text that says nothing of a person.
fn text(name: &str) -> Column {
    Column::new(name, ColumnType::Text).public()
}

/// Texts that say nothing of a person.
fn texts(names: &[&str]) -> Vec<Column> {
    names.iter().map(|name| text(name)).collect()
}

/// Text that says who somebody is.
fn personal(name: &str) -> Column {
    Column::new(name, ColumnType::Text).personal()
}

fn number(name: &str) -> Column {
    Column::new(name, ColumnType::Numeric)
}

fn numbers(names: &[&str]) -> Vec<Column> {
    names.iter().map(|name| number(name)).collect()
}

fn integer(name: &str) -> Column {
    Column::new(name, ColumnType::Integer)
}

fn flag(name: &str) -> Column {
    Column::new(name, ColumnType::Bool)
}

fn time(name: &str) -> Column {
    Column::new(name, ColumnType::Timestamp)
}

fn date(name: &str) -> Column {
    Column::new(name, ColumnType::Date)
}

/// JSON without personal data.
fn json(name: &str) -> Column {
    Column::new(name, ColumnType::Json).public()
}

/// JSON with personal data.
fn personal_json(name: &str) -> Column {
    Column::new(name, ColumnType::Json).personal()
}

fn text_list(name: &str) -> Column {
    Column::new(name, ColumnType::Array(Box::new(ColumnType::Text))).public()
}

fn context(name: &'static str, of: ColumnType) -> Column {
    Column::new(name, of).from(Origin::Context(name)).public()
}

fn searched(field: &str) -> Filter {
    Filter::Text(field.to_owned())
}

fn listed(field: &str) -> Filter {
    Filter::OneOf(field.to_owned(), &[])
}

fn timed(field: &str) -> Filter {
    Filter::Time(field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::Mask;

    #[test]
    fn every_table_is_whole() {
        let all = tables();
        for name in [
            "transactions",
            "transaction_status_events",
            "transaction_line_items",
            "refunds",
            "customers",
            "payment_methods",
            "addresses",
            "subscriptions",
            "subscription_status_events",
            "plans",
            "add_ons",
            "discounts",
            "disputes",
            "merchant_accounts",
            "settlement_batch_summary",
            "verifications",
            "us_bank_account_verifications",
        ] {
            assert!(all.iter().any(|table| table.name == name), "{name}");
        }
        for table in &all {
            let mut names: Vec<_> = table.columns.iter().map(|c| c.name.as_str()).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{}: {names:?}", table.name);
            assert!(table.key.iter().all(|key| table.column(key).is_some()), "{}", table.name);
            assert!(table.needs.is_none_or(|name| table.column(name).is_some()));
            assert!(table.column("attrs").is_some());
            for column in &table.columns {
                assert!(column.class.is_some(), "{}.{} is not classified", table.name, column.name);
                if let Some(mask) = &column.mask {
                    let mask: Mask = mask.parse().expect("a mask");
                    mask.result(&column.of.family()).expect("a mask that fits");
                }
            }
        }
    }
}
