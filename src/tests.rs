//! Tests that need one transaction of a Postgres and no source: declarations, planning without a
//! connection, and errors that name what is wrong.
//!
//! Whatever needs a source, a second session or a failure is in the package `warehouse-tests`.

#[pgrx::pg_schema]
mod tests {
    use pgrx::prelude::*;

    /// A server that nothing listens on, its mapping and a table.
    fn declare() {
        Spi::run(
            "CREATE SERVER nowhere FOREIGN DATA WRAPPER replica_fdw
               OPTIONS (host '127.0.0.1', port '1', dbname 'd', connect_timeout '1', unclassified 'clear');
             CREATE USER MAPPING FOR CURRENT_USER SERVER nowhere OPTIONS (user 'u', password 'p');
             CREATE FOREIGN TABLE t (id bigint NOT NULL, name text, at timestamptz)
               SERVER nowhere OPTIONS (schema_name 'app', table_name 'users',
                 indexes '[{\"columns\":[\"id\"],\"unique\":true,\"primary\":true}]');",
        )
        .expect("declarations");
    }

    fn explain(query: &str) -> String {
        Spi::connect(|client| {
            let rows = client
                .select(&format!("EXPLAIN (VERBOSE, COSTS OFF) {query}"), None, &[])
                .expect("a plan");
            let lines: Vec<String> =
                rows.filter_map(|row| row.get::<String>(1).ok().flatten()).collect();
            lines.join("\n")
        })
    }

    #[pg_test]
    fn planning_needs_no_connection() {
        declare();
        let plan = explain("SELECT name FROM t WHERE id = 7 AND at > '2026-01-01 00:00:00+00'");
        assert!(plan.contains("SELECT name FROM app.users WHERE"), "{plan}");
        assert!(plan.contains("(id = 7)"), "{plan}");
    }

    #[pg_test]
    fn a_contradiction_needs_no_connection() {
        declare();
        let found = Spi::get_one::<i64>("SELECT count(*) FROM t WHERE 1 <> 1").expect("a count");
        assert_eq!(found, Some(0));
    }

    #[pg_test]
    fn date_style_does_not_reach_the_source() {
        declare();
        Spi::run("SET LOCAL datestyle = 'German, DMY'; SET LOCAL timezone = 'UTC'").expect("set");
        let plan = explain("SELECT id FROM t WHERE at = '02.01.2026 00:00:00 UTC'::timestamptz");
        assert!(plan.contains("'2026-01-02 00:00:00+00'"), "{plan}");
    }

    #[pg_test]
    fn limit_and_order_go_together() {
        declare();
        let plan = explain("SELECT id FROM t ORDER BY id DESC LIMIT 3");
        assert!(plan.contains("ORDER BY id DESC NULLS FIRST LIMIT"), "{plan}");
        let plan = explain("SELECT id FROM t WHERE random() < 2 LIMIT 3");
        assert!(!plan.contains("LIMIT '3'"), "{plan}");
    }

    #[pg_test(
        error = "\"tests.t\": could not connect to server \"nowhere\": connection to server at \"127.0.0.1\", port 1 failed: Connection refused Is the server running on that host and accepting TCP/IP connections?"
    )]
    fn a_dead_source_is_named() {
        Spi::run("CREATE SCHEMA IF NOT EXISTS tests; SET LOCAL search_path = tests")
            .expect("schema");
        declare();
        Spi::run("SELECT warehouse.disconnect('nowhere')").expect("nothing to close");
        Spi::run("SELECT * FROM t").expect("raises");
    }

    #[pg_test]
    fn status_tells_of_a_dead_source() {
        declare();
        let error = Spi::get_one::<String>(
            "SELECT error FROM warehouse.replica_status() WHERE server = 'nowhere' AND NOT reachable",
        );
        assert!(error.expect("a row").is_some_and(|text| text.contains("refused")));
    }

    #[pg_test(error = "invalid option \"password\" for a server")]
    fn secrets_do_not_belong_to_servers() {
        Spi::run("CREATE SERVER s FOREIGN DATA WRAPPER replica_fdw OPTIONS (password 'p')")
            .expect("raises");
    }

    #[pg_test(error = "a column with the option \"constant\" takes no other option")]
    fn a_constant_column_has_no_name_at_the_source() {
        declare();
        Spi::run(
            "CREATE FOREIGN TABLE bad (site text OPTIONS (constant 'a', column_name 'b')) SERVER nowhere",
        )
        .expect("raises");
    }

    #[pg_test(error = "foreign table \"tests.t\" cannot be changed: replica_fdw only reads")]
    fn rows_cannot_be_inserted() {
        Spi::run("CREATE SCHEMA IF NOT EXISTS tests; SET LOCAL search_path = tests")
            .expect("schema");
        declare();
        Spi::run("INSERT INTO t VALUES (1)").expect("raises");
    }

    #[pg_test]
    fn constants_answer_for_their_column() {
        declare();
        Spi::run(
            "CREATE FOREIGN TABLE c (site text OPTIONS (constant 'ai'), id bigint) SERVER nowhere",
        )
        .expect("a table");
        let plan = explain("SELECT site, id FROM c WHERE site = 'ai'");
        assert!(plan.contains("Remote SQL: SELECT id FROM"), "{plan}");
        assert!(!plan.contains("WHERE"), "{plan}");
    }

    #[pg_test]
    fn keys_are_shown() {
        declare();
        let found = Spi::get_one::<i64>(
            "SELECT count(*) FROM warehouse.relationships
             WHERE kind = 'primary key' AND relation_name = 't' AND columns = '{id}'",
        );
        assert_eq!(found.expect("a count"), Some(1));
    }
}

/// What `cargo pgrx test` asks of the crate.
#[cfg(test)]
pub mod pg_test {
    /// Runs once before the tests.
    pub fn setup(_options: Vec<&str>) {}

    /// Settings of the test cluster.
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        Vec::new()
    }
}
