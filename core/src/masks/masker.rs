//! A mask made ready for a scan.

use super::ahead::Compress;
use super::canonical::{self, Form};
use super::fake::Fakes;
use super::fpe::{Fpe, IntegerFpe};
use super::generalizer::Generalizer;
use super::hash::Hashes;
use super::json::JsonMasker;
use super::noise::Noise;
use super::postal::Restricted;
use super::prf::Prf;
use super::pseudonym::Pseudonyms;
use super::redact::Redactor;
use super::shift::Shifts;
use super::{IntWidth, Mask, MaskError, Masked, Tokens, TypeFamily, Value};
use super::{age, generalize, network, partial, postal};
use crate::privacy::{Domain, Keyring, Purpose};
use std::fmt;

/// What masks need beside their arguments.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The keys; keyed masks cannot be prepared without.
    pub keys: Option<&'a Keyring>,
    /// Days since 2000-01-01 at the start of the transaction, for ages.
    pub today: i32,
    /// The areas that `zip3` hides; those of the census of 2000 if none are given.
    pub zip3: Option<&'a Restricted>,
    /// How several blocks of SHA-256 are compressed in less time than one after the other, where the
    /// processor has a way.
    pub together: Option<Compress>,
}

/// What a mask works with. One variant for each way of working, not for each mask.
enum Work {
    Null,
    Constant,
    Keep,
    Partial { prefix: u32, pad: String, suffix: u32 },
    Text(fn(&str, &mut String)),
    IpPrefix { v4: u8, v6: u8 },
    Zip3(Restricted),
    Pseudonym(Pseudonyms),
    Token(Box<Tokens>),
    Fpe(Box<Fpe>),
    IntegerFpe(Box<IntegerFpe>),
    Hash(Hashes),
    Fake(Fakes),
    Generalize(Generalizer),
    GeneralizeRange(Generalizer),
    Bands(Vec<super::decimal::Decimal>),
    Age,
    AgeBand(u32),
    Noise(Noise),
    DateShift(Shifts),
    Redact(Redactor),
    Json(Box<JsonMasker>),
}

/// Masks the values of a column, one after the other. It holds what is the same for all of them: key
/// schedules, tables, room to work in.
pub struct Masker {
    name: &'static str,
    work: Work,
    width: IntWidth,
    today: i32,
    room: String,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("mask", &self.name).finish_non_exhaustive()
    }
}

