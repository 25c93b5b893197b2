//! All parts of an Append at once.
//!
//! Postgres asks every part for a row without waiting; parts that have none yet say which socket will
//! bring it. Parts on one server share its connection, so only one of them has the wire: the others
//! wait for their turn, and take it when the one before has ended.

use super::scan::Scan;
use crate::pg::error::{Error, Result};
use crate::pg::executor::AsyncRequest;

fn scan<'e>(request: AsyncRequest<'e>) -> Result<&'e mut Scan> {
    // SAFETY: scans of this wrapper keep a `Scan`; nothing refers to it between two callbacks.
    unsafe { request.node().state::<Scan>() }
        .ok_or_else(|| Error::bug("a foreign scan was asked for a row before it began"))
}

/// ForeignAsyncRequest.
pub fn request(request: AsyncRequest<'_>) -> Result<()> {
    let scan = scan(request)?;
    scan.request(request.asker());
    if scan.waits_for_turn()? || scan.lets_others_have_a_turn() {
        request.pending();
        return Ok(());
    }
    produce(request)
}

/// ForeignAsyncConfigureWait: what to wait for, if there is anything to wait for.
pub fn configure_wait(request: AsyncRequest<'_>) -> Result<()> {
    // An Append that starts anew waits for the answers of all parts first: no turn would come.
    if scan(request)?.waits_for_turn()?
        && !(request.drops_answers() && scan(request)?.is_behind_an_answer()?)
    {
        return Ok(());
    }
    loop {
        match scan(request)?.awaited()? {
            Some(socket) => {
                request.watch(socket);
                return Ok(());
            }
            None => {
                if request.answer_early(|| produce(request))? {
                    // Others may have said that they wait.
                    request.look_around(scan(request)?.ready()?);
                    return Ok(());
                }
            }
        }
    }
}

/// ForeignAsyncNotify, and whenever a row may be there: answers with it, with the end, or not yet.
pub fn produce(request: AsyncRequest<'_>) -> Result<()> {
    // The scan's own function runs inside: no reference to its state may be held meanwhile.
    let slot = request.run();
    if slot.is_some() || scan(request)?.is_finished() {
        request.done(slot);
    } else {
        request.pending();
    }
    Ok(())
}
