//! Writing planner statistics of a relation that ANALYZE has not read itself.
//!
//! PostgreSQL 15 has no function for it (18 has pg_restore_attribute_stats), so the catalog rows are
//! formed here, as `update_attstats` in commands/analyze.c does.

use super::catalog::Attribute;
use super::datum::from_text;
use super::error::{Error, Result};
use super::subtransaction::attempt;
use super::types;
use pgrx::pg_sys::{self, Datum, Oid};

/// A column's statistics; arrays are literals of the column's array type.
#[derive(Debug, Clone, Default)]
pub struct ColumnStatistics {
    /// Fraction of NULLs.
    pub null_fraction: f32,
    /// Mean width in bytes.
    pub width: i32,
    /// Distinct values, negative as a fraction of the rows.
    pub distinct: f32,
    /// Most common values and their frequencies.
    pub common: Option<(String, Vec<f32>)>,
    /// Histogram bounds; leave out where the order may differ here.
    pub histogram: Option<String>,
    /// Correlation of the physical with the logical order.
    pub correlation: Option<f32>,
}

/// Sets the number of rows and pages of a relation that the transaction holds a lock on.
pub fn set_size(relation: Oid, pages: u32, tuples: f64) {
    // SAFETY: the relation exists; it is opened and closed with a lock that ANALYZE would take.
    unsafe {
        let lock = pg_sys::ShareUpdateExclusiveLock as i32;
        let opened = pg_sys::relation_open(relation, lock);
        pg_sys::vac_update_relstats(
            opened,
            pages,
            tuples,
            0,
            false,
            pg_sys::InvalidTransactionId,
            pg_sys::MultiXactId::from(0),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            true,
        );
        pg_sys::relation_close(opened, pg_sys::NoLock as i32);
    }
}

/// Sets a column's statistics; `inherited` for those of a table with its partitions. Values that are
/// no values of the local type are an error, and nothing is changed.
pub fn set_column(
    relation: Oid,
    column: &Attribute,
    inherited: bool,
    statistics: &ColumnStatistics,
) -> Result<()> {
    attempt(|| {
        let mut row = Row::new(relation, column, inherited, statistics);
        let (less, _) = types::default_order(column.of);
        let equal = types::default_equality(column.of);
        // SAFETY: plain lookup.
        let array = unsafe { pg_sys::get_array_type(types::base_type(column.of)) };
        if array != Oid::INVALID {
            if let Some((values, frequencies)) = &statistics.common
                && equal != Oid::INVALID
            {
                row.slot(
                    pg_sys::STATISTIC_KIND_MCV,
                    equal,
                    column,
                    Some(frequencies),
                    Some((values, array)),
                );
            }
            if let Some(values) = &statistics.histogram
                && less != Oid::INVALID
            {
                row.slot(
                    pg_sys::STATISTIC_KIND_HISTOGRAM,
                    less,
                    column,
                    None,
                    Some((values, array)),
                );
            }
        }
        if let Some(correlation) = statistics.correlation
            && less != Oid::INVALID
        {
            row.slot(pg_sys::STATISTIC_KIND_CORRELATION, less, column, Some(&[correlation]), None);
        }
        row.write(relation, column.number, inherited);
        Ok::<(), Error>(())
    })
}

/// Removes what ANALYZE or an import has written down of a column.
pub fn forget_column(relation: Oid, number: i16) {
    // SAFETY: deletes catalog rows of a relation that the transaction holds a lock on.
    unsafe { pg_sys::RemoveStatistics(relation, number) };
}

/// Removes the values of an object of CREATE STATISTICS; ANALYZE fills it again.
pub fn forget_extended(object: Oid) {
    for inherited in [false, true] {
        // SAFETY: deletes a catalog row if there is one.
        unsafe { pg_sys::RemoveStatisticsDataById(object, inherited) };
    }
}

const WIDTH: usize = pg_sys::Natts_pg_statistic as usize;

struct Row {
    values: [Datum; WIDTH],
    nulls: [bool; WIDTH],
    slots: usize,
}

impl Row {
    fn new(relation: Oid, column: &Attribute, inherited: bool, s: &ColumnStatistics) -> Row {
        let mut row = Row { values: [Datum::from(0); WIDTH], nulls: [false; WIDTH], slots: 0 };
        row.put(pg_sys::Anum_pg_statistic_starelid, Datum::from(relation));
        row.put(pg_sys::Anum_pg_statistic_staattnum, Datum::from(column.number));
        row.put(pg_sys::Anum_pg_statistic_stainherit, Datum::from(inherited));
        row.put(pg_sys::Anum_pg_statistic_stanullfrac, float(s.null_fraction));
        row.put(pg_sys::Anum_pg_statistic_stawidth, Datum::from(s.width));
        row.put(pg_sys::Anum_pg_statistic_stadistinct, float(s.distinct));
        for i in 0..5 {
            row.nulls[(pg_sys::Anum_pg_statistic_stanumbers1 + i) as usize - 1] = true;
            row.nulls[(pg_sys::Anum_pg_statistic_stavalues1 + i) as usize - 1] = true;
        }
        row
    }

    fn put(&mut self, attribute: u32, value: Datum) {
        self.values[attribute as usize - 1] = value;
        self.nulls[attribute as usize - 1] = false;
    }

    fn slot(
        &mut self,
        kind: u32,
        operator: Oid,
        column: &Attribute,
        numbers: Option<&[f32]>,
        values: Option<(&str, Oid)>,
    ) {
        let i = self.slots as u32;
        self.slots += 1;
        self.put(pg_sys::Anum_pg_statistic_stakind1 + i, Datum::from(kind as i16));
        self.put(pg_sys::Anum_pg_statistic_staop1 + i, Datum::from(operator));
        self.put(pg_sys::Anum_pg_statistic_stacoll1 + i, Datum::from(column.collation));
        if let Some(numbers) = numbers {
            let list: Vec<String> = numbers.iter().map(f32::to_string).collect();
            let text = format!("{{{}}}", list.join(","));
            let value = from_text(&text, pg_sys::FLOAT4ARRAYOID, -1);
            self.put(pg_sys::Anum_pg_statistic_stanumbers1 + i, value);
        }
        if let Some((text, array)) = values {
            let value = from_text(text, array, column.typmod);
            self.put(pg_sys::Anum_pg_statistic_stavalues1 + i, value);
        }
    }

    fn write(mut self, relation: Oid, number: i16, inherited: bool) {
        // SAFETY: the catalog is opened with the lock that ANALYZE takes; the tuple has its
        // descriptor; an existing row is replaced.
        unsafe {
            let catalog =
                pg_sys::table_open(pg_sys::StatisticRelationId, pg_sys::RowExclusiveLock as i32);
            let tuple = pg_sys::heap_form_tuple(
                (*catalog).rd_att,
                self.values.as_mut_ptr(),
                self.nulls.as_mut_ptr(),
            );
            let old = pg_sys::SearchSysCache3(
                pg_sys::SysCacheIdentifier::STATRELATTINH as i32,
                Datum::from(relation),
                Datum::from(number),
                Datum::from(inherited),
            );
            if old.is_null() {
                pg_sys::CatalogTupleInsert(catalog, tuple);
            } else {
                let mut at = (*old).t_self;
                pg_sys::ReleaseSysCache(old);
                pg_sys::CatalogTupleUpdate(catalog, &mut at, tuple);
            }
            pg_sys::table_close(catalog, pg_sys::RowExclusiveLock as i32);
            pg_sys::CommandCounterIncrement();
        }
    }
}

fn float(value: f32) -> Datum {
    Datum::from(value.to_bits())
}
