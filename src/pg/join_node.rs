//! A join node of our own, as a custom scan: planning it.
//!
//! Postgres plans and runs its two inputs; what happens between them is decided by whoever installs
//! the node ([`install`]). [`super::join_state`] is its execution.

use super::list;
use super::node::Node;
use super::planner::{self, Clause, Cost, Planner, Rel, Way};
use pgrx::pg_sys::{self, JoinType, Oid};
use std::cell::Cell;

/// The name of the node in EXPLAIN.
pub const NAME: &std::ffi::CStr = c"Batched Lookup";

/// Two relations that the planner wants joined.
#[derive(Debug, Clone, Copy)]
pub struct Joining<'p> {
    /// The planner.
    pub planner: Planner<'p>,
    /// The join.
    pub join: Rel<'p>,
    /// Its outer side.
    pub outer: Rel<'p>,
    /// Its inner side.
    pub inner: Rel<'p>,
    /// Its kind.
    pub kind: JoinType::Type,
    extra: *mut pg_sys::JoinPathExtraData,
}

/// A condition `outer = inner` that can be hashed.
#[derive(Debug, Clone, Copy)]
pub struct Equality<'p> {
    /// The expression over the outer side.
    pub outer: Node<'p>,
    /// The expression over the inner side.
    pub inner: Node<'p>,
    /// The condition.
    pub clause: Clause<'p>,
    /// The operator as `inner = outer`.
    pub operator: Oid,
    /// The collation it compares by.
    pub collation: Oid,
    /// The hash functions of the outer and of the inner value, equal for equal values.
    pub hashes: (Oid, Oid),
}

