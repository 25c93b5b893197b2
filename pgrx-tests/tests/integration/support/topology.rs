//! The company of the demo, in small: four sites, three production clusters, three standbys.

use std::time::Duration;

use anyhow::Result;
use postgres::Client;
use warehouse_tests::Cluster;
use warehouse_tests::shop::{Books, Services, Shop};
use warehouse_tests::sites::{Sites, demo_file};
use warehouse_tests::timing::eventually;

use super::Shared;

/// How many people a site has here, more or less.
const USERS: u32 = 500;

/// A test's own warehouse database, next to production data that all tests share. It is told about
/// the sites by the scripts of the demo.
pub struct Topology {
    /// The clusters, shared with other tests. What a test writes at a primary goes into a schema of
    /// its own.
    pub sites: &'static Sites,
    /// The name of the warehouse database.
    pub database: String,
}

impl Topology {
    /// A new warehouse database, whose name begins with `test`, with the extension, the six servers
    /// and their user mappings.
    pub fn new(test: &str) -> Result<Topology> {
        static SHARED: Shared<Sites> = Shared::new();
        let sites = SHARED.get(|| {
            let warehouse = Cluster::builder("warehouse").preload("warehouse");
            Sites::start(USERS, warehouse, &|_| {})
        })?;
        let topology = Topology { sites, database: sites.warehouse.create_database(test)? };
        topology.run("01-servers.sql")?;
        // These tests are about the merge, not about the policy.
        let servers = ["miacademy", "aicd", "miaprep"];
        let statements: Vec<String> = servers
            .iter()
            .flat_map(|site| [format!("{site}_main"), format!("{site}_writemostly")])
            .map(|server| format!("ALTER SERVER {server} OPTIONS (ADD unclassified 'clear')"))
            .collect();
        topology.warehouse()?.batch_execute(&statements.join("; "))?;
        Ok(topology)
    }

    /// Runs a script of `demo/warehouse` in the warehouse database, as its superuser, and returns
    /// what psql printed.
    pub fn run(&self, script: &str) -> Result<String> {
        self.sites
            .warehouse_psql(&self.database)
            .file(&demo_file(&format!("warehouse/{script}")))?
            .ok()
    }

    /// Merges the four sites and grants the analyst what the demo grants.
    pub fn merge(&self) -> Result<()> {
        self.run("02-merge.sql")?;
        self.run("02b-grants.sql").map(|_| ())
    }

    /// Makes tables of Braintree and Airtable, emulated for this test alone, as the demo does. What they
    /// hold is what the production databases hold.
    pub fn apis(&self) -> Result<Services> {
        static KEY: Shared<()> = Shared::new();
        KEY.get(|| self.make_key())?;
        let services = Shop::read(&Books::of(self.sites)?)?.start()?;
        let psql = services.told(self.sites.warehouse_psql(&self.database));
        psql.file(&demo_file("warehouse/02f-apis.sql"))?.ok()?;
        Ok(services)
    }

    /// Gives the warehouse the key that pseudonyms are made with.
    fn make_key(&self) -> Result<()> {
        let mut client = self.warehouse()?;
        let file = self.sites.warehouse.socket_dir().join("warehouse.key").display().to_string();
        client.batch_execute(&format!("ALTER SYSTEM SET warehouse.key_file = '{file}'"))?;
        client.batch_execute("SELECT pg_reload_conf()")?;
        eventually(Duration::from_secs(10), "the key file is known", || {
            let known = client.query_one("SHOW warehouse.key_file", &[])?;
            Ok(known.get::<_, String>(0) == file)
        })?;
        client.batch_execute("SELECT warehouse.create_key()")?;
        Ok(())
    }

    /// Connects to the warehouse database as its superuser.
    pub fn warehouse(&self) -> Result<Client> {
        self.sites.warehouse.connect(&self.database)
    }
}
