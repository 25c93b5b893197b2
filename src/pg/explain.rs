//! EXPLAIN's output.

use super::list;
use super::sql::owned;
use pgrx::pg_sys;
use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::time::Duration;

/// The output being written.
#[derive(Debug, Clone, Copy)]
pub struct Explain<'e>(*mut pg_sys::ExplainState, PhantomData<&'e ()>);

impl Explain<'_> {
    /// # Safety
    /// `state` is valid while the value lives.
    pub unsafe fn new(state: *mut pg_sys::ExplainState) -> Self {
        Explain(state, PhantomData)
    }

    /// The conditions of a plan node, each as SQL.
    ///
    /// # Safety
    /// `conditions` is NULL or a list of expressions of `plan`.
    pub unsafe fn conditions(
        self,
        plan: *mut pg_sys::Plan,
        conditions: *mut pg_sys::List,
    ) -> Vec<String> {
        // SAFETY: the caller's promise. Without the ancestors, values from elsewhere show as $n.
        unsafe {
            list::pointers::<pg_sys::Node>(conditions)
                .map(|node| {
                    let one = list::push(std::ptr::null_mut(), node);
                    self.condition(plan, std::ptr::null_mut(), one)
                })
                .collect()
        }
    }

    /// A conjunction of conditions of a plan node, as SQL.
    ///
    /// # Safety
    /// `conditions` is NULL or a list of expressions of `plan`, whose `ancestors` the caller was given.
    pub unsafe fn condition(
        self,
        plan: *mut pg_sys::Plan,
        ancestors: *mut pg_sys::List,
        conditions: *mut pg_sys::List,
    ) -> String {
        if conditions.is_null() {
            return String::new();
        }
        // SAFETY: the caller's promise; the text is copied.
        unsafe {
            let several = self.verbose() || pg_sys::list_length((*self.0).rtable) > 1;
            let context = pg_sys::set_deparse_context_plan((*self.0).deparse_cxt, plan, ancestors);
            let node = pg_sys::make_ands_explicit(conditions).cast();
            owned(pg_sys::deparse_expression(node, context, several, false))
        }
    }

    /// EXPLAIN (VERBOSE).
    pub fn verbose(self) -> bool {
        // SAFETY: the promise of `new`.
        unsafe { (*self.0).verbose }
    }

    /// EXPLAIN (ANALYZE).
    pub fn analyze(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.0).analyze }
    }

    /// Whether times are wanted.
    pub fn timing(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.0).timing }
    }

    /// A text property.
    pub fn text(self, label: &CStr, value: &str) {
        let value = CString::new(value).unwrap_or_default();
        // SAFETY: NUL-terminated strings that are copied.
        unsafe { pg_sys::ExplainPropertyText(label.as_ptr(), value.as_ptr(), self.0) }
    }

    /// A count.
    pub fn integer(self, label: &CStr, unit: Option<&CStr>, value: u64) {
        let unit = unit.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: as above.
        unsafe { pg_sys::ExplainPropertyInteger(label.as_ptr(), unit, value as i64, self.0) }
    }

    /// A time in milliseconds.
    pub fn milliseconds(self, label: &CStr, value: Duration) {
        let value = value.as_secs_f64() * 1000.0;
        // SAFETY: as above.
        unsafe { pg_sys::ExplainPropertyFloat(label.as_ptr(), c"ms".as_ptr(), value, 3, self.0) }
    }
}
