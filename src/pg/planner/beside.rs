//! What a relation has beside it: the parts of the same whole, and what it is joined with.

use super::{Planner, Rel, Relations};
use crate::pg::list;
use pgrx::pg_sys;
use std::marker::PhantomData;

impl<'p> Rel<'p> {
    /// The parts of the relation that it is a part of, as far as the planner has come, with itself.
    pub fn parts_beside(self, planner: Planner<'p>) -> impl Iterator<Item = Rel<'p>> {
        let of = self.get().top_parent_relids;
        // SAFETY: NULL or the relations of the whole, which the planner has met.
        let whole = unsafe {
            let mut relid = 0;
            if of.is_null() {
                None
            } else if pg_sys::bms_get_singleton_member(of, &mut relid) {
                planner.relation(relid as u32)
            } else {
                let join = pg_sys::find_join_rel(planner.0, of);
                (!join.is_null()).then_some(Rel(join, PhantomData))
            }
        };
        let (parts, count) = whole.map_or((std::ptr::null_mut(), 0), |whole| {
            let whole = whole.get();
            (whole.part_rels, if whole.part_rels.is_null() { 0 } else { whole.nparts.max(0) })
        });
        (0..count as usize).filter_map(move |at| {
            // SAFETY: an array of that many relations, NULL for those not met yet.
            let part = unsafe { *parts.add(at) };
            (!part.is_null()).then_some(Rel(part, PhantomData))
        })
    }

    /// Whether the joins of this relation with all of `others` can be computed part by part or as a whole
    /// where it is: they are of the same server, or merged in the same way as what it is a part of.
    pub fn is_joined_with(self, planner: Planner<'p>, others: Relations<'p>) -> bool {
        let own = self.get();
        let parent = planner.append_parent(own.relid).and_then(|parent| planner.relation(parent));
        let scheme = |rel: &pg_sys::RelOptInfo| {
            Some(rel.part_scheme).filter(|s| !s.is_null() && rel.consider_partitionwise_join)
        };
        let wanted = parent.and_then(|parent| scheme(parent.get()));
        let mut at = -1;
        loop {
            // SAFETY: a set of range table indexes.
            at = unsafe { pg_sys::bms_next_member(others.0, at) };
            if at < 0 {
                return true;
            }
            let Some(other) = planner.relation(at as u32) else { return false };
            let other = other.get();
            let same_server =
                own.serverid != pg_sys::Oid::INVALID && own.serverid == other.serverid;
            if !same_server && (wanted.is_none() || scheme(other) != wanted) {
                return false;
            }
        }
    }

    /// Whether the planner will also join it part by part.
    pub fn is_joined_by_parts(self) -> bool {
        self.get().consider_partitionwise_join && self.has_parts()
    }

    /// The server of a foreign table or of a join of such; invalid for others.
    pub fn server(self) -> pg_sys::Oid {
        self.get().serverid
    }

    /// Whether every other table of the query is one that it is joined with where it is, by conditions that
    /// can be hashed wherever equalities imply them.
    pub fn is_only_joined_by_hash(self, planner: Planner<'p>) -> bool {
        let own = self.get();
        // SAFETY: valid planner state; the set is a new one.
        unsafe {
            let whole =
                if own.top_parent_relids.is_null() { own.relids } else { own.top_parent_relids };
            let others = pg_sys::bms_difference(planner.get().all_baserels, whole);
            self.is_joined_with(planner, Relations(others, PhantomData))
                && list::pointers::<pg_sys::EquivalenceClass>(planner.get().eq_classes).all(
                    |class| {
                        list::pointers::<pg_sys::EquivalenceMember>((*class).ec_members)
                            .filter(|member| !(**member).em_is_child)
                            .all(|member| {
                                let flags = pg_sys::TYPECACHE_HASH_PROC as i32;
                                let of = pg_sys::lookup_type_cache((*member).em_datatype, flags);
                                (*of).hash_proc != pg_sys::Oid::INVALID
                            })
                    },
                )
        }
    }

    /// Whether it is joined by nothing but what equalities imply.
    pub fn has_no_other_joins(self) -> bool {
        self.get().joininfo.is_null()
    }
}
