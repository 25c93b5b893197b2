use super::*;
use proptest::prelude::*;

fn width(text: &str) -> Step {
    Step::Width(text.parse().unwrap())
}

fn day(year: i64, month: i64, day: i64) -> i32 {
    i32::try_from(civil::days(Civil { year, month, day })).unwrap()
}

fn ends(step: Step, value: Value<'_>) -> Ends {
    match range(step, value, |_| true).unwrap() {
        Masked::Range { lower, upper } => (lower, upper),
        other => panic!("no range but {other:?}"),
    }
}

fn low(step: Step, value: Value<'_>) -> Masked<'static> {
    let mut out = String::new();
    match lower(step, value, |_| true, &mut out).unwrap() {
        Masked::Integer(n) => Masked::Integer(n),
        Masked::Date(n) => Masked::Date(n),
        Masked::Timestamp(n) => Masked::Timestamp(n),
        Masked::Unchanged => Masked::Unchanged,
        other => panic!("{other:?}"),
    }
}

fn dates(from: i32, to: i32) -> Ends {
    (Some(Edge::Date(from)), Some(Edge::Date(to)))
}

fn integers(from: i64, to: i64) -> Ends {
    (Some(Edge::Integer(from)), Some(Edge::Integer(to)))
}

#[test]
fn numbers() {
    assert_eq!(ends(width("5"), Value::Integer(42)), integers(40, 45));
    let numeric = |n: i64| Some(Edge::Numeric(Decimal::from(n)));
    assert_eq!(ends(width("10"), Value::Numeric("42.32378")), (numeric(40), numeric(50)));
    // Negative numbers round down.
    assert_eq!(ends(width("5"), Value::Integer(-1)), integers(-5, 0));
    assert_eq!(ends(width("10"), Value::Numeric("-0.5")), (numeric(-10), numeric(0)));
    assert_eq!(low(width("5"), Value::Integer(-5)), Masked::Integer(-5));
}

#[test]
fn dates_by_unit() {
    let birth = Value::Date(day(1904, 11, 7));
    assert_eq!(ends(Step::Unit(Unit::Decade), birth), dates(day(1900, 1, 1), day(1910, 1, 1)));
    assert_eq!(ends(Step::Unit(Unit::Week), birth), dates(day(1904, 11, 7), day(1904, 11, 14)));
    assert_eq!(ends(Step::Unit(Unit::Month), birth), dates(day(1904, 11, 1), day(1904, 12, 1)));
    assert_eq!(ends(Step::Unit(Unit::Quarter), birth), dates(day(1904, 10, 1), day(1905, 1, 1)));
    assert_eq!(ends(Step::Unit(Unit::Year), birth), dates(day(1904, 1, 1), day(1905, 1, 1)));
    assert_eq!(ends(Step::Unit(Unit::Century), birth), dates(day(1901, 1, 1), day(2001, 1, 1)));
    assert_eq!(
        low(Step::Unit(Unit::Week), Value::Date(day(2024, 1, 7))),
        Masked::Date(day(2024, 1, 1))
    );
}

#[test]
fn timestamps_by_unit() {
    let at = i64::from(day(1999, 12, 31)) * DAY + 3_600_000_000 * 23 + 59;
    let hour = i64::from(day(1999, 12, 31)) * DAY + 3_600_000_000 * 23;
    assert_eq!(low(Step::Unit(Unit::Hour), Value::Timestamp(at)), Masked::Timestamp(hour));
    let first = i64::from(day(1999, 12, 1)) * DAY;
    assert_eq!(low(Step::Unit(Unit::Month), Value::Timestamp(at)), Masked::Timestamp(first));
}

#[test]
fn infinities_stay() {
    let year = Step::Unit(Unit::Year);
    for value in [
        Value::Date(DATE_INFINITY),
        Value::Date(DATE_MINUS_INFINITY),
        Value::Timestamp(TIMESTAMP_INFINITY),
        Value::Timestamp(TIMESTAMP_MINUS_INFINITY),
    ] {
        assert_eq!(low(year, value), Masked::Unchanged);
        assert_eq!(range(year, value, |_| true), Ok(Masked::Null));
    }
    assert_eq!(low(width("1"), Value::Numeric("NaN")), Masked::Unchanged);
    assert_eq!(low(width("1"), Value::Float(f64::INFINITY)), Masked::Unchanged);
}

#[test]
fn ranges_are_open_where_the_type_ends() {
    let (lower, upper) = ends(width("10"), Value::Integer(i64::MAX));
    assert!(lower.is_some() && upper.is_none());
    assert_eq!(ends(width("10"), Value::Integer(i64::MIN)).0, None);
    assert_eq!(ends(Step::Unit(Unit::Year), Value::Date(civil::MIN_DATE)).0, None);
    assert_eq!(ends(Step::Unit(Unit::Year), Value::Date(civil::END_DATE - 1)).1, None);
    let mut out = String::new();
    let error = lower_of(Value::Integer(i64::MIN), &mut out);
    assert_eq!(error, Err(MaskError::OutOfRange { mask: "generalize" }));
}

fn lower_of<'o>(value: Value<'_>, out: &'o mut String) -> Result<Masked<'o>, MaskError> {
    lower(width("10"), value, |_| true, out)
}

#[test]
fn too_many_digits_are_out_of_range() {
    let long = "9".repeat(60);
    let error = MaskError::OutOfRange { mask: "generalize" };
    assert_eq!(lower_of(Value::Numeric(&long), &mut String::new()), Err(error));
}

#[test]
fn bands_are_open_at_the_ends() {
    let bounds: Vec<Decimal> = ["6", "12", "17.5"].iter().map(|b| b.parse().unwrap()).collect();
    let of = |value| match band(&bounds, value, |_| true).unwrap() {
        Masked::Range { lower, upper } => (lower, upper),
        other => panic!("{other:?}"),
    };
    assert_eq!(of(Value::Integer(5)), (None, Some(Edge::Integer(6))));
    assert_eq!(of(Value::Integer(6)), integers(6, 12));
    assert_eq!(of(Value::Integer(17)), integers(12, 18));
    assert_eq!(of(Value::Integer(18)), (Some(Edge::Integer(18)), None));
    assert_eq!(of(Value::Numeric("Infinity")).1, None);
    assert_eq!(band(&bounds, Value::Numeric("NaN"), |_| true), Ok(Masked::Null));
}

#[test]
fn bands_are_open_where_the_type_ends() {
    let bounds = [Decimal::from(10), Decimal::from(100_000)];
    let band = band(&bounds, Value::Integer(50), |n| n <= 32_767);
    assert_eq!(band, Ok(Masked::Range { lower: Some(Edge::Integer(10)), upper: None }));
}

/// No timestamp of Postgres is out here, but what a wire carries may be.
#[test]
fn the_ends_of_64_bits_are_no_panic() {
    for (_, unit) in Unit::ALL {
        let mut out = String::new();
        for at in [i64::MIN + 1, i64::MAX - 1] {
            assert!(range(Step::Unit(*unit), Value::Timestamp(at), |_| true).is_ok());
        }
        let first = Value::TimestampTz(i64::MIN + 1);
        let lower = lower(Step::Unit(*unit), first, |_| true, &mut out);
        assert_eq!(lower, Err(MaskError::OutOfRange { mask: "generalize" }));
    }
}

#[test]
fn a_finite_float_stays_finite() {
    let error = Err(MaskError::OutOfRange { mask: "generalize" });
    assert_eq!(lower(width("0.1"), Value::Float(f64::MAX), |_| true, &mut String::new()), error);
}

proptest! {
    #[test]
    fn a_value_lies_in_its_step(number in any::<i64>(), of in 1i64..1_000_000) {
        let (lower, upper) = ends(Step::Width(Decimal::from(of)), Value::Integer(number));
        if let Some(Edge::Integer(lower)) = lower {
            prop_assert!(lower <= number && lower % of == 0);
        }
        if let Some(Edge::Integer(upper)) = upper {
            prop_assert!(number < upper);
        }
    }

    #[test]
    fn a_day_lies_in_its_unit(number in civil::MIN_DATE..civil::END_DATE) {
        for (_, unit) in &Unit::ALL[2..] {
            let (lower, upper) = ends(Step::Unit(*unit), Value::Date(number));
            if let Some(Edge::Date(lower)) = lower {
                prop_assert!(lower <= number);
            }
            if let Some(Edge::Date(upper)) = upper {
                prop_assert!(number < upper);
            }
        }
    }

    #[test]
    fn no_numeric_panics(text in "\\PC{0,60}", digits in "-?[0-9]{1,50}(\\.[0-9]{1,50})?") {
        for text in [text, digits] {
            let _ = lower_of(Value::Numeric(&text), &mut String::new());
            let _ = band(&[Decimal::from(1)], Value::Numeric(&text), |_| true);
        }
    }
}
