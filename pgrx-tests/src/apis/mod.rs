//! Emulators of the services that the extension reads, for tests, the demo and the bench.
//!
//! An emulator is a small web server on a loopback port that speaks a service's protocol over
//! generated data. The data is decided by a seed, holds the edge cases on purpose, and can be asked
//! for as plain JSON ([`Emulator::truth`]), so that any reader can be checked against it. Every
//! request is logged, and can be made to fail in a chosen way ([`Fault`]). What an emulator answers
//! is what the service's own SDKs accept: the integration tests of module `apis` let them read all of
//! it.
//!
//! ```ignore
//! let braintree = Emulator::start(Braintree::new(braintree::Options::default()))?;
//! braintree.arm(Fault::new(What::Status(429, Some(1))).on("/advanced_search_ids").times(2));
//! // … let somebody read from braintree.url() …
//! assert!(braintree.log().most_in_a_second("") <= 5);
//! for transaction in braintree.truth("transactions")? { … }
//! ```
//!
//! The binary `emulator` runs one by itself; [`control`] is how it is told what to do.

pub mod airtable;
pub mod braintree;
pub mod calendar;
pub mod canonical;
pub mod control;
pub mod exchange;
pub mod fault;
mod limit;
pub mod log;
pub mod random;
pub mod sdk;
mod server;

/// Takes the policy off every column of the tables of APIs in a database, so that tests and figures are
/// about what the API says and not about what is shown of it. The servers need `unclassified 'clear'`.
pub const OPEN_POLICY: &str = "\
    DO $$ DECLARE c record; BEGIN \
      FOR c IN SELECT a.attrelid::regclass AS t, a.attname, o.option_name \
        FROM pg_foreign_table f JOIN pg_attribute a ON a.attrelid = f.ftrelid AND a.attnum > 0, \
          pg_options_to_table(a.attfdwoptions) o WHERE o.option_name IN ('class', 'mask') \
      LOOP EXECUTE format('ALTER FOREIGN TABLE %s ALTER COLUMN %I OPTIONS (DROP %I)', c.t, c.attname, c.option_name); \
      END LOOP; END $$";

pub use airtable::Airtable;
pub use braintree::Braintree;
pub use fault::{Fault, What};
pub use server::{Api, Emulator};
