//! The masks: pure functions from a value to what may be seen of it.
//!
//! A [`Mask`] is one of a closed set with typed arguments. Its text, kept as a column option, is
//! parsed once and is never SQL. [`Mask::prepare`] makes a [`Masker`] of it for a scan, which holds
//! key schedules, tables and room to work in, so that rows allocate nothing that could be kept.
//!
//! What always holds:
//! - NULL stays NULL: a masker is not asked.
//! - What a mask cannot understand it hides: a text that is no address becomes NULL under
//!   `ip_prefix`, never itself.
//! - No value is in an error.
//! - The same value, key and mask give the same result, in every session and on every machine.
//!
//! A family of masks is one file. The extension calls it from the wrappers' decoders and from one SQL
//! function a mask.

mod age;
mod ahead;
mod arguments;
pub mod canonical;
pub mod checksum;
pub mod civil;
pub mod decimal;
mod display;
mod error;
pub mod fake;
mod family;
pub mod fpe;
pub mod generalize;
mod generalizer;
mod hash;
mod inverter;
mod json;
mod mask;
mod masker;
mod memo;
mod network;
pub mod noise;
mod parse;
pub mod partial;
pub mod postal;
mod prf;
mod pseudonym;
pub mod redact;
mod shift;
pub mod shuffle;
mod text;
mod token;
mod traces;
mod value;
pub mod wire;

pub use ahead::{Compress, LANES};
pub use error::{ErrorKind, MaskError};
pub use family::{EXAMPLES, IntWidth, Misfit, TypeFamily};
pub use inverter::Inverter;
pub use json::{NotAPath, Path, Step as PathStep};
pub use mask::{Mask, NAMES};
pub use masker::{Context, Masker};
pub use token::Tokens;
pub use value::{
    DATE_INFINITY, DATE_MINUS_INFINITY, Edge, Inet, Masked, TIMESTAMP_INFINITY,
    TIMESTAMP_MINUS_INFINITY, Value,
};
