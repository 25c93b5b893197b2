//! The planner's structures as cheap, copyable handles.
//!
//! A handle is made once, in a callback, from a pointer that Postgres passed; it is valid for the
//! planning of that query, which `'p` stands for.

mod beside;
mod estimate;
mod rel;
mod way;

pub use way::Way;

use super::list;
use super::node::Node;
use pgrx::pg_sys::{self, Oid};
use std::marker::PhantomData;

/// The state of planning one query level.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'p>(*mut pg_sys::PlannerInfo, PhantomData<&'p ()>);

/// A relation being planned.
#[derive(Debug, Clone, Copy)]
pub struct Rel<'p>(*mut pg_sys::RelOptInfo, PhantomData<&'p ()>);

/// A condition with the planner's notes on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clause<'p>(*mut pg_sys::RestrictInfo, PhantomData<&'p ()>);

/// What a parameterized path needs from outside, and the clauses it can then apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outer<'p>(*mut pg_sys::ParamPathInfo, PhantomData<&'p ()>);

/// Some relations of a query.
#[derive(Debug, Clone, Copy)]
pub struct Relations<'p>(pg_sys::Relids, PhantomData<&'p ()>);

/// One key of a sort order.
#[derive(Debug, Clone, Copy)]
pub struct SortKey<'p>(*mut pg_sys::PathKey, PhantomData<&'p ()>);

/// What a sort key may be computed from.
#[derive(Debug, Clone, Copy)]
pub struct SortExpr<'p> {
    /// The expression.
    pub node: Node<'p>,
    /// The type its operator family sorts it as.
    pub sorted_as: Oid,
}

/// How expensive a path is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Rows it yields.
    pub rows: f64,
    /// Before the first row.
    pub startup: f64,
    /// To the last row.
    pub total: f64,
}

/// LIMIT and OFFSET of the query.
#[derive(Debug, Clone, Copy)]
pub struct Limit<'p> {
    /// LIMIT.
    pub count: Option<Node<'p>>,
    /// OFFSET.
    pub offset: Option<Node<'p>>,
    /// FETCH FIRST … WITH TIES.
    pub with_ties: bool,
}

impl<'p> Planner<'p> {
    /// # Safety
    /// `root` is valid while the query is planned.
    pub unsafe fn new(root: *mut pg_sys::PlannerInfo) -> Self {
        Planner(root, PhantomData)
    }

    /// The pointer, for handing it back to Postgres.
    pub fn as_ptr(self) -> *mut pg_sys::PlannerInfo {
        self.0
    }

