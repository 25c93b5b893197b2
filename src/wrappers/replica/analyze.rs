//! ANALYZE of a replica table: a random sample taken at the source.

use super::build;
use super::columns::{Eyes, ReplicaTable, TableColumn};
use super::deparse;
use super::known;
use super::masked;
use super::scan::RowReader;
use super::stream::{Request, Stream};
use super::{query, registry};
use crate::pg::catalog;
use crate::pg::error::Result;
use crate::pg::tuple;
use pgrx::pg_sys::{self, Oid};
use serde::Deserialize;
use warehouse_core::quote;

/// What the source's catalog says of a table.
#[derive(Debug, Deserialize)]
struct Size {
    kind: char,
    tuples: f64,
    pages: f64,
}

/// AnalyzeForeignTable: the pages of the table at the source.
pub fn pages(relation: Oid) -> Result<u32> {
    let table = known::table(relation, Eyes::Anybody).table;
    Ok((size(&table)?.pages as u32).max(1))
}

fn connection(table: &ReplicaTable) -> Result<std::rc::Rc<super::connection::Connection>> {
    // SAFETY: a plain question; ANALYZE runs as the table's owner.
    registry::connection(table.server, unsafe { pg_sys::GetUserId() })
}

/// Kind and size. A partitioned table's are those of its leaves; a view has none.
fn size(table: &ReplicaTable) -> Result<Size> {
    let name = quote::literal(table.remote_name());
    query::json(
        &*connection(table)?,
        &format!(
            "SELECT json_build_object('kind', c.relkind, \
               'tuples', CASE WHEN c.relkind = 'p' THEN l.tuples ELSE c.reltuples END, \
               'pages', CASE WHEN c.relkind = 'p' THEN l.pages ELSE c.relpages END) \
             FROM pg_class c CROSS JOIN LATERAL (\
               SELECT COALESCE(sum(GREATEST(k.reltuples, 0)), 0) AS tuples, COALESCE(sum(k.relpages), 0) AS pages \
               FROM pg_partition_tree(c.oid) p JOIN pg_class k ON k.oid = p.relid AND p.isleaf) l \
             WHERE c.oid = {name}::regclass"
        ),
    )
    .map_err(|error| error.within(table.label()))
}

/// AcquireSampleRows: fills `rows` with at most as many rows as it holds, each as likely as any other;
/// returns how many there are and how many the table has.
///
/// # Safety
/// `relation` is open.
pub unsafe fn sample(
    relation: pg_sys::Relation,
    rows: &mut [pg_sys::HeapTuple],
) -> Result<(usize, f64)> {
    // SAFETY: the caller's promise.
    let (oid, desc) = unsafe { ((*relation).rd_id, (*relation).rd_att) };
    // Whoever asks: a sample is kept.
    let table = known::table(oid, Eyes::Anybody).table;
    let size = size(&table)?;
    let connection = connection(&table)?;
    let all: Vec<&TableColumn> = table.columns.iter().collect();
    let (fetched, remote) = build::fetched(&all, &table.columns);
    let (mut sql, probe) = deparse::whole_table(&table, &remote);
    // A view, a foreign table there, or a table that nobody has analyzed there is read in full.
    let samples = matches!(size.kind, 'r' | 'm' | 'p') && size.tuples > rows.len() as f64 * 1.5;
    if samples {
        let percent = 100.0 * rows.len() as f64 / size.tuples;
        sql.push_str(&format!(" TABLESAMPLE BERNOULLI ({percent})"));
    }
    // SAFETY: the descriptor of an open relation.
    let width = unsafe { catalog::descriptor_width(desc) };
    let mut reader = RowReader::new(width, &fetched, &build::constants(&all))?;
    let stream = Stream::open(
        &connection,
        Request {
            sql,
            probe,
            collation: None,
            label: table.label().to_owned(),
            width: reader.fetched(),
            row_size: 100,
            piecewise: false,
            styles: None,
            withheld: masked::any(&fetched),
        },
        false,
    )?;
    let mut stream = stream.borrow_mut();
    let mut values = vec![pg_sys::Datum::from(0); width];
    let mut nulls = vec![true; width];
    let mut random = Random::new();
    let mut seen = 0usize;
    let mut kept = 0usize;
    while stream.advance()? {
        seen += 1;
        // Vitter's algorithm R.
        let place = if kept < rows.len() {
            kept += 1;
            kept - 1
        } else {
            let place = random.below(seen);
            if place >= rows.len() {
                continue;
            }
            place
        };
        let (bytes, fields) = stream.row();
        reader.read(bytes, fields, &mut values, &mut nulls)?;
        // SAFETY: one value and one flag a column of the descriptor; a replaced tuple is ours.
        unsafe {
            if seen > kept {
                pg_sys::heap_freetuple(rows[place]);
            }
            rows[place] = tuple::form(desc, &mut values, &mut nulls);
        }
    }
    let total = if samples { size.tuples } else { seen as f64 };
    Ok((kept, total))
}

/// A small generator (xorshift64*, Vigna 2016): a sample needs no better one.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64);
        Random(nanos | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        (value as f64 / (1u64 << 53) as f64 * bound as f64) as usize
    }
}
