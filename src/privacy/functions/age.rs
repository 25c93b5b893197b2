//! Ages from birth dates, as of the day on which the transaction began.

use super::prepared::{Call, Of, mask, today};
use pgrx::datum::Date;
use pgrx::prelude::*;
use warehouse_core::masks::Value;

/// The age in years, with 90 and above as 90. (The name `age` would hide Postgres's own.)
#[pg_extern(stable, strict, parallel_safe)]
fn age_of(birth: Date) -> Option<i32> {
    let call = Call { function: "age_of", of: Of::Date, texts: &[], numbers: &[today()] };
    mask(call, || "age".to_owned(), Value::Date(birth.into_inner()), &[])
}

/// The age in bands of so many years, with 90 and above in one.
#[pg_extern(stable, strict, parallel_safe)]
fn age_band(birth: Date, width: i32) -> Option<Range<i32>> {
    let numbers = [today(), i64::from(width)];
    let call = Call { function: "age_band", of: Of::Date, texts: &[], numbers: &numbers };
    mask(call, || format!("age_band({width})"), Value::Date(birth.into_inner()), &[])
}
