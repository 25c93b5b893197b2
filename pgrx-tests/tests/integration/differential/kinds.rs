//! The types that occur, what can be done with all values of a type, and where its values come from.

use super::pools as pool;
use super::random::Random;
use super::strings::{self, quote};

/// A type.
#[derive(Debug)]
pub struct Kind {
    /// Its name, as the rules call it and as SQL casts to it.
    pub name: &'static str,
    /// The types a column of it may be declared with.
    pub declared: &'static [&'static str],
    /// Which comparisons it has.
    pub compares: Compares,
    /// Where values come from.
    values: Values,
}

/// Which comparisons a type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compares {
    /// None that all types have.
    Nothing,
    /// `=`, `<` and so on; equal values may still look different, such as 1.0 and 1.00.
    Order,
    /// Also, equal values are the same value.
    Exactly,
}

#[derive(Debug)]
enum Values {
    Pool(&'static [&'static str]),
    /// A text of at most so many characters.
    Text(usize),
    Bytes,
    Uuid,
    Array(&'static str),
    /// `(integer, text)`.
    Row,
}

use Compares::{Exactly, Nothing, Order};
use Values::{Array, Bytes, Pool, Row, Text, Uuid};

const fn kind(
    name: &'static str,
    declared: &'static [&'static str],
    compares: Compares,
    values: Values,
) -> Kind {
    Kind { name, declared, compares, values }
}

/// All of them.
pub const KINDS: &[Kind] = &[
    kind("bool", &["bool"], Exactly, Pool(pool::BOOL)),
    kind("int2", &["int2"], Exactly, Pool(pool::INT2)),
    kind("int4", &["int4"], Exactly, Pool(pool::INT4)),
    kind("int8", &["int8"], Exactly, Pool(pool::INT8)),
    kind("oid", &["oid"], Exactly, Pool(pool::OID)),
    kind("float4", &["float4"], Order, Pool(pool::FLOAT4)),
    kind("float8", &["float8"], Order, Pool(pool::FLOAT8)),
    kind("numeric", &["numeric"], Order, Pool(pool::NUMERIC)),
    kind("money", &["money"], Exactly, Pool(pool::MONEY)),
    kind("text", &["text", "text", "text COLLATE \"C\""], Exactly, Text(400)),
    kind("varchar", &["varchar(20)", "varchar"], Exactly, Text(20)),
    kind("bpchar", &["char(6)"], Exactly, Text(6)),
    kind("\"char\"", &["\"char\""], Exactly, Pool(pool::CHAR)),
    kind("name", &["name"], Exactly, Text(15)),
    kind("bytea", &["bytea"], Exactly, Bytes),
    kind("date", &["date"], Exactly, Pool(pool::DATE)),
    kind("time", &["time"], Exactly, Pool(pool::TIME)),
    kind("timetz", &["timetz"], Exactly, Pool(pool::TIMETZ)),
    kind("timestamp", &["timestamp"], Exactly, Pool(pool::TIMESTAMP)),
    kind("timestamptz", &["timestamptz"], Exactly, Pool(pool::TIMESTAMPTZ)),
    kind("interval", &["interval"], Order, Pool(pool::INTERVAL)),
    kind("uuid", &["uuid"], Exactly, Uuid),
    kind("inet", &["inet"], Exactly, Pool(pool::INET)),
    kind("cidr", &["cidr"], Exactly, Pool(pool::CIDR)),
    kind("macaddr", &["macaddr"], Exactly, Pool(pool::MACADDR)),
    kind("json", &["json"], Nothing, Pool(pool::JSON)),
    kind("jsonb", &["jsonb"], Order, Pool(pool::JSON)),
    kind("bit(5)", &["bit(5)"], Exactly, Pool(pool::BIT)),
    kind("varbit", &["varbit(12)"], Exactly, Pool(pool::VARBIT)),
    kind("point", &["point"], Nothing, Pool(pool::POINT)),
    kind("box", &["box"], Nothing, Pool(pool::BOX)),
    kind("xml", &["xml"], Nothing, Pool(pool::XML)),
    kind("tsvector", &["tsvector"], Exactly, Pool(pool::TSVECTOR)),
    kind("pg_lsn", &["pg_lsn"], Exactly, Pool(pool::LSN)),
    kind("int4range", &["int4range"], Exactly, Pool(pool::INT4RANGE)),
    kind("numrange", &["numrange"], Order, Pool(pool::NUMRANGE)),
    kind("daterange", &["daterange"], Exactly, Pool(pool::DATERANGE)),
    kind("tstzrange", &["tstzrange"], Exactly, Pool(pool::TSTZRANGE)),
    kind("int4multirange", &["int4multirange"], Exactly, Pool(pool::INT4MULTIRANGE)),
    kind("datemultirange", &["datemultirange"], Exactly, Pool(pool::DATEMULTIRANGE)),
    kind("bool[]", &["bool[]"], Exactly, Array("bool")),
    kind("int4[]", &["int4[]"], Exactly, Array("int4")),
    kind("int8[]", &["int8[]"], Exactly, Array("int8")),
    kind("float8[]", &["float8[]"], Order, Array("float8")),
    kind("numeric[]", &["numeric[]"], Order, Array("numeric")),
    kind("text[]", &["text[]"], Exactly, Array("text")),
    kind("timestamptz[]", &["timestamptz[]"], Exactly, Array("timestamptz")),
    kind("date[]", &["date[]"], Exactly, Array("date")),
    kind("uuid[]", &["uuid[]"], Exactly, Array("uuid")),
    kind("bytea[]", &["bytea[]"], Exactly, Array("bytea")),
    kind("jsonb[]", &["jsonb[]"], Order, Array("jsonb")),
    kind("interval[]", &["interval[]"], Order, Array("interval")),
    kind("mood", &["mood"], Exactly, Pool(pool::MOOD)),
    kind("mood[]", &["mood[]"], Exactly, Array("mood")),
    kind("amount", &["amount"], Exactly, Pool(pool::AMOUNT)),
    kind("label", &["label"], Exactly, Text(10)),
    kind("pair", &["pair"], Exactly, Row),
    kind("pair[]", &["pair[]"], Exactly, Array("pair")),
    // Kinds of values that no column has: the rules use them where any other value would fail.
    kind("like", &[], Nothing, Pool(&strings::LIKE_PATTERNS)),
    kind("regex", &[], Nothing, Pool(&strings::REGEXES)),
    kind("small", &[], Nothing, Pool(pool::SMALL)),
    kind("key", &[], Nothing, Pool(pool::KEY)),
    kind("jsonpath", &[], Nothing, Pool(pool::JSONPATH)),
    kind("tsquery", &[], Nothing, Pool(pool::TSQUERY)),
];