    fn get(self) -> &'p pg_sys::PlannerInfo {
        // SAFETY: the promise of `new`.
        unsafe { &*self.0 }
    }

    fn query(self) -> &'p pg_sys::Query {
        // SAFETY: a planner always has its query.
        unsafe { &*self.get().parse }
    }

    /// Whether the query is a SELECT.
    pub fn is_select(self) -> bool {
        self.query().commandType == pg_sys::CmdType::CMD_SELECT
    }

    /// Whether the target list returns sets.
    pub fn returns_sets(self) -> bool {
        self.query().hasTargetSRFs
    }

    /// LIMIT and OFFSET.
    pub fn limit(self) -> Limit<'p> {
        let query = self.query();
        // SAFETY: parts of the query, which outlives its planning.
        unsafe {
            Limit {
                count: Node::new(query.limitCount),
                offset: Node::new(query.limitOffset),
                with_ties: query.limitOption == pg_sys::LimitOption::LIMIT_OPTION_WITH_TIES,
            }
        }
    }

    /// Whether rows of the relation are to be locked (FOR UPDATE and its relatives).
    pub fn locks_rows(self, relid: u32) -> bool {
        // SAFETY: a list of PlanRowMark.
        unsafe {
            list::pointers::<pg_sys::PlanRowMark>(self.get().rowMarks).any(|mark| {
                (*mark).rti == relid && (*mark).strength != pg_sys::LockClauseStrength::LCS_NONE
            })
        }
    }

    /// The order in which the query level wants its rows.
    pub fn wanted_order(self) -> Vec<SortKey<'p>> {
        // SAFETY: a list of PathKey.
        unsafe { list::pointers(self.get().query_pathkeys) }
            .map(|key| SortKey(key, PhantomData))
            .collect()
    }

    /// The order of ORDER BY.
    pub fn final_order(self) -> Vec<SortKey<'p>> {
        // SAFETY: a list of PathKey.
        unsafe { list::pointers(self.get().sort_pathkeys) }
            .map(|key| SortKey(key, PhantomData))
            .collect()
    }

    /// Whether the query level reads one relation, with its parts.
    pub fn has_one_relation(self) -> bool {
        // SAFETY: a plain test.
        unsafe {
            pg_sys::bms_membership(self.get().all_baserels) == pg_sys::BMS_Membership::BMS_SINGLETON
        }
    }

    /// How many rows the query level wants at most of an ordered scan, if that is known.
    pub fn bound(self) -> Option<f64> {
        let bound = self.get().limit_tuples;
        (bound > 0.0).then_some(bound)
    }

    /// The fraction of the relation's rows that satisfies all of the clauses, where columns of other
    /// relations count as values.
    pub fn selectivity(self, rel: Rel<'p>, clauses: &[Clause<'p>]) -> f64 {
        if clauses.is_empty() {
            return 1.0;
        }
        let mut conditions: *mut pg_sys::List = std::ptr::null_mut();
        for clause in clauses {
            // SAFETY: a list of RestrictInfo in the planner's context.
            conditions = unsafe { list::push(conditions, clause.0) };
        }
        // SAFETY: valid planner state.
        unsafe {
            pg_sys::clauselist_selectivity(
                self.0,
                conditions,
                rel.relid() as i32,
                pg_sys::JoinType::JOIN_INNER,
                std::ptr::null_mut(),
            )
        }
    }

    /// Whether rows may have to be fetched again one by one: the query changes or locks rows.
    pub fn rechecks_rows(self) -> bool {
        let changes = !matches!(
            self.query().commandType,
            pg_sys::CmdType::CMD_SELECT | pg_sys::CmdType::CMD_INSERT
        );
        changes || !self.get().rowMarks.is_null()
    }

    /// Whether the query uses GROUPING SETS.
    pub fn has_grouping_sets(self) -> bool {
        !self.query().groupingSets.is_null()
    }

    /// Whether the query groups, aggregates or has window functions.
    pub fn groups(self) -> bool {
        let query = self.query();
        !query.groupClause.is_null()
            || query.hasAggs
            || query.hasWindowFuncs
            || !query.havingQual.is_null()
    }

    /// The plan depends on the role: another one gets a plan of its own.
    pub fn depends_on_role(self) {
        // SAFETY: a planner has its global state, which nobody else refers to now.
        unsafe { (*self.get().glob).dependsOnRole = true };
    }

    /// The plan depends on what a table says: a change of it that is announced has it made anew.
    pub fn depends_on_table(self, table: Oid) {
        // SAFETY: a planner has its global state, which nobody else refers to now.
        unsafe {
            let glob = self.get().glob;
            (*glob).relationOids = pg_sys::list_append_unique_oid((*glob).relationOids, table);
        }
    }

    /// Whether every row that the query reads is a row of its result before LIMIT.
    pub fn yields_what_it_reads(self) -> bool {
        let query = self.query();
        !self.groups() && query.distinctClause.is_null() && !query.hasTargetSRFs
    }

    /// Whether the query level may be executed again with other values: a correlated sub-query.
    pub fn is_rescanned(self) -> bool {
        // SAFETY: a planner has its global state.
        !self.get().parent_root.is_null() && unsafe { !(*self.get().glob).paramExecTypes.is_null() }
    }

    /// Whether the query uses DISTINCT ON.
    pub fn has_distinct_on(self) -> bool {
        self.query().hasDistinctOn
    }

    /// What SELECT DISTINCT makes unique: the expressions of the query's result.
    pub fn distinct_targets(self) -> Vec<Node<'p>> {
        let stage = pg_sys::UpperRelationKind::UPPERREL_DISTINCT as usize;
        // SAFETY: NULL or a target of expressions.
        unsafe {
            let target = self.get().upper_targets[stage].as_ref();
            target.map_or_else(Vec::new, |target| conjuncts(target.exprs.cast()))
        }
    }

    /// Whether a target with this reference is a key of GROUP BY.
    pub fn is_group_key(self, reference: u32) -> bool {
        // SAFETY: a list of SortGroupClause.
        reference != 0
            && unsafe { list::pointers::<pg_sys::SortGroupClause>(self.query().groupClause) }
                // SAFETY: as above.
                .any(|clause| unsafe { (*clause).tleSortGroupRef } == reference)
    }

    /// Whether an expression must be computed somewhere inside the join, which keeps the join from being
    /// computed elsewhere as a whole.
    pub fn has_placeholder_inside(self, join: Rel<'p>) -> bool {
        // Placeholders name parents, not their children.
        let rel = join.get();
        let relids =
            if rel.top_parent_relids.is_null() { rel.relids } else { rel.top_parent_relids };
        // SAFETY: a list of PlaceHolderInfo.
        unsafe { list::pointers::<pg_sys::PlaceHolderInfo>(self.get().placeholder_list) }.any(
            // SAFETY: as above.
            |info| unsafe {
                pg_sys::bms_is_subset((*info).ph_eval_at, relids)
                    && pg_sys::bms_nonempty_difference(relids, (*info).ph_eval_at)
            },
        )
    }

    /// The memory that lasts as long as the planning.
    pub fn memory(self) -> pg_sys::MemoryContext {
        self.get().planner_cxt
    }

    /// The foreign relations of `server` that a plan for this query may read, at every level that is
    /// known by now, other than `rel` and the partitions beside it.
    pub fn others_on_server(self, rel: Rel<'p>, server: Oid) -> usize {
        let mut top = self;
        while !top.get().parent_root.is_null() {
            top = Planner(top.get().parent_root, PhantomData);
        }
        let mut count = top.foreign_rels(rel, server);
        // SAFETY: a list of PlannerInfo.
        for root in unsafe { list::pointers((*self.get().glob).subroots) } {
            count += Planner(root, PhantomData).foreign_rels(rel, server);
        }
        count
    }

    fn foreign_rels(self, rel: Rel<'p>, server: Oid) -> usize {
        let mut count = 0;
        for i in 1..self.get().simple_rel_array_size as usize {
            // SAFETY: the array has that many entries, NULL where there is no relation.
            let other = unsafe { *self.get().simple_rel_array.add(i) };
            if other.is_null() || other == rel.0 {
                continue;
            }
            // SAFETY: a valid relation.
            let o = unsafe { &*other };
            if o.rtekind == pg_sys::RTEKind::RTE_SUBQUERY && !o.subroot.is_null() {
                count += Planner(o.subroot, PhantomData).foreign_rels(rel, server);
            } else if o.serverid == server && !self.is_sibling(i as u32, rel.relid()) {
                count += 1;
            }
        }
        count
    }

    fn is_sibling(self, a: u32, b: u32) -> bool {
        match (self.append_parent(a), self.append_parent(b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        }
    }

    fn relation(self, relid: u32) -> Option<Rel<'p>> {
        let root = self.get();
        if relid as i32 >= root.simple_rel_array_size {
            return None;
        }
        // SAFETY: the array has that many entries, NULL where there is no relation.
        unsafe {
            let rel = *root.simple_rel_array.add(relid as usize);
            (!rel.is_null()).then(|| Rel::new(rel))
        }
    }

    /// The relations that a stage above the joins has made so far.
    pub fn upper_rels(self, stage: pg_sys::UpperRelationKind::Type) -> Vec<Rel<'p>> {
        // SAFETY: an array of lists of relations, one for each stage.
        unsafe { list::pointers(self.get().upper_rels[stage as usize]) }
            // SAFETY: the planner's own relations.
            .map(|rel| unsafe { Rel::new(rel) })
            .collect()
    }

    /// Whether two tables of the query are parts of the same one.
    pub fn are_parts_of_one(self, one: u32, other: u32) -> bool {
        self.is_sibling(one, other)
    }

    fn append_parent(self, relid: u32) -> Option<u32> {
        let root = self.get();
        if root.append_rel_array.is_null() || relid as i32 >= root.simple_rel_array_size {
            return None;
        }
        // SAFETY: as long as simple_rel_array, NULL for relations that are no child.
        unsafe {
            let info = *root.append_rel_array.add(relid as usize);
            (!info.is_null()).then(|| (*info).parent_relid)
        }
    }
}

