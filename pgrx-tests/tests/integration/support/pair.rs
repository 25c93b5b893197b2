//! One source cluster and one warehouse cluster: enough for most tests.

use anyhow::Result;
use postgres::Client;
use warehouse_tests::Cluster;
use warehouse_tests::cluster::unique_name;

use super::Shared;

/// The role as which the warehouse reads the source.
pub const READER: &str = "reader";

/// Its password.
pub const READER_PASSWORD: &str = "reader password";

/// The database new warehouse databases are copied from: the extension is created in it.
const TEMPLATE: &str = "with_extension";

/// Two running clusters.
struct Clusters {
    source: Cluster,
    warehouse: Cluster,
}

/// A test's own pair of databases. In the warehouse one the extension is created, the server `src`
/// leads to the source one, and `PUBLIC` is mapped to [`READER`].
pub struct Pair {
    /// The cluster of the source, shared with other tests.
    pub source_cluster: &'static Cluster,
    /// The cluster of the warehouse, shared with other tests.
    pub warehouse_cluster: &'static Cluster,
    /// The name of the source database.
    pub source_database: String,
    /// The name of the warehouse database.
    pub warehouse_database: String,
}

impl Pair {
    /// New databases, whose names begin with `test`.
    pub fn new(test: &str) -> Result<Pair> {
        static SHARED: Shared<Clusters> = Shared::new();
        let clusters = SHARED.get(start)?;
        let pair = Pair {
            source_cluster: &clusters.source,
            warehouse_cluster: &clusters.warehouse,
            source_database: clusters.source.create_database(test)?,
            warehouse_database: unique_name(test),
        };
        pair.warehouse_cluster.execute(
            "postgres",
            &format!("CREATE DATABASE \"{}\" TEMPLATE {TEMPLATE}", pair.warehouse_database),
        )?;
        pair.warehouse_cluster.execute(
            &pair.warehouse_database,
            &format!(
                "CREATE SERVER src FOREIGN DATA WRAPPER replica_fdw OPTIONS ({}); \
                 CREATE USER MAPPING FOR PUBLIC SERVER src \
                   OPTIONS (user '{READER}', password '{READER_PASSWORD}')",
                clusters.source.server_options(&pair.source_database)
            ),
        )?;
        Ok(pair)
    }

    /// Connects to the source database as its superuser.
    pub fn source(&self) -> Result<Client> {
        self.source_cluster.connect(&self.source_database)
    }

    /// Connects to the warehouse database as its superuser.
    pub fn warehouse(&self) -> Result<Client> {
        self.warehouse_cluster.connect(&self.warehouse_database)
    }
}

fn start() -> Result<Clusters> {
    let source = Cluster::builder("source").start()?;
    source.create_role(READER, READER_PASSWORD)?;
    source.execute("postgres", &format!("GRANT pg_read_all_data TO {READER}"))?;
    let warehouse = Cluster::builder("warehouse").preload("warehouse").start()?;
    warehouse.execute("postgres", &format!("CREATE DATABASE {TEMPLATE}"))?;
    warehouse.execute(TEMPLATE, "CREATE EXTENSION warehouse")?;
    Ok(Clusters { source, warehouse })
}
