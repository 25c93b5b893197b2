//! A foreign scan in execution.

use super::datum::{TransmissionModes, is_plain, to_text};
use super::list;
use super::memory;
use super::planner;
use super::wait::AlwaysReady;
use pgrx::pg_sys::{self, Datum, Oid};
use std::marker::PhantomData;

/// The executor's node of a foreign scan, valid while a callback runs.
#[derive(Debug, Clone, Copy)]
pub struct ScanNode<'e>(*mut pg_sys::ForeignScanState, PhantomData<&'e ()>);

/// A scan's node, for as long as its state lives: both are in the query's memory.
#[derive(Debug, Clone, Copy)]
pub struct Left(*mut pg_sys::ForeignScanState);

impl Left {
    /// Whether the scan will begin anew before its next row, so that what it has is of no use any more.
    /// (A part of an Append that is pruned is not told so until it is needed again.)
    pub fn is_left(self) -> bool {
        // SAFETY: kept with scans that live.
        unsafe { !(*self.0).ss.ps.chgParam.is_null() }
    }
}

/// The run-time values of a scan.
#[derive(Debug)]
pub struct Params(Vec<Param>);

#[derive(Debug)]
struct Param {
    expr: *mut pg_sys::ExprState,
    of: Oid,
    plain: bool,
}

impl<'e> ScanNode<'e> {
    /// # Safety
    /// `node` is valid while `'e` lasts.
    pub unsafe fn new(node: *mut pg_sys::ForeignScanState) -> Self {
        ScanNode(node, PhantomData)
    }

    fn plan(self) -> &'e pg_sys::ForeignScan {
        // SAFETY: a ForeignScanState has a ForeignScan as its plan.
        unsafe { &*(*self.0).ss.ps.plan.cast::<pg_sys::ForeignScan>() }
    }

    /// The note that the planner left in the plan.
    pub fn plan_note(self) -> &'e [u8] {
        // SAFETY: our own plans hold a list of one note.
        unsafe { planner::note(self.plan().fdw_private) }
    }

    /// Keeps the scan's state until the query's memory goes.
    pub fn set_state<T>(self, state: T) {
        // SAFETY: the node is valid; the state lives as long as the query.
        unsafe {
            let context = (*(*self.0).ss.ps.state).es_query_cxt;
            (*self.0).fdw_state = memory::leak_into(context, state).cast();
        }
    }

    /// The state kept by [`ScanNode::set_state`].
    ///
    /// # Safety
    /// It is a `T`, if there is one, and nothing else refers to it.
    pub unsafe fn state<T>(self) -> Option<&'e mut T> {
        // SAFETY: the caller's promise.
        unsafe { (*self.0).fdw_state.cast::<T>().as_mut() }
    }

    /// The role whose rights and mapping count: a view's owner, or the current user.
    pub fn user(self) -> Oid {
        // SAFETY: the scan has at least one relation in the range table.
        unsafe {
            let index = pg_sys::bms_next_member(self.plan().fs_relids, -1);
            let entry = pg_sys::exec_rt_fetch(index as u32, (*self.0).ss.ps.state);
            match (*entry).checkAsUser {
                Oid::INVALID => pg_sys::GetUserId(),
                owner => owner,
            }
        }
    }

    /// How many columns a row has.
    pub fn width(self) -> usize {
        // SAFETY: the scan slot has its descriptor.
        unsafe { (*(*(*self.0).ss.ss_ScanTupleSlot).tts_tupleDescriptor).natts as usize }
    }

    /// What tells whether it has been left.
    pub fn left(self) -> Left {
        Left(self.0)
    }

    /// Prepares the evaluation of the scan's run-time values.
    pub fn params(self) -> Params {
        let exprs = self.plan().fdw_exprs;
        // SAFETY: a list of expressions of the plan, initialised for this node.
        unsafe {
            let states = pg_sys::ExecInitExprList(exprs, &raw mut (*self.0).ss.ps);
            let types = list::pointers::<pg_sys::Node>(exprs).map(|node| pg_sys::exprType(node));
            let states = list::pointers::<pg_sys::ExprState>(states);
            Params(
                states
                    .zip(types)
                    .map(|(expr, of)| Param { expr, of, plain: is_plain(of) })
                    .collect(),
            )
        }
    }

    /// The values of the parameters now, each as text; `None` for NULL.
    pub fn texts(self, params: &Params) -> Vec<Option<String>> {
        if params.0.is_empty() {
            return Vec::new();
        }
        params
            .0
            .iter()
            .map(|param| {
                let mut null = false;
                // SAFETY: the expression was initialised for this node; its value lives in the
                // per-tuple memory, and its text form is copied.
                unsafe {
                    let econtext = (*self.0).ss.ps.ps_ExprContext;
                    let value = pg_sys::ExecEvalExprSwitchContext(param.expr, econtext, &mut null);
                    if null {
                        None
                    } else {
                        // The expression itself is of this session, its styles too.
                        let _modes = (!param.plain).then(TransmissionModes::enter);
                        let before = pg_sys::CurrentMemoryContext;
                        pg_sys::CurrentMemoryContext = (*econtext).ecxt_per_tuple_memory;
                        let text = to_text(value, param.of);
                        pg_sys::CurrentMemoryContext = before;
                        Some(text)
                    }
                }
            })
            .collect()
    }

    /// Puts a row into the scan's slot: `fill` writes the values and null flags.
    pub fn store<E>(
        self,
        fill: impl FnOnce(&mut [Datum], &mut [bool]) -> Result<(), E>,
    ) -> Result<*mut pg_sys::TupleTableSlot, E> {
        let slot = self.empty_slot();
        // SAFETY: the slot has one value and one flag a column.
        unsafe {
            let width = (*(*slot).tts_tupleDescriptor).natts as usize;
            let values = std::slice::from_raw_parts_mut((*slot).tts_values, width);
            let nulls = std::slice::from_raw_parts_mut((*slot).tts_isnull, width);
            fill(values, nulls)?;
            // What ExecStoreVirtualTuple does; it cannot raise, so it needs no guard a row.
            (*slot).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
            (*slot).tts_nvalid = width as i16;
            Ok(slot)
        }
    }

    /// The scan's slot without a row: the end.
    pub fn empty_slot(self) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: the node has a slot.
        unsafe {
            let slot = (*self.0).ss.ss_ScanTupleSlot;
            pg_sys::ExecClearTuple(slot)
        }
    }
}