impl<'p> Clause<'p> {
    /// The condition.
    pub fn node(self) -> Node<'p> {
        // SAFETY: a RestrictInfo has a clause.
        unsafe { Node::new((*self.0).clause) }.expect("invariant: a RestrictInfo holds a clause")
    }

    /// Whether it is the same clause, not merely an equal one.
    pub fn is(self, other: Clause<'p>) -> bool {
        self.0 == other.0
    }

    /// Whether the condition belongs to WHERE above the outer join `join`, not to its ON.
    pub fn is_above(self, join: Rel<'p>) -> bool {
        // SAFETY: valid; as RINFO_IS_PUSHED_DOWN in nodes/pathnodes.h.
        unsafe {
            (*self.0).is_pushed_down
                || !pg_sys::bms_is_subset((*self.0).required_relids, join.get().relids)
        }
    }

    /// Whether it compares two sides for equality in a way that can be hashed.
    pub fn is_hashable(self) -> bool {
        // SAFETY: valid.
        unsafe { (*self.0).hashjoinoperator != Oid::INVALID }
    }

    /// Whether it holds no column at all: a gating node above the scan checks it.
    pub fn is_constant(self) -> bool {
        // SAFETY: valid.
        unsafe { (*self.0).pseudoconstant }
    }
}

impl<'p> Outer<'p> {
    /// The clauses that become applicable.
    pub fn clauses(self) -> Vec<Clause<'p>> {
        // SAFETY: a list of RestrictInfo.
        unsafe { clauses((*self.0).ppi_clauses) }
    }

    /// Rows of one scan.
    pub fn rows(self) -> f64 {
        // SAFETY: valid.
        unsafe { (*self.0).ppi_rows }
    }
}

