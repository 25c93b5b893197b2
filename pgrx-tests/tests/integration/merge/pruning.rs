//! Which sites a query asks: the others may be dead.

use anyhow::{Context, Result, ensure};

use super::{Sites, two};
use crate::ask::{expect, refused, rows, run};

fn three(test: &str) -> Result<Sites> {
    let script = |from: u32| {
        format!(
            "CREATE TABLE app.t (id int, v int); INSERT INTO app.t SELECT g, g % 5 FROM generate_series({from}, {}) g; \
             CREATE TABLE app.u (id int, t_id int); INSERT INTO app.u SELECT g, g FROM generate_series({from}, {}) g",
            from + 9,
            from + 4
        )
    };
    let scripts = [script(1), script(101), script(201)];
    let mut sites =
        Sites::new(test, &[("ai", &scripts[0]), ("cd", &scripts[1]), ("ef", &scripts[2])])?;
    sites.merge()?;
    run(
        &mut sites.client,
        "CREATE TABLE public.chosen (site text); INSERT INTO public.chosen VALUES ('ai'); \
         CREATE FUNCTION public.site() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'ai'::text $$",
    )?;
    Ok(sites)
}

/// Queries that need the site `ai` alone, and their answers.
const ALONE: [(&str, &str); 14] = [
    ("SELECT count(*) FROM main.t WHERE site = 'ai'", "10"),
    ("SELECT count(*) FROM main.t WHERE site IN ('ai', 'none')", "10"),
    ("SELECT count(*) FROM main.t WHERE site = 'ai' AND v = 3", "2"),
    ("SELECT count(*) FROM main.t WHERE site < 'b'", "10"),
    ("SELECT count(*) FROM main.t WHERE 'ai' = site AND id > 0", "10"),
    (
        "SELECT count(*) FROM main.t JOIN main.u ON t.site = u.site AND t.id = u.t_id WHERE t.site = 'ai'",
        "5",
    ),
    (
        "SELECT count(*) FROM main.t LEFT JOIN main.u ON t.site = u.site AND t.id = u.t_id WHERE t.site = 'ai' AND u.site = 'ai'",
        "5",
    ),
    ("SELECT site, max(id) FROM main.t WHERE site = 'ai' GROUP BY site", "ai|10"),
    ("SELECT id FROM main.t WHERE site = 'ai' ORDER BY id DESC LIMIT 1", "10"),
    // From here on the site is known at run time only.
    ("SELECT count(*) FROM main.t WHERE site = (SELECT site FROM public.chosen)", "10"),
    ("SELECT count(*) FROM main.t WHERE site = public.site()", "10"),
    ("SELECT count(*) FROM main.t WHERE site = current_setting('application_name') || 'ai'", "10"),
    (
        "SELECT count(t.id) FROM public.chosen c, LATERAL (SELECT * FROM main.t WHERE t.site = c.site OFFSET 0) t",
        "10",
    ),
    ("SELECT (SELECT count(*) FROM main.t WHERE t.site = c.site) FROM public.chosen c", "10"),
];

#[test]
fn a_query_about_one_site_asks_that_one() -> Result<()> {
    let mut sites = three("alone")?;
    sites.kill("cd")?;
    sites.kill("ef")?;
    sites.reconnect()?;
    run(&mut sites.client, "SET application_name = ''")?;
    for (sql, answer) in ALONE {
        expect(&mut sites.client, sql, answer)?;
        let asked = rows(
            &mut sites.client,
            "SELECT string_agg(server, ',') FROM warehouse.replica_connections()",
        )?;
        // None, if this session has just been made to forget its connections: see `quiet_pair`.
        ensure!(asked == "ai" || asked == "~", "{sql} asked {asked}");
    }
    Ok(())
}

/// A join with a table of one row: the nested loop asks each site for what it needs, and one alone.
#[test]
fn a_join_that_fixes_the_site() -> Result<()> {
    let mut sites = three("joinfix")?;
    sites.kill("cd")?;
    sites.kill("ef")?;
    sites.reconnect()?;
    run(&mut sites.client, "ANALYZE public.chosen")?;
    let sql = "SELECT count(t.id) FROM public.chosen c JOIN main.t ON t.site = c.site";
    let found = rows(&mut sites.client, sql);
    let plan = rows(&mut sites.client, &format!("EXPLAIN {sql}"))?;
    ensure!(found.with_context(|| plan)? == "10");
    expect(
        &mut sites.client,
        "SELECT count(*) FROM main.t WHERE site IN (SELECT site FROM public.chosen)",
        "10",
    )
}

