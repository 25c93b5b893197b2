//! What the company of the demo has at Braintree and at Airtable: a transaction for every payment that
//! was sent, a customer for everybody who paid, and the list of leads of those who advise families.
//!
//! It is read from the production databases, so that ids and e-mail addresses there are those of
//! people here. [`Shop::start`] runs both emulators in this process; [`Services::apart`] in one of
//! their own, which may outlive this one.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use postgres::{Client, NoTls};
use serde_json::{Value, json};

use crate::apis::airtable::{self, Told};
use crate::apis::braintree::{self, Buyer, Sale};
use crate::apis::calendar::DAY;
use crate::apis::{Airtable, Braintree, Emulator};
use crate::psql::Psql;
use crate::sites::{SITES, Sites};
use crate::{RunDir, process};

/// What decides everything that is not read.
const SEED: u64 = 7;

/// The base with the leads.
pub const BASE: &str = "Admissions";

/// A payment that is older than this, in milliseconds, has been settled.
const SETTLED_AFTER: i64 = 2 * DAY;

/// One student of so many is a lead.
const LEADS_EVERY: i64 = 97;

/// How long the process of [`Services::apart`] may take to begin.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// The files of that process in its folder. By the first the scripts find it.
const PID_FILE: &str = "emulator.pid";
const FACTS_FILE: &str = "facts";

/// Where the people and payments of a site are read.
#[derive(Debug, Clone)]
pub struct Books {
    /// The site.
    pub site: String,
    /// The schema of its tables.
    pub schema: String,
    /// How to connect, as libpq writes it.
    pub connection: String,
}

/// All records of both services.
#[derive(Debug)]
pub struct Shop {
    braintree: braintree::Options,
    airtable: airtable::Options,
}

/// Both services, running.
#[derive(Debug)]
pub struct Services {
    facts: Vec<(String, String)>,
    running: Option<(Emulator<Braintree>, Emulator<Airtable>)>,
}

impl Books {
    /// Those of every site.
    pub fn of(sites: &Sites) -> Result<Vec<Books>> {
        SITES
            .iter()
            .map(|site| {
                let primary = &sites.production(site)?.primary;
                Ok(Books {
                    site: site.name.to_owned(),
                    schema: site.schema.to_owned(),
                    connection: format!(
                        "host={} port={} user=postgres dbname={}",
                        primary.socket_dir().display(),
                        primary.port(),
                        site.main_database
                    ),
                })
            })
            .collect()
    }
}

impl Shop {
    /// Reads the books of all sites.
    pub fn read(books: &[Books]) -> Result<Shop> {
        let mut sales: Vec<(String, Sale)> = Vec::new();
        let mut buyers: Vec<Buyer> = Vec::new();
        let mut leads = Vec::new();
        for one in books {
            let mut client = Client::connect(&one.connection, NoTls)
                .with_context(|| format!("the books of {}", one.site))?;
            read_buyers(&mut client, one, &mut buyers)?;
            read_sales(&mut client, one, &mut sales)?;
            read_leads(&mut client, one, &mut leads)?;
        }
        buyers.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        sales.sort_by(|(_, one), (_, other)| {
            (one.created, &one.id).cmp(&(other.created, &other.id))
        });
        let places: HashMap<&str, usize> =
            buyers.iter().zip(0..).map(|(buyer, place)| (buyer.id.as_str(), place)).collect();
        let sales = sales
            .into_iter()
            .map(|(buyer, sale)| {
                let place = places.get(buyer.as_str()).copied();
                Ok(Sale { buyer: place.context("a payment without a user")?, ..sale })
            })
            .collect::<Result<Vec<Sale>>>()?;
        ensure!(!sales.is_empty() && !leads.is_empty(), "nobody has paid");
        let braintree = braintree::Options::told(sales, buyers, SEED);
        let mut airtable = airtable::Options::sized(0, SEED);
        airtable.everything = 0;
        airtable.told.push(table_of_leads(leads));
        Ok(Shop { braintree, airtable })
    }

