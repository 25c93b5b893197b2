//! Masks and keys in one transaction of a Postgres.

#[pgrx::pg_schema]
mod tests {
    use pgrx::prelude::*;
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

    /// A directory of one test, removed when it is over.
    struct Directory(PathBuf);

    impl Directory {
        fn new(test: &str) -> Directory {
            let path =
                std::env::temp_dir().join(format!("warehouse-{}-{test}", std::process::id()));
            fs::create_dir_all(&path).expect("a directory");
            Directory(path)
        }

        /// With a key file that the session uses.
        fn with_key(test: &str) -> Directory {
            let directory = Directory::new(test);
            let key = directory.key();
            fs::write(&key, KEY).expect("a key file");
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its mode");
            use_file(&key);
            directory
        }

        fn key(&self) -> PathBuf {
            self.0.join("key")
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn set(name: &str, value: &str) {
        let (name, value) = (CString::new(name), CString::new(value));
        // SAFETY: both are strings; the transaction's end undoes it.
        unsafe {
            pg_sys::set_config_option(
                name.expect("a name").as_ptr(),
                value.expect("a value").as_ptr(),
                pg_sys::GucContext::PGC_SIGHUP,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_LOCAL,
                true,
                0,
                false,
            );
        }
        crate::privacy::keys::forget();
    }

    fn use_file(path: &Path) {
        set("warehouse.key_command", "");
        set("warehouse.key_file", path.to_str().expect("UTF-8"));
    }

    fn text(sql: &str) -> Option<String> {
        Spi::get_one::<String>(&format!("SELECT ({sql})::text")).expect("a value")
    }

    #[track_caller]
    fn is(sql: &str, expected: &str) {
        assert_eq!(text(sql).as_deref(), Some(expected), "{sql}");
    }

    /// SQLSTATE and message of what a statement raises.
    fn error(sql: &str) -> (String, String) {
        prepare_errors();
        let query = "SELECT pg_temp.error_of($1)";
        let found = Spi::get_one_with_args::<Vec<String>>(query, &[sql.into()]);
        let found = found.expect("a call").unwrap_or_else(|| panic!("no error: {sql}"));
        (found[0].clone(), found[1].clone())
    }

    /// Makes the function that `error` calls, which not every role can.
    fn prepare_errors() {
        if text("to_regproc('pg_temp.error_of')").is_some() {
            return;
        }
        Spi::run(
            "CREATE FUNCTION pg_temp.error_of(query text) RETURNS text[] LANGUAGE plpgsql AS
             $$ BEGIN EXECUTE query; RETURN NULL;
                EXCEPTION WHEN OTHERS THEN RETURN ARRAY[SQLSTATE, SQLERRM]; END $$",
        )
        .expect("a function");
    }

    #[track_caller]
    fn fails(sql: &str, code: &str, part: &str) {
        let (state, message) = error(sql);
        assert_eq!(state, code, "{sql}: {message}");
        assert!(message.contains(part), "{sql}: {message}");
    }

    #[pg_test]
    fn masks_without_keys_are_functions() {
        is("warehouse.partial('Montgomery', 2, '***', 1)", "Mo***y");
        is("warehouse.partial('bob', 1, 'xxxx', 3)", "xxxx");
        is("warehouse.partial_email('anna.smith@example.com')", "an******@ex******.com");
        is("warehouse.partial_phone('+49 30 1234507')", "******07");
        is("warehouse.partial_card('4111 1111 1111 1111')", "************1111");
        is("warehouse.initial('Anna Smith')", "A. S.");
        is("warehouse.ip_prefix('192.168.17.42')", "192.168.17.0/24");
        is("warehouse.ip_prefix('2001:db8:1:2::3', 24, 32)", "2001:db8::/32");
        is("warehouse.zip3('90210')", "902");
        is("warehouse.zip3('03601')", "000");
        is("warehouse.redact('write to bob@example.com') NOT LIKE '%bob%'", "true");
        is("warehouse.redact('Anna met Bob', ARRAY['anna', NULL]) ~ 'Anna'", "false");
    }

    #[pg_test]
    fn values_are_generalized() {
        is("warehouse.generalize(42, 5)", "40");
        is("warehouse.generalize(-1, 5)", "-5");
        is("warehouse.generalize(42::bigint, 5)", "40");
        is("warehouse.generalize(42.32378, 10)", "40");
        is("warehouse.generalize(date '1904-11-07', 'week')", "1904-11-07");
        is("warehouse.generalize(date 'infinity', 'week')", "infinity");
        is("warehouse.generalize(timestamp '2024-05-06 07:08:09', 'hour')", "2024-05-06 07:00:00");
        is("warehouse.generalize_range(42, 5)", "[40,45)");
        is("warehouse.generalize_range(42.32378, 10)", "[40,50)");
        is("pg_typeof(warehouse.generalize_range(42::bigint, 5))", "int8range");
        is("warehouse.generalize_range(date '1904-11-07', 'decade')", "[1900-01-01,1910-01-01)");
        is("warehouse.generalize_range(date '1904-11-07', 'week')", "[1904-11-07,1904-11-14)");
        is("warehouse.bands(13, '{6,12,18}')", "[12,18)");
        is("warehouse.bands(3, ARRAY[6, 12, 18])", "(,6)");
        is("warehouse.age_of(current_date - 4000)", "10");
        is("warehouse.age_of('1900-01-01')", "90");
        is("warehouse.age_band('1900-01-01', 10)", "[90,)");
    }

    #[pg_test]
    fn null_stays_null() {
        for call in [
            "partial(NULL, 1, 'x', 1)",
            "partial_email(NULL)",
            "pseudonym(NULL::text, 'person')",
            "mask(NULL, 'hash(person)')",
            "generalize(NULL::date, 'week')",
            "fake_city(NULL)",
            "date_shift(date '2024-01-01', NULL, 30)",
            "noise(1, '10', NULL)",
        ] {
            // Without a key: a strict function is not even asked.
            assert_eq!(text(&format!("warehouse.{call}")), None, "{call}");
        }
    }

    #[pg_test]
    fn keyed_masks_are_functions() {
        let _directory = Directory::with_key("keyed");
        let same = |one: &str, other: &str| {
            is(&format!("warehouse.{one} = warehouse.{other}"), "true");
        };
        is("warehouse.pseudonym('bob', 'person') ~ '^[0-9a-f]{32}$'", "true");
        same("pseudonym('42', 'person')", "pseudonym(42, 'person')");
        same("pseudonym(' Bob@Example.com ', 'person')", "pseudonym('bob@example.com', 'person')");
        let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        is("pg_typeof(warehouse.pseudonym(gen_random_uuid(), 'person'))", "uuid");
        same(
            &format!("pseudonym('{uuid}'::uuid, 'person')"),
            &format!("pseudonym('{uuid}', 'person')::uuid"),
        );
        is("warehouse.pseudonym('a', 'x') = warehouse.pseudonym('a', 'y')", "false");
        same("mask('bob', 'pseudonym(person)')", "pseudonym('bob', 'person')");
        is("warehouse.token('bob', 'person') LIKE 't1\\_%'", "true");
        is("warehouse.fpe('030-1234567', 'person') ~ '^\\d{3}-\\d{7}$'", "true");
        is("warehouse.fpe('abcdefgh', 'person', 'abcdefghij') ~ '^[a-j]{8}$'", "true");
        is("pg_typeof(warehouse.fpe(7, 'person'))", "integer");
        is("pg_typeof(warehouse.fpe(7::bigint, 'person'))", "bigint");
        is("warehouse.hash('bob', 'person') = warehouse.hash('Bob', 'person')", "false");
        is("warehouse.noise(5000, '100', 'e') BETWEEN 4900 AND 5100", "true");
        is("warehouse.noise(50.0, '10%', 'e') BETWEEN 45 AND 55", "true");
        is("warehouse.noise(50::float8, '10%', 'e') BETWEEN 45 AND 55", "true");
        is(
            "warehouse.noise(now(), '3 days', 'e') BETWEEN now() - interval '3 days' \
            AND now() + interval '3 days'",
            "true",
        );
        is(
            "abs(warehouse.date_shift(date '2024-01-01', 'e', 30) - date '2024-01-01') \
            BETWEEN 1 AND 30",
            "true",
        );
        is(
            "warehouse.date_shift(date '2024-02-01', 'e', 30) \
            - warehouse.date_shift(date '2024-01-01', 'e', 30)",
            "31",
        );
        is(
            "warehouse.mask_json('{\"a\": 1, \"b\": \"x\"}', 'json(''$.a'' => keep)')",
            "{\"a\": 1}",
        );
        is("warehouse.fake_distinct_outputs('first_name', 'de') > 100", "true");
        for kind in [
            "first_name",
            "last_name",
            "full_name",
            "email",
            "phone",
            "street",
            "city",
            "company",
            "user_name",
        ] {
            same(&format!("fake_{kind}('bob')"), &format!("fake_{kind}('bob', 'warehouse', 'en')"));
            same(
                &format!("fake_{kind}('bob', 'p', 'fr', is_unique => true)"),
                &format!("mask('bob', 'fake_{kind}(p, locale => fr, unique => true)')"),
            );
        }
    }

    #[pg_test]
    fn errors_say_what_is_expected() {
        let _directory = Directory::with_key("errors");
        fails(
            "SELECT warehouse.partial('bob', -1, 'x', 1)",
            "22023",
            "warehouse.partial: expected",
        );
        fails("SELECT warehouse.ip_prefix('10.1.2.3', 32)", "22023", "from 0 to 31");
        fails("SELECT warehouse.pseudonym('bob', 'No Domain')", "22023", "a domain");
        fails("SELECT warehouse.generalize(1, 0)", "22023", "above zero");
        fails("SELECT warehouse.generalize(now(), 'fortnight')", "22023", "one of: minute");
        fails("SELECT warehouse.bands(1, '{3,2}')", "22023", "ascend");
        fails("SELECT warehouse.fpe('12', 'person')", "22023", "too short");
        fails("SELECT warehouse.noise(1, 'much', 'e')", "22023", "above zero");
        fails("SELECT warehouse.date_shift('infinity'::date - 1, 'e', 0)", "22023", "1 to 36500");
        fails("SELECT warehouse.mask('x', 'no_mask')", "22023", "masks are");
        fails("SELECT warehouse.mask('x', 'age')", "22023", "does not fit");
        fails("SELECT warehouse.mask('x', 'shuffle')", "22023", "materialization");
        fails("SELECT warehouse.mask('x', 'redact(name)')", "22023", "there is no row");
        fails("SELECT warehouse.fake_city('x', locale => 'xx')", "22023", "one of: en");
        fails("SELECT warehouse.fake_distinct_outputs('planet', 'en')", "22023", "kind");
        fails(
            "SELECT warehouse.date_shift('5874897-12-31'::date, i::text, 36500) \
               FROM generate_series(1, 20) i",
            "22003",
            "out of the range",
        );
        // No value is in an error.
        let (_, message) = error("SELECT warehouse.fpe('canary', 'person', 'xyz')");
        assert!(!message.contains("canary"), "{message}");
    }

    #[pg_test]
    fn without_a_key_nothing_keyed_is_computed() {
        use_file(Path::new(""));
        fails("SELECT warehouse.pseudonym('bob', 'person')", "55000", "needs a key");
        fails("SELECT warehouse.mask('bob', 'token(person)')", "55000", "needs a key");
        fails("SELECT warehouse.rotate_key('person')", "55000", "key_file is not set");
        use_file(Path::new("/nowhere/key"));
        fails("SELECT warehouse.hash('bob', 'person')", "58P01", "does not exist");
    }

    #[pg_test]
    fn an_open_key_file_is_refused() {
        let directory = Directory::with_key("open");
        is("length(warehouse.hash('bob', 'person'))", "32");
        for mode in [0o644, 0o640, 0o602] {
            fs::set_permissions(directory.key(), fs::Permissions::from_mode(mode)).expect("mode");
            crate::privacy::keys::forget();
            fails("SELECT warehouse.hash('bob', 'person')", "F0000", "open to other users");
        }
    }

    #[pg_test]
    fn a_key_that_is_none_is_refused() {
        let directory = Directory::with_key("none");
        for contents in ["", "0001020304\n", "not a key", &"00".repeat(32)] {
            fs::write(directory.key(), contents).expect("written");
            crate::privacy::keys::forget();
            fails("SELECT warehouse.hash('bob', 'person')", "F0000", "key");
        }
    }

    #[pg_test(error = "invalid value for parameter \"warehouse.key_file\": \"key\"")]
    fn a_relative_path_is_refused() {
        set("warehouse.key_file", "key");
    }

    #[pg_test]
    fn a_key_is_created_once() {
        let directory = Directory::new("created");
        use_file(&directory.key());
        is("warehouse.create_key() ~ '^[0-9a-f]{16}$'", "true");
        let mode = fs::metadata(directory.key()).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let before = fs::read(directory.key()).expect("a file");
        fails("SELECT warehouse.create_key()", "58P02", "not overwritten");
        assert_eq!(fs::read(directory.key()).expect("a file"), before);
        is("length(warehouse.hash('bob', 'person'))", "32");
    }

    #[pg_test]
    fn old_tokens_are_read_until_their_version_is_shredded() {
        let directory = Directory::with_key("rotated");
        Spi::run(
            "DO $$ BEGIN CREATE ROLE warehouse_clear; EXCEPTION WHEN duplicate_object THEN END $$",
        )
        .expect("a role");
        is("warehouse.register_domain('person')", "true");
        is("warehouse.register_domain('person')", "false");
        let token = text("warehouse.token('bob', 'person')").expect("a token");
        let reveal = format!("warehouse.reveal('{token}', 'person')");
        fails(&format!("SELECT {reveal}"), "42501", "warehouse_clear");
        Spi::run("DO $$ BEGIN EXECUTE format('GRANT warehouse_clear TO %I', session_user); END $$")
            .expect("granted");
        is(&reveal, "bob");
        fails("SELECT warehouse.reveal('bob', 'person')", "22023", "not a token");
        is("warehouse.rotate_key('person')", "2");
        is("warehouse.token('bob', 'person') LIKE 't2\\_%'", "true");
        is(&reveal, "bob");
        is(
            "(SELECT string_agg(version || ' ' || state, ', ') FROM warehouse.keys())",
            "1 readable, 2 current",
        );
        fails("SELECT warehouse.shred_key('person', 2)", "55006", "current");
        fails("SELECT warehouse.shred_key('person', 9)", "42704", "no key version");
        is("warehouse.shred_key('person', 1)", "erased");
        fails(&format!("SELECT {reveal}"), "22023", "not a token");
        is("warehouse.rotate_key('order')", "2");
        is("warehouse.shred_key('order', 1)", "refused");
        let mode = fs::metadata(directory.key()).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[pg_test]
    fn a_command_gives_the_key() {
        let directory = Directory::with_key("command");
        let from_file = text("warehouse.hash('bob', 'person')");
        set("warehouse.key_file", "");
        set("warehouse.key_command", &format!("cat '{}'", directory.key().display()));
        assert_eq!(text("warehouse.hash('bob', 'person')"), from_file);
        fails("SELECT warehouse.rotate_key('person')", "55000", "key_command");
        fails("SELECT warehouse.create_key()", "55000", "key_command");
        set("warehouse.key_command", "exit 3");
        fails("SELECT warehouse.hash('bob', 'person')", "F0000", "exit status: 3");
        set("warehouse.key_command", "head -c 2000000 /dev/zero");
        fails("SELECT warehouse.hash('bob', 'person')", "F0000", "too long");
    }

    #[pg_test]
    fn the_public_computes_nothing_keyed() {
        let _directory = Directory::with_key("public");
        prepare_errors();
        Spi::run("CREATE ROLE warehouse_nobody; SET LOCAL ROLE warehouse_nobody").expect("a role");
        is("warehouse.partial('Montgomery', 2, '***', 1)", "Mo***y");
        for call in [
            "pseudonym('bob', 'person')",
            "pseudonym(1, 'person')",
            "token('bob', 'person')",
            "hash('bob', 'person')",
            "fpe('1234567', 'person')",
            "fake_city('bob')",
            "noise(1, '10', 'e')",
            "date_shift(date '2024-01-01', 'e', 3)",
            "mask('bob', 'keep')",
            "mask_json('{}', 'json(rest => keep)')",
            "reveal('t1_x', 'person')",
            "create_key()",
            "rotate_key('person')",
            "shred_key('person', 1)",
            "register_domain('person')",
            "keys()",
        ] {
            let (state, _) = error(&format!("SELECT warehouse.{call}"));
            assert_eq!(state, "42501", "{call}");
        }
    }

    #[pg_test]
    fn every_function_has_a_comment_and_keyed_ones_are_not_immutable() {
        let bare = text(
            "SELECT string_agg(p.proname, ', ') FROM pg_proc p
             WHERE p.pronamespace = 'warehouse'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL",
        );
        assert_eq!(bare, None);
        let wrong = text(
            "SELECT string_agg(p.proname, ', ') FROM pg_proc p
             WHERE p.pronamespace = 'warehouse'::regnamespace AND p.provolatile = 'i'
               AND NOT has_function_privilege('pg_monitor', p.oid, 'EXECUTE')",
        );
        assert_eq!(wrong, None);
    }
}