impl SortKey<'_> {
    /// NULLS FIRST.
    pub fn nulls_first(self) -> bool {
        // SAFETY: valid.
        unsafe { (*self.0).pk_nulls_first }
    }

    /// The operator that sorts values of type `of`, invalid if there is none.
    pub fn operator(self, of: Oid) -> Oid {
        // SAFETY: a plain lookup.
        unsafe {
            pg_sys::get_opfamily_member((*self.0).pk_opfamily, of, of, (*self.0).pk_strategy as i16)
        }
    }

    /// The collation it sorts by.
    pub fn collation(self) -> Oid {
        // SAFETY: valid.
        unsafe { (*(*self.0).pk_eclass).ec_collation }
    }
}

/// The clauses of a list.
///
/// # Safety
/// `of` is NULL or a list of RestrictInfo.
pub unsafe fn clauses<'p>(of: *mut pg_sys::List) -> Vec<Clause<'p>> {
    // SAFETY: the caller's promise.
    unsafe { list::pointers(of) }.map(|info| Clause(info, PhantomData)).collect()
}

/// The clause of a RestrictInfo.
///
/// # Safety
/// `info` is valid.
pub unsafe fn clause<'p>(info: *mut pg_sys::RestrictInfo) -> Clause<'p> {
    Clause(info, PhantomData)
}

/// The columns of a scan that is no table: a list of target entries in the planner's context.
#[derive(Debug, Clone, Copy)]
pub struct ScanTarget<'p>(*mut pg_sys::List, PhantomData<&'p ()>);

impl<'p> ScanTarget<'p> {
    /// No columns.
    pub fn new() -> Self {
        ScanTarget(std::ptr::null_mut(), PhantomData)
    }

    /// Adds an expression unless it is among them. Use it in the planner's memory context only.
    pub fn add(&mut self, node: Node<'p>) {
        // SAFETY: a list of expressions; add_to_flat_tlist copies and compares.
        unsafe {
            let one = list::push(std::ptr::null_mut(), node.as_ptr());
            self.0 = pg_sys::add_to_flat_tlist(self.0, one);
        }
    }

    /// The expressions.
    pub fn nodes(self) -> Vec<Node<'p>> {
        // SAFETY: a list of TargetEntry with expressions.
        unsafe {
            list::pointers::<pg_sys::TargetEntry>(self.0)
                .filter_map(|entry| Node::new((*entry).expr))
                .collect()
        }
    }

    /// The list.
    pub fn as_ptr(self) -> *mut pg_sys::List {
        self.0
    }
}

/// The conditions of a conjunction as planner.c keeps it: NULL, or a list.
///
/// # Safety
/// `of` is NULL or a list of expressions.
pub unsafe fn conjuncts<'p>(of: *mut pg_sys::Node) -> Vec<Node<'p>> {
    // SAFETY: the caller's promise.
    unsafe {
        list::pointers::<pg_sys::Node>(of.cast()).filter_map(|node| Node::new(node)).collect()
    }
}

fn sort_list(order: &[SortKey<'_>]) -> *mut pg_sys::List {
    let mut out = std::ptr::null_mut();
    for key in order {
        // SAFETY: a list of PathKey in the planner's context.
        out = unsafe { list::push(out, key.0) };
    }
    out
}

/// A list of one constant of type bytea: what a path or a plan carries for this extension.
pub fn note_list(note: &[u8]) -> *mut pg_sys::List {
    let value = super::packed::bytea(note);
    // SAFETY: the constant lies in the current context, and so does its value.
    unsafe {
        let constant =
            pg_sys::makeConst(pg_sys::BYTEAOID, -1, Oid::INVALID, -1, value, false, false);
        list::push(std::ptr::null_mut(), constant)
    }
}

/// The note of a list made by [`note_list`].
///
/// # Safety
/// `of` is NULL or such a list, and lives for `'l`.
pub unsafe fn note<'l>(of: *mut pg_sys::List) -> &'l [u8] {
    // SAFETY: the caller's promise; copies of such a constant are neither toasted nor compressed.
    unsafe {
        let constant = list::pointers::<pg_sys::Const>(of).next();
        constant.map_or(&[], |constant| super::packed::content((*constant).constvalue))
    }
}
