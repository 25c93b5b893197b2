//! Grouping in two levels.
//!
//! `SELECT k, count(DISTINCT x), sum(y) FROM … GROUP BY k` cannot be computed in steps: the values of `x`
//! have to come together, so every row comes. Over
//! `SELECT k, x, sum(y) FROM … GROUP BY k, x` it can: the inner grouping is one that each source does for
//! itself, and above it DISTINCT has few values left. Postgres has no path for that, because one Agg node
//! takes all of its aggregates through the same steps (`aggsplit` in nodeAgg.c), and no node above another
//! may compute an aggregate by the other's name (`set_upper_references` in setrefs.c takes it for the
//! other's result). So the query itself is changed, in a copy, and the planner's hook takes the cheaper of
//! the two plans.
//!
//! Aggregates that are regrouped: what gives the same if it is applied to its own results (`min`, `bool_and`
//! and their like), sums and averages of whole and decimal numbers, counts. Sums of floats would depend on
//! the order.

mod build;

use super::hook::{Seen, look};
use super::{list, types};
use build::{
    NORMAL, call, entry, functions, int8, like, node, or_zero, over, seen_from_outside, sum_of,
};
use pgrx::pg_sys::{self, NodeTag};
use std::ffi::{CStr, c_void};

// Not in pgrx's bindings with what it calls; nodes/nodeFuncs.h.
unsafe extern "C-unwind" {
    fn expression_tree_mutator(
        node: *mut pg_sys::Node,
        mutator: unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> *mut pg_sys::Node,
        context: *mut c_void,
    ) -> *mut pg_sys::Node;
}

/// A copy of a query in which groupings over partitioned tables are in two levels; `None` if there is none
/// that can be.
///
/// # Safety
/// `query` is an analyzed and rewritten query.
pub unsafe fn of(query: *mut pg_sys::Query) -> Option<*mut pg_sys::Query> {
    // SAFETY: the caller's promise; what is changed is a copy of our own.
    unsafe {
        if !may_be(query) {
            return None;
        }
        let copy: *mut pg_sys::Query = pg_sys::copyObjectImpl(query.cast()).cast();
        descend(copy, true).then_some(copy)
    }
}

/// Whether there is an aggregate at all.
///
/// # Safety
/// As of [`of`].
unsafe fn may_be(query: *mut pg_sys::Query) -> bool {
    // SAFETY: the range table of a valid query.
    unsafe {
        pg_sys::check_stack_depth();
        (*query).hasAggs
            || list::pointers::<pg_sys::RangeTblEntry>((*query).rtable).any(|entry| {
                (*entry).rtekind == pg_sys::RTEKind::RTE_SUBQUERY && may_be((*entry).subquery)
            })
    }
}

/// Splits the groupings of a query and of its sub-selects in FROM; whether there was one.
///
/// # Safety
/// `query` is an analyzed query that may be changed.
unsafe fn descend(query: *mut pg_sys::Query, is_top: bool) -> bool {
    // SAFETY: the range table of a valid query.
    unsafe {
        pg_sys::check_stack_depth();
        let mut split = false;
        // Below a CTE, who refers to it counts the levels between.
        if (*query).cteList.is_null() {
            for entry in list::pointers::<pg_sys::RangeTblEntry>((*query).rtable) {
                if (*entry).rtekind == pg_sys::RTEKind::RTE_SUBQUERY && !(*entry).lateral {
                    split |= descend((*entry).subquery, false);
                }
            }
        }
        if is_candidate(query, is_top) {
            split |= Split::default().apply(query);
        }
        split
    }
}