/// Whether the running statement's rows are taken in pieces, with other statements in between: it is
/// a cursor, a PL/pgSQL loop, or a driver's named portal.
pub fn is_read_in_pieces() -> bool {
    // SAFETY: a portal has a name while it is active.
    unsafe {
        let portal = pg_sys::ActivePortal;
        !portal.is_null() && !(*portal).name.is_null() && *(*portal).name != 0
    }
}

/// A request of an Append for the next row of one of several scans that run at the same time.
#[derive(Debug, Clone, Copy)]
pub struct AsyncRequest<'e>(*mut pg_sys::AsyncRequest, PhantomData<&'e ()>);

// Not in pgrx's bindings; executor/execAsync.c. Neither raises.
unsafe extern "C-unwind" {
    fn ExecAsyncRequestDone(request: *mut pg_sys::AsyncRequest, slot: *mut pg_sys::TupleTableSlot);
    fn ExecAsyncRequestPending(request: *mut pg_sys::AsyncRequest);
    fn ExecAsyncResponse(request: *mut pg_sys::AsyncRequest);
}

/// The request of an Append, as long as the scan that it is for: both live in the query's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker(*mut pg_sys::AsyncRequest);

impl Asker {
    /// Whether both are of one Append.
    pub fn is_beside(self, other: Asker) -> bool {
        // SAFETY: kept with scans that live.
        unsafe { (*self.0).requestor == (*other.0).requestor }
    }

    /// Whether the Append waits for a row of this part.
    pub fn is_pending(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.0).callback_pending }
    }

    /// Whether the Append waits for a row of this part, or holds one.
    pub fn is_live(self) -> bool {
        // SAFETY: as above. Both flags are off after a rescan.
        unsafe {
            let request = &*self.0;
            request.callback_pending || request.request_complete && !request.result.is_null()
        }
    }
}

impl<'e> AsyncRequest<'e> {
    /// # Safety
    /// `request` is valid while `'e` lasts.
    pub unsafe fn new(request: *mut pg_sys::AsyncRequest) -> Self {
        AsyncRequest(request, PhantomData)
    }

