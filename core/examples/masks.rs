//! How many values a second each mask masks on one core.
//!
//! ```sh
//! cargo run --release -p warehouse-core --example masks [millions of values]
//! ```

use std::hint::black_box;
use std::time::Instant;
use warehouse_core::masks::{Context, EXAMPLES, Inet, IntWidth, Mask, TypeFamily, Value};
use warehouse_core::privacy::Keyring;

/// A value of a column, kept so that what is measured is the mask alone.
enum Kept {
    Text(String),
    Integer(i64),
    Numeric(String),
    Date(i32),
    Inet(Inet),
    Json(String),
}

impl Kept {
    fn value(&self) -> Value<'_> {
        match self {
            Kept::Text(text) => Value::Text(text),
            Kept::Integer(number) => Value::Integer(*number),
            Kept::Numeric(text) => Value::Numeric(text),
            Kept::Date(days) => Value::Date(*days),
            Kept::Inet(inet) => Value::Inet(*inet),
            Kept::Json(text) => Value::Json(text),
        }
    }
}

fn column(family: &TypeFamily, mask: &str) -> Vec<Kept> {
    let of = |n: i64| match family {
        TypeFamily::Text if mask.starts_with("fpe") => Kept::Text(format!("{:016}", n * 7919)),
        TypeFamily::Text if mask.starts_with("redact") => {
            Kept::Text(format!("Anna ({n}) wrote to user{n}@example.com, then called 0170 {n:07}."))
        }
        TypeFamily::Text => Kept::Text(format!("user{n}@example.com")),
        TypeFamily::Integer(_) => Kept::Integer(n * 7919),
        TypeFamily::Numeric => Kept::Numeric(format!("{n}.25")),
        TypeFamily::Date => Kept::Date(n as i32 % 9000),
        TypeFamily::Inet => {
            let address = std::net::Ipv4Addr::from(n as u32).into();
            Kept::Inet(Inet { address, bits: 32 })
        }
        _ => Kept::Json(format!("{{\"plan\": \"gold\", \"n\": {n}, \"email\": \"u{n}@x.org\"}}")),
    };
    (0..10_000).map(of).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let millions: f64 = std::env::args().nth(1).map_or(Ok(0.5), |text| text.parse())?;
    let rounds = (millions * 100.0).ceil() as usize;
    let keys = Keyring::create()?;
    let context = Context { keys: Some(&keys), today: 9000, ..Context::default() };
    let more = ["redact(first_name)", "fake_email(person, unique => true)"];
    println!("{:<36} {:<8} {:>14}", "mask", "type", "values/s");
    for text in EXAMPLES.iter().copied().chain(more) {
        let mask: Mask = text.parse()?;
        for family in [
            TypeFamily::Text,
            TypeFamily::Integer(IntWidth::Eight),
            TypeFamily::Numeric,
            TypeFamily::Date,
            TypeFamily::Inet,
            TypeFamily::Json,
        ] {
            let Ok(mut masker) = mask.prepare(&family, &context) else { continue };
            let values = column(&family, text);
            let mut out = String::new();
            let name = [Some(Value::Text("Anna"))];
            let start = Instant::now();
            for _ in 0..rounds {
                for value in &values {
                    black_box(masker.mask(black_box(value.value()), &name, &mut out)?);
                }
            }
            let rate = (rounds * values.len()) as f64 / start.elapsed().as_secs_f64();
            println!("{text:<36} {:<8} {rate:>14.0}", family.to_string());
        }
    }
    Ok(())
}
