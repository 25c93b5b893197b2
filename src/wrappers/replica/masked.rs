//! Columns that are masked on their way: what they need beside them, and the maskers of a scan.

use super::columns::TableColumn;
use super::decode::{Travel, is_data_exception};
use super::options::ColumnSource;
use super::private::{Fetched, MaskNote};
use crate::pg::error::{Error, Result};
use crate::pg::{datum, sha256, types};
use crate::privacy::family::family;
use crate::privacy::policy::Shown;
use crate::privacy::{keys, shuffling, zip3};
use pgrx::pg_sys::{self, Oid};
use warehouse_core::copy::Field;
use warehouse_core::masks::wire::{FEW, Outcome, WireMasker, WireType};
use warehouse_core::masks::{Context, Mask, MaskError};

/// A column of one of the relations of a scan, by relation and number.
pub type Origin = Option<(u32, i16)>;

/// What a column's mask is, for the plan.
pub fn note(column: &TableColumn) -> Option<MaskNote> {
    match &column.shown {
        Shown::Masked(mask) => Some(MaskNote { text: mask.to_string(), others: Vec::new() }),
        _ => None,
    }
}

/// A column that is fetched raw, for another one's mask.
pub struct Companion<'t> {
    /// Its relation.
    pub relation: u32,
    /// The column.
    pub column: &'t TableColumn,
}

/// Lets each mask find the columns it needs among those that are fetched; what is not among them is
/// added to `fetched`, hidden, and returned.
pub fn companions<'t>(
    fetched: &mut Vec<Fetched>,
    origins: &mut Vec<Origin>,
    columns_of: impl Fn(u32) -> &'t [TableColumn],
) -> Vec<Companion<'t>> {
    let mut added = Vec::new();
    for at in 0..fetched.len() {
        let (Some(note), Some((relation, _))) = (&fetched[at].mask, origins[at]) else { continue };
        // A policy that cannot be read hides the column: it has no mask then.
        let Ok(mask) = note.text.parse::<Mask>() else { continue };
        let mut others = Vec::new();
        for name in mask.columns() {
            let found = columns_of(relation).iter().find(|column| {
                column.name == name && matches!(column.raw, ColumnSource::Remote { .. })
            });
            others.push(found.map(|column| {
                let wanted = Some((relation, column.number));
                let known = origins.iter().position(|origin| *origin == wanted);
                known.unwrap_or_else(|| {
                    fetched.push(Fetched {
                        hidden: true,
                        mask: None,
                        ..Fetched::of(column, column.number as usize - 1)
                    });
                    origins.push(wanted);
                    added.push(Companion { relation, column });
                    fetched.len() - 1
                })
            }));
        }
        if let Some(note) = &mut fetched[at].mask {
            note.others = others;
        }
    }
    added
}

/// Whether raw values of masked columns are fetched.
pub fn any(fetched: &[Fetched]) -> bool {
    fetched.iter().any(|column| column.mask.is_some() || column.hidden)
}

/// How the values of a type travel.
pub fn wire_type(of: Oid, travel: Travel) -> WireType {
    if travel == Travel::Text {
        return WireType::Text;
    }
    let of = types::base_type(of);
    match of {
        pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID | pg_sys::NAMEOID => {
            WireType::Text
        }
        pg_sys::INT2OID => WireType::Int2,
        pg_sys::INT4OID => WireType::Int4,
        pg_sys::INT8OID => WireType::Int8,
        pg_sys::NUMERICOID => WireType::Numeric,
        pg_sys::FLOAT4OID => WireType::Float4,
        pg_sys::FLOAT8OID => WireType::Float8,
        pg_sys::BOOLOID => WireType::Bool,
        pg_sys::DATEOID => WireType::Date,
        pg_sys::TIMESTAMPOID => WireType::Timestamp,
        pg_sys::TIMESTAMPTZOID => WireType::TimestampTz,
        pg_sys::INETOID | pg_sys::CIDROID => WireType::Inet,
        pg_sys::UUIDOID => WireType::Uuid,
        pg_sys::JSONOID => WireType::Json,
        pg_sys::JSONBOID => WireType::Jsonb,
        pg_sys::BYTEAOID => WireType::Bytea,
        _ => match types::facts(of) {
            Some(facts) if facts.element != Oid::INVALID => {
                WireType::Array(Box::new(wire_type(facts.element, Travel::Binary)))
            }
            _ => WireType::Opaque,
        },
    }
}

/// The masker of a column of a scan.
#[derive(Debug)]
pub struct ColumnMasker {
    masker: WireMasker,
    name: String,
    /// Which field of the message it masks.
    field: usize,
    /// The fields that its mask needs, and their forms.
    others: Vec<Option<(usize, WireType)>>,
    /// Characters at most, of a varchar(n).
    at_most: Option<usize>,
    /// What may be seen of the current value, behind four bytes for its length and before a NUL.
    buffer: Vec<u8>,
    /// What came of it.
    outcome: Outcome,
}

