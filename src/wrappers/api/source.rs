//! The connectors of this session: one for each server and user mapping, made anew when their options
//! change.

use super::error;
use super::options::Api;
use super::vendor::Vendor;
use crate::pg::catalog::{self, RawOption, Server};
use crate::pg::error::{Error, Result};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::mem::ManuallyDrop;
use std::rc::Rc;

/// A server as a user sees it.
#[derive(Clone)]
pub struct Source {
    /// The server.
    pub server: Rc<Server>,
    /// The connector.
    pub api: Rc<Api>,
    /// The user has a mapping: without it can be planned, not asked.
    pub has_mapping: bool,
}

struct Known {
    /// A digest of the options, so that credentials lie in the connector alone.
    digest: u64,
    api: Rc<Api>,
}

struct Sources {
    hasher: RandomState,
    known: HashMap<(u32, u32), Known>,
}

thread_local! {
    // Not dropped at the end of the process: what a connector holds belongs to the runtime, which stays.
    static SOURCES: ManuallyDrop<RefCell<Sources>> = ManuallyDrop::new(RefCell::new(Sources {
        hasher: RandomState::new(),
        known: HashMap::new(),
    }));
}

/// A server for planning.
pub fn planned(server: Oid, user: Oid) -> Result<Source> {
    let vendor = Vendor::of_server(server)?;
    let server = catalog::server(server);
    let mapping = catalog::mapping(user, server.oid);
    let key = (server.oid.to_u32(), mapping.as_ref().map_or(0, |mapping| mapping.oid.to_u32()));
    let options = mapping.as_ref().map(|mapping| mapping.options.as_slice());
    let digest = SOURCES.with(|sources| digest(&sources.borrow().hasher, &server.options, options));
    let known = SOURCES.with(|sources| {
        let sources = sources.borrow();
        let known = sources.known.get(&key).filter(|known| known.digest == digest);
        known.map(|known| Rc::clone(&known.api))
    });
    let api = match known {
        Some(api) => api,
        None => {
            let api = Api::new(vendor, &server.options, options)
                .map_err(|error| error::of(error).within(&format!("server \"{}\"", server.name)))?;
            let api = Rc::new(api);
            let known = Known { digest, api: Rc::clone(&api) };
            SOURCES.with(|sources| sources.borrow_mut().known.insert(key, known));
            api
        }
    };
    Ok(Source { server: Rc::new(server), api, has_mapping: mapping.is_some() })
}

/// A server to ask.
pub fn asked(server: Oid, user: Oid) -> Result<Source> {
    let source = planned(server, user)?;
    if !source.has_mapping {
        let role = catalog::role_name(user).unwrap_or_default();
        return Err(Error::new(
            Code::ERRCODE_UNDEFINED_OBJECT,
            format!("role \"{role}\" has no user mapping for server \"{}\"", source.server.name),
        )
        .hint("CREATE USER MAPPING FOR … SERVER … OPTIONS (…) holds the API's credential."));
    }
    Ok(source)
}

fn digest(hasher: &RandomState, server: &[RawOption], mapping: Option<&[RawOption]>) -> u64 {
    let pair = |option: &RawOption| (option.name.clone(), option.value.clone());
    let server: Vec<_> = server.iter().map(pair).collect();
    let mapping: Option<Vec<_>> = mapping.map(|options| options.iter().map(pair).collect());
    hasher.hash_one((server, mapping))
}