#[test]
fn parameters_fix_the_site() -> Result<()> {
    let mut sites = three("paramsite")?;
    sites.kill("cd")?;
    sites.kill("ef")?;
    sites.reconnect()?;
    for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
        run(
            &mut sites.client,
            &format!(
                "SET plan_cache_mode = {mode}; \
                 PREPARE p(text) AS SELECT count(*) FROM main.t WHERE site = $1; \
                 PREPARE q(text, int) AS SELECT count(*) FROM main.t WHERE site = $1 AND v = $2"
            ),
        )?;
        for i in 0..12 {
            expect(&mut sites.client, "EXECUTE p('ai')", "10")?;
            expect(&mut sites.client, &format!("EXECUTE q('ai', {})", i % 5), "2")?;
            expect(&mut sites.client, "EXECUTE p('none')", "0")?;
        }
        refused(&mut sites.client, "EXECUTE p('cd')")?.says("08001", &["\"cd\""])?;
        run(&mut sites.client, "DEALLOCATE ALL")?;
    }
    let statement =
        sites.client.prepare("SELECT count(*) FROM main.t WHERE site = $1 AND id > $2")?;
    for _ in 0..12 {
        let found: i64 = sites.client.query_one(&statement, &[&"ai", &5i32])?.get(0);
        ensure!(found == 5);
    }
    Ok(())
}

#[test]
fn a_dead_site_is_named_and_can_be_left_out() -> Result<()> {
    let mut sites = three("deadsite")?;
    sites.kill("cd")?;
    for sql in [
        "SELECT count(*) FROM main.t",
        "SELECT * FROM main.t ORDER BY id LIMIT 500",
        "SELECT count(*) FROM main.t WHERE site IN ('ai', 'cd')",
        "SELECT count(*) FROM main.t JOIN main.u USING (site, id)",
    ] {
        refused(&mut sites.client, sql)?.says("08001", &["\"cd\"", "site cd", "main_sites."])?;
    }
    expect(&mut sites.client, "SELECT count(*) FROM main.t WHERE site <> 'cd'", "20")?;
    expect(&mut sites.client, "SELECT count(*) FROM main.t WHERE NOT site = 'cd'", "20")?;
    expect(&mut sites.client, "SELECT count(*) FROM main.t WHERE site NOT IN ('cd', 'x')", "20")?;
    expect(
        &mut sites.client,
        "SELECT count(*) FROM main.t WHERE site > 'cd' OR site < 'cd'",
        "20",
    )?;
    sites.revive("cd")?;
    expect(&mut sites.client, "SELECT count(*) FROM main.t", "30")?;
    expect(
        &mut sites.client,
        "SELECT site, count(*), min(id) FROM main.t GROUP BY site ORDER BY site",
        "ai|10|1\ncd|10|101\nef|10|201",
    )
}

#[test]
fn a_dropped_site_is_gone_and_the_others_stay() -> Result<()> {
    let mut sites = three("dropsite")?;
    sites.kill("cd")?;
    let report =
        rows(&mut sites.client, "SELECT * FROM warehouse.drop_site('main', 'cd') ORDER BY 1")?;
    ensure!(report == "t|cd|~|dropped site|~\nu|cd|~|dropped site|~", "{report}");
    expect(
        &mut sites.client,
        "SELECT count(*), string_agg(DISTINCT site, ',') FROM main.t",
        "20|ai,ef",
    )?;
    expect(&mut sites.client, "SELECT count(*) FROM main.t WHERE site = 'cd'", "0")?;
    expect(
        &mut sites.client,
        "SELECT relation_name, string_agg(site, ',' ORDER BY site) FROM warehouse.sites GROUP BY 1 ORDER BY 1",
        "t|ai,ef\nu|ai,ef",
    )?;
    refused(&mut sites.client, "SELECT warehouse.drop_site('main', 'cd')")?
        .says("42704", &["\"cd\"", "\"main\""])?
        .hints(&["warehouse.sites"])?;
    refused(&mut sites.client, "SELECT warehouse.drop_site('nowhere', 'ai')")?
        .says("42704", &[])?;
    // It can come back.
    sites.revive("cd")?;
    sites.merge()?;
    expect(&mut sites.client, "SELECT count(*) FROM main.t", "30")
}

#[test]
fn the_site_is_a_column_like_any_other() -> Result<()> {
    let mut sites = two("sitecolumn")?;
    let client = &mut sites.client;
    expect(client, "SELECT site || '-' || id FROM main.users WHERE site || id = 'cd2'", "cd-2")?;
    expect(client, "SELECT count(*) FROM main.users WHERE site = name", "0")?;
    expect(
        client,
        "SELECT count(*) FROM main.users a JOIN main.users b ON a.id = b.id AND a.site < b.site",
        "3",
    )?;
    expect(client, "SELECT site, id FROM main.users ORDER BY site DESC, id LIMIT 2", "cd|1\ncd|2")?;
    expect(
        client,
        "SELECT length(site), upper(site) FROM main.users WHERE id = 1 ORDER BY 2",
        "2|AI\n2|CD",
    )?;
    expect(
        client,
        "SELECT u FROM main.users u WHERE id = 1 AND site = 'ai'",
        "(ai,1,u1,\"2024-01-01 00:00:00+00\")",
    )?;
    expect(
        client,
        "SELECT tableoid::regclass, id FROM main.users WHERE id = 1 ORDER BY 1",
        "main_sites.users_ai|1\nmain_sites.users_cd|1",
    )?;
    expect(client, "SELECT site FROM main.users WHERE site IS NULL", "")
}
