//! What is shown of protected columns, to whom, and that nothing else ever arrives.
//!
//! `shown` is about what each policy shows, `pushed` about what may be asked of the source, `clear` about
//! the right to clear text, `keys` about masks with a key, `sites` about roles that see some sites, `policy`
//! about how the policy is written and explained, `sought` about rows that are found by a masked value,
//! `recorded` about the audit of reads in clear, `forget` about taking a person out of what is kept, `zip3` about its table, `hostile` about arguments and
//! names that nobody means well with; `canary` searches all that a warehouse keeps for raw values.

mod canary;
mod clear;
mod forget;
mod hostile;
mod keys;
mod policy;
mod pushed;
mod recorded;
mod shown;
mod shuffled;
mod sites;
mod sought;
mod zip3;

use anyhow::Result;
use postgres::Client;

use crate::ask::run;
use crate::support::Pair;

/// People at a source; every value that could say something of a person has `CANARY` in it.
const PEOPLE: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE people (
      id bigint PRIMARY KEY, name text, email varchar(60), notes text, born date, ip inet, data jsonb,
      tags text[], city text, score numeric(12,2), phone bigint, mood mood, active boolean, seen timestamptz);
    INSERT INTO people SELECT i, 'CANARYname' || i || ' Surname', 'canary' || i || '@CANARY.example',
      'call CANARYname' || i || ' at canary' || i || '@CANARY.example', date '2010-01-01' + i,
      ('10.77.' || i / 250 || '.' || i % 250)::inet,
      jsonb_build_object('plan', 'pro' || i % 3, 'secret', 'CANARYjson' || i),
      ARRAY['CANARYtag' || i, NULL, 'short'], 'CANARYcity' || i % 7, i * 1.25, 7000000000 + i,
      (enum_range(NULL::mood))[1 + i % 2], i % 3 = 0, timestamptz '2024-01-01 00:00+00' + i * interval '1 hour'
    FROM generate_series(1, 500) i;
    INSERT INTO people (id) VALUES (0);
    ANALYZE people";

/// The policy that most tests use: none for `city`, which nobody has classified, and for what holds
/// nobody.
const POLICY: [(&str, &str, &str); 8] = [
    ("name", "identifier", "initial"),
    ("email", "identifier", "partial_email"),
    ("notes", "sensitive", "redact(name)"),
    ("born", "quasi", "generalize(''year'')"),
    ("ip", "identifier", "ip_prefix(16, 48)"),
    ("data", "sensitive", "json(''$.plan'' => keep)"),
    ("tags", "quasi", "partial(1, ''*'', 0)"),
    ("score", "public", "keep"),
];

/// A pair with `people` imported into the schema `d` of the warehouse, closed by default.
fn people(test: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    run(&mut pair.source()?, PEOPLE)?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "ALTER SERVER src OPTIONS (SET unclassified 'null'); CREATE SCHEMA d; \
         IMPORT FOREIGN SCHEMA public FROM SERVER src INTO d; SET search_path = d, public",
    )?;
    Ok((pair, client))
}

/// Writes the policy down.
fn protect(client: &mut Client) -> Result<()> {
    for (column, class, mask) in POLICY {
        run(
            client,
            &format!(
                "ALTER FOREIGN TABLE d.people ALTER COLUMN {column} OPTIONS (ADD class '{class}', ADD mask '{mask}')"
            ),
        )?;
    }
    Ok(())
}