impl ColumnMasker {
    /// The masker for `fetched[at]`; `None` if it has no mask. `positions` are the first fields of the
    /// columns.
    ///
    /// # Errors
    /// 55000 where the mask needs a key and there is none.
    pub fn new(
        fetched: &[Fetched],
        at: usize,
        positions: &[usize],
    ) -> Result<Option<ColumnMasker>> {
        let column = &fetched[at];
        let Some(note) = &column.mask else { return Ok(None) };
        let of = Oid::from(column.of);
        let told = |error: MaskError| told(&column.name, error);
        let mask: Mask = note.text.parse().map_err(told)?;
        let keyring =
            if mask.domains().is_empty() { None } else { Some(keys::required(mask.name())?) };
        if mask == Mask::Shuffle && shuffling::is_allowed() {
            // Done to the rows of the source: see `shuffle`.
            return Ok(None);
        }
        let zip3 = zip3::wanted_by(&mask)?;
        let context = Context {
            keys: keyring.as_deref(),
            today: datum::today(),
            zip3: zip3.as_deref(),
            together: sha256::together(),
        };
        let masker = mask.prepare(&family(of), &context).map_err(told)?;
        let travel = |column: &Fetched| if column.text { Travel::Text } else { Travel::Binary };
        let others = note.others.iter().map(|other| {
            let other = other.filter(|other| *other < fetched.len())?;
            let column = &fetched[other];
            Some((positions[other], wire_type(Oid::from(column.of), travel(column))))
        });
        // A token or a pseudonym that is cut is none.
        let limited = matches!(of, pg_sys::VARCHAROID | pg_sys::BPCHAROID)
            && column.typmod > 4
            && !mask.keeps_equality();
        Ok(Some(ColumnMasker {
            masker: WireMasker::new(masker, wire_type(of, travel(column))),
            name: column.name.clone(),
            field: positions[at],
            others: others.collect(),
            at_most: limited.then(|| column.typmod as usize - 4),
            buffer: Vec::new(),
            outcome: Outcome::Null,
        }))
    }

    /// Whether it is faster if it sees the rows that come next.
    pub fn looks_ahead(&mut self) -> bool {
        self.masker.looks_ahead()
    }

    /// Sees the rows that come next, the one that is masked next among them. What comes of a value does not
    /// depend on it.
    pub fn ahead<'r>(&mut self, rows: impl Iterator<Item = (&'r [u8], &'r [Field])>) {
        let at = self.field;
        self.masker.ahead(rows.filter_map(|(message, fields)| {
            let field = fields.get(at).filter(|field| field.len >= 0)?;
            message.get(field.offset..field.offset + field.len as usize)
        }));
    }

    /// Masks the column's value in a row; says how many bytes came of it.
    pub fn mask(&mut self, message: &[u8], fields: &[Field]) -> Result<usize> {
        let bytes = |at: usize| {
            let field = fields.get(at).filter(|field| field.len >= 0)?;
            message.get(field.offset..field.offset + field.len as usize)
        };
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; 4]);
        let Some(value) = bytes(self.field) else {
            self.outcome = Outcome::Null;
            return Ok(0);
        };
        let mut few = [None; FEW];
        let mut many = Vec::new();
        let others = match few.get_mut(..self.others.len()) {
            Some(few) => few,
            None => {
                many.resize(self.others.len(), None);
                &mut many
            }
        };
        for (other, found) in self.others.iter().zip(&mut *others) {
            *found = other.as_ref().and_then(|(at, of)| Some((of, bytes(*at)?)));
        }
        self.outcome = self
            .masker
            .mask(value, others, &mut self.buffer)
            .map_err(|error| told(&self.name, error))?;
        // So many bytes are no more characters.
        if let (Outcome::Written, Some(at_most)) = (self.outcome, self.at_most)
            && self.buffer.len() - 4 > at_most
        {
            let text = std::str::from_utf8(&self.buffer[4..]).unwrap_or_default();
            if let Some((end, _)) = text.char_indices().nth(at_most) {
                self.buffer.truncate(4 + end);
            }
        }
        // Receive functions may rely on a NUL behind their data, as libpq keeps one behind a message.
        self.buffer.push(0);
        Ok(self.buffer.len())
    }

    /// What came of the current value.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Where the bytes that may be seen stand, and their number: behind four of its own and before a NUL.
    pub fn bytes(&mut self) -> (&mut [u8], usize, usize) {
        let len = self.buffer.len() - 5;
        (&mut self.buffer, 4, len)
    }
}

/// An error of a source that may quote the value of a masked column, such as of a cast that failed there,
/// without its message.
pub fn withheld(error: Error) -> Error {
    if !is_data_exception(error.code()) {
        return error;
    }
    Error::new(
        error.code(),
        "a value cannot be read at the source; what the source says of it is withheld, because columns are masked",
    )
    .hint("Ask the source itself, with the right to see its data.")
}

/// An error of a mask, which never holds a value.
fn told(column: &str, error: MaskError) -> Error {
    Error::from(error).within(&format!("column \"{column}\""))
}