    /// Runs both services in this process.
    pub fn start(self) -> Result<Services> {
        let braintree = Emulator::start(Braintree::new(self.braintree))?;
        let airtable = Emulator::start(Airtable::new(self.airtable))?;
        let keys = braintree.api().options();
        let facts = [
            ("braintree_url", braintree.url()),
            ("merchant_id", keys.merchant_id.clone()),
            ("public_key", keys.public_key.clone()),
            ("private_key", keys.private_key.clone()),
            ("airtable_url", airtable.url()),
            ("airtable_token", airtable.api().options().token.clone()),
        ];
        let facts = facts.map(|(name, value)| (name.to_owned(), value)).into();
        Ok(Services { facts, running: Some((braintree, airtable)) })
    }
}

impl Services {
    /// Runs both services in a process of their own, which is `program` with the arguments that
    /// [`Services::serve`] takes. It ends when the servers of this process do, and is found by
    /// `scripts/stop-clusters`.
    pub fn apart(program: &Path, word: &str, books: &[Books]) -> Result<Services> {
        let folder = RunDir::get()?.folder("apis")?;
        let mut command = Command::new(program);
        command.arg(word).current_dir(&folder);
        for one in books {
            command.args([&one.site, &one.schema, &one.connection]);
        }
        let pid = process::spawn(command, !RunDir::is_detached())?;
        let file = folder.join(FACTS_FILE);
        crate::timing::eventually(START_PATIENCE, "the emulators run", || {
            ensure!(process::is_running(pid), "the emulators have ended");
            Ok(file.exists())
        })?;
        let text = fs::read_to_string(&file).context("what the emulators told")?;
        let pair = |line: &str| {
            let (name, value) = line.split_once(' ').context("what the emulators told")?;
            Ok((name.to_owned(), value.to_owned()))
        };
        Ok(Services { facts: text.lines().map(pair).collect::<Result<_>>()?, running: None })
    }

    /// What such a process does, in its folder, until it is ended.
    pub fn serve(mut arguments: impl Iterator<Item = String>) -> Result<()> {
        fs::write(PID_FILE, std::process::id().to_string()).context(PID_FILE)?;
        let mut books = Vec::new();
        while let Some(site) = arguments.next() {
            let (Some(schema), Some(connection)) = (arguments.next(), arguments.next()) else {
                bail!("a site needs a schema and a connection");
            };
            books.push(Books { site, schema, connection });
        }
        let services = Shop::read(&books)?.start()?;
        let lines: String =
            services.facts.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
        // Under another name first, so that nobody reads half of it.
        let begun = PathBuf::from(format!("{FACTS_FILE}.new"));
        fs::write(&begun, lines).and_then(|()| fs::rename(&begun, FACTS_FILE)).context("facts")?;
        match services.running {
            Some((braintree, _airtable)) => braintree.wait(),
            None => bail!("the emulators did not start"),
        }
        Ok(())
    }

    /// psql with the variables of `demo/warehouse/02f-apis.sql`.
    pub fn told(&self, psql: Psql) -> Psql {
        self.facts.iter().fold(psql, |psql, (name, value)| psql.var(name, value))
    }

    /// The emulators, if they run in this process.
    pub fn running(&self) -> Option<&(Emulator<Braintree>, Emulator<Airtable>)> {
        self.running.as_ref()
    }
}

/// Milliseconds since 1970, in SQL.
const MILLIS: &str = "floor(extract(epoch FROM created_at) * 1000)::bigint";

fn read_buyers(client: &mut Client, books: &Books, buyers: &mut Vec<Buyer>) -> Result<()> {
    let sql = format!(
        "SELECT $1 || '-' || id, {MILLIS}, email, first_name, last_name FROM \"{}\".users",
        books.schema
    );
    for row in client.query(&sql, &[&books.site])? {
        buyers.push(Buyer {
            id: row.get(0),
            created: row.get(1),
            email: row.get(2),
            first_name: row.get(3),
            last_name: row.get(4),
        });
    }
    Ok(())
}

