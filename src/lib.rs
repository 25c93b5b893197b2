//! `warehouse`: the extension. Only the module list and `_PG_init`.

pgrx::pg_module_magic!();

mod pg;
