//! Joins that collect keys and ask a source for hundreds of them at a time, and
//! `warehouse.explain_pushdown()`, which tells what a source does and why not more.
//!
//! Every join here is compared with the same one over local copies. `joins` is about kinds of join and
//! conditions, `keys` about the types of keys, `merged` about the sites of merged tables, `again` about
//! joins that start again or are read in pieces, `choice` about when the planner takes it, `counted` about
//! what conditions that are checked here cost, `shown` about EXPLAIN, `implied` about conditions that
//! follow from others, `broken` about ends in mid-join, `memory` and `roles` about what they say. `parts`
//! and `reasons` are about `explain_pushdown()`.

mod again;
mod broken;
mod choice;
mod counted;
mod implied;
mod joins;
mod keys;
mod memory;
mod merged;
mod parts;
mod reasons;
mod roles;
mod shown;

use anyhow::{Context, Result, ensure};
use postgres::Client;

use crate::ask::{rows, run};
use crate::support::Pair;

/// Leaves the planner no other join. What that makes it believe of costs would have everything compiled.
const FORCED: &str = "SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET enable_nestloop = off; SET jit = off";

/// The name of the node.
const NODE: &str = "Batched Lookup";

/// Batches of all these sizes give the same rows.
const SIZES: [u32; 3] = [1, 3, 500];

/// A source whose tables are imported into `app` and copied into `plain`, and a session that joins by
/// keys alone.
struct Scene {
    pair: Pair,
    client: Client,
}

impl Scene {
    /// `source` is run at the source, `here` at the warehouse.
    fn new(test: &str, source: &str, here: &str) -> Result<Scene> {
        let pair = Pair::new(test)?;
        run(&mut pair.source()?, source)?;
        let mut client = pair.warehouse()?;
        run(&mut client, here)?;
        run(
            &mut client,
            "CREATE SCHEMA app; CREATE SCHEMA plain; \
             IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
             DO $$ DECLARE name text; BEGIN \
               FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace LOOP \
                 EXECUTE format('CREATE TABLE plain.%1$I AS TABLE app.%1$I', name); \
               END LOOP; END $$; \
             ANALYZE; SET statement_timeout = '20s'",
        )?;
        run(&mut client, FORCED)?;
        Ok(Scene { pair, client })
    }

    /// Fails unless a query, in which `$` stands for the schema, joins by keys and has the same rows as
    /// over the local copies, whatever the size of the batches.
    fn agrees(&mut self, query: &str) -> Result<()> {
        let by_keys = query.replace("$.", "app.");
        let expected = sorted(&mut self.client, &query.replace("$.", "plain."))?;
        for size in SIZES {
            run(&mut self.client, &format!("SET warehouse.lookup_batch_size = {size}"))?;
            let plan = rows(&mut self.client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {by_keys}"))?;
            ensure!(plan.contains(NODE), "not joined by keys: {by_keys}\n{plan}");
            let found =
                sorted(&mut self.client, &by_keys).with_context(|| format!("{size}\n{plan}"))?;
            ensure!(
                found == expected,
                "batches of {size}\n{by_keys}\nexpected:\n{}\nfound:\n{}\n{plan}",
                expected.join("\n"),
                found.join("\n")
            );
        }
        run(&mut self.client, "RESET warehouse.lookup_batch_size")
    }
}

/// The rows of a query in an order of their own.
fn sorted(client: &mut Client, sql: &str) -> Result<Vec<String>> {
    let mut found: Vec<String> = rows(client, sql)?.lines().map(str::to_owned).collect();
    found.sort_unstable();
    Ok(found)
}
