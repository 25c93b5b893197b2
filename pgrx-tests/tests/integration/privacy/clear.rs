//! Who sees clear text.

use anyhow::{Result, ensure};
use postgres::Client;

use super::{people, protect};
use crate::ask::{expect, refused, rows, run};
use crate::support::Pair;

const ASK: &str = "SELECT name FROM d.people WHERE id = 7";
const RAW: &str = "CANARYname7 Surname";
const SHOWN: &str = "C. S.";

/// Roles: `officer_…` may see clear text, `analyst_…` may not.
fn roles(pair: &Pair, client: &mut Client) -> Result<(String, String)> {
    let (officer, analyst) = (
        format!("officer_{}", pair.warehouse_database),
        format!("analyst_{}", pair.warehouse_database),
    );
    run(
        client,
        &format!(
            "CREATE ROLE {officer}; CREATE ROLE {analyst}; GRANT warehouse_clear TO {officer}; \
             GRANT USAGE ON SCHEMA d TO {officer}, {analyst}; \
             GRANT SELECT ON d.people TO {officer}, {analyst}; GRANT {officer} TO {analyst}"
        ),
    )?;
    run(client, &format!("REVOKE {officer} FROM {analyst}"))?;
    Ok((officer, analyst))
}

#[test]
fn it_takes_the_membership_and_the_wish() -> Result<()> {
    let (pair, mut client) = people("clear")?;
    protect(&mut client)?;
    let (officer, analyst) = roles(&pair, &mut client)?;
    // A superuser is masked like everybody.
    expect(&mut client, ASK, SHOWN)?;
    run(&mut client, "SET warehouse.clear = on")?;
    expect(&mut client, ASK, SHOWN)?;
    run(&mut client, "RESET warehouse.clear")?;
    let session = |role: &str| -> Result<Client> {
        let mut client = pair.warehouse()?;
        run(&mut client, &format!("SET SESSION AUTHORIZATION {role}"))?;
        Ok(client)
    };
    let mut other = session(&analyst)?;
    run(&mut other, "SET warehouse.clear = on")?;
    expect(&mut other, ASK, SHOWN)?;
    let mut client = session(&officer)?;
    expect(&mut client, ASK, SHOWN)?;
    run(&mut client, "SET warehouse.clear = on")?;
    expect(&mut client, ASK, RAW)?;
    // Also what nobody has classified, and conditions go to the source.
    expect(
        &mut client,
        "SELECT city FROM d.people WHERE name = 'CANARYname7 Surname'",
        "CANARYcity0",
    )?;
    run(&mut client, "SET warehouse.clear = off")?;
    expect(&mut client, ASK, SHOWN)
}

#[test]
fn plans_that_are_kept_follow_the_right() -> Result<()> {
    let (pair, mut client) = people("clearplans")?;
    protect(&mut client)?;
    let (officer, analyst) = roles(&pair, &mut client)?;
    run(&mut client, &format!("GRANT {officer} TO {analyst}"))?;
    run(&mut client, &format!("REVOKE {officer} FROM {analyst}"))?;
    run(&mut client, &format!("SET SESSION AUTHORIZATION {officer}"))?;
    for mode in ["force_custom_plan", "force_generic_plan"] {
        run(&mut client, &format!("SET plan_cache_mode = {mode}"))?;
        run(&mut client, &format!("PREPARE q AS {ASK}"))?;
        for _ in 0..3 {
            expect(&mut client, "EXECUTE q", SHOWN)?;
            run(&mut client, "SET warehouse.clear = on")?;
            expect(&mut client, "EXECUTE q", RAW)?;
            run(&mut client, "BEGIN; SET LOCAL warehouse.clear = off")?;
            expect(&mut client, "EXECUTE q", SHOWN)?;
            run(&mut client, "ROLLBACK")?;
            expect(&mut client, "EXECUTE q", RAW)?;
            run(&mut client, "SET warehouse.clear = off")?;
        }
        run(&mut client, "DEALLOCATE q")?;
    }
    Ok(())
}

/// The stricter of session and current user counts, and nobody's rights are lent.
#[test]
fn rights_are_not_lent() -> Result<()> {
    let (pair, mut client) = people("clearlent")?;
    protect(&mut client)?;
    let (officer, analyst) = roles(&pair, &mut client)?;
    run(
        &mut client,
        &format!(
            "CREATE FUNCTION d.lend() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = d AS $$ {ASK} $$; \
             CREATE FUNCTION d.lend_loudly() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = d \
               SET warehouse.clear = on AS $$ BEGIN RETURN ({ASK}); END $$; \
             ALTER FUNCTION d.lend() OWNER TO {officer}; ALTER FUNCTION d.lend_loudly() OWNER TO {officer}; \
             CREATE VIEW d.v AS SELECT id, name FROM d.people; ALTER VIEW d.v OWNER TO {officer}; \
             GRANT SELECT ON d.v TO {analyst}"
        ),
    )?;
    for role in [&analyst, &officer] {
        let mut client = pair.warehouse()?;
        run(&mut client, &format!("SET SESSION AUTHORIZATION {role}; SET warehouse.clear = on"))?;
        expect(&mut client, "SELECT d.lend()", SHOWN)?;
        expect(&mut client, "SELECT d.lend_loudly()", SHOWN)?;
        let expected = if role == &officer { RAW } else { SHOWN };
        expect(&mut client, "SELECT name FROM d.v WHERE id = 7", expected)?;
    }
    // A superuser's session that becomes the officer is still a superuser's.
    run(&mut client, &format!("SET ROLE {officer}; SET warehouse.clear = on"))?;
    expect(&mut client, ASK, SHOWN)
}

/// What is read in clear stands in the server's log, without the values that were asked for.
#[test]
fn it_is_recorded() -> Result<()> {
    let (pair, mut client) = people("clearlog")?;
    protect(&mut client)?;
    let (officer, _) = roles(&pair, &mut client)?;
    run(&mut client, &format!("SET SESSION AUTHORIZATION {officer}; SET warehouse.clear = on"))?;
    expect(
        &mut client,
        "SELECT email FROM d.people WHERE email = 'canary7@CANARY.example'",
        "canary7@CANARY.example",
    )?;
    expect(&mut client, "SELECT count(*) FROM d.people WHERE id < 10", "10")?;
    let log = std::fs::read_to_string(pair.warehouse_cluster.socket_dir().join("log"))?;
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("warehouse audit") && line.contains(&officer))
        .collect();
    ensure!(lines.len() == 2, "{lines:?}");
    ensure!(lines[0].contains("reads in clear: d.people.email"), "{lines:?}");
    ensure!(lines[1].contains("has read 1 rows in clear: d.people.email"), "{lines:?}");
    ensure!(!lines.iter().any(|line| line.contains("canary7")), "{lines:?}");
    // Nobody is told who has no right.
    let told = rows(&mut client, "SHOW warehouse.clear")?;
    ensure!(told == "on", "{told}");
    run(&mut client, "RESET SESSION AUTHORIZATION")?;
    refused(&mut client, "SET warehouse.clear = 'perhaps'")?.says("22023", &[])?;
    Ok(())
}