/// Whether a query groups the rows of a partitioned table, and does nothing that would see the difference.
///
/// # Safety
/// `query` is an analyzed query.
unsafe fn is_candidate(query: *mut pg_sys::Query, is_top: bool) -> bool {
    // SAFETY: the fields of a valid query.
    unsafe {
        let of = &*query;
        if of.commandType != pg_sys::CmdType::CMD_SELECT
            || !of.hasAggs
            || of.hasWindowFuncs
            || of.hasTargetSRFs
            || of.hasModifyingCTE
            || of.hasForUpdate
            || !of.rowMarks.is_null()
            || !of.setOperations.is_null()
            || !of.groupingSets.is_null()
            || !of.utilityStmt.is_null()
        {
            return false;
        }
        let (targets, having): (*mut pg_sys::Node, _) = (of.targetList.cast(), of.havingQual);
        if pg_sys::contain_volatile_functions(targets)
            || pg_sys::contain_volatile_functions(having)
            || of.hasSubLinks
                && (pg_sys::checkExprHasSubLink(targets) || pg_sys::checkExprHasSubLink(having))
        {
            return false;
        }
        // What stands inside and refers to a query around it would have to count one level more.
        if !is_top && (1..=MOST_LEVELS).any(|up| pg_sys::contain_vars_of_level(query.cast(), up)) {
            return false;
        }
        let mut seen = Seen::default();
        look(query, &mut seen);
        !seen.tables.is_empty()
    }
}

/// Levels of queries around one that are looked at.
const MOST_LEVELS: i32 = 16;

/// A grouping that becomes two.
struct Split {
    /// What the inner one groups by, and its number.
    keys: Vec<(*mut pg_sys::Node, i16)>,
    /// What the inner one gives.
    targets: *mut pg_sys::List,
    /// Its GROUP BY.
    clause: *mut pg_sys::List,
    /// Columns of it so far.
    columns: i16,
    /// There is an aggregate with DISTINCT.
    is_distinct: bool,
    /// There is one for which it matters how often a row is there.
    is_counting: bool,
    /// There is something that cannot be computed in two levels.
    is_refused: bool,
}

impl Default for Split {
    fn default() -> Split {
        Split {
            keys: Vec::new(),
            targets: std::ptr::null_mut(),
            clause: std::ptr::null_mut(),
            columns: 0,
            is_distinct: false,
            is_counting: false,
            is_refused: false,
        }
    }
}

impl Split {
    /// Changes the query, if all of it can be computed so.
    ///
    /// # Safety
    /// `query` is an analyzed query that may be changed.
    unsafe fn apply(mut self, query: *mut pg_sys::Query) -> bool {
        // SAFETY: the trees of a valid query; new nodes are zeroed ones of their types.
        unsafe {
            for clause in list::pointers::<pg_sys::SortGroupClause>((*query).groupClause) {
                let target = pg_sys::get_sortgroupclause_tle(clause, (*query).targetList);
                self.key((*target).expr.cast(), clause);
            }
            let context: *mut c_void = (&raw mut self).cast();
            let targets = outside((*query).targetList.cast(), context);
            let having = outside((*query).havingQual, context);
            if self.is_refused || !self.is_distinct || !self.is_counting {
                return false;
            }
            let inner = node::<pg_sys::Query>(NodeTag::T_Query);
            *inner = *query;
            (*inner).targetList = self.targets;
            (*inner).groupClause = self.clause;
            (*inner).groupDistinct = false;
            (*inner).havingQual = std::ptr::null_mut();
            (*inner).distinctClause = std::ptr::null_mut();
            (*inner).hasDistinctOn = false;
            (*inner).sortClause = std::ptr::null_mut();
            (*inner).limitOffset = std::ptr::null_mut();
            (*inner).limitCount = std::ptr::null_mut();
            (*inner).limitOption = pg_sys::LimitOption::LIMIT_OPTION_COUNT;
            (*inner).constraintDeps = std::ptr::null_mut();
            let outer = &mut *query;
            outer.rtable = list::push(std::ptr::null_mut(), entry(inner));
            let place = node::<pg_sys::RangeTblRef>(NodeTag::T_RangeTblRef);
            (*place).rtindex = 1;
            let from = list::push(std::ptr::null_mut(), place);
            outer.jointree = pg_sys::makeFromExpr(from, std::ptr::null_mut());
            outer.cteList = std::ptr::null_mut();
            outer.hasSubLinks = false;
            outer.hasRecursive = false;
            outer.hasRowSecurity = false;
            outer.targetList = targets.cast();
            outer.havingQual = having;
        }
        true
    }

