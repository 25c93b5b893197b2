//! The company the demo and the tests read: four sites on three production clusters, each with a
//! hot standby, and a warehouse that knows the standbys alone.
//!
//! What the clusters hold is written in `demo/production/*.sql`, what the warehouse is told in
//! `demo/warehouse/*.sql`.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::cluster::Builder;
use crate::psql::Psql;
use crate::{Cluster, Standby};

/// Who analysts are at the warehouse.
pub const ANALYST: &str = "analyst";

/// Their password.
pub const ANALYST_PASSWORD: &str = "analyst password";

/// The password of the role `analytics`, as which the warehouse reads the standbys.
pub const ANALYTICS_PASSWORD: &str = "analytics password";

/// One site: where its tables are.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// What the column `site` reads for it.
    pub name: &'static str,
    /// The production cluster it is on.
    pub cluster: &'static str,
    /// The database of people, payments, lessons.
    pub main_database: &'static str,
    /// The database of logins and lesson events.
    pub writemostly_database: &'static str,
    /// The schema of its tables, in both databases.
    pub schema: &'static str,
    /// A script for what only this site has, in `demo/production`.
    difference: Option<&'static str>,
    /// How many people it has, in percent of what is asked for.
    size: u32,
    /// How registrations spread over time: the exponent of their growth (below 1 they get more) and
    /// how many busy seasons there were.
    growth: (&'static str, &'static str),
}

/// The four sites.
pub const SITES: [Site; 4] = [
    Site {
        name: "miacademy",
        cluster: "miacademy",
        main_database: "miacademy",
        writemostly_database: "miacademy_writemostly",
        schema: "miacademy",
        difference: None,
        size: 130,
        growth: ("0.90", "5"),
    },
    Site {
        name: "ai",
        cluster: "aicd",
        main_database: "aicd",
        writemostly_database: "aicd_writemostly",
        schema: "ai",
        difference: None,
        size: 60,
        growth: ("0.75", "3"),
    },
    Site {
        name: "cd",
        cluster: "aicd",
        main_database: "aicd",
        writemostly_database: "aicd_writemostly",
        schema: "cd",
        difference: Some("main-cd.sql"),
        size: 90,
        growth: ("1.00", "4"),
    },
    Site {
        name: "miaprep",
        cluster: "miaprep",
        main_database: "miaprep",
        writemostly_database: "miaprep_writemostly",
        schema: "app",
        difference: Some("main-miaprep.sql"),
        size: 110,
        growth: ("0.85", "6"),
    },
];

/// One production cluster and its standby.
#[derive(Debug)]
pub struct Production {
    /// Where the sites write.
    pub primary: Cluster,
    /// Where the warehouse reads.
    pub standby: Standby,
}

/// The whole company.
#[derive(Debug)]
pub struct Sites {
    /// The production clusters: miacademy, aicd, miaprep.
    pub production: Vec<Production>,
    /// The warehouse, with the role [`ANALYST`]; the extension is not created yet.
    pub warehouse: Cluster,
}

impl Sites {
    /// Creates and fills everything; `users` is how many people a site has, more or less.
    ///
    /// `warehouse` describes the warehouse's cluster. `tell` hears of every cluster that is ready.
    pub fn start(users: u32, warehouse: Builder, tell: &(impl Fn(&str) + Sync)) -> Result<Sites> {
        let mut production = Vec::new();
        let mut started = None;
        thread::scope(|scope| -> Result<()> {
            let clusters: Vec<_> = ["miacademy", "aicd", "miaprep"]
                .map(|name| scope.spawn(move || start_production(name, users, tell)))
                .into();
            started = Some(warehouse.start()?);
            for cluster in clusters {
                production.push(cluster.join().map_err(|_| anyhow!("a thread panicked"))??);
            }
            Ok(())
        })?;
        let warehouse = started.context("invariant: started above")?;
        warehouse.create_role(ANALYST, ANALYST_PASSWORD)?;
        tell(&format!("warehouse: port {}, knows the standbys alone", warehouse.port()));
        Ok(Sites { production, warehouse })
    }

    /// The production cluster a site is on.
    pub fn production(&self, site: &Site) -> Result<&Production> {
        self.production
            .iter()
            .find(|production| production.primary.name() == site.cluster)
            .with_context(|| format!("no cluster {}", site.cluster))
    }

    /// psql on a database of the warehouse, as its superuser, with the variables that
    /// `demo/warehouse/*.sql` use.
    pub fn warehouse_psql(&self, database: &str) -> Psql {
        let mut psql = self
            .warehouse
            .psql(database)
            .arg("--quiet")
            .var("analytics_password", ANALYTICS_PASSWORD);
        for Production { primary, standby } in &self.production {
            let name = primary.name();
            psql = psql
                .var(&format!("{name}_host"), standby.host())
                .var(&format!("{name}_port"), &standby.port().to_string());
        }
        psql
    }

    /// Waits until every standby shows what its primary has committed so far.
    pub fn wait_for_replay(&self) -> Result<()> {
        self.production.iter().try_for_each(|production| production.standby.wait_for_replay())
    }
}

/// A file below `demo`.
pub fn demo_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo").join(name)
}

fn start_production(name: &str, users: u32, tell: &(impl Fn(&str) + Sync)) -> Result<Production> {
    let primary = Cluster::builder(name)
        .setting("shared_buffers", "256MB")
        .setting("max_wal_size", "2GB")
        .start()?;
    let run = |database: &str, file: &str, site: Option<(usize, &Site)>| -> Result<()> {
        let mut psql =
            primary.psql(database).arg("--quiet").var("analytics_password", ANALYTICS_PASSWORD);
        if let Some((number, site)) = site {
            psql = psql
                .var("schema", site.schema)
                .var("site", site.name)
                .var("users", &(users * site.size / 100).to_string())
                .var("growth", site.growth.0)
                .var("seasons", site.growth.1)
                .var("seed", &format!("0.{}", number + 1));
        }
        let done = psql.file(&demo_file(&format!("production/{file}")))?.ok();
        done.with_context(|| format!("cluster {name}, {file}"))?;
        Ok(())
    };
    run("postgres", "roles.sql", None)?;
    let mut created: Vec<&str> = Vec::new();
    for (number, site) in SITES.iter().enumerate() {
        if site.cluster != name {
            continue;
        }
        for database in [site.main_database, site.writemostly_database] {
            if !created.contains(&database) {
                primary.execute("postgres", &format!("CREATE DATABASE {database}"))?;
                created.push(database);
            }
        }
        let variables = Some((number, site));
        run(site.main_database, "main.sql", variables)?;
        if let Some(file) = site.difference {
            run(site.main_database, file, variables)?;
        }
        run(site.writemostly_database, "writemostly.sql", variables)?;
    }
    if name == "miacademy" {
        run("miacademy", "meta.sql", None)?;
    }
    let standby = Standby::of(&primary, &format!("{name}-standby"))
        .setting("hot_standby_feedback", "on")
        .start()?;
    standby.wait_for_replay()?;
    tell(&format!(
        "{name}: primary on port {}, hot standby on port {}, databases {}",
        primary.port(),
        standby.port(),
        created.join(" and ")
    ));
    Ok(Production { primary, standby })
}
