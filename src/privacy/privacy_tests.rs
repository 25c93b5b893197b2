//! What needs one transaction of a Postgres and no source: families of types, what `classify()` writes
//! and refuses, and the figures of anonymity.

#[pgrx::pg_schema]
mod tests {
    use crate::privacy::family::{family, may_identify};
    use pgrx::prelude::*;
    use warehouse_core::masks::{IntWidth, TypeFamily};

    fn oid(name: &str) -> pg_sys::Oid {
        Spi::get_one_with_args("SELECT $1::regtype::oid", &[name.into()])
            .expect("a type")
            .expect("a type")
    }

    fn text(query: &str) -> String {
        Spi::get_one::<String>(query).expect("an answer").unwrap_or_else(|| "~".to_owned())
    }

    /// Two tables over a server that nothing listens on, merged.
    fn declare() {
        Spi::run(
            r#"CREATE SERVER nowhere FOREIGN DATA WRAPPER replica_fdw
                 OPTIONS (host '127.0.0.1', port '1', dbname 'd', connect_timeout '1');
               CREATE SCHEMA main; CREATE SCHEMA main_sites;
               CREATE TABLE main."Us""er.s" (site text NOT NULL, id bigint, "E ""Mail" text, born date, at timestamptz)
                 PARTITION BY LIST (site);
               CREATE FOREIGN TABLE main_sites.a (site text OPTIONS (constant 'a') NOT NULL,
                   id bigint, "E ""Mail" text, born date, at timestamptz) SERVER nowhere;
               CREATE FOREIGN TABLE main_sites.b (site text OPTIONS (constant 'b') NOT NULL,
                   at timestamptz, id bigint, "E ""Mail" text, born date) SERVER nowhere;
               ALTER TABLE main."Us""er.s" ATTACH PARTITION main_sites.a FOR VALUES IN ('a');
               ALTER TABLE main."Us""er.s" ATTACH PARTITION main_sites.b FOR VALUES IN ('b');"#,
        )
        .expect("declarations");
    }

    /// The policy of a column at each site.
    fn policy(column: &str) -> String {
        text(&format!(
            "SELECT string_agg(concat_ws('|', c.class, c.mask), ' ' ORDER BY c.table_name)
             FROM warehouse.site_columns c WHERE c.column_name = '{column}'"
        ))
    }

    #[pg_test]
    fn families_of_types() {
        Spi::run("CREATE DOMAIN mail AS varchar(20); CREATE TYPE mood AS ENUM ('a'); CREATE TYPE pair AS (a int, b text)")
            .expect("types");
        let array = |of| TypeFamily::Array(Box::new(of));
        for (name, expected) in [
            ("mail", TypeFamily::Text),
            ("mail[]", array(TypeFamily::Text)),
            ("char(3)", TypeFamily::Text),
            ("name", TypeFamily::Text),
            ("smallint", TypeFamily::Integer(IntWidth::Two)),
            ("bigint", TypeFamily::Integer(IntWidth::Eight)),
            ("real", TypeFamily::Float),
            ("cidr", TypeFamily::Inet),
            ("jsonb", TypeFamily::Json),
            ("int4range", TypeFamily::Range(Box::new(TypeFamily::Integer(IntWidth::Four)))),
            ("timestamptz[]", array(TypeFamily::TimestampTz)),
            ("mood", TypeFamily::Other),
            ("pair", TypeFamily::Other),
            ("interval", TypeFamily::Other),
            ("oidvector", TypeFamily::Other),
        ] {
            assert_eq!(family(oid(name)), expected, "{name}");
        }
        for name in ["int", "mood", "mood[]", "timestamptz", "time", "money", "numrange", "bool[]"]
        {
            assert!(!may_identify(oid(name)), "{name}");
        }
        for name in
            ["mail", "text[]", "date", "daterange", "uuid", "bytea", "inet", "pair", "point", "xml"]
        {
            assert!(may_identify(oid(name)), "{name}");
        }
    }