    /// A column of the inner grouping, as seen from outside.
    unsafe fn column(&mut self, expr: *mut pg_sys::Node, name: &CStr, group: u32) -> i16 {
        self.columns += 1;
        // SAFETY: an expression of the query; the name is copied.
        unsafe {
            let copy = pg_sys::copyObjectImpl(expr.cast()).cast();
            let name = pg_sys::pstrdup(name.as_ptr());
            let target = pg_sys::makeTargetEntry(copy, self.columns, name, false);
            (*target).ressortgroupref = group;
            self.targets = list::push(self.targets, target);
        }
        self.columns
    }

    /// The column with a value that the inner grouping groups by.
    unsafe fn key(
        &mut self,
        expr: *mut pg_sys::Node,
        clause: *const pg_sys::SortGroupClause,
    ) -> i16 {
        if let Some(at) = self.known_key(expr) {
            return at;
        }
        // SAFETY: as of `column`; a copy of a clause.
        unsafe {
            let group = self.keys.len() as u32 + 1;
            let at = self.column(expr, c"key", group);
            let clause: *mut pg_sys::SortGroupClause = pg_sys::copyObjectImpl(clause.cast()).cast();
            (*clause).tleSortGroupRef = group;
            self.clause = list::push(self.clause, clause);
            self.keys.push((expr, at));
            at
        }
    }

    fn known_key(&self, expr: *mut pg_sys::Node) -> Option<i16> {
        // SAFETY: expressions of the query.
        let is_same = |key: *mut pg_sys::Node| unsafe { pg_sys::equal(key.cast(), expr.cast()) };
        self.keys.iter().find(|(key, _)| is_same(*key)).map(|(_, at)| *at)
    }

    /// The column with an aggregate of the inner grouping, and its expression.
    unsafe fn part(&mut self, part: *mut pg_sys::Aggref) -> *mut pg_sys::Expr {
        // SAFETY: targets of our own.
        unsafe {
            let found = list::pointers::<pg_sys::TargetEntry>(self.targets)
                .find(|target| pg_sys::equal((**target).expr.cast(), part.cast()))
                .map(|target| (*target).resno);
            let at = match found {
                Some(at) => at,
                None => self.column(part.cast(), c"part", 0),
            };
            seen_from_outside(part.cast(), at)
        }
    }

    /// What an aggregate is, above the inner grouping; `None` if it cannot be computed there.
    unsafe fn above(&mut self, of: *mut pg_sys::Aggref) -> Option<*mut pg_sys::Node> {
        // SAFETY: an aggregate of the query.
        unsafe {
            if (*of).agglevelsup != 0
                || (*of).aggkind as u8 != NORMAL
                || (*of).aggvariadic
                || !(*of).aggorder.is_null()
                || !(*of).aggdirectargs.is_null()
            {
                return None;
            }
            if !(*of).aggdistinct.is_null() {
                return self.distinct(of);
            }
            let function = (*of).aggfnoid;
            if !types::is_builtin(function) {
                return None;
            }
            let above = match function.to_u32() {
                functions::COUNT | functions::COUNT_ROWS => {
                    self.is_counting = true;
                    or_zero(int8(sum_of(self.part(of))))
                }
                functions::SUM_INT2 | functions::SUM_INT4 => {
                    self.is_counting = true;
                    int8(sum_of(self.part(of)))
                }
                functions::SUM_INT8 | functions::SUM_NUMERIC => {
                    self.is_counting = true;
                    sum_of(self.part(of))
                }
                average @ (functions::AVG_INT2
                | functions::AVG_INT4
                | functions::AVG_INT8
                | functions::AVG_NUMERIC) => {
                    self.is_counting = true;
                    let (function, result) = match average {
                        functions::AVG_INT2 => (functions::SUM_INT2, pg_sys::INT8OID),
                        functions::AVG_INT4 => (functions::SUM_INT4, pg_sys::INT8OID),
                        functions::AVG_INT8 => (functions::SUM_INT8, pg_sys::NUMERICOID),
                        _ => (functions::SUM_NUMERIC, pg_sys::NUMERICOID),
                    };
                    let sum = self.part(like(of, function, result));
                    let count = self.part(like(of, functions::COUNT, pg_sys::INT8OID));
                    // Of no values the sum is NULL, and so is this.
                    let args = [sum_of(sum), sum_of(count)];
                    call(functions::NUMERIC_DIV, pg_sys::NUMERICOID, &args)
                }
                _ => {
                    let name = types::function(function)?.name.clone();
                    let is_same = matches!(
                        name.as_str(),
                        "min" | "max" | "bool_and" | "bool_or" | "every" | "bit_and" | "bit_or"
                    );
                    if !is_same {
                        return None;
                    }
                    let part = self.part(of);
                    over(part, function, (*of).aggtype, (*of).aggcollid, (*of).inputcollid)
                }
            };
            Some(above.cast())
        }
    }