/// A payer who leaves before the end is rejected by the gateway; a card that is refused is declined.
fn read_sales(client: &mut Client, books: &Books, sales: &mut Vec<(String, Sale)>) -> Result<()> {
    let sql = format!(
        "SELECT $1 || '-' || user_id, braintree_id, {MILLIS}, status::text, \
           (amount * 100)::bigint, $1 || '-' || id, \
           floor(extract(epoch FROM now() - created_at) * 1000)::bigint \
         FROM \"{}\".payments WHERE braintree_id IS NOT NULL",
        books.schema
    );
    for row in client.query(&sql, &[&books.site])? {
        let age: i64 = row.get(6);
        let status = match row.get(3) {
            "incomplete" => "gateway_rejected",
            "failed" => "processor_declined",
            _ if age > SETTLED_AFTER => "settled",
            _ => "submitted_for_settlement",
        };
        let sale = Sale {
            id: row.get(1),
            created: row.get(2),
            status: status.to_owned(),
            cents: row.get(4),
            buyer: 0,
            order_id: row.get(5),
        };
        sales.push((row.get(0), sale));
    }
    Ok(())
}

type Record = (i64, Vec<Option<Value>>);

const TEAMS: [&str; 3] = ["North", "South", "Online"];
const STAGES: [&str; 4] = ["Applied", "Interview", "Enrolled", "Waiting list"];

fn read_leads(client: &mut Client, books: &Books, leads: &mut Vec<Record>) -> Result<()> {
    let sql = format!(
        "SELECT id, {MILLIS}, email, first_name || ' ' || last_name, (created_at + interval '3 days')::date::text \
         FROM \"{}\".users WHERE kind = 'student' AND id % {LEADS_EVERY} = 2 ORDER BY id",
        books.schema
    );
    for row in client.query(&sql, &[])? {
        let (id, created): (i64, i64) = (row.get(0), row.get(1));
        let turn = usize::try_from(id / LEADS_EVERY)?;
        let (email, name): (String, String) = (row.get(2), row.get(3));
        let visited: String = row.get(4);
        leads.push((
            created - DAY,
            vec![
                Some(json!(name)),
                Some(json!(email)),
                Some(json!(books.site)),
                Some(json!(TEAMS[turn % TEAMS.len()])),
                Some(json!(STAGES[turn / 2 % STAGES.len()])),
                (turn % 4 == 1).then(|| json!(50 * (1 + turn % 5))),
                (turn % 3 != 0).then(|| json!(visited)),
                (turn % 5 == 0).then(|| json!(format!("{name} asked to be called back"))),
            ],
        ));
    }
    Ok(())
}

fn table_of_leads(records: Vec<Record>) -> Told {
    let choices = |names: &[&str]| -> Value {
        let choices: Vec<Value> = names
            .iter()
            .enumerate()
            .map(|(place, name)| json!({"id": format!("sel{place:014}"), "name": name}))
            .collect();
        json!({"choices": choices})
    };
    Told {
        base: BASE.to_owned(),
        table: "Leads".to_owned(),
        description: "Families who asked for advice",
        fields: vec![
            ("Name", "singleLineText", Value::Null),
            ("E-Mail", "email", Value::Null),
            ("Site", "singleSelect", choices(&SITES.map(|site| site.name))),
            ("Team", "singleSelect", choices(&TEAMS)),
            ("Stage", "singleSelect", choices(&STAGES)),
            ("Scholarship", "currency", json!({"precision": 2, "symbol": "$"})),
            ("Visited", "date", json!({"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"}})),
            ("Notes", "multilineText", Value::Null),
        ],
        records,
    }
}
