//! After quiet: every table is its query, and nothing is left behind.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use postgres::Client;
use warehouse_tests::timing::eventually;

use crate::ask::rows;
use crate::differential::Random;

use super::gate::Gate;
use super::ground::Ground;
use super::marts::{ALL, Exact, Holds, Mart, differences};
use super::story::Story;
use super::writer::Writer;

/// How long a job may take to come by, with a pause after a failure and a run of all others before it.
const JOB_PATIENCE: Duration = Duration::from_secs(60);

/// How long somebody else may refresh a table.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// Compares every table with its query. The sources stand still and can be read; what a table has to keep
/// out comes and goes.
pub fn compare_all(
    ground: &Ground,
    story: &Story,
    writer: &mut Writer<'_>,
    random: &mut Random,
) -> Result<()> {
    let mut client = ground.client()?;
    client.batch_execute("SET statement_timeout = '60s'")?;
    let all: Vec<String> =
        ALL.iter().map(|m| format!("SELECT warehouse.resume('{}')", m.name)).collect();
    client.batch_execute(&all.join("; "))?;
    for mart in ALL {
        let outcome = match mart.holds {
            Holds::Gated(forbidden) => {
                let mut gate = Gate { ground, story, writer: &mut *writer, mart, forbidden };
                gate.holds(&mut client, random)
            }
            _ => Ok(()),
        };
        // A run counts that has begun with what the sources have now.
        let outcome = outcome.and_then(|()| {
            let began = rows(&mut client, "SELECT clock_timestamp()")?;
            compare(&mut client, mart, random, &began, story)
        });
        outcome.with_context(|| history(&mut client, mart))?;
    }
    leftovers(&mut client)
}

fn compare(
    client: &mut Client,
    mart: &Mart,
    random: &mut Random,
    began: &str,
    story: &Story,
) -> Result<()> {
    if mart.exact != Exact::Always {
        if random.percent(40) {
            by_job(client, mart, began, story)?;
        } else {
            by_hand(client, mart, "")?;
        }
    }
    if mart.exact == Exact::Compared {
        // What it cannot see is what is gone.
        same(client, mart, " WHERE side = 'missing: '")?;
    }
    if matches!(mart.exact, Exact::Compared | Exact::OnlyCompared) {
        by_hand(client, mart, ", reconcile => true")?;
    }
    same(client, mart, "")
}

/// A worker refreshes it, because somebody asks.
fn by_job(client: &mut Client, mart: &Mart, began: &str, story: &Story) -> Result<()> {
    let ask = format!("SELECT warehouse.request_refresh('{}')", mart.name);
    let look = format!(
        "SELECT count(*) FROM warehouse.runs WHERE relation = '{}' AND status = 'succeeded' AND cause <> 'hand' \
           AND started_at > '{began}'",
        mart.name
    );
    let mut told = String::new();
    eventually(JOB_PATIENCE, "a worker refreshes the table", || {
        told = rows(client, &ask)?;
        Ok(rows(client, &look)? != "0")
    })
    .with_context(|| format!("{}: {told}", mart.name))?;
    story.tell("by job", mart.name);
    Ok(())
}

fn by_hand(client: &mut Client, mart: &Mart, how: &str) -> Result<()> {
    let sql = format!("SELECT status, error FROM warehouse.refresh('{}'{how})", mart.name);
    eventually(LOCK_PATIENCE, "nobody else refreshes it", || match client.simple_query(&sql) {
        Ok(_) => Ok(true),
        Err(error) if error.code().is_some_and(|code| code.code() == "55P03") => Ok(false),
        Err(error) => Err(error).with_context(|| sql.clone()),
    })
}

fn same(client: &mut Client, mart: &Mart, only: &str) -> Result<()> {
    let columns = rows(
        client,
        &format!(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute \
             WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped",
            mart.name
        ),
    )?;
    let both = differences(
        &format!("SELECT {columns} FROM {}", mart.name),
        &format!("SELECT {columns} FROM ({}) q", mart.query),
    );
    let found =
        rows(client, &format!("SELECT side || left(x, 300) FROM ({both}) d{only} LIMIT 10"))?;
    ensure!(found.is_empty(), "{} is not its query:\n{found}", mart.name);
    Ok(())
}

/// Who does what, and who waits for whom.
const OTHERS: &str = "SELECT pid, backend_type, state, wait_event_type, wait_event, pg_blocking_pids(pid), \
      clock_timestamp() - xact_start AS open_for, left(query, 120) \
    FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL OR backend_type LIKE 'warehouse%'";

/// What is known of a table that is not as it should be.
fn history(client: &mut Client, mart: &Mart) -> String {
    let sql = format!(
        "SELECT * FROM (SELECT id, started_at, cause, status, strategy, capture, fetched, inserted, updated, deleted, sources, error \
         FROM warehouse.runs WHERE relation = '{}' ORDER BY id DESC LIMIT 12) r ORDER BY id",
        mart.name
    );
    let sources = format!(
        "SELECT s.* FROM warehouse.materialization_source s JOIN warehouse.materialization m ON m.id = s.materialization \
         WHERE m.relation = '{}'::regclass",
        mart.name
    );
    let job = format!(
        "SELECT j.* FROM warehouse.materialization_job j JOIN warehouse.materialization m ON m.id = j.materialization \
         WHERE m.relation = '{}'::regclass",
        mart.name
    );
    let mut tell = |sql: &str| rows(client, sql).unwrap_or_else(|error| format!("{error:#}"));
    let (runs, sources, job, others) = (tell(&sql), tell(&sources), tell(&job), tell(OTHERS));
    format!("{}\nruns\n{runs}\nsources\n{sources}\njob\n{job}\nprocesses\n{others}", mart.name)
}

/// Nothing transient is left, indexes fit their tables, and no run is open whose process is gone.
fn leftovers(client: &mut Client) -> Result<()> {
    rows(
        client,
        "SELECT bt_index_check(i.indexrelid, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid \
           JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am a ON a.oid = x.relam AND a.amname = 'btree' \
         WHERE c.relnamespace = 'mart'::regnamespace",
    )?;
    let damaged = rows(
        client,
        "SELECT c.relname, v.msg FROM pg_class c CROSS JOIN LATERAL verify_heapam(c.oid, check_toast => true) v \
         WHERE c.relnamespace = 'mart'::regnamespace AND c.relkind = 'r'",
    )?;
    ensure!(damaged.is_empty(), "damaged tables:\n{damaged}");
    let mut left = String::new();
    let gone = eventually(Duration::from_secs(20), "transient tables and open runs go", || {
        left = rows(
            client,
            "SELECT 'relation', relname FROM pg_class \
             WHERE relname LIKE 'pg\\_temp\\_%' OR relname LIKE 'warehouse\\_new\\_%' \
             UNION ALL SELECT 'run', r.id || ' ' || r.status FROM warehouse.runs r WHERE r.finished_at IS NULL \
               AND r.started_at < clock_timestamp() - interval '3 seconds' \
               AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = r.pid)",
        )?;
        Ok(left.is_empty())
    });
    if gone.is_err() {
        bail!("left behind: {left}");
    }
    Ok(())
}
