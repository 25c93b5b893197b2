//! Masks made ready once a session, and found again for every value.
//!
//! Preparing derives keys and builds tables, which costs many times what a value does. So what was
//! prepared is kept, by the function, its arguments and the keyring; a call that is like the last one
//! finds it by one comparison.

use super::result::FromMasked;
use crate::pg::error::{Error, OrRaise, Result};
use crate::privacy::{keys, zip3};
use pgrx::PgSqlErrorCode as Code;
use std::cell::RefCell;
use std::rc::Rc;
use warehouse_core::masks::postal::Restricted;
use warehouse_core::masks::{
    Context, IntWidth, Mask, MaskError, Masked, Masker, TypeFamily, Value,
};

/// The type of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Text,
    Integer,
    Bigint,
    Numeric,
    Float,
    Date,
    Timestamp,
    TimestampTz,
    Uuid,
    Json,
}

impl Of {
    fn family(self) -> TypeFamily {
        match self {
            Of::Text => TypeFamily::Text,
            Of::Integer => TypeFamily::Integer(IntWidth::Four),
            Of::Bigint => TypeFamily::Integer(IntWidth::Eight),
            Of::Numeric => TypeFamily::Numeric,
            Of::Float => TypeFamily::Float,
            Of::Date => TypeFamily::Date,
            Of::Timestamp => TypeFamily::Timestamp,
            Of::TimestampTz => TypeFamily::TimestampTz,
            Of::Uuid => TypeFamily::Uuid,
            Of::Json => TypeFamily::Json,
        }
    }
}

/// The day on which the transaction began, as ages are counted: the first of a call's numbers.
pub fn today() -> i64 {
    // SAFETY: reads the clock of the transaction.
    i64::from(unsafe { pgrx::pg_sys::GetSQLCurrentDate() })
}

/// What chooses a masker: the function, the type of its value, and its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub function: &'static str,
    pub of: Of,
    pub texts: &'a [&'a str],
    pub numbers: &'a [i64],
}

impl<'a> Call<'a> {
    /// A mask without arguments on text.
    pub fn plain(function: &'static str) -> Call<'a> {
        Call { function, of: Of::Text, texts: &[], numbers: &[] }
    }
}

struct Prepared {
    function: &'static str,
    of: Of,
    texts: Vec<String>,
    numbers: Vec<i64>,
    /// Of the keyring, for masks with keys.
    generation: Option<u64>,
    /// The areas that it hides, of a mask that asks for them.
    areas: Option<Areas>,
    masker: Masker,
    /// What the mask `constant` gives.
    constant: Option<String>,
}

/// The areas of few people that a masker was made with; `None` for those that are built in.
type Areas = Option<Rc<Restricted>>;

/// Whether a masker would be made the same now.
fn is_fresh(generation: Option<u64>, areas: Option<&Areas>) -> Result<bool> {
    let same_keys = match generation {
        Some(generation) => keys::generation()? == generation,
        None => true,
    };
    let same_areas = match areas {
        Some(areas) => zip3::restricted()? == *areas,
        None => true,
    };
    Ok(same_keys && same_areas)
}

impl Prepared {
    fn is_of(&self, call: &Call<'_>) -> bool {
        self.function == call.function
            && self.of == call.of
            && self.numbers == call.numbers
            && self.texts == call.texts
    }
}

/// The most that are kept; a query has few.
const MOST: usize = 32;

#[derive(Default)]
struct Kept {
    all: Vec<Prepared>,
    /// The one used last.
    last: usize,
    /// The one to give way.
    next: usize,
    out: String,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

impl Kept {
    fn find(&self, call: &Call<'_>) -> Option<usize> {
        match self.all.get(self.last) {
            Some(last) if last.is_of(call) => Some(self.last),
            _ => self.all.iter().position(|prepared| prepared.is_of(call)),
        }
    }

