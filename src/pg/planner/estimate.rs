//! What the statistics say: how many groups, from where to where.

use super::Planner;
use crate::pg::list;
use crate::pg::node::Node;
use pgrx::pg_sys::{self, Oid};

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

    /// The first and last bound of a column's histogram, as 64-bit integers, if its type is passed by
    /// value. Most common values may lie outside.
    pub fn histogram_range(self, column: Node<'p>) -> Option<(i64, i64)> {
        // SAFETY: the structures are filled by the functions that Postgres has for it and freed by
        // their counterparts; values are copied while the slot holds them.
        unsafe {
            let mut found = std::mem::zeroed::<pg_sys::VariableStatData>();
            pg_sys::examine_variable(self.0, column.as_ptr(), 0, &mut found);
            if found.statsTuple.is_null() {
                return None;
            }
            let mut slot = std::mem::zeroed::<pg_sys::AttStatsSlot>();
            let has = found.acl_ok
                && pg_sys::get_typbyval(found.atttype)
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
                    let value = |at: i32| (*slot.values.add(at as usize)).value() as i64;
                    range = Some((value(0), value(slot.nvalues - 1)));
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
