//! What a SELECT says, seen from outside: its columns, where they come from, which tables it reads.
//!
//! Postgres parses and analyzes the text; this walks the tree that it makes, through views, sub-selects,
//! CTEs and joins.

use super::error::{Error, Result};
use super::guc::Level;
use super::sql::{borrowed, owned};
use super::{list, types};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, NodeTag, Oid};
use std::collections::BTreeSet;
use std::ffi::{CString, c_void};

/// A column of a table: OID and number.
pub type Origin = (Oid, i16);

/// A column that a query gives.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its type.
    pub of: Oid,
    /// Its type modifier.
    pub typmod: i32,
    /// Its collation; invalid where the type has none.
    pub collation: Oid,
    /// The table's column that it is, if it is nothing else.
    pub origin: Option<Origin>,
    /// The tables' columns that its value is made of, as far as they can be known.
    pub uses: Vec<Origin>,
    /// It belongs to the query's GROUP BY.
    pub is_grouped: bool,
    /// Its expression as SQL over the query's tables; empty where that cannot be told.
    pub expression: String,
}

/// A SELECT that has been looked at.
#[derive(Debug, Clone)]
pub struct Query {
    /// Its text with all names qualified and `*` written out.
    pub text: String,
    /// Its columns.
    pub columns: Vec<Output>,
    /// The tables that it reads, views taken apart.
    pub tables: Vec<Oid>,
    /// The only table that it reads if it reads it plainly: rows are chosen and computed one by one.
    pub plain: Option<Oid>,
    /// The only table that it reads and groups, without anything above the grouping but HAVING.
    pub grouped: Option<Oid>,
    /// It calls volatile functions.
    pub is_volatile: bool,
}

/// Looks at a query. Names are resolved by the session's search_path. A syntax error and a name that
/// does not exist raise their own ERROR.
///
/// # Errors
/// 42601 and 0A000 for what is no SELECT, or one that writes or locks.
pub fn look(text: &str) -> Result<Query> {
    let source = CString::new(text).map_err(|_| {
        Error::new(Code::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "the query holds a NUL")
    })?;
    // SAFETY: the trees live in the current memory context.
    unsafe {
        let statements = pg_sys::pg_parse_query(source.as_ptr());
        let mut statements = list::pointers::<pg_sys::RawStmt>(statements);
        let (Some(statement), 0) = (statements.next(), statements.len()) else {
            return Err(Error::new(Code::ERRCODE_SYNTAX_ERROR, "the query has to be one SELECT")
                .hint("Leave semicolons out."));
        };
        if (*(*statement).stmt).type_ != NodeTag::T_SelectStmt {
            return Err(no_select());
        }
        let query = pg_sys::parse_analyze_fixedparams(
            statement,
            source.as_ptr(),
            std::ptr::null(),
            0,
            std::ptr::null_mut(),
        );
        let q = &*query;
        if q.commandType != pg_sys::CmdType::CMD_SELECT || !q.utilityStmt.is_null() {
            return Err(no_select());
        }
        if q.hasModifyingCTE || !q.rowMarks.is_null() {
            return Err(Error::new(
                Code::ERRCODE_FEATURE_NOT_SUPPORTED,
                "the query must neither write nor lock rows",
            ));
        }
        let mut tables = Vec::new();
        read_tables(query, &mut tables);
        tables.sort_unstable_by_key(|oid| oid.to_u32());
        tables.dedup();
        let is_volatile = pg_sys::contain_volatile_functions(query.cast());
        let columns = outputs(query);
        let (plain, grouped) = (base(query, false), base(query, true));
        let level = Level::enter();
        level.set(c"search_path", c"pg_catalog, pg_temp");
        let text = owned(pg_sys::pg_get_querydef(query, false));
        drop(level);
        let text = text.trim().trim_end_matches(';').to_owned();
        Ok(Query { text, columns, tables, plain, grouped, is_volatile })
    }
}

fn no_select() -> Error {
    Error::new(Code::ERRCODE_FEATURE_NOT_SUPPORTED, "the query has to be a SELECT")
}