/// The types of the tests' own, which both sides get.
pub const OWN_TYPES: &str = "CREATE DOMAIN amount AS int4 CHECK (VALUE > 0); \
     CREATE DOMAIN label AS varchar(10); \
     CREATE TYPE pair AS (a int4, b text)";

/// The enum, which the warehouse gets by importing.
pub const MOOD: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'it''s', 'very \"happy\"')";

/// The kind of this name.
pub fn find(name: &str) -> &'static Kind {
    KINDS
        .iter()
        .find(|kind| kind.name == name)
        .unwrap_or_else(|| panic!("no kind is called {name}"))
}

impl Kind {
    /// Whether columns can have it.
    pub fn is_storable(&self) -> bool {
        !self.declared.is_empty()
    }

    /// The kind of its elements, if it is an array.
    pub fn element(&self) -> Option<&'static Kind> {
        match self.values {
            Array(element) => Some(find(element)),
            _ => None,
        }
    }

    /// The type in SQL.
    pub fn sql(&self) -> &'static str {
        match self.name {
            "like" | "regex" | "key" => "text",
            "small" => "int4",
            name => name,
        }
    }

    /// A random value in its text form.
    pub fn value(&self, random: &mut Random) -> String {
        match self.values {
            Pool(values) => random.pick(values).to_owned(),
            Text(longest) => strings::text(random, longest),
            Bytes => bytes(random),
            Uuid => match random.below(4) {
                0 => "00000000-0000-0000-0000-000000000000".to_owned(),
                1 => "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
                _ => format!("{:032x}", u128::from(random.below(3) as u64 + 1) << 64),
            },
            Array(element) => array(find(element), random),
            Row => row(random),
        }
    }

    /// A random value as a literal of its type.
    pub fn literal(&self, random: &mut Random) -> String {
        format!("{}::{}", quote(&self.value(random)), self.sql())
    }
}

fn bytes(random: &mut Random) -> String {
    let length = match random.below(6) {
        0 => 0,
        1 => random.between(120, 300),
        _ => random.between(1, 4),
    };
    let mut out = "\\x".to_owned();
    for _ in 0..length {
        let byte = random.pick(&[0, 1, 0x27, 0x5c, 0x61, 0x7f, 0x80, 0xff]);
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

fn array(element: &Kind, random: &mut Random) -> String {
    let item = |random: &mut Random| {
        if random.percent(15) {
            "NULL".to_owned()
        } else {
            let value = element.value(random);
            format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
        }
    };
    let list = |random: &mut Random, length: usize| {
        let items: Vec<String> = (0..length).map(|_| item(random)).collect();
        format!("{{{}}}", items.join(","))
    };
    match random.below(12) {
        0 => "{}".to_owned(),
        1 => format!("[2:3]={}", list(random, 2)),
        2 => format!("{{{},{}}}", list(random, 2), list(random, 2)),
        3 => list(random, 9),
        _ => {
            let length = random.between(1, 3);
            list(random, length)
        }
    }
}

fn row(random: &mut Random) -> String {
    let a = if random.percent(20) { String::new() } else { find("int4").value(random) };
    if random.percent(20) {
        return format!("({a},)");
    }
    let b = strings::text(random, 8).replace('\\', "\\\\").replace('"', "\"\"");
    format!("({a},\"{b}\")")
}
