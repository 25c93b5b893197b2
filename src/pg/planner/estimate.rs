//! What the statistics say: how many groups, from where to where.

use super::Planner;
use crate::pg::datum::to_text;
use crate::pg::node::Node;
use crate::pg::{list, types};
use pgrx::pg_sys::{self, Datum, Oid};

impl<'p> Planner<'p> {
    /// How many groups `rows` rows make by these keys, by the distinct values of their columns.
    pub fn estimate_groups(self, keys: &[Node<'p>], rows: f64) -> f64 {
        if keys.is_empty() {
            return 1.0;
        }
        let mut exprs = std::ptr::null_mut();
        for key in keys {
            // SAFETY: a list of expressions in the planner's context.
            exprs = unsafe { list::push(exprs, key.as_ptr()) };
        }
        // SAFETY: valid planner state.
        unsafe {
            pg_sys::estimate_num_groups(
                self.0,
                exprs,
                rows,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        }
    }

    /// The first and last bound of a column's histogram, if its type is a number, a date (in days) or a
    /// timestamp (in microseconds). Most common values may lie outside.
    pub fn histogram_range(self, column: Node<'p>) -> Option<(f64, f64)> {
        // SAFETY: the structures are filled by the functions that Postgres has for it and freed by
        // their counterparts; values are read while the slot holds them.
        unsafe {
            let mut found = std::mem::zeroed::<pg_sys::VariableStatData>();
            pg_sys::examine_variable(self.0, column.as_ptr(), 0, &mut found);
            if found.statsTuple.is_null() {
                return None;
            }
            let mut slot = std::mem::zeroed::<pg_sys::AttStatsSlot>();
            let has = found.acl_ok
                && pg_sys::get_attstatsslot(
                    &mut slot,
                    found.statsTuple,
                    pg_sys::STATISTIC_KIND_HISTOGRAM as i32,
                    Oid::INVALID,
                    pg_sys::ATTSTATSSLOT_VALUES as i32,
                );
            let mut range = None;
            if has {
                if slot.nvalues > 1 {
                    let of = types::base_type(found.atttype);
                    let bound = |at: i32| number(*slot.values.add(at as usize), of);
                    range = bound(0).zip(bound(slot.nvalues - 1));
                }
                pg_sys::free_attstatsslot(&mut slot);
            }
            if let Some(free) = found.freefunc {
                free(found.statsTuple);
            }
            range
        }
    }
}

/// A value as a number, if it is finite.
///
/// # Safety
/// The datum is one of the type.
unsafe fn number(value: Datum, of: Oid) -> Option<f64> {
    let infinite = |value: i64, least: i64, most: i64| value == least || value == most;
    let number = match of {
        pg_sys::INT2OID => f64::from(value.value() as i16),
        pg_sys::INT4OID => f64::from(value.value() as i32),
        pg_sys::INT8OID => value.value() as i64 as f64,
        pg_sys::FLOAT4OID => f64::from(f32::from_bits(value.value() as u32)),
        pg_sys::FLOAT8OID => f64::from_bits(value.value() as u64),
        // SAFETY: the caller's promise.
        pg_sys::NUMERICOID => unsafe { to_text(value, of) }.parse().ok()?,
        pg_sys::DATEOID => {
            let days = value.value() as i32;
            if infinite(days.into(), i32::MIN.into(), i32::MAX.into()) {
                return None;
            }
            f64::from(days)
        }
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => {
            let moment = value.value() as i64;
            if infinite(moment, i64::MIN, i64::MAX) {
                return None;
            }
            moment as f64
        }
        _ => return None,
    };
    number.is_finite().then_some(number)
}
