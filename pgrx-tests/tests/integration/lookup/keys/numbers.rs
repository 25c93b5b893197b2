//! Numbers of several types and scales.

use anyhow::Result;

use super::agree;

#[test]
fn integers() -> Result<()> {
    let small = ["1", "2", "-3", "0", "32767", "-32768"];
    let large = ["1", "-3", "32767", "2147483647", "-2147483648", "7"];
    let largest = ["1", "9223372036854775807", "-9223372036854775808", "2147483647", "-3"];
    agree(
        "integers",
        "",
        &[
            ("int", &large, "bigint", &largest),
            ("bigint", &largest, "int", &large),
            ("smallint", &small, "bigint", &largest),
            ("bigint", &largest, "smallint", &small),
            ("int", &large, "smallint", &small),
            ("oid", &["1", "4294967295", "7"], "oid", &["4294967295", "7", "8"]),
        ],
    )
}

#[test]
fn numbers_that_are_equal_and_look_different() -> Result<()> {
    let n = [
        "1.0",
        "1.00",
        "1",
        "0.10",
        "-0",
        "'NaN'",
        "'Infinity'",
        "1e20",
        "123456789012345678901234567890.5",
        "8",
    ];
    let m = [
        "1",
        "1.000",
        "0.1",
        "0",
        "'NaN'",
        "'-Infinity'",
        "'Infinity'",
        "100000000000000000000.0",
        "5",
    ];
    let f = ["0.1", "-0.0", "1e300", "'NaN'", "'Infinity'", "1.0", "0.30000000000000004", "5e-324"];
    let g =
        ["0.1", "0.0", "1e300", "'NaN'", "'-Infinity'", "'Infinity'", "0.3", "0.1 + 0.2", "5e-324"];
    agree(
        "numbers",
        "",
        &[
            ("numeric", &n, "numeric", &m),
            ("numeric(30,4)", &["1", "0.1", "2.5"], "numeric", &["1.00", "0.1", "2.51", "7"]),
            ("float8", &f, "float8", &g),
            (
                "float4",
                &["0.1", "0.5", "-0.0", "'NaN'", "16777216"],
                "float8",
                &["0.1", "0.5", "0", "0.1::float4", "16777217"],
            ),
            (
                "float8",
                &["0.1", "0.5", "-0.0", "'NaN'", "0.1::float4"],
                "float4",
                &["0.1", "0.5", "0", "'NaN'", "7"],
            ),
        ],
    )
}
