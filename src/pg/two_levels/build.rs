//! Nodes of queries that are made anew.
//!
//! Every function here takes nodes of an analyzed query, or made here, and makes one in the current memory
//! context.

use crate::pg::list;
use pgrx::pg_sys::{self, NodeTag, Oid};

/// Functions of pg_proc.dat, by their OIDs.
#[allow(missing_docs)]
pub mod functions {
    pub const AVG_INT8: u32 = 2100;
    pub const AVG_INT4: u32 = 2101;
    pub const AVG_INT2: u32 = 2102;
    pub const AVG_NUMERIC: u32 = 2103;
    pub const SUM_INT8: u32 = 2107;
    pub const SUM_INT4: u32 = 2108;
    pub const SUM_INT2: u32 = 2109;
    pub const SUM_NUMERIC: u32 = 2114;
    pub const COUNT: u32 = 2147;
    pub const COUNT_ROWS: u32 = 2803;
    pub const NUMERIC_DIV: u32 = 1727;
    pub const INT8_OF_NUMERIC: u32 = 1779;
}

/// `AGGKIND_NORMAL` in pg_aggregate.h.
pub const NORMAL: u8 = b'n';

/// # Safety
/// `T` is the node with this tag.
pub unsafe fn node<T>(tag: NodeTag) -> *mut T {
    // SAFETY: a zeroed node of its type in the current memory context, as makeNode makes it.
    unsafe {
        let made = pg_sys::palloc0(size_of::<T>()).cast::<pg_sys::Node>();
        (*made).type_ = tag;
        made.cast()
    }
}

/// The inner grouping as a sub-select in FROM.
pub unsafe fn entry(inner: *mut pg_sys::Query) -> *mut pg_sys::RangeTblEntry {
    // SAFETY: a query of our own.
    unsafe {
        let mut names = std::ptr::null_mut();
        for target in list::pointers::<pg_sys::TargetEntry>((*inner).targetList) {
            names = list::push(names, pg_sys::makeString((*target).resname));
        }
        let entry = node::<pg_sys::RangeTblEntry>(NodeTag::T_RangeTblEntry);
        (*entry).rtekind = pg_sys::RTEKind::RTE_SUBQUERY;
        (*entry).subquery = inner;
        (*entry).alias = pg_sys::makeAlias(c"inner_groups".as_ptr(), std::ptr::null_mut());
        (*entry).eref = pg_sys::makeAlias(c"inner_groups".as_ptr(), names);
        (*entry).inFromCl = true;
        entry
    }
}

/// The inner grouping's column that holds an expression.
pub unsafe fn seen_from_outside(expr: *mut pg_sys::Node, at: i16) -> *mut pg_sys::Expr {
    // SAFETY: an expression of the query.
    unsafe {
        let (of, typmod) = (pg_sys::exprType(expr), pg_sys::exprTypmod(expr));
        pg_sys::makeVar(1, at, of, typmod, pg_sys::exprCollation(expr), 0).cast()
    }
}

/// Another aggregate of the same values.
pub unsafe fn like(of: *mut pg_sys::Aggref, function: u32, result: Oid) -> *mut pg_sys::Aggref {
    // SAFETY: a copy of an aggregate.
    unsafe {
        let copy: *mut pg_sys::Aggref = pg_sys::copyObjectImpl(of.cast()).cast();
        (*copy).aggfnoid = function.into();
        (*copy).aggtype = result;
        copy
    }
}

/// An aggregate over a column.
pub unsafe fn over(
    column: *mut pg_sys::Expr,
    function: Oid,
    result: Oid,
    collation: Oid,
    input_collation: Oid,
) -> *mut pg_sys::Expr {
    // SAFETY: as the parser makes it (transformAggregateCall in parse_agg.c).
    unsafe {
        let made = node::<pg_sys::Aggref>(NodeTag::T_Aggref);
        let of = pg_sys::exprType(column.cast());
        let arg = pg_sys::makeTargetEntry(column, 1, std::ptr::null_mut(), false);
        (*made).aggfnoid = function;
        (*made).aggtype = result;
        (*made).aggcollid = collation;
        (*made).inputcollid = input_collation;
        (*made).aggargtypes = pg_sys::lappend_oid(std::ptr::null_mut(), of);
        (*made).args = list::push(std::ptr::null_mut(), arg);
        (*made).aggkind = NORMAL as _;
        (*made).aggsplit = pg_sys::AggSplit::AGGSPLIT_SIMPLE;
        ((*made).aggno, (*made).aggtransno, (*made).location) = (-1, -1, -1);
        made.cast()
    }
}

/// The sum of whole or decimal numbers, which is a decimal one.
pub unsafe fn sum_of(column: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    // SAFETY: a column of the inner grouping.
    unsafe {
        let function = match pg_sys::exprType(column.cast()) {
            pg_sys::INT8OID => functions::SUM_INT8,
            _ => functions::SUM_NUMERIC,
        };
        over(column, function.into(), pg_sys::NUMERICOID, Oid::INVALID, Oid::INVALID)
    }
}

pub unsafe fn call(function: u32, result: Oid, args: &[*mut pg_sys::Expr]) -> *mut pg_sys::Expr {
    // SAFETY: a call of a function of pg_proc.dat.
    unsafe {
        let args = args.iter().fold(std::ptr::null_mut(), |all, arg| list::push(all, *arg));
        let form = pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
        let none = Oid::INVALID;
        pg_sys::makeFuncExpr(function.into(), result, args, none, none, form).cast()
    }
}

pub unsafe fn int8(number: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    // SAFETY: a decimal number.
    unsafe { call(functions::INT8_OF_NUMERIC, pg_sys::INT8OID, &[number]) }
}

/// 0 instead of NULL.
pub unsafe fn or_zero(number: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    // SAFETY: a whole number; int8 is passed by value.
    unsafe {
        let zero = pg_sys::makeConst(
            pg_sys::INT8OID,
            -1,
            Oid::INVALID,
            8,
            pg_sys::Datum::from(0_i64),
            false,
            true,
        );
        let made = node::<pg_sys::CoalesceExpr>(NodeTag::T_CoalesceExpr);
        (*made).coalescetype = pg_sys::INT8OID;
        (*made).args = list::push(list::push(std::ptr::null_mut(), number), zero);
        (*made).location = -1;
        made.cast()
    }
}