// Not in pgrx's bindings; nodes/nodeFuncs.h.
unsafe extern "C-unwind" {
    fn query_tree_walker(
        query: *mut pg_sys::Query,
        walker: unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> bool,
        context: *mut c_void,
        flags: i32,
    ) -> bool;
    fn expression_tree_walker(
        node: *mut pg_sys::Node,
        walker: unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> bool,
        context: *mut c_void,
    ) -> bool;
}

/// The tables of a query, of its sub-selects anywhere, and of its views.
///
/// # Safety
/// `query` is an analyzed query.
unsafe fn read_tables(query: *mut pg_sys::Query, found: &mut Vec<Oid>) {
    // SAFETY: the caller's promise.
    unsafe {
        see_table(query.cast(), (&raw mut *found).cast());
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn see_table(node: *mut pg_sys::Node, found: *mut c_void) -> bool {
    // SAFETY: nodes of an analyzed query; `found` is the list of `read_tables`.
    unsafe {
        if node.is_null() {
            return false;
        }
        match (*node).type_ {
            NodeTag::T_Query => pg_sys::ffi::pg_guard_ffi_boundary(|| {
                let flags = pg_sys::QTW_EXAMINE_RTES_BEFORE as i32;
                query_tree_walker(node.cast(), see_table, found, flags)
            }),
            NodeTag::T_RangeTblEntry => {
                let entry: *mut pg_sys::RangeTblEntry = node.cast();
                // A view's query also has entries for OLD and NEW, which are the view itself.
                if (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION && (*entry).inFromCl {
                    match view(entry) {
                        Some(inner) => return see_table(inner.cast(), found),
                        None => (*found.cast::<Vec<Oid>>()).push((*entry).relid),
                    }
                }
                false
            }
            _ => pg_sys::ffi::pg_guard_ffi_boundary(|| {
                expression_tree_walker(node, see_table, found)
            }),
        }
    }
}

/// The query of a view.
///
/// # Safety
/// `entry` is a relation's entry.
unsafe fn view(entry: *mut pg_sys::RangeTblEntry) -> Option<*mut pg_sys::Query> {
    // SAFETY: the caller's promise; the rule is copied before the relation is closed.
    unsafe {
        if (*entry).relkind as u8 != pg_sys::RELKIND_VIEW {
            return None;
        }
        let relation = pg_sys::relation_open((*entry).relid, pg_sys::AccessShareLock as i32);
        let query = pg_sys::copyObjectImpl(pg_sys::get_view_query(relation).cast());
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        Some(query.cast())
    }
}

/// The entry of a query's FROM with this number, from 1.
///
/// # Safety
/// `query` is an analyzed query.
unsafe fn entry(query: *mut pg_sys::Query, number: i32) -> Option<*mut pg_sys::RangeTblEntry> {
    // SAFETY: the caller's promise.
    unsafe {
        list::pointers::<pg_sys::RangeTblEntry>((*query).rtable)
            .nth(usize::try_from(number).ok()?.checked_sub(1)?)
    }
}

/// The columns of a query that are not junk.
///
/// # Safety
/// `query` is an analyzed query.
unsafe fn targets(query: *mut pg_sys::Query) -> Vec<*mut pg_sys::TargetEntry> {
    // SAFETY: the caller's promise.
    unsafe {
        list::pointers::<pg_sys::TargetEntry>((*query).targetList)
            .filter(|target| !(**target).resjunk)
            .collect()
    }
}

/// # Safety
/// `query` is an analyzed query.
unsafe fn outputs(query: *mut pg_sys::Query) -> Vec<Output> {
    // SAFETY: the caller's promise.
    unsafe {
        let groups: Vec<u32> = list::pointers::<pg_sys::SortGroupClause>((*query).groupClause)
            .map(|clause| (*clause).tleSortGroupRef)
            .collect();
        targets(query)
            .into_iter()
            .enumerate()
            .map(|(at, target)| {
                let expr: *mut pg_sys::Node = (*target).expr.cast();
                let mut uses = BTreeSet::new();
                of_column(query, at, &mut uses);
                let is_plain = (*query).setOperations.is_null();
                Output {
                    name: borrowed((*target).resname),
                    of: pg_sys::exprType(expr),
                    typmod: pg_sys::exprTypmod(expr),
                    collation: pg_sys::exprCollation(expr),
                    origin: if is_plain { origin(query, expr) } else { None },
                    uses: uses.into_iter().map(|(oid, at)| (Oid::from(oid), at)).collect(),
                    is_grouped: (*target).ressortgroupref != 0
                        && groups.contains(&(*target).ressortgroupref),
                    expression: written(query, expr),
                }
            })
            .collect()
    }
}

/// The table's column that an expression is.
///
/// # Safety
/// `expr` belongs to `query`.
unsafe fn origin(query: *mut pg_sys::Query, expr: *mut pg_sys::Node) -> Option<Origin> {
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::check_stack_depth();
        let mut expr = expr;
        while !expr.is_null() && (*expr).type_ == NodeTag::T_RelabelType {
            expr = (*expr.cast::<pg_sys::RelabelType>()).arg.cast();
        }
        if expr.is_null() || (*expr).type_ != NodeTag::T_Var {
            return None;
        }
        let var = &*expr.cast::<pg_sys::Var>();
        if var.varlevelsup != 0 || var.varattno <= 0 {
            return None;
        }
        let found = entry(query, var.varno)?;
        let at = var.varattno as usize - 1;
        let inner = |inner: *mut pg_sys::Query| {
            if !(*inner).setOperations.is_null() {
                return None;
            }
            let target = *targets(inner).get(at)?;
            origin(inner, (*target).expr.cast())
        };
        match (*found).rtekind {
            pg_sys::RTEKind::RTE_RELATION => match view(found) {
                Some(query) => inner(query),
                None => Some(((*found).relid, var.varattno)),
            },
            pg_sys::RTEKind::RTE_SUBQUERY => inner((*found).subquery),
            pg_sys::RTEKind::RTE_JOIN => {
                let alias = list::pointers::<pg_sys::Node>((*found).joinaliasvars).nth(at)?;
                origin(query, alias)
            }
            pg_sys::RTEKind::RTE_CTE if (*found).ctelevelsup == 0 => inner(cte(query, found)?),
            _ => None,
        }
    }
}

/// The query of a CTE that an entry names.
///
/// # Safety
/// `entry` belongs to a query whose own or outer CTEs `query` has.
unsafe fn cte(
    query: *mut pg_sys::Query,
    entry: *mut pg_sys::RangeTblEntry,
) -> Option<*mut pg_sys::Query> {
    // SAFETY: the caller's promise.
    unsafe {
        if (*entry).self_reference {
            return None;
        }
        let name = borrowed((*entry).ctename);
        list::pointers::<pg_sys::CommonTableExpr>((*query).cteList)
            .find(|cte| borrowed((**cte).ctename) == name)
            .map(|cte| (*cte).ctequery.cast())
    }
}

/// What the column of a query at a place is made of.
///
/// # Safety
/// `query` is an analyzed query.
unsafe fn of_column(query: *mut pg_sys::Query, at: usize, found: &mut BTreeSet<(u32, i16)>) {
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::check_stack_depth();
        if !(*query).setOperations.is_null() {
            for entry in list::pointers::<pg_sys::RangeTblEntry>((*query).rtable) {
                if (*entry).rtekind == pg_sys::RTEKind::RTE_SUBQUERY {
                    of_column((*entry).subquery, at, found);
                }
            }
        } else if let Some(target) = targets(query).get(at) {
            of_expression(query, (**target).expr.cast(), found);
        }
    }
}

/// # Safety
/// As [`of_column`]; `expr` belongs to the query.
unsafe fn of_expression(
    query: *mut pg_sys::Query,
    expr: *mut pg_sys::Node,
    found: &mut BTreeSet<(u32, i16)>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        for var in list::pointers::<pg_sys::Var>(pg_sys::pull_vars_of_level(expr, 0)) {
            let (number, column) = ((*var).varno, (*var).varattno);
            let Some(entry) = entry(query, number) else { continue };
            let Some(at) = (column as usize).checked_sub(1).filter(|_| column > 0) else {
                continue;
            };
            match (*entry).rtekind {
                pg_sys::RTEKind::RTE_RELATION => match view(entry) {
                    Some(inner) => of_column(inner, at, found),
                    None => {
                        found.insert(((*entry).relid.to_u32(), column));
                    }
                },
                pg_sys::RTEKind::RTE_SUBQUERY => of_column((*entry).subquery, at, found),
                pg_sys::RTEKind::RTE_JOIN => {
                    let alias = list::pointers::<pg_sys::Node>((*entry).joinaliasvars).nth(at);
                    if let Some(alias) = alias {
                        of_expression(query, alias, found);
                    }
                }
                pg_sys::RTEKind::RTE_CTE if (*entry).ctelevelsup == 0 => {
                    if let Some(inner) = cte(query, entry) {
                        of_column(inner, at, found);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The only table of a query that has nothing but it: no join, set operation, DISTINCT, window, LIMIT or
/// sub-select; grouped if `grouped`, row by row if not.
///
/// # Safety
/// `query` is an analyzed query.
unsafe fn base(query: *mut pg_sys::Query, grouped: bool) -> Option<Oid> {
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::check_stack_depth();
        let q = &*query;
        let is_grouped = q.hasAggs || !q.groupClause.is_null() || !q.havingQual.is_null();
        if is_grouped != grouped
            || !q.setOperations.is_null()
            || !q.distinctClause.is_null()
            || !q.groupingSets.is_null()
            || !q.limitCount.is_null()
            || !q.limitOffset.is_null()
            || !q.cteList.is_null()
            || q.hasWindowFuncs
            || q.hasTargetSRFs
            || q.hasSubLinks
        {
            return None;
        }
        let (entry, _) = only_entry(query)?;
        match (*entry).rtekind {
            pg_sys::RTEKind::RTE_RELATION => match view(entry) {
                // What a grouping groups is told by its own FROM.
                Some(inner) => base(inner, false).filter(|_| !grouped),
                None => Some((*entry).relid),
            },
            pg_sys::RTEKind::RTE_SUBQUERY if !grouped => base((*entry).subquery, false),
            _ => None,
        }
    }
}

/// The only entry of a FROM, and its number.
///
/// # Safety
/// `query` is an analyzed query.
unsafe fn only_entry(query: *mut pg_sys::Query) -> Option<(*mut pg_sys::RangeTblEntry, i32)> {
    // SAFETY: the caller's promise.
    unsafe {
        let tree = (*query).jointree;
        if tree.is_null() {
            return None;
        }
        let mut items = list::pointers::<pg_sys::Node>((*tree).fromlist);
        let (Some(item), 0) = (items.next(), items.len()) else { return None };
        if (*item).type_ != NodeTag::T_RangeTblRef {
            return None;
        }
        let number = (*item.cast::<pg_sys::RangeTblRef>()).rtindex;
        Some((entry(query, number)?, number))
    }
}

/// An expression over the only table of a query, as SQL that names its columns alone.
///
/// # Safety
/// `expr` belongs to `query`.
unsafe fn written(query: *mut pg_sys::Query, expr: *mut pg_sys::Node) -> String {
    // SAFETY: the caller's promise; what is changed is a copy.
    unsafe {
        let Some((entry, number)) = only_entry(query) else { return String::new() };
        if (*entry).rtekind != pg_sys::RTEKind::RTE_RELATION
            || pg_sys::contain_agg_clause(expr)
            || pg_sys::contain_windowfuncs(expr)
        {
            return String::new();
        }
        let copy: *mut pg_sys::Node = pg_sys::copyObjectImpl(expr.cast()).cast();
        pg_sys::ChangeVarNodes(copy, number, 1, 0);
        let Ok(name) = CString::new(types::relation_name((*entry).relid)) else {
            return String::new();
        };
        let level = Level::enter();
        level.set(c"search_path", c"pg_catalog, pg_temp");
        let context = pg_sys::deparse_context_for(name.as_ptr(), (*entry).relid);
        let text = owned(pg_sys::deparse_expression(copy, context, false, false));
        drop(level);
        text
    }
}