/// What sees each join that the planner considers.
type Watcher = fn(Joining<'_>);

thread_local! {
    // A backend is one thread; both are set once.
    static WATCHER: Cell<Option<Watcher>> = const { Cell::new(None) };
    static NEXT: Cell<pg_sys::set_join_pathlist_hook_type> = const { Cell::new(None) };
}

static PATH_METHODS: PathMethods = PathMethods(pg_sys::CustomPathMethods {
    CustomName: NAME.as_ptr(),
    PlanCustomPath: Some(plan_custom_path),
    ReparameterizeCustomPathByChild: None,
});

struct PathMethods(pg_sys::CustomPathMethods);
// SAFETY: constant tables of functions.
unsafe impl Sync for PathMethods {}

/// Installs the hook. Called once, by `_PG_init`.
pub fn install(watcher: Watcher) {
    WATCHER.set(Some(watcher));
    super::join_state::register();
    super::join_search::install();
    // SAFETY: the hook variable belongs to this backend; the former hook is called by ours.
    unsafe {
        NEXT.set(pg_sys::set_join_pathlist_hook);
        pg_sys::set_join_pathlist_hook = Some(join_pathlist);
    }
}

/// Whether a path is one of this node.
///
/// # Safety
/// `path` is NULL or valid.
pub unsafe fn is_ours(path: *mut pg_sys::Path) -> bool {
    // SAFETY: the caller's promise; the tag says what follows it.
    unsafe {
        !path.is_null()
            && (*path).type_ == pg_sys::NodeTag::T_CustomPath
            && std::ptr::eq((*path.cast::<pg_sys::CustomPath>()).methods, &PATH_METHODS.0)
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn join_pathlist(
    root: *mut pg_sys::PlannerInfo,
    join: *mut pg_sys::RelOptInfo,
    outer: *mut pg_sys::RelOptInfo,
    inner: *mut pg_sys::RelOptInfo,
    kind: JoinType::Type,
    extra: *mut pg_sys::JoinPathExtraData,
) {
    if let Some(next) = NEXT.get() {
        // SAFETY: another hook, called as Postgres would.
        unsafe {
            pg_sys::ffi::pg_guard_ffi_boundary(|| next(root, join, outer, inner, kind, extra));
        }
    }
    // SAFETY: the planner's own pointers.
    let joining = unsafe {
        let (join, outer, inner) = (Rel::new(join), Rel::new(outer), Rel::new(inner));
        Joining { planner: Planner::new(root), join, outer, inner, kind, extra }
    };
    if let Some(watcher) = WATCHER.get() {
        watcher(joining);
    }
}

impl<'p> Joining<'p> {
    fn restrictions(&self) -> *mut pg_sys::List {
        // SAFETY: the planner's own structure, valid while the hook runs.
        unsafe { (*self.extra).restrictlist }
    }

    /// Whether one side needs values of the other, or the join of a third relation.
    pub fn is_lateral(&self) -> bool {
        self.join.is_lateral() || self.outer.is_lateral() || self.inner.is_lateral()
    }

    /// Whether a condition without columns has to be checked above it.
    pub fn is_gated(&self) -> bool {
        // SAFETY: a list of RestrictInfo.
        unsafe { planner::clauses(self.restrictions()) }.iter().any(|clause| clause.is_constant())
    }

    /// Whether every row of the outer side is part of the result or decides about it by itself.
    fn keeps_outer(&self) -> bool {
        matches!(self.kind, JoinType::JOIN_LEFT | JoinType::JOIN_ANTI)
    }

    /// The conditions that compare the two sides for equality.
    pub fn equalities(&self) -> Vec<Equality<'p>> {
        // SAFETY: a list of RestrictInfo; clauses that can be hashed are operators of two arguments.
        unsafe {
            list::pointers::<pg_sys::RestrictInfo>(self.restrictions())
                .filter_map(|info| {
                    let clause = planner::clause(info);
                    let operator = (*info).hashjoinoperator;
                    if operator == Oid::INVALID || !(*info).can_join {
                        return None;
                    }
                    if self.keeps_outer() && clause.is_above(self.join) {
                        return None;
                    }
                    let (outer, inner) =
                        ((*self.outer.as_ptr()).relids, (*self.inner.as_ptr()).relids);
                    let (left, right) = ((*info).left_relids, (*info).right_relids);
                    let within = |part, whole| pg_sys::bms_is_subset(part, whole);
                    let swapped = if within(left, outer) && within(right, inner) {
                        false
                    } else if within(left, inner) && within(right, outer) {
                        true
                    } else {
                        return None;
                    };
                    let commuted = pg_sys::get_commutator(operator);
                    // As `outer = inner`, and as `inner = outer`.
                    let (forward, backward) =
                        if swapped { (commuted, operator) } else { (operator, commuted) };
                    let (mut hash_outer, mut hash_inner) = (Oid::INVALID, Oid::INVALID);
                    let usable = forward != Oid::INVALID
                        && backward != Oid::INVALID
                        && pg_sys::op_strict(forward)
                        && pg_sys::get_op_hash_functions(forward, &mut hash_outer, &mut hash_inner);
                    if !usable {
                        return None;
                    }
                    let op = &*(*info).clause.cast::<pg_sys::OpExpr>();
                    let mut args = list::pointers::<pg_sys::Node>(op.args);
                    let (first, second) = (Node::new(args.next()?)?, Node::new(args.next()?)?);
                    let (outer, inner) = if swapped { (second, first) } else { (first, second) };
                    Some(Equality {
                        outer,
                        inner,
                        clause,
                        operator: backward,
                        collation: op.inputcollid,
                        hashes: (hash_outer, hash_inner),
                    })
                })
                .collect()
        }
    }

    /// The cheapest way to compute the outer side on its own, made unique where the kind of join wants
    /// that, with its cost.
    pub fn cheapest_outer(&self) -> Option<(Way<'p>, Cost)> {
        // SAFETY: a relation that is joined has its cheapest path.
        unsafe {
            let mut path = (*self.outer.as_ptr()).cheapest_total_path;
            if path.is_null() || !(*path).param_info.is_null() {
                return None;
            }
            if self.kind == JoinType::JOIN_UNIQUE_OUTER {
                let outer = self.outer.as_ptr();
                let sjinfo = (*self.extra).sjinfo;
                path =
                    pg_sys::create_unique_path(self.planner.as_ptr(), outer, path, sjinfo).cast();
                if path.is_null() {
                    return None;
                }
            }
            let (rows, startup, total) = ((*path).rows, (*path).startup_cost, (*path).total_cost);
            Some((Way::new(path), Cost { rows, startup, total }))
        }
    }

    /// Offers the join by our node. `note` reaches the execution.
    pub fn add(
        &self,
        outer: Way<'p>,
        inner: Way<'p>,
        keys: &[Equality<'p>],
        cost: Cost,
        note: &[u8],
    ) {
        let kind = if self.keeps_outer() { self.kind } else { JoinType::JOIN_INNER };
        // SAFETY: a zeroed node of its type in the planner's context, as makeNode makes it.
        unsafe {
            let path =
                pg_sys::palloc0(size_of::<pg_sys::CustomPath>()).cast::<pg_sys::CustomPath>();
            let join = self.join.as_ptr();
            (*path).path.type_ = pg_sys::NodeTag::T_CustomPath;
            (*path).path.pathtype = pg_sys::NodeTag::T_CustomScan;
            (*path).path.parent = join;
            (*path).path.pathtarget = (*join).reltarget;
            (*path).path.rows = cost.rows;
            (*path).path.startup_cost = cost.startup;
            (*path).path.total_cost = cost.total;
            (*path).flags = pg_sys::CUSTOMPATH_SUPPORT_PROJECTION;
            (*path).custom_paths =
                list::push(list::push(std::ptr::null_mut(), outer.as_ptr()), inner.as_ptr());
            let (mut join_quals, mut other_quals) = (std::ptr::null_mut(), std::ptr::null_mut());
            if kind == JoinType::JOIN_INNER {
                join_quals = pg_sys::extract_actual_clauses(self.restrictions(), false);
            } else {
                pg_sys::extract_actual_join_clauses(
                    self.restrictions(),
                    (*join).relids,
                    &mut join_quals,
                    &mut other_quals,
                );
            }
            let (mut outers, mut inners) = (std::ptr::null_mut(), std::ptr::null_mut());
            for key in keys {
                outers = list::push(outers, key.outer.as_ptr());
                inners = list::push(inners, key.inner.as_ptr());
            }
            let mut exprs = std::ptr::null_mut();
            for part in [join_quals, outers, inners] {
                exprs = list::push(exprs, part);
            }
            let mut private = planner::note_list(note);
            private = list::push(private, exprs);
            (*path).custom_private = list::push(private, other_quals);
            (*path).methods = &raw const PATH_METHODS.0;
            pg_sys::add_path(join, path.cast());
        }
    }
}

/// `left operator ANY (key)`, where the key is an array that [`Kind::Batch`](super::node::Kind) stands
/// for.
pub fn any_of<'p>(equality: &Equality<'p>, left: Node<'p>, key: usize) -> Option<Node<'p>> {
    // SAFETY: zeroed nodes of their types in the planner's context, as makeNode makes them.
    unsafe {
        let array = pg_sys::get_array_type(pg_sys::getBaseType(equality.outer.result_type()));
        if array == Oid::INVALID {
            return None;
        }
        let batch = pg_sys::palloc0(size_of::<pg_sys::Param>()).cast::<pg_sys::Param>();
        (*batch).xpr.type_ = pg_sys::NodeTag::T_Param;
        // No sub-link is left when paths are made: to us it means a batch.
        (*batch).paramkind = pg_sys::ParamKind::PARAM_SUBLINK;
        (*batch).paramid = key as i32;
        (*batch).paramtype = array;
        (*batch).paramtypmod = -1;
        (*batch).paramcollid = equality.outer.result_collation();
        let op = pg_sys::palloc0(size_of::<pg_sys::ScalarArrayOpExpr>())
            .cast::<pg_sys::ScalarArrayOpExpr>();
        (*op).xpr.type_ = pg_sys::NodeTag::T_ScalarArrayOpExpr;
        (*op).opno = equality.operator;
        (*op).opfuncid = pg_sys::get_opcode(equality.operator);
        (*op).useOr = true;
        (*op).inputcollid = equality.collation;
        (*op).args = list::push(list::push(std::ptr::null_mut(), left.as_ptr()), batch);
        (*op).location = -1;
        Node::new(op)
    }
}

/// What stands in a plan for a batch: NULL, of its type.
pub fn placeholder(of: Oid) -> *mut pg_sys::Node {
    // SAFETY: makes a node.
    unsafe { pg_sys::makeNullConst(of, -1, Oid::INVALID).cast() }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn plan_custom_path(
    _root: *mut pg_sys::PlannerInfo,
    _rel: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::CustomPath,
    tlist: *mut pg_sys::List,
    _clauses: *mut pg_sys::List,
    plans: *mut pg_sys::List,
) -> *mut pg_sys::Plan {
    // SAFETY: our own path; the plan is a zeroed node of its type, as makeNode makes it.
    unsafe {
        let mut private = list::pointers::<pg_sys::Node>((*path).custom_private);
        let (note, exprs, quals) = (private.next(), private.next(), private.next());
        let scan = pg_sys::palloc0(size_of::<pg_sys::CustomScan>()).cast::<pg_sys::CustomScan>();
        (*scan).scan.plan.type_ = pg_sys::NodeTag::T_CustomScan;
        (*scan).scan.plan.targetlist = tlist;
        (*scan).scan.plan.qual = quals.unwrap_or(std::ptr::null_mut()).cast();
        (*scan).flags = (*path).flags;
        (*scan).custom_plans = plans;
        (*scan).custom_exprs = exprs.unwrap_or(std::ptr::null_mut()).cast();
        (*scan).custom_private =
            list::push(std::ptr::null_mut(), note.unwrap_or(std::ptr::null_mut()));
        // The columns of the outer side, then those of the inner side.
        let mut columns = std::ptr::null_mut();
        let mut number = 0;
        for plan in list::pointers::<pg_sys::Plan>(plans) {
            for entry in list::pointers::<pg_sys::TargetEntry>((*plan).targetlist) {
                number += 1;
                let expr = pg_sys::copyObjectImpl((*entry).expr.cast()).cast();
                let entry = pg_sys::makeTargetEntry(expr, number, std::ptr::null_mut(), false);
                columns = list::push(columns, entry);
            }
        }
        (*scan).custom_scan_tlist = columns;
        (*scan).methods = super::join_state::scan_methods();
        scan.cast()
    }
}
