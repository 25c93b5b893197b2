//! A join node of our own, as a custom scan: running it.

use super::explain::Explain;
use super::join_node::NAME;
use super::memory::{self, Context};
use super::{list, planner};
use pgrx::pg_sys::{self, Datum, Oid};
use std::cell::Cell;
use std::ffi::c_int;
use std::marker::PhantomData;

/// What runs the node.
pub trait Join {
    /// The next row in the node's result, or `None` at the end.
    fn next(&mut self, node: JoinNode<'_>) -> Option<*mut pg_sys::TupleTableSlot>;
    /// Starts anew.
    fn rescan(&mut self, node: JoinNode<'_>);
    /// Runs `begin` for the inner side so that its scans know what they belong to.
    fn begin_inner(&mut self, begin: &mut dyn FnMut());
    /// What EXPLAIN tells of it.
    fn explain(&self, out: Explain<'_>, condition: &str);
}

/// Makes what runs a node, from the plan's note.
type Maker = fn(&[u8]) -> Box<dyn Join>;

thread_local! {
    // A backend is one thread; set once.
    static MAKER: Cell<Option<Maker>> = const { Cell::new(None) };
}

/// Says what runs the nodes.
pub fn run_by(maker: Maker) {
    MAKER.set(Some(maker));
}

#[repr(C)]
struct State {
    scan: pg_sys::CustomScanState,
    own: *mut Own,
}

struct Own {
    join: Box<dyn Join>,
    /// Rows of the outer side that are kept.
    kept: Context,
    kept_slot: *mut pg_sys::TupleTableSlot,
    outer: *mut pg_sys::PlanState,
    inner: *mut pg_sys::PlanState,
    outer_width: usize,
    condition: *mut pg_sys::ExprState,
    outer_keys: Vec<*mut pg_sys::ExprState>,
    inner_keys: Vec<*mut pg_sys::ExprState>,
}

/// A row of the outer side that is kept until [`JoinNode::forget_rows`].
#[derive(Debug, Clone, Copy)]
pub struct KeptRow(pg_sys::MinimalTuple);

/// The node in execution, valid while a callback runs.
#[derive(Debug, Clone, Copy)]
pub struct JoinNode<'e>(*mut State, PhantomData<&'e ()>);

/// A hash function with what it needs from call to call.
pub struct Hash {
    function: Box<pg_sys::FmgrInfo>,
    collation: Oid,
    // What the function keeps.
    _context: Context,
}

impl Hash {
    /// The function, for a collation.
    pub fn new(function: Oid, collation: Oid) -> Hash {
        let context = Context::new(c"warehouse lookup hash");
        let mut info = Box::new(pg_sys::FmgrInfo::default());
        // SAFETY: the structure stays where it is, and what it refers to lives in our context.
        unsafe { pg_sys::fmgr_info_cxt(function, &raw mut *info, context.as_ptr()) };
        Hash { function: info, collation, _context: context }
    }

    /// The hash of a value of the function's type.
    pub fn of(&mut self, value: Datum) -> u32 {
        // SAFETY: a prepared function and a value of its type.
        let hash =
            unsafe { pg_sys::FunctionCall1Coll(&raw mut *self.function, self.collation, value) };
        hash.value() as u32
    }
}

struct ScanMethods(pg_sys::CustomScanMethods);
// SAFETY: constant tables of functions.
unsafe impl Sync for ScanMethods {}
struct ExecMethods(pg_sys::CustomExecMethods);
// SAFETY: as above.
unsafe impl Sync for ExecMethods {}

static SCAN_METHODS: ScanMethods = ScanMethods(pg_sys::CustomScanMethods {
    CustomName: NAME.as_ptr(),
    CreateCustomScanState: Some(create_state),
});

static EXEC_METHODS: ExecMethods = ExecMethods(pg_sys::CustomExecMethods {
    CustomName: NAME.as_ptr(),
    BeginCustomScan: Some(begin),
    ExecCustomScan: Some(exec),
    EndCustomScan: Some(end),
    ReScanCustomScan: Some(rescan),
    MarkPosCustomScan: None,
    RestrPosCustomScan: None,
    EstimateDSMCustomScan: None,
    InitializeDSMCustomScan: None,
    ReInitializeDSMCustomScan: None,
    InitializeWorkerCustomScan: None,
    ShutdownCustomScan: None,
    ExplainCustomScan: Some(explain),
});

/// The table of functions that plans refer to.
pub fn scan_methods() -> *const pg_sys::CustomScanMethods {
    &raw const SCAN_METHODS.0
}

/// Makes the node known by its name.
pub fn register() {
    // SAFETY: a constant table.
    unsafe { pg_sys::RegisterCustomScanMethods(scan_methods()) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn create_state(_plan: *mut pg_sys::CustomScan) -> *mut pg_sys::Node {
    // SAFETY: a zeroed node of its type, as newNode makes it.
    unsafe {
        let state = pg_sys::palloc0(size_of::<State>()).cast::<State>();
        (*state).scan.ss.ps.type_ = pg_sys::NodeTag::T_CustomScanState;
        (*state).scan.methods = &raw const EXEC_METHODS.0;
        state.cast()
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn begin(
    node: *mut pg_sys::CustomScanState,
    estate: *mut pg_sys::EState,
    flags: c_int,
) {
    // SAFETY: the executor's own node with a plan of plan_custom_path: two inputs, three lists of
    // expressions, one note.
    unsafe {
        let plan = (*node).ss.ps.plan.cast::<pg_sys::CustomScan>();
        let note = planner::note((*plan).custom_private);
        let maker = MAKER.get().expect("invariant: _PG_init says what runs the nodes");
        let mut join = maker(note);
        let mut plans = list::pointers::<pg_sys::Plan>((*plan).custom_plans);
        let (outer_plan, inner_plan) = (
            plans.next().expect("invariant: a join has an outer side"),
            plans.next().expect("invariant: a join has an inner side"),
        );
        let outer = pg_sys::ExecInitNode(outer_plan, estate, flags);
        let mut inner = std::ptr::null_mut();
        join.begin_inner(&mut || inner = pg_sys::ExecInitNode(inner_plan, estate, flags));
        (*node).custom_ps = list::push(list::push(std::ptr::null_mut(), outer), inner);
        let parent = &raw mut (*node).ss.ps;
        let mut exprs = list::pointers::<pg_sys::List>((*plan).custom_exprs);
        let condition = pg_sys::ExecInitQual(exprs.next().unwrap_or(std::ptr::null_mut()), parent);
        let mut keys = || -> Vec<*mut pg_sys::ExprState> {
            let nodes = exprs.next().unwrap_or(std::ptr::null_mut());
            list::pointers::<pg_sys::Expr>(nodes)
                .map(|expr| pg_sys::ExecInitExpr(expr, parent))
                .collect()
        };
        let (outer_keys, inner_keys) = (keys(), keys());
        let desc = pg_sys::ExecGetResultType(outer);
        let own = Own {
            join,
            kept: Context::new(c"warehouse lookup batch"),
            kept_slot: pg_sys::ExecInitExtraTupleSlot(
                estate,
                desc,
                &raw const pg_sys::TTSOpsMinimalTuple,
            ),
            outer,
            inner,
            outer_width: (*desc).natts as usize,
            condition,
            outer_keys,
            inner_keys,
        };
        (*node.cast::<State>()).own = memory::leak_into((*estate).es_query_cxt, own);
    }
}

/// # Safety
/// A node that has begun; nothing else refers to its state.
unsafe fn own<'e>(node: *mut pg_sys::CustomScanState) -> (JoinNode<'e>, *mut Own) {
    let state = node.cast::<State>();
    // SAFETY: the caller's promise.
    (JoinNode(state, PhantomData), unsafe { (*state).own })
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn exec(
    node: *mut pg_sys::CustomScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node; the handle reaches the other fields of the state only.
    unsafe {
        let (handle, own) = own(node);
        let join = &raw mut (*own).join;
        (*join).next(handle).unwrap_or(std::ptr::null_mut())
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn rescan(node: *mut pg_sys::CustomScanState) {
    // SAFETY: as above.
    unsafe {
        let (handle, own) = own(node);
        let changed = (*node).ss.ps.chgParam;
        for child in [(*own).outer, (*own).inner] {
            if !changed.is_null() {
                pg_sys::UpdateChangedParamSet(child, changed);
            }
        }
        pg_sys::ExecReScan((*own).outer);
        let join = &raw mut (*own).join;
        (*join).rescan(handle);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn end(node: *mut pg_sys::CustomScanState) {
    // SAFETY: as above; a node whose beginning failed has no state.
    unsafe {
        let own = (*node.cast::<State>()).own;
        if !own.is_null() {
            pg_sys::ExecEndNode((*own).outer);
            pg_sys::ExecEndNode((*own).inner);
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn explain(
    node: *mut pg_sys::CustomScanState,
    ancestors: *mut pg_sys::List,
    state: *mut pg_sys::ExplainState,
) {
    // SAFETY: the executor's own node and output.
    unsafe {
        let (_, own) = own(node);
        let out = Explain::new(state);
        let plan = (*node).ss.ps.plan.cast::<pg_sys::CustomScan>();
        let condition = list::pointers::<pg_sys::List>((*plan).custom_exprs).next();
        let condition =
            out.condition(plan.cast(), ancestors, condition.unwrap_or(std::ptr::null_mut()));
        (*own).join.explain(out, &condition);
    }
}

impl JoinNode<'_> {
    fn own(&self) -> *mut Own {
        // SAFETY: a node that has begun.
        unsafe { (*self.0).own }
    }

    fn scan(&self) -> *mut pg_sys::ScanState {
        // SAFETY: a valid node.
        unsafe { &raw mut (*self.0).scan.ss }
    }

    fn context(&self) -> *mut pg_sys::ExprContext {
        // SAFETY: a node in execution has its expression context.
        unsafe { (*self.scan()).ps.ps_ExprContext }
    }

    /// Runs `f` in memory that [`Self::reset`] frees.
    pub fn briefly<T>(&self, f: impl FnOnce() -> T) -> T {
        // SAFETY: as above; the context lives as long as the node.
        memory::within(unsafe { (*self.context()).ecxt_per_tuple_memory }, f)
    }

    /// Forgets what evaluating expressions for former rows has left.
    pub fn reset(&self) {
        // SAFETY: as above.
        unsafe { pg_sys::MemoryContextReset((*self.context()).ecxt_per_tuple_memory) }
    }

    /// The next row of the outer side, kept; it is the current outer row then.
    pub fn keep_outer(&self) -> Option<KeptRow> {
        // SAFETY: the outer side is a node in execution.
        unsafe {
            let own = self.own();
            let slot = pg_sys::ExecProcNode((*own).outer);
            if is_empty(slot) {
                return None;
            }
            let row = (*own).kept.run(|| pg_sys::ExecCopySlotMinimalTuple(slot));
            let row = KeptRow(row);
            self.set_outer(row);
            Some(row)
        }
    }

    /// Forgets the rows that were kept.
    pub fn forget_rows(&self) {
        // SAFETY: no slot refers to them any more.
        unsafe {
            let own = self.own();
            pg_sys::ExecClearTuple((*own).kept_slot);
            (*own).kept.reset();
        }
    }

    /// Makes a kept row the current outer row.
    pub fn set_outer(&self, row: KeptRow) {
        // SAFETY: a kept row has the columns of the outer side.
        unsafe {
            let own = self.own();
            pg_sys::ExecForceStoreMinimalTuple(row.0, (*own).kept_slot, false);
            self.copy((*own).kept_slot, 0);
        }
    }

    /// Starts the inner side anew.
    pub fn rescan_inner(&self) {
        // SAFETY: the inner side is a node in execution.
        unsafe { pg_sys::ExecReScan((*self.own()).inner) }
    }

    /// Makes the next row of the inner side the current one; `false` at the end.
    pub fn next_inner(&self) -> bool {
        // SAFETY: as above.
        unsafe {
            let own = self.own();
            let slot = pg_sys::ExecProcNode((*own).inner);
            if is_empty(slot) {
                return false;
            }
            self.copy(slot, (*own).outer_width);
            true
        }
    }

    /// Makes the current inner row one of NULLs.
    pub fn set_inner_null(&self) {
        // SAFETY: the slot has one value and one flag a column.
        unsafe {
            let slot = (*self.scan()).ss_ScanTupleSlot;
            let width = (*(*slot).tts_tupleDescriptor).natts as usize;
            for column in (*self.own()).outer_width..width {
                *(*slot).tts_values.add(column) = Datum::from(0);
                *(*slot).tts_isnull.add(column) = true;
            }
        }
    }

    unsafe fn copy(&self, from: *mut pg_sys::TupleTableSlot, at: usize) {
        // SAFETY: the slot has the columns of both sides.
        unsafe {
            pg_sys::slot_getallattrs(from);
            let slot = (*self.scan()).ss_ScanTupleSlot;
            let width = (*(*from).tts_tupleDescriptor).natts as usize;
            std::ptr::copy_nonoverlapping((*from).tts_values, (*slot).tts_values.add(at), width);
            std::ptr::copy_nonoverlapping((*from).tts_isnull, (*slot).tts_isnull.add(at), width);
        }
    }

    /// The two current rows as one.
    fn pair(&self) {
        // SAFETY: all values have been set; as ExecStoreVirtualTuple.
        unsafe {
            let slot = (*self.scan()).ss_ScanTupleSlot;
            (*slot).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
            (*slot).tts_nvalid = (*(*slot).tts_tupleDescriptor).natts as i16;
            (*self.context()).ecxt_scantuple = slot;
        }
    }

    /// The key `at` of the current outer row, `None` for NULL.
    pub fn outer_key(&self, at: usize) -> Option<Datum> {
        // SAFETY: a prepared expression over the outer side.
        unsafe { self.key((&(*self.own()).outer_keys)[at]) }
    }

    /// The key `at` of the current inner row, `None` for NULL.
    pub fn inner_key(&self, at: usize) -> Option<Datum> {
        // SAFETY: as above, over the inner side.
        unsafe { self.key((&(*self.own()).inner_keys)[at]) }
    }

    unsafe fn key(&self, expr: *mut pg_sys::ExprState) -> Option<Datum> {
        self.pair();
        let mut null = false;
        // SAFETY: the caller's promise.
        let value = unsafe { pg_sys::ExecEvalExprSwitchContext(expr, self.context(), &mut null) };
        (!null).then_some(value)
    }

    /// Whether the two current rows satisfy the join's condition.
    pub fn matches(&self) -> bool {
        self.pair();
        // SAFETY: a prepared condition, NULL for none.
        unsafe {
            let condition = (*self.own()).condition;
            condition.is_null() || pg_sys::ExecQual(condition, self.context())
        }
    }

    /// The result for the two current rows, unless a condition above the join drops it.
    pub fn result(&self) -> Option<*mut pg_sys::TupleTableSlot> {
        self.pair();
        // SAFETY: what the executor prepared for the node.
        unsafe {
            let ps = &(*self.scan()).ps;
            if !ps.qual.is_null() && !pg_sys::ExecQual(ps.qual, self.context()) {
                if !ps.instrument.is_null() {
                    (*ps.instrument).nfiltered1 += 1.0;
                }
                return None;
            }
            Some(if ps.ps_ProjInfo.is_null() {
                (*self.scan()).ss_ScanTupleSlot
            } else {
                pg_sys::ExecProject(ps.ps_ProjInfo)
            })
        }
    }
}

fn is_empty(slot: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: NULL or a slot.
    slot.is_null() || unsafe { (*slot).tts_flags } & pg_sys::TTS_FLAG_EMPTY as u16 != 0
}
