//! `warehouse`: the extension. Only the module list and `_PG_init`.
use pgrx::prelude::*;
pgrx::pg_module_magic!();
