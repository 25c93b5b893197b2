//! `warehouse`: the extension. Only the module list and `_PG_init`.

pgrx::pg_module_magic!();

mod jobs;
mod materialize;
mod pg;
mod privacy;
mod settings;
#[cfg(any(test, feature = "pg_test"))]
mod tests;
mod wrappers;

pgrx::extension_sql_file!("../sql/bootstrap.sql", name = "bootstrap", bootstrap);
pgrx::extension_sql_file!("../sql/replica.sql", name = "replica");
pgrx::extension_sql_file!("../sql/api.sql", name = "api", requires = ["replica"]);
pgrx::extension_sql_file!(
    "../sql/privacy_functions.sql",
    name = "privacy_functions",
    requires = [
        create_key,
        rotate_key,
        shred_key,
        register_domain,
        keys,
        partial,
        partial_email,
        partial_phone,
        partial_card,
        partial_url,
        initial,
        ip_prefix,
        zip3,
        pseudonym_text,
        pseudonym_bigint,
        pseudonym_uuid,
        token,
        reveal,
        fpe_text,
        fpe_bigint,
        fpe_integer,
        fpe_alphabet,
        hash_text,
        fake_first_name,
        fake_last_name,
        fake_full_name,
        fake_email,
        fake_phone,
        fake_street,
        fake_city,
        fake_company,
        fake_user_name,
        fake_distinct_outputs,
        generalize_integer,
        generalize_bigint,
        generalize_numeric,
        generalize_date,
        generalize_timestamp,
        generalize_timestamptz,
        generalize_range_integer,
        generalize_range_bigint,
        generalize_range_numeric,
        generalize_range_date,
        generalize_range_timestamp,
        generalize_range_timestamptz,
        bands,
        age_of,
        age_band,
        noise_integer,
        noise_bigint,
        noise_numeric,
        noise_float,
        noise_timestamptz,
        date_shift_date,
        date_shift_timestamp,
        date_shift_timestamptz,
        redact_patterns,
        redact_names,
        mask_json,
        mask_text,
    ]
);
pgrx::extension_sql_file!(
    "../sql/privacy.sql",
    name = "privacy",
    requires = [
        "replica",
        "api",
        privacy::policy::reads_as,
        privacy::audit::record_sql,
        privacy::classify::classify,
        privacy::survey::classify_schema,
        privacy::sites::restrictions_changed,
    ]
);
pgrx::extension_sql_file!(
    "../sql/materialize.sql",
    name = "materialize",
    requires = [
        "privacy",
        materialize::functions::define,
        materialize::functions::run,
        materialize::functions::running,
        materialize::functions::drop_definition,
        materialize::forget::run_forget,
        jobs::functions::wake_jobs,
        jobs::functions::set_paused,
        jobs::functions::request_run,
        jobs::functions::run_backfill,
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
    wrappers::lookup::install();
    wrappers::replica::pool::install();
    wrappers::replica::samples::install();
    wrappers::api::install();
    materialize::progress::install();
    jobs::install();
}

#[cfg(test)]
pub use tests::pg_test;
