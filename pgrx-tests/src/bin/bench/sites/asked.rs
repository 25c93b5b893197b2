//! Values of any type as they arrive, for comparing what drivers with bind parameters get.

use std::error::Error;

use anyhow::Result;
use postgres::Client;
use postgres::types::{FromSql, ToSql, Type};

/// A value in its binary form, which is the same for equal values of the types of the bench.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Raw(Option<Vec<u8>>);

impl FromSql<'_> for Raw {
    fn from_sql(_of: &Type, bytes: &[u8]) -> Result<Raw, Box<dyn Error + Sync + Send>> {
        Ok(Raw(Some(bytes.to_vec())))
    }

    fn from_sql_null(_of: &Type) -> Result<Raw, Box<dyn Error + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_of: &Type) -> bool {
        true
    }
}

impl Raw {
    /// The rows of a query with bind parameters, planned anew each time.
    pub fn rows(
        client: &mut Client,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Vec<Raw>>> {
        let rows = client.query(sql, parameters)?;
        rows.iter().map(|row| (0..row.len()).map(|at| Ok(row.try_get(at)?)).collect()).collect()
    }
}
