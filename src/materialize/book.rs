//! Reading and writing the extension's own tables, with the rights of the extension's owner.

use crate::pg::error::{Error, Result};
use crate::pg::guc::Level;
use crate::pg::{catalog, identity};
use pgrx::PgSqlErrorCode as Code;
use pgrx::datum::DatumWithOid;
use pgrx::{JsonB, Spi, spi};
use serde::de::DeserializeOwned;

/// Runs `f` with the rights of the owner of the extension's tables.
///
/// # Errors
/// 42P01 if the extension is not there.
pub fn as_extension_owner<T>(f: impl FnOnce() -> T) -> Result<T> {
    let owner = catalog::relation_by_name("warehouse", "materialization")
        .and_then(catalog::relation_owner)
        .ok_or_else(|| {
            Error::new(Code::ERRCODE_UNDEFINED_TABLE, "extension warehouse is not in this database")
                .hint("CREATE EXTENSION warehouse; or ALTER EXTENSION warehouse UPDATE.")
        })?;
    // Whatever the caller's search_path says, and whatever is the default of transactions here.
    let level = Level::enter();
    level.set(c"search_path", c"pg_catalog, pg_temp");
    let outcome = identity::acting_as(owner, f);
    drop(level);
    Ok(outcome)
}

fn failed(error: &spi::Error) -> Error {
    Error::bug(format!("a statement of the extension failed: {error}"))
}

/// The JSON document that a statement yields as its one row; it may write and lock.
pub fn json<T: DeserializeOwned>(sql: &str, args: &[DatumWithOid<'_>]) -> Result<Option<T>> {
    let found = as_extension_owner(|| {
        Spi::connect_mut(|client| client.update(sql, Some(1), args)?.first().get_one::<JsonB>())
    })?;
    let value = match found {
        Err(spi::Error::InvalidPosition) => None,
        found => found.map_err(|e| failed(&e))?,
    };
    value
        .map(|json| serde_json::from_value(json.0))
        .transpose()
        .map_err(|e| Error::bug(format!("what the extension keeps cannot be read: {e}")))
}

/// Runs a statement on the extension's tables.
pub fn run(sql: &str, args: &[DatumWithOid<'_>]) -> Result<()> {
    as_extension_owner(|| Spi::run_with_args(sql, args))?.map_err(|e| failed(&e))
}