    #[pg_test]
    fn a_merged_table_is_classified_at_every_site() {
        declare();
        let classify = |arguments: &str| {
            Spi::run(&format!(r#"SELECT warehouse.classify('main."Us""er.s"', {arguments})"#))
                .expect("classified");
        };
        classify(r#"'E "Mail', 'identifier', 'pseudonym(person)'"#);
        assert_eq!(
            policy(r#"E "Mail"#),
            "identifier|pseudonym(person) identifier|pseudonym(person)"
        );
        classify(r#"'E "Mail', mask => 'constant(''it''''s'')'"#);
        assert_eq!(
            policy(r#"E "Mail"#),
            "identifier|constant('it''s') identifier|constant('it''s')"
        );
        // The default of the class and of what the name says.
        classify("'born', 'quasi'");
        assert_eq!(policy("born"), "quasi|generalize('year') quasi|generalize('year')");
        classify("'born', 'secret'");
        assert_eq!(policy("born"), "secret|null secret|null");
        classify("'born'");
        assert_eq!(policy("born"), " ");
        let audit = text(
            "SELECT string_agg(action || ' ' || columns[1], ', ' ORDER BY at) FROM warehouse.audit",
        );
        assert!(audit.starts_with(r#"classify as identifier, mask pseudonym E "Mail, classify as identifier, mask constant"#), "{audit}");
        assert!(
            audit.ends_with("remove classification born") && !audit.contains("it's"),
            "{audit}"
        );
    }

    #[pg_test(error = "mask pseudonym makes text of column \"id\", which is bigint")]
    fn a_mask_keeps_the_type() {
        declare();
        Spi::run(r#"SELECT warehouse.classify('main."Us""er.s"', 'id', 'identifier', 'pseudonym(person)')"#).expect("refused");
    }

    #[pg_test(error = "the constant is no value of column \"born\" of type date")]
    fn a_constant_is_a_value_of_the_type() {
        declare();
        Spi::run(
            r#"SELECT warehouse.classify('main_sites.a', 'born', 'quasi', 'constant(''soon'')')"#,
        )
        .expect("refused");
    }

    #[pg_test(error = "column \"born\" has no class, and a mask alone is no policy")]
    fn a_mask_needs_a_class() {
        declare();
        Spi::run(r#"SELECT warehouse.classify('main_sites.a', 'born', mask => 'null')"#)
            .expect("refused");
    }

    #[pg_test(error = "column \"site\" of \"main_sites.a\" is a constant and has no policy")]
    fn a_site_has_no_policy() {
        declare();
        Spi::run(r#"SELECT warehouse.classify('main_sites.a', 'site', 'public')"#)
            .expect("refused");
    }

    #[pg_test(
        error = "must be owner of foreign table \"main_sites.a\" or a member of warehouse_admin"
    )]
    fn others_may_not_classify() {
        declare();
        Spi::run("CREATE ROLE somebody; GRANT USAGE ON SCHEMA main, main_sites TO somebody; SET ROLE somebody").expect("a role");
        Spi::run("SELECT warehouse.classify('main_sites.a', 'born', 'public')").expect("refused");
    }

    #[pg_test]
    fn administrators_need_not_own() {
        declare();
        Spi::run("CREATE ROLE boss; GRANT warehouse_admin TO boss; GRANT USAGE ON SCHEMA main, main_sites TO boss; SET ROLE boss").expect("a role");
        Spi::run("SELECT warehouse.classify('main_sites.a', 'born', 'public')")
            .expect("classified");
        assert_eq!(text("SELECT current_user::text"), "boss");
        assert_eq!(text("SELECT role::text FROM warehouse.audit"), "boss");
    }

    #[pg_test]
    fn what_is_sure_is_applied() {
        declare();
        let found = text(
            "SELECT string_agg(concat_ws('|', column_name, class, mask, certainty, applied), ' ' ORDER BY column_name COLLATE \"C\")
             FROM warehouse.classify_schema('main')",
        );
        assert_eq!(
            found,
            "E \"Mail|identifier|pseudonym(person)|sure|t at|public|keep|sure|t \
             born|quasi|generalize('year')|sure|t id|public|keep|sure|t"
        );
        assert_eq!(policy("id"), "public|keep public|keep");
        assert_eq!(text("SELECT count(*)::text FROM warehouse.classify_schema('main')"), "0");
        assert_eq!(text("SELECT count(*)::text FROM warehouse.unclassified"), "0");
        // A site that lacks the policy gets that of the others.
        Spi::run("SELECT warehouse.classify('main_sites.b', 'born')").expect("removed");
        assert_eq!(
            text("SELECT evidence FROM warehouse.classify_schema('main', apply => false)"),
            "as at the other sites"
        );
        assert_eq!(
            text(
                "SELECT relation_name || '.' || column_name || ' ' || reads_as FROM warehouse.unclassified"
            ),
            "Us\"er.s.born null"
        );
        Spi::run("SELECT warehouse.classify_schema('main')").expect("classified");
        assert_eq!(policy("born"), "quasi|generalize('year') quasi|generalize('year')");
    }

    #[pg_test]
    fn the_ten_patients() {
        Spi::run(
            r#"CREATE TABLE "Pat.ients" ("Zip ""c" int, decade int, disease text);
               INSERT INTO "Pat.ients" VALUES (47,70,'heart'), (47,70,'heart'), (47,70,'acne'), (48,80,'heart'),
                 (48,80,'allergy'), (48,80,'asthma'), (49,90,'asthma'), (49,90,'flu'), (49,90,'flu'), (49,90,'diabetes')"#,
        )
        .expect("patients");
        let figures = r#"SELECT concat_ws(' ', warehouse.k_anonymity(t, q), warehouse.l_diversity(t, q, 'disease'),
              round(warehouse.l_diversity(t, q, 'disease', 'entropy')::numeric, 4), round(warehouse.t_closeness(t, q, 'disease')::numeric, 4))
            FROM (VALUES ('"Pat.ients"'::regclass, '{"Zip \"c",decade}'::text[])) AS v(t, q)"#;
        assert_eq!(text(figures), "3 2 1.8899 0.6000");
        let groups = r#"SELECT string_agg(size || 'x' || groups, ' ') FROM warehouse.anonymity_groups('"Pat.ients"', '{decade}', 3)"#;
        assert_eq!(text(groups), "3x2");
        // NULL equals NULL, and is a value.
        Spi::run(r#"INSERT INTO "Pat.ients" VALUES (NULL, NULL, 'flu'), (NULL, NULL, NULL)"#)
            .expect("patients");
        assert_eq!(text(figures), "2 2 1.8899 0.6667");
        Spi::run(r#"TRUNCATE "Pat.ients""#).expect("nobody");
        assert_eq!(text(figures), "");
    }

    #[pg_test(error = "public.patients is not anonymous enough")]
    fn too_few_are_refused() {
        Spi::run("CREATE TABLE patients AS SELECT 1 AS zip").expect("a patient");
        Spi::run(r#"SELECT warehouse.assert_anonymity('patients', '{"k_anonymity": {"k": 1, "columns": ["zip"]}}')"#).expect("enough");
        Spi::run(r#"SELECT warehouse.assert_anonymity('patients', '{"k_anonymity": {"k": 2, "columns": ["zip"]}}')"#).expect("refused");
    }
}
