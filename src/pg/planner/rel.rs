//! Relations being planned: what is known of them, and the ways to compute them.

use super::{
    Clause, Cost, Outer, Planner, Rel, Relations, ScanTarget, SortExpr, SortKey, clauses,
    note_list, sort_list,
};
use crate::pg::list;
use crate::pg::memory;
use crate::pg::node::Node;
use pgrx::pg_sys;
use std::ffi::c_void;
use std::marker::PhantomData;

impl<'p> Rel<'p> {
    /// # Safety
    /// `rel` is valid while the query is planned.
    pub unsafe fn new(rel: *mut pg_sys::RelOptInfo) -> Self {
        Rel(rel, PhantomData)
    }

    /// The pointer, for handing it back to Postgres.
    pub fn as_ptr(self) -> *mut pg_sys::RelOptInfo {
        self.0
    }

    pub(super) fn get(self) -> &'p pg_sys::RelOptInfo {
        // SAFETY: the promise of `new`.
        unsafe { &*self.0 }
    }

    /// Its range table index; 0 for a join.
    pub fn relid(self) -> u32 {
        self.get().relid
    }

    /// Whether it is a table or a partition, not a join or something above.
    pub fn is_table(self) -> bool {
        matches!(
            self.get().reloptkind,
            pg_sys::RelOptKind::RELOPT_BASEREL | pg_sys::RelOptKind::RELOPT_OTHER_MEMBER_REL
        )
    }

    /// Whether it is a part of a partitioned relation of the query.
    pub fn is_part(self) -> bool {
        matches!(
            self.get().reloptkind,
            pg_sys::RelOptKind::RELOPT_OTHER_MEMBER_REL
                | pg_sys::RelOptKind::RELOPT_OTHER_JOINREL
                | pg_sys::RelOptKind::RELOPT_OTHER_UPPER_REL
        )
    }

    /// Whether the wrapper with this function plans it.
    pub fn is_planned_by(self, size: pg_sys::GetForeignRelSize_function) -> bool {
        // SAFETY: NULL or a wrapper's table of functions.
        unsafe { self.get().fdwroutine.as_ref() }.is_some_and(|routine| {
            let address = |function: pg_sys::GetForeignRelSize_function| {
                function.map_or(std::ptr::null(), |function| function as *const ())
            };
            std::ptr::eq(address(routine.GetForeignRelSize), address(size))
        })
    }

    /// Whether it is a partitioned relation.
    pub fn has_parts(self) -> bool {
        self.get().nparts > 0
    }

    /// The parts of a partitioned relation that the query may read; `None` if it is none, or if one of
    /// its parts cannot be told apart.
    pub fn parts(self) -> Option<Vec<Rel<'p>>> {
        let rel = self.get();
        if rel.nparts <= 0 || rel.part_rels.is_null() {
            return None;
        }
        let mut out = Vec::new();
        let mut at = -1;
        loop {
            // SAFETY: the live parts are positions in an array of relations.
            unsafe {
                at = pg_sys::bms_next_member(rel.live_parts, at);
                if at < 0 {
                    return Some(out);
                }
                let part = *rel.part_rels.add(at as usize);
                if part.is_null() {
                    return None;
                }
                if !pg_sys::is_dummy_rel(part) {
                    out.push(Rel(part, PhantomData));
                }
            }
        }
    }

    /// An expression over the partitioned relation that this is a part of, as one over this part.
    pub fn adapted(self, planner: Planner<'p>, node: Node<'p>) -> Node<'p> {
        // SAFETY: valid planner state; a part has its translation.
        unsafe {
            let mut count = 0;
            let infos = pg_sys::find_appinfos_by_relids(planner.0, self.get().relids, &mut count);
            let out = pg_sys::adjust_appendrel_attrs(planner.0, node.as_ptr(), count, infos);
            Node::new(out).unwrap_or(node)
        }
    }

    /// Whether it needs values of relations beside it.
    pub fn is_lateral(self) -> bool {
        // SAFETY: a plain test.
        !unsafe { pg_sys::bms_is_empty(self.get().lateral_relids) }
    }

    /// The expressions that are wanted of it, each with its sort or group reference (0 for none).
    pub fn targets(self) -> Vec<(Node<'p>, u32)> {
        // SAFETY: every relation has a target; the references are NULL or one an expression.
        unsafe {
            let target = &*self.get().reltarget;
            list::pointers::<pg_sys::Node>(target.exprs)
                .enumerate()
                .filter_map(|(i, node)| {
                    let reference = if target.sortgrouprefs.is_null() {
                        0
                    } else {
                        *target.sortgrouprefs.add(i)
                    };
                    Some((Node::new(node)?, reference))
                })
                .collect()
        }
    }

    /// Rows in the table as ANALYZE found it, negative if it never has.
    pub fn tuples(self) -> f64 {
        self.get().tuples
    }

    /// Pages of the table.
    pub fn pages(self) -> f64 {
        f64::from(self.get().pages)
    }

    /// Sets what an unanalyzed table is taken for.
    pub fn assume(self, pages: u32, tuples: f64) {
        // SAFETY: plain fields of a relation that is being sized.
        unsafe {
            (*self.0).pages = pages;
            (*self.0).tuples = tuples;
        }
    }

    /// Estimates rows and width by all conditions.
    pub fn estimate_size(self, planner: Planner<'p>) {
        // SAFETY: valid planner state.
        unsafe { pg_sys::set_baserel_size_estimates(planner.0, self.0) }
    }

    /// Rows that satisfy all conditions.
    pub fn rows(self) -> f64 {
        self.get().rows
    }

    /// Bytes of the columns that are needed.
    pub fn width(self) -> i32 {
        // SAFETY: every relation has a target.
        unsafe { (*self.get().reltarget).width }
    }

    /// Cost of evaluating the conditions that stay here, for each row.
    pub fn condition_cost(self, planner: Planner<'p>, clauses: &[Clause<'p>]) -> f64 {
        let mut cost = pg_sys::QualCost::default();
        let mut conditions: *mut pg_sys::List = std::ptr::null_mut();
        for clause in clauses {
            // SAFETY: a list of RestrictInfo.
            conditions = unsafe { list::push(conditions, clause.0) };
        }
        // SAFETY: valid planner state.
        unsafe { pg_sys::cost_qual_eval(&mut cost, conditions, planner.0) };
        cost.per_tuple
    }

    /// It has no rows for this query.
    pub fn is_empty_now(self) {
        // SAFETY: a relation whose size is being estimated.
        unsafe { pg_sys::mark_dummy_rel(self.0) };
    }

    /// The conditions on this relation alone.
    pub fn restrictions(self) -> Vec<Clause<'p>> {
        // SAFETY: a list of RestrictInfo.
        unsafe { clauses(self.get().baserestrictinfo) }
    }

    /// Ways to scan it with values from other relations, whose clauses all satisfy `wanted`.
    pub fn outers(
        self,
        planner: Planner<'p>,
        mut wanted: impl FnMut(Clause<'p>, Relations<'p>) -> bool,
    ) -> Vec<Outer<'p>> {
        let mut out: Vec<Outer<'p>> = Vec::new();
        let mut consider = |clause: Clause<'p>| {
            // SAFETY: valid planner state; the sets are new ones.
            unsafe {
                if !pg_sys::join_clause_is_movable_to(clause.0, self.0) {
                    return;
                }
                let needed =
                    pg_sys::bms_union((*clause.0).clause_relids, self.get().lateral_relids);
                let needed = pg_sys::bms_del_member(needed, self.get().relid as i32);
                if pg_sys::bms_is_empty(needed) || !wanted(clause, Relations(needed, PhantomData)) {
                    return;
                }
                let outer = Outer(
                    pg_sys::get_baserel_parampathinfo(planner.0, self.0, needed),
                    PhantomData,
                );
                if !out.contains(&outer) {
                    out.push(outer);
                }
            }
        };
        // SAFETY: lists of RestrictInfo.
        for clause in unsafe { clauses(self.get().joininfo) } {
            consider(clause);
        }
        if self.get().has_eclass_joins {
            let mut search = Search { current: None, used: Vec::new() };
            loop {
                search.current = None;
                // SAFETY: the callback gets `search` back while the call lasts.
                let found = unsafe {
                    pg_sys::generate_implied_equalities_for_column(
                        planner.0,
                        self.0,
                        Some(matches_search),
                        (&raw mut search).cast::<c_void>(),
                        self.get().lateral_referencers,
                    )
                };
                let Some(current) = search.current else { break };
                // SAFETY: a list of RestrictInfo.
                for clause in unsafe { clauses(found) } {
                    consider(clause);
                }
                search.used.push(current);
            }
        }
        out
    }

    /// The columns that the target list and `extra` need, in order; 0 stands for the whole row,
    /// negative numbers for system columns.
    pub fn needed_columns(self, extra: &[Node<'p>]) -> Vec<i16> {
        let mut set: *mut pg_sys::Bitmapset = std::ptr::null_mut();
        // SAFETY: well-formed expressions; members are offset by the lowest system column.
        unsafe {
            let target: *mut pg_sys::Node = (*self.get().reltarget).exprs.cast();
            pg_sys::pull_varattnos(target, self.relid(), &mut set);
            for node in extra {
                pg_sys::pull_varattnos(node.as_ptr(), self.relid(), &mut set);
            }
            let mut out = Vec::new();
            let mut at = -1;
            loop {
                at = pg_sys::bms_next_member(set, at);
                if at < 0 {
                    return out;
                }
                out.push((at + pg_sys::FirstLowInvalidHeapAttributeNumber) as i16);
            }
        }
    }

    /// An expression over this relation alone that the key can be sorted by and that `usable` takes.
    pub fn sort_expr(
        self,
        key: SortKey<'p>,
        mut usable: impl FnMut(SortExpr<'p>) -> bool,
    ) -> Option<SortExpr<'p>> {
        // SAFETY: an equivalence class and its members.
        unsafe {
            let class = (*key.0).pk_eclass;
            if (*class).ec_has_volatile {
                return None;
            }
            list::pointers::<pg_sys::EquivalenceMember>((*class).ec_members)
                .filter(|member| {
                    let relids = (**member).em_relids;
                    !pg_sys::bms_is_empty(relids)
                        && pg_sys::bms_is_subset(relids, self.get().relids)
                })
                .filter_map(|member| {
                    let node = Node::new((*member).em_expr)?;
                    Some(SortExpr { node, sorted_as: (*member).em_datatype })
                })
                .find(|expr| usable(*expr))
        }
    }

    /// As [`Rel::sort_expr`] for a relation above joins and groupings: any member will do.
    pub fn sort_expr_above(
        self,
        key: SortKey<'p>,
        mut usable: impl FnMut(SortExpr<'p>) -> bool,
    ) -> Option<SortExpr<'p>> {
        // SAFETY: an equivalence class and its members.
        unsafe {
            let class = (*key.0).pk_eclass;
            if (*class).ec_has_volatile {
                return None;
            }
            list::pointers::<pg_sys::EquivalenceMember>((*class).ec_members)
                .filter(|member| !(**member).em_is_const && !(**member).em_is_child)
                .filter_map(|member| {
                    let node = Node::new((*member).em_expr)?;
                    Some(SortExpr { node, sorted_as: (*member).em_datatype })
                })
                .find(|expr| usable(*expr))
        }
    }

    /// The columns that a join has to yield: those of its target and of `extra`.
    pub fn scan_target(self, extra: &[Node<'p>]) -> ScanTarget<'p> {
        let mut out = ScanTarget::new();
        let targets = self.targets();
        for node in targets.iter().map(|(node, _)| node).chain(extra) {
            for part in node.parts(false) {
                out.add(part);
            }
        }
        out
    }

    /// Adds a way to scan it. `order` lists the keys it is sorted by; `note` reaches
    /// GetForeignPlan through the path.
    pub fn add_path(
        self,
        planner: Planner<'p>,
        cost: Cost,
        order: &[SortKey<'p>],
        outer: Option<Outer<'p>>,
        note: &[u8],
    ) {
        // SAFETY: valid planner state; lists are made in the planner's context.
        unsafe {
            let needed = match outer {
                Some(outer) => (*outer.0).ppi_req_outer,
                None => self.get().lateral_relids,
            };
            let path = pg_sys::create_foreignscan_path(
                planner.0,
                self.0,
                std::ptr::null_mut(),
                cost.rows,
                cost.startup,
                cost.total,
                sort_list(order),
                needed,
                std::ptr::null_mut(),
                note_list(note),
            );
            pg_sys::add_path(self.0, path.cast());
        }
    }

    /// Adds a way to compute this join.
    pub fn add_join_path(
        self,
        planner: Planner<'p>,
        cost: Cost,
        order: &[SortKey<'p>],
        note: &[u8],
    ) {
        // SAFETY: as above.
        unsafe {
            let path = pg_sys::create_foreign_join_path(
                planner.0,
                self.0,
                std::ptr::null_mut(),
                cost.rows,
                cost.startup,
                cost.total,
                sort_list(order),
                self.get().lateral_relids,
                std::ptr::null_mut(),
                note_list(note),
            );
            pg_sys::add_path(self.0, path.cast());
        }
    }

    /// Makes all ways to compute it so far dearer by a factor.
    pub fn slow_down(self, factor: f64) {
        // SAFETY: a list of paths that have not been compared with those of other relations yet.
        unsafe {
            for path in list::pointers::<pg_sys::Path>(self.get().pathlist) {
                (*path).startup_cost *= factor;
                (*path).total_cost *= factor;
            }
        }
    }

    /// Adds a way to compute this grouping.
    pub fn add_group_path(self, planner: Planner<'p>, cost: Cost, note: &[u8]) {
        // SAFETY: as above.
        unsafe {
            let path = pg_sys::create_foreign_upper_path(
                planner.0,
                self.0,
                self.get().reltarget,
                cost.rows,
                cost.startup,
                cost.total,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                note_list(note),
            );
            pg_sys::add_path(self.0, path.cast());
        }
    }

    /// Adds a way to compute the relation `upper` of the stage (ordered or final) by scanning this one.
    pub fn add_upper_path(
        self,
        planner: Planner<'p>,
        upper: Rel<'p>,
        stage: pg_sys::UpperRelationKind::Type,
        cost: Cost,
        order: &[SortKey<'p>],
        note: &[u8],
    ) {
        // SAFETY: as above.
        unsafe {
            let target = planner.get().upper_targets[stage as usize];
            let path = pg_sys::create_foreign_upper_path(
                planner.0,
                self.0,
                target,
                cost.rows,
                cost.startup,
                cost.total,
                sort_list(order),
                std::ptr::null_mut(),
                note_list(note),
            );
            pg_sys::add_path(upper.0, path.cast());
        }
    }

    /// Keeps a value with the relation for the later callbacks of this planning.
    pub fn set_state<T>(self, planner: Planner<'p>, state: T) {
        // SAFETY: the value lives as long as the planner's memory, as does the relation.
        unsafe {
            (*self.0).fdw_private = memory::leak_into(planner.memory(), state).cast();
        }
    }

    /// The value kept by [`Rel::set_state`]; `None` if none was.
    ///
    /// # Safety
    /// If there is one, it is a `T`.
    pub unsafe fn state<T>(self) -> Option<&'p T> {
        // SAFETY: the caller's promise.
        unsafe { self.get().fdw_private.cast::<T>().as_ref() }
    }
}

struct Search<'p> {
    current: Option<Node<'p>>,
    used: Vec<Node<'p>>,
}

unsafe extern "C-unwind" fn matches_search(
    _: *mut pg_sys::PlannerInfo,
    _: *mut pg_sys::RelOptInfo,
    _: *mut pg_sys::EquivalenceClass,
    member: *mut pg_sys::EquivalenceMember,
    arg: *mut c_void,
) -> bool {
    // SAFETY: `arg` is the Search that `outers` passed, and nothing else refers to it meanwhile.
    let (search, node) = unsafe { (&mut *arg.cast::<Search<'_>>(), Node::new((*member).em_expr)) };
    let Some(node) = node else { return false };
    match search.current {
        Some(current) => current.equals(node),
        None if search.used.iter().any(|used| used.equals(node)) => false,
        None => {
            search.current = Some(node);
            true
        }
    }
}