    /// An aggregate with DISTINCT: the inner grouping has each value once.
    unsafe fn distinct(&mut self, of: *mut pg_sys::Aggref) -> Option<*mut pg_sys::Node> {
        // SAFETY: an aggregate of the query; a copy of it is changed.
        unsafe {
            let mut clauses = list::pointers::<pg_sys::SortGroupClause>((*of).aggdistinct);
            let mut args = list::pointers::<pg_sys::TargetEntry>((*of).args);
            if clauses.len() != 1 || args.len() != 1 || !(*of).aggfilter.is_null() {
                return None;
            }
            let (clause, arg) = (clauses.next()?, args.next()?);
            // Grouped and sorted by the same equality.
            let same = |(key, _): &(*mut pg_sys::Node, i16)| {
                pg_sys::equal((*key).cast(), (*arg).expr.cast())
            };
            if let Some(at) = self.keys.iter().position(same) {
                let known = list::pointers::<pg_sys::SortGroupClause>(self.clause).nth(at)?;
                if (*known).eqop != (*clause).eqop {
                    return None;
                }
            }
            self.is_distinct = true;
            let at = self.key((*arg).expr.cast(), clause);
            let copy: *mut pg_sys::Aggref = pg_sys::copyObjectImpl(of.cast()).cast();
            let target = list::pointers::<pg_sys::TargetEntry>((*copy).args).next()?;
            (*target).expr = seen_from_outside((*arg).expr.cast(), at);
            Some(copy.cast())
        }
    }
}

/// An expression over the query's tables as one over the inner grouping.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn outside(
    node: *mut pg_sys::Node,
    context: *mut c_void,
) -> *mut pg_sys::Node {
    // SAFETY: nodes of an analyzed query; `context` is the `Split` of `apply`.
    unsafe {
        if node.is_null() {
            return node;
        }
        let split = &mut *context.cast::<Split>();
        if split.is_refused {
            return node;
        }
        match (*node).type_ {
            NodeTag::T_Aggref => {
                return split.above(node.cast()).unwrap_or_else(|| {
                    split.is_refused = true;
                    node
                });
            }
            NodeTag::T_List | NodeTag::T_TargetEntry => {}
            // Of another query, or not grouped by: functionally dependent on the rest.
            NodeTag::T_GroupingFunc | NodeTag::T_SubLink => split.is_refused = true,
            _ => match split.known_key(node) {
                Some(at) => return seen_from_outside(node, at).cast(),
                None if (*node).type_ == NodeTag::T_Var => split.is_refused = true,
                None => {}
            },
        }
        if split.is_refused {
            return node;
        }
        pg_sys::ffi::pg_guard_ffi_boundary(|| expression_tree_mutator(node, outside, context))
    }
}