    /// The scan.
    pub fn node(self) -> ScanNode<'e> {
        // SAFETY: the requestee is a foreign scan of ours.
        unsafe { ScanNode::new((*self.0).requestee.cast()) }
    }

    /// The request, to be kept with the scan.
    pub fn asker(self) -> Asker {
        Asker(self.0)
    }

    /// Runs the scan, its filter and its projection for one row; `None` if there is none now.
    pub fn run(self) -> Option<*mut pg_sys::TupleTableSlot> {
        // SAFETY: a node in execution has its function; it is called as ExecProcNode would.
        let slot = unsafe {
            let state = (*self.0).requestee;
            let next =
                (*state).ExecProcNodeReal.expect("invariant: an executing node has a function");
            pg_sys::ffi::pg_guard_ffi_boundary(|| next(state))
        };
        // SAFETY: NULL or a slot.
        let empty =
            slot.is_null() || unsafe { (*slot).tts_flags } & pg_sys::TTS_FLAG_EMPTY as u16 != 0;
        (!empty).then_some(slot)
    }

    /// Answers with a row, or with `None` for the end.
    pub fn done(self, slot: Option<*mut pg_sys::TupleTableSlot>) {
        // SAFETY: a valid request that is not complete.
        unsafe { ExecAsyncRequestDone(self.0, slot.unwrap_or(std::ptr::null_mut())) }
    }

    /// Answers that there is no row yet.
    pub fn pending(self) {
        // SAFETY: as above.
        unsafe { ExecAsyncRequestPending(self.0) }
    }

    /// Runs `answer` for a request that was waiting, and hands its answer, if it gave one, to the
    /// Append: while it configures its waiting, it does not look for answers by itself. Returns
    /// whether there was one.
    pub fn answer_early<E>(self, answer: impl FnOnce() -> Result<(), E>) -> Result<bool, E> {
        // SAFETY: a valid request.
        unsafe { (*self.0).callback_pending = false };
        answer()?;
        // SAFETY: as above; the answer is the scan's slot or the end.
        unsafe {
            let complete = (*self.0).request_complete;
            if complete {
                let instrument = (*(*self.0).requestee).instrument;
                let rows = if (*self.0).result.is_null() { 0.0 } else { 1.0 };
                if !instrument.is_null() {
                    pg_sys::InstrUpdateTupleCount(instrument, rows);
                }
                pg_sys::ffi::pg_guard_ffi_boundary(|| ExecAsyncResponse(self.0));
            }
            Ok(complete)
        }
    }

    /// Wakes the Append when there is input on a socket.
    pub fn watch(self, fd: i32) {
        self.add_event(fd, pg_sys::WL_SOCKET_READABLE);
    }

    /// Whether the Append starts anew: it waits for the answers of all its parts and reads none of them
    /// (`ExecReScanAppend`). Otherwise the answer of a part is always among its results, or the part is
    /// among those that it will ask again.
    pub fn drops_answers(self) -> bool {
        // SAFETY: only Append asks; the array has an entry, or NULL, for each part.
        unsafe {
            let append = &*(*self.0).requestor.cast::<pg_sys::AppendState>();
            append.as_nasyncresults == 0
                && pg_sys::bms_is_empty(append.as_needrequest)
                && (0..append.as_nplans as usize).any(|at| {
                    let part = *append.as_asyncrequests.add(at);
                    !part.is_null() && (*part).request_complete && !(*part).result.is_null()
                })
        }
    }

    /// Makes the Append look around at once instead of waiting; it does nothing about room for output.
    /// `ready` is in no other wait.
    pub fn look_around(self, ready: &AlwaysReady) {
        self.add_event(ready.fd(), pg_sys::WL_SOCKET_WRITEABLE);
    }

    fn add_event(self, fd: i32, events: u32) {
        // SAFETY: only Append asks, and it has made its set.
        unsafe {
            let append = (*self.0).requestor.cast::<pg_sys::AppendState>();
            pg_sys::AddWaitEventToSet(
                (*append).as_eventset,
                events,
                fd,
                std::ptr::null_mut(),
                self.0.cast(),
            );
        }
    }
}