    fn keep(&mut self, at: Option<usize>, prepared: Prepared) -> usize {
        let at = at.unwrap_or_else(|| {
            let at = if self.all.len() < MOST { self.all.len() } else { self.next };
            self.next = (at + 1) % MOST;
            at
        });
        match self.all.get_mut(at) {
            Some(slot) => *slot = prepared,
            None => self.all.push(prepared),
        }
        at
    }
}

/// What may be seen of a value. `text` gives the text of the mask, which is read with all its checks;
/// `others` are the values that the mask takes from other columns. Raises what is wrong.
pub fn mask<T: FromMasked>(
    call: Call<'_>,
    text: impl FnOnce() -> String,
    value: Value<'_>,
    others: &[Option<Value<'_>>],
) -> Option<T> {
    let known = KEPT.with_borrow(|kept| {
        let at = kept.find(&call)?;
        let prepared = kept.all.get(at)?;
        Some((at, prepared.generation, prepared.areas.clone()))
    });
    let at = match known {
        Some((at, None, None)) => at,
        Some((at, generation, areas)) if is_fresh(generation, areas.as_ref()).or_raise() => at,
        stale => {
            let prepared = prepare(&call, &text(), others.len()).or_raise();
            KEPT.with_borrow_mut(|kept| kept.keep(stale.map(|(at, ..)| at), prepared))
        }
    };
    KEPT.with_borrow_mut(|kept| {
        kept.last = at;
        let Kept { all, out, .. } = kept;
        let prepared = all.get_mut(at).ok_or_else(|| Error::bug("a masker was lost"))?;
        let masked = match prepared.masker.mask(value, others, out)? {
            Masked::Unchanged => same(value)?,
            Masked::Constant => {
                let text = prepared.constant.as_deref().unwrap_or_default();
                if call.of == Of::Json { Masked::Json(text) } else { Masked::Text(text) }
            }
            masked => masked,
        };
        match masked {
            Masked::Null => Ok(None),
            masked => T::from_masked(masked).map(Some),
        }
    })
    .or_raise()
}

fn prepare(call: &Call<'_>, text: &str, others: usize) -> Result<Prepared> {
    let mask: Mask = text.parse().map_err(|error| of_argument(call, error))?;
    refuse_columns(call, &mask, others)?;
    let keyed = !mask.domains().is_empty();
    let generation = if keyed { Some(keys::generation()?) } else { None };
    let keyring = if keyed { Some(keys::required(mask.name())?) } else { None };
    let today = call.numbers.first().and_then(|today| i32::try_from(*today).ok()).unwrap_or(0);
    let zip3 = zip3::wanted_by(&mask)?;
    let context =
        Context { keys: keyring.as_deref(), today, zip3: zip3.as_deref(), together: None };
    Ok(Prepared {
        function: call.function,
        of: call.of,
        texts: call.texts.iter().map(|text| (*text).to_owned()).collect(),
        numbers: call.numbers.to_vec(),
        generation,
        areas: mask.reads_zip3().then(|| zip3.clone()),
        masker: mask.prepare(&call.of.family(), &context)?,
        constant: match mask {
            Mask::Constant(text) => Some(text),
            _ => None,
        },
    })
}

/// A mask given as text may ask for columns; a function has no row.
fn refuse_columns(call: &Call<'_>, mask: &Mask, others: usize) -> Result<()> {
    if mask.columns().len() <= others {
        return Ok(());
    }
    let message =
        format!("warehouse.{}: the mask reads other columns, and there is no row", call.function);
    let error = Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, message);
    Err(match mask {
        Mask::Json { .. } => error,
        _ => {
            let hint = format!("Use warehouse.{}(), which takes their values.", mask.name());
            error.hint(hint)
        }
    })
}

/// A text that was put together from arguments has no position that would mean something to whoever
/// called the function.
fn of_argument(call: &Call<'_>, error: MaskError) -> Error {
    let function = call.function;
    match error {
        MaskError::Argument { mask, expected, .. } if mask == function => Error::new(
            Code::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("invalid argument of warehouse.{function}: expected {expected}"),
        ),
        error => Error::from(error),
    }
}

fn same<'a>(value: Value<'a>) -> Result<Masked<'a>> {
    Ok(match value {
        Value::Text(text) => Masked::Text(text),
        Value::Integer(number) => Masked::Integer(number),
        Value::Numeric(text) => Masked::Numeric(text),
        Value::Float(number) => Masked::Float(number),
        Value::Date(days) => Masked::Date(days),
        Value::Timestamp(at) => Masked::Timestamp(at),
        Value::TimestampTz(at) => Masked::TimestampTz(at),
        Value::Inet(inet) => Masked::Inet(inet),
        Value::Uuid(bytes) => Masked::Uuid(bytes),
        Value::Json(text) => Masked::Json(text),
        Value::Bool(_) | Value::Bytes(_) => {
            return Err(Error::bug("no function takes such a value"));
        }
    })
}