impl Mask {
    /// Makes the mask ready for the values of a column. For an array it masks one element at a time.
    ///
    /// # Errors
    /// [`MaskError::Misfit`], [`MaskError::NoKey`], [`MaskError::Key`] and, for `shuffle`,
    /// [`MaskError::NeedsWholeColumn`].
    pub fn prepare(&self, family: &TypeFamily, context: &Context<'_>) -> Result<Masker, MaskError> {
        self.result(family)?;
        let prf = |purpose, domain: &Domain| -> Result<Prf, MaskError> {
            let keys = self.keys(context)?;
            let mut prf = Prf::new(&*keys.derive::<32>(purpose, domain, keys.current(domain))?);
            if let Some(compress) = context.together {
                prf.together(compress);
            }
            Ok(prf)
        };
        let element = family.element();
        let work = match self {
            Mask::Null => Work::Null,
            Mask::Constant(_) => Work::Constant,
            Mask::Keep => Work::Keep,
            Mask::Partial { prefix, pad, suffix } => {
                Work::Partial { prefix: *prefix, pad: pad.clone(), suffix: *suffix }
            }
            Mask::PartialEmail => Work::Text(partial::email),
            Mask::PartialPhone => Work::Text(partial::phone),
            Mask::PartialCard => Work::Text(partial::card),
            Mask::PartialUrl => Work::Text(partial::url),
            Mask::Initial => Work::Text(partial::initial),
            Mask::IpPrefix { v4, v6 } => Work::IpPrefix { v4: *v4, v6: *v6 },
            Mask::Zip3 => Work::Zip3(context.zip3.cloned().unwrap_or_else(Restricted::census_2000)),
            Mask::Pseudonym { domain, form } => {
                Work::Pseudonym(Pseudonyms::new(prf(Purpose::Pseudonym, domain)?, *form, family))
            }
            Mask::Token { domain } => {
                Work::Token(Box::new(Tokens::new(self.keys(context)?, domain)?))
            }
            Mask::Fpe { domain, alphabet } => {
                let keys = self.keys(context)?;
                let key = keys.derive::<32>(Purpose::Fpe, domain, keys.current(domain))?;
                let misfit = || self.misfit(family);
                match element {
                    TypeFamily::Integer(width) => {
                        let fpe = IntegerFpe::new(&key, *width).ok_or_else(misfit)?;
                        Work::IntegerFpe(Box::new(fpe))
                    }
                    _ => Work::Fpe(Box::new(Fpe::new(&key, alphabet))),
                }
            }
            Mask::Hash { domain } => Work::Hash(Hashes::new(prf(Purpose::Hash, domain)?, family)),
            Mask::Fake(fake) => Work::Fake(Fakes::new(prf(Purpose::Fake, &fake.domain)?, fake)),
            Mask::Generalize(step) => Work::Generalize(Generalizer::new(*step)),
            Mask::GeneralizeRange(step) => Work::GeneralizeRange(Generalizer::new(*step)),
            Mask::Bands(bounds) => Work::Bands(bounds.clone()),
            Mask::Age => Work::Age,
            Mask::AgeBand(width) => Work::AgeBand(*width),
            Mask::Noise { amount, entity, domain } => {
                let prf = prf(Purpose::Noise, domain)?;
                Work::Noise(Noise::new(prf, *amount, entity.is_some(), family))
            }
            Mask::DateShift { days, domain, .. } => {
                Work::DateShift(Shifts::new(prf(Purpose::DateShift, domain)?, *days))
            }
            Mask::Redact { .. } => Work::Redact(Redactor::default()),
            Mask::Json { rules, keep_rest } => {
                Work::Json(Box::new(JsonMasker::new(rules, *keep_rest, context)?))
            }
            Mask::Shuffle => return Err(MaskError::NeedsWholeColumn),
        };
        let width = match element {
            TypeFamily::Integer(width) => *width,
            _ => IntWidth::Eight,
        };
        Ok(Masker { name: self.name(), work, width, today: context.today, room: String::new() })
    }

    fn keys<'a>(&self, context: &Context<'a>) -> Result<&'a Keyring, MaskError> {
        context.keys.ok_or(MaskError::NoKey { mask: self.name() })
    }
}

impl Masker {
    /// Says that it masks the values of a scan, in which some come again and again: results of keyed
    /// masks are remembered, with the values they belong to, until the masker is dropped.
    pub fn remember(&mut self) {
        match &mut self.work {
            Work::Pseudonym(pseudonyms) => pseudonyms.prf().remember(),
            Work::Hash(hashes) => hashes.prf().remember(),
            Work::Fake(fakes) => fakes.prf().remember(),
            Work::Noise(noise) => noise.prf().remember(),
            Work::DateShift(shifts) => shifts.prf().remember(),
            _ => {}
        }
    }

    /// Whether it is faster if it is told the values that come next.
    pub fn looks_ahead(&mut self) -> bool {
        self.keyed_by_value().is_some_and(|(prf, ..)| prf.looks_ahead())
    }

    /// Values will be said, in place of those that were said before.
    pub fn begin_ahead(&mut self) {
        if let Some((prf, ..)) = self.keyed_by_value() {
            prf.begin();
        }
    }

    /// Says a value that will be masked soon; where [`Masker::mask_said`] finds it. `None` if it is to be
    /// masked as any other.
    pub fn say(&mut self, value: Value<'_>) -> Option<usize> {
        let (prf, form, room) = self.keyed_by_value()?;
        canonical::write(value, form, room);
        prf.say(room)
    }

    /// As [`say`](Self::say) of text, if it is ASCII.
    pub fn say_ascii(&mut self, text: &[u8]) -> Option<usize> {
        let (prf, form, room) = self.keyed_by_value()?;
        if !canonical::write_ascii(text, form, room) {
            return None;
        }
        prf.say(room)
    }

    /// What may be seen of a value that was said, if that is a pseudonym that is text.
    pub fn pseudonym_said(&mut self, place: usize) -> Option<[u8; 32]> {
        match &mut self.work {
            Work::Pseudonym(pseudonyms) => {
                let bytes = pseudonyms.prf().said(place)?;
                pseudonyms.digits_of(&bytes)
            }
            _ => None,
        }
    }

