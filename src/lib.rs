//! `warehouse`: the extension. Only the module list and `_PG_init`.

pgrx::pg_module_magic!();

mod pg;
mod privacy;
mod settings;
#[cfg(any(test, feature = "pg_test"))]
mod tests;
mod wrappers;

pgrx::extension_sql_file!("../sql/bootstrap.sql", name = "bootstrap", bootstrap);
pgrx::extension_sql_file!("../sql/replica.sql", name = "replica");
pgrx::extension_sql_file!(
    "../sql/privacy.sql",
    name = "privacy",
    requires = [
        "replica",
        privacy::family::may_identify_sql,
        privacy::audit::record_sql,
        privacy::classify::classify,
        privacy::survey::classify_schema,
    ]
);
pgrx::extension_sql_file!("../sql/finalize.sql", name = "finalize", finalize);

/// Called when the library is loaded, by `shared_preload_libraries` or by the first function call.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    // A backtrace would be appended to the DETAIL of every error and cost half a second.
    // SAFETY: a backend has one thread while it loads a library.
    unsafe { std::env::remove_var("RUST_BACKTRACE") };
    settings::define();
    wrappers::replica::partitionwise::install();
    wrappers::replica::distinct::install();
    wrappers::replica::lookup::install();
    wrappers::replica::pool::install();
}

#[cfg(test)]
pub use tests::pg_test;
