//! The arguments of each mask, checked.

use super::canonical::Form;
use super::decimal::Decimal;
use super::fake::{Fake, FakeKind, Locale};
use super::fpe::Alphabet;
use super::generalize::{Step, Unit};
use super::json::Path;
use super::noise::Amount;
use super::parse::{Argument, DEFAULT_DOMAIN, Node, Shape, of_node};
use super::{IntWidth, Mask, MaskError, TypeFamily};
use crate::privacy::Domain;

/// The arguments that are left to be looked at.
struct Arguments {
    mask: &'static str,
    /// Where one more argument would have stood.
    end: usize,
    positional: std::vec::IntoIter<Node>,
    /// With the position of the key.
    named: Vec<(usize, String, Node)>,
}

impl Arguments {
    fn new(
        mask: &'static str,
        arguments: Vec<Argument>,
        end: usize,
        valid: &'static [&'static str],
    ) -> Result<Arguments, MaskError> {
        let mut positional = Vec::new();
        let mut named: Vec<(usize, String, Node)> = Vec::new();
        for Argument { key, value } in arguments {
            match key {
                None if named.is_empty() => positional.push(value),
                None => return fail(mask, value.position, "no value after those with names"),
                Some(Node { position, shape: Shape::Name { name, quoted: false } })
                    if valid.contains(&name.as_str()) =>
                {
                    if named.iter().any(|(_, known, _)| *known == name) {
                        return fail(mask, position, "each argument once");
                    }
                    named.push((position, name, value));
                }
                Some(Node { position, .. }) => {
                    return Err(MaskError::UnknownArgument { position, mask, valid });
                }
            }
        }
        Ok(Arguments { mask, end, positional: positional.into_iter(), named })
    }

    fn next(&mut self, expected: &str) -> Result<Node, MaskError> {
        let (mask, end) = (self.mask, self.end);
        self.positional.next().map_or_else(|| fail(mask, end, expected), Ok)
    }

    fn named(&mut self, name: &str) -> Option<Node> {
        let at = self.named.iter().position(|(_, known, _)| known == name)?;
        Some(self.named.remove(at).2)
    }

    /// The next by position, or else by name.
    fn optional(&mut self, name: &str) -> Option<Node> {
        self.positional.next().or_else(|| self.named(name))
    }

    /// Nothing may be left.
    fn done(mut self, mask: Mask) -> Result<Mask, MaskError> {
        let left = self.positional.next().map(|node| node.position);
        match left.or_else(|| self.named.first().map(|(position, ..)| *position)) {
            None => Ok(mask),
            Some(position) => fail(self.mask, position, "no further argument"),
        }
    }

    fn integer(&self, node: Node, from: i64, to: i64) -> Result<i64, MaskError> {
        let number = match node.shape {
            Shape::Number(number) => number.to_i64().filter(|n| (from..=to).contains(n)),
            _ => None,
        };
        let expected = || format!("an integer from {from} to {to}");
        number.map_or_else(|| fail(self.mask, node.position, &expected()), Ok)
    }

    fn text(&self, node: Node) -> Result<String, MaskError> {
        match node.shape {
            Shape::Text(text) => Ok(text),
            _ => fail(self.mask, node.position, "a string in single quotes"),
        }
    }

    /// A word of a closed set, as a name or as a string.
    fn word<T>(&self, node: Node, set: &[(&'static str, T)]) -> Result<T, MaskError>
    where
        T: Clone,
    {
        let word = match node.shape {
            Shape::Name { name, quoted: false } => Some(name),
            Shape::Text(text) => Some(text),
            _ => None,
        };
        let found = set.iter().find(|(known, _)| word.as_deref() == Some(*known));
        let names = || set.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        match found {
            Some((_, value)) => Ok(value.clone()),
            None => fail(self.mask, node.position, &format!("one of: {}", names())),
        }
    }

    fn boolean(&self, node: Node) -> Result<bool, MaskError> {
        self.word(node, &[("true", true), ("false", false)])
    }

    fn column(&self, node: Node) -> Result<String, MaskError> {
        match node.shape {
            Shape::Name { name, .. } => Ok(name),
            _ => fail(self.mask, node.position, "the name of a column"),
        }
    }

    fn domain(&self, node: Node) -> Result<Domain, MaskError> {
        let expected = "a domain: up to 63 letters a-z, digits and underscores";
        match node.shape {
            Shape::Name { name, quoted: false } | Shape::Text(name) => {
                name.parse().or_else(|_| fail(self.mask, node.position, expected))
            }
            _ => fail(self.mask, node.position, expected),
        }
    }

    /// The domain by name, or the one of those who name none.
    fn quiet_domain(&mut self) -> Result<Domain, MaskError> {
        match self.named("domain") {
            Some(node) => self.domain(node),
            None => default_domain(),
        }
    }

    fn step(&mut self) -> Result<Step, MaskError> {
        let expected = "a width above zero or a unit";
        let node = self.next(expected)?;
        match node.shape {
            Shape::Number(width) if width.is_positive() => Ok(Step::Width(width)),
            Shape::Text(_) => self.word(node, Unit::ALL).map(Step::Unit),
            _ => fail(self.mask, node.position, expected),
        }
    }
}

fn default_domain() -> Result<Domain, MaskError> {
    Ok(DEFAULT_DOMAIN.parse()?)
}

fn fail<T>(mask: &'static str, position: usize, expected: &str) -> Result<T, MaskError> {
    Err(MaskError::Argument { position, mask, expected: expected.to_owned() })
}

/// The mask `name`, one of the known, with these arguments.
pub(super) fn mask(
    name: &'static str,
    arguments: Vec<Argument>,
    end: usize,
) -> Result<Mask, MaskError> {
    if name == "json" {
        return json(arguments);
    }
    let valid: &'static [&'static str] = match name {
        "pseudonym" => &["domain", "form", "country"],
        "token" | "hash" => &["domain"],
        "fpe" => &["domain", "alphabet"],
        "noise" => &["entity", "domain"],
        "date_shift" => &["domain"],
        _ if name.starts_with("fake_") => &["domain", "locale", "unique"],
        _ => &[],
    };
    let mut args = Arguments::new(name, arguments, end, valid)?;
    let mask = match name {
        "null" => Mask::Null,
        "constant" => {
            let node = args.next("a string in single quotes")?;
            Mask::Constant(args.text(node)?)
        }
        "keep" => Mask::Keep,
        "partial" => partial(&mut args)?,
        "partial_email" => Mask::PartialEmail,
        "partial_phone" => Mask::PartialPhone,
        "partial_card" => Mask::PartialCard,
        "partial_url" => Mask::PartialUrl,
        "initial" => Mask::Initial,
        "ip_prefix" => {
            let v4 = args.positional.next().map(|node| args.integer(node, 0, 31)).transpose()?;
            let v6 = args.positional.next().map(|node| args.integer(node, 0, 127)).transpose()?;
            // Both are within the ranges above.
            Mask::IpPrefix { v4: v4.unwrap_or(24) as u8, v6: v6.unwrap_or(48) as u8 }
        }
        "zip3" => Mask::Zip3,
        "pseudonym" => pseudonym(&mut args)?,
        "token" => Mask::Token { domain: required_domain(&mut args)? },
        "hash" => Mask::Hash { domain: required_domain(&mut args)? },
        "fpe" => fpe(&mut args)?,
        "generalize" => Mask::Generalize(args.step()?),
        "generalize_range" => Mask::GeneralizeRange(args.step()?),
        "bands" => bands(&mut args)?,
        "age" => Mask::Age,
        "age_band" => {
            let node = args.next("a number of years")?;
            Mask::AgeBand(args.integer(node, 1, 90)? as u32)
        }
        "noise" => noise(&mut args)?,
        "date_shift" => {
            let entity = args.next("the name of the column with the entity")?;
            let days = args.next("a number of days")?;
            Mask::DateShift {
                entity: args.column(entity)?,
                days: args.integer(days, 1, 36_500)? as u32,
                domain: args.quiet_domain()?,
            }
        }
        "redact" => {
            let nodes: Vec<Node> = args.positional.by_ref().collect();
            let columns = nodes.into_iter().map(|node| args.column(node)).collect::<Result<_, _>>();
            Mask::Redact { columns: columns? }
        }
        "shuffle" => Mask::Shuffle,
        _ => fake(&mut args)?,
    };
    args.done(mask)
}

fn required_domain(args: &mut Arguments) -> Result<Domain, MaskError> {
    match args.optional("domain") {
        Some(node) => args.domain(node),
        None => fail(args.mask, args.end, "a domain, as in pseudonym(person)"),
    }
}

fn partial(args: &mut Arguments) -> Result<Mask, MaskError> {
    let prefix = args.next("the number of characters to keep at the beginning")?;
    let pad = args.next("what stands for the rest")?;
    let suffix = args.next("the number of characters to keep at the end")?;
    Ok(Mask::Partial {
        prefix: args.integer(prefix, 0, 10_000)? as u32,
        pad: args.text(pad)?,
        suffix: args.integer(suffix, 0, 10_000)? as u32,
    })
}

fn pseudonym(args: &mut Arguments) -> Result<Mask, MaskError> {
    let domain = required_domain(args)?;
    let phone = Form::Phone { country: None };
    let forms = [
        ("auto", Form::Auto),
        ("exact", Form::Exact),
        ("email", Form::Email),
        ("name", Form::Name),
        ("phone", phone),
    ];
    let mut form = match args.named("form") {
        Some(node) => args.word(node, &forms)?,
        None => Form::Auto,
    };
    if let Some(node) = args.named("country") {
        if form != phone {
            return fail(args.mask, node.position, "a country only with form => phone");
        }
        form = Form::Phone { country: Some(args.integer(node, 1, 999)? as u16) };
    }
    Ok(Mask::Pseudonym { domain, form })
}

fn fpe(args: &mut Arguments) -> Result<Mask, MaskError> {
    let domain = required_domain(args)?;
    let alphabet = match args.optional("alphabet") {
        None => Alphabet::digits(),
        Some(node) => {
            let position = node.position;
            let expected = "an alphabet of 2 to 4096 different characters";
            let text = args.text(node)?;
            Alphabet::new(&text).map_or_else(|| fail(args.mask, position, expected), Ok)?
        }
    };
    Ok(Mask::Fpe { domain, alphabet })
}

fn bands(args: &mut Arguments) -> Result<Mask, MaskError> {
    let mut bounds: Vec<Decimal> = Vec::new();
    let expected = "numbers that ascend";
    bounds.extend(number(args.next(expected)?, args.mask, expected)?);
    for node in args.positional.by_ref() {
        let position = node.position;
        let bound = number(node, args.mask, expected)?;
        if bound <= bounds.last().copied() {
            return fail(args.mask, position, expected);
        }
        bounds.extend(bound);
    }
    Ok(Mask::Bands(bounds))
}

fn number(node: Node, mask: &'static str, expected: &str) -> Result<Option<Decimal>, MaskError> {
    match node.shape {
        Shape::Number(number) => Ok(Some(number)),
        _ => fail(mask, node.position, expected),
    }
}

fn noise(args: &mut Arguments) -> Result<Mask, MaskError> {
    let expected = "a number above zero, or a string like '10%' or '3 days'";
    let node = args.next(expected)?;
    let amount = match &node.shape {
        Shape::Number(number) if number.is_positive() => Some(Amount::Absolute(*number)),
        Shape::Text(text) => Amount::parse(text),
        _ => None,
    };
    let Some(amount) = amount else { return fail(args.mask, node.position, expected) };
    let entity = args.optional("entity").map(|node| args.column(node)).transpose()?;
    Ok(Mask::Noise { amount, entity, domain: args.quiet_domain()? })
}

fn fake(args: &mut Arguments) -> Result<Mask, MaskError> {
    let name = args.mask;
    let Some(kind) = FakeKind::ALL.iter().copied().find(|kind| kind.name() == name) else {
        return fail(name, args.end, "a mask");
    };
    let domain = match args.optional("domain") {
        Some(node) => args.domain(node)?,
        None => default_domain()?,
    };
    let locale = match args.optional("locale") {
        Some(node) => args.word(node, Locale::ALL)?,
        None => Locale::En,
    };
    let unique = match args.named("unique") {
        Some(node) => args.boolean(node)?,
        None => false,
    };
    Ok(Mask::Fake(Fake { kind, domain, locale, unique }))
}

fn json(arguments: Vec<Argument>) -> Result<Mask, MaskError> {
    let expected = "'$.path' => mask, or rest => keep";
    let mut rules = Vec::new();
    let mut rest = None;
    for Argument { key, value } in arguments {
        let Some(key) = key else { return fail("json", value.position, expected) };
        match key.shape {
            Shape::Text(path) => {
                let path: Path = path.parse().or_else(|_| {
                    fail("json", key.position, "a path like $.name, $.\"a b\", $[0], $[*] or $.*")
                })?;
                let position = value.position;
                let mask = of_node(value)?;
                if matches!(mask, Mask::Json { .. } | Mask::Shuffle) || !fits_json(&mask) {
                    return fail(
                        "json",
                        position,
                        "a mask of text or numbers that keeps them such",
                    );
                }
                if rules.iter().any(|(known, _)| *known == path) {
                    return fail("json", key.position, "each path once");
                }
                rules.push((path, mask));
            }
            Shape::Name { name, quoted: false } if name == "rest" && rest.is_none() => {
                let args = Arguments::new("json", Vec::new(), 0, &[])?;
                rest = Some(args.word(value, &[("keep", true), ("null", false)])?);
            }
            _ => return fail("json", key.position, expected),
        }
    }
    Ok(Mask::Json { rules, keep_rest: rest.unwrap_or(false) })
}

/// Whether a mask makes text or a number of any value that JSON has; others would make all null.
fn fits_json(mask: &Mask) -> bool {
    let integer = TypeFamily::Integer(IntWidth::Eight);
    [TypeFamily::Text, integer, TypeFamily::Numeric].iter().any(|family| {
        let fits =
            |to| matches!(to, TypeFamily::Text | TypeFamily::Integer(_) | TypeFamily::Numeric);
        mask.result(family).is_ok_and(fits)
    })
}