    /// What it puts values into steps with, if it does.
    pub(super) fn steps(&mut self) -> Option<&mut Generalizer> {
        match &mut self.work {
            Work::Generalize(steps) => Some(steps),
            _ => None,
        }
    }

    /// What may be seen of a value that was said, as [`Masker::mask`] tells it.
    ///
    /// # Errors
    /// As there.
    pub fn mask_said<'o>(
        &mut self,
        place: usize,
        out: &'o mut String,
    ) -> Result<Masked<'o>, MaskError> {
        out.clear();
        let said = self.keyed_by_value().and_then(|(prf, ..)| prf.said(place));
        match (&self.work, said) {
            (Work::Pseudonym(pseudonyms), Some(bytes)) => Ok(pseudonyms.of(&bytes, out)),
            (Work::Hash(hashes), Some(bytes)) => hashes.of(&bytes, out),
            (Work::Fake(fakes), Some(bytes)) => fakes.of(&bytes, out),
            _ => Err(MaskError::Unreadable { mask: self.name }),
        }
    }

    /// The function that is asked for each value, of masks that have one; the form in which it is asked,
    /// and room for that.
    fn keyed_by_value(&mut self) -> Option<(&mut Prf, Form, &mut Vec<u8>)> {
        match &mut self.work {
            Work::Pseudonym(pseudonyms) => Some(pseudonyms.keyed()),
            Work::Hash(hashes) => Some(hashes.keyed()),
            Work::Fake(fakes) => Some(fakes.keyed()),
            _ => None,
        }
    }

    /// What may be seen of a value. Text is written over what is in `out`; `others` are the values of
    /// [`Mask::columns`] in the same row, in that order. NULL is not to be asked about: it stays NULL
    /// (under a constant it need not even be fetched).
    ///
    /// # Errors
    /// Those of kind [`Data`](super::ErrorKind::Data): a value that the mask refuses or that is not of
    /// the family the masker was made for. No error holds the value.
    pub fn mask<'o>(
        &mut self,
        value: Value<'_>,
        others: &[Option<Value<'_>>],
        out: &'o mut String,
    ) -> Result<Masked<'o>, MaskError> {
        out.clear();
        let width = self.width;
        let entity = || others.first().copied().flatten();
        match (&mut self.work, value) {
            (Work::Null, _) => Ok(Masked::Null),
            (Work::Constant, _) => Ok(Masked::Constant),
            (Work::Keep, _) => Ok(Masked::Unchanged),
            (Work::Partial { prefix, pad, suffix }, Value::Text(text)) => {
                partial::partial(text, *prefix, pad, *suffix, out);
                Ok(Masked::Text(out))
            }
            (Work::Text(mask), Value::Text(text)) => {
                mask(text, out);
                Ok(Masked::Text(out))
            }
            (Work::IpPrefix { v4, v6 }, value) => network::mask(value, *v4, *v6, out),
            (Work::Zip3(restricted), value) => postal::mask(value, restricted, out),
            (Work::Pseudonym(pseudonyms), value) => Ok(pseudonyms.mask(value, out)),
            (Work::Token(tokens), value) => tokens.mask(value, &mut self.room, out),
            (Work::Fpe(fpe), Value::Text(text)) => {
                fpe.encrypt(text, out)?;
                Ok(Masked::Text(out))
            }
            (Work::IntegerFpe(fpe), Value::Integer(number)) if width.holds(number) => {
                Ok(Masked::Integer(fpe.encrypt(number)))
            }
            (Work::Hash(hashes), value) => hashes.mask(value, out),
            (Work::Fake(fakes), value) => fakes.mask(value, out),
            (Work::Generalize(steps), value) => steps.lower(value, width, out),
            (Work::GeneralizeRange(steps), value) => steps.range(value, width),
            (Work::Bands(bounds), value) => {
                generalize::band(bounds, value, |number| width.holds(number))
            }
            (Work::Age, value) => age::age(value, self.today),
            (Work::AgeBand(years), value) => age::band(value, *years, self.today),
            (Work::Noise(noise), value) => noise.mask(value, entity(), out),
            (Work::DateShift(shifts), value) => shifts.mask(value, entity()),
            (Work::Redact(redactor), value) => redactor.mask(value, others, out),
            (Work::Json(json), value) => json.mask(value, others, out),
            _ => Err(MaskError::Unreadable { mask: self.name }),
        }
    }
}

#[cfg(test)]
#[path = "masker_tests.rs"]
mod tests;
