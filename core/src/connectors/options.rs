//! Options of servers, mappings, tables and columns, parsed once into types.

use std::time::Duration;

/// An option that is unknown, missing or malformed. Its value is never in the message: it may be a
/// credential in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// There is no such option.
    #[error("no option is called \"{name}\"; valid options are: {}", .valid.join(", "))]
    Unknown {
        /// The name given.
        name: String,
        /// The names there are.
        valid: Vec<&'static str>,
    },
    /// The option's value is not of its form.
    #[error("option {name}: expected {expected}")]
    Malformed {
        /// The option.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// An option is missing.
    #[error("option {name} is missing")]
    Missing {
        /// The option.
        name: &'static str,
    },
}

/// What every API server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Where the API is, if not at the vendor's address: `https://host[:port]`, or `http://` for
    /// loopback addresses alone.
    pub endpoint: Option<String>,
    /// Time to make a connection. Default 5 s.
    pub connect_timeout: Duration,
    /// Time for one request and its whole answer. Default 60 s.
    pub request_timeout: Duration,
    /// Time for a request with all its retries and waits. Default 5 min.
    pub retry_timeout: Duration,
    /// Bytes of one answer, after decompression. Default 64 MiB.
    pub max_body: usize,
    /// Requests in flight at once, over all backends that share a limiter. Default by API.
    pub concurrency: Option<u16>,
    /// Requests per second, over all backends that share a limiter. Default by API.
    pub requests_per_second: Option<u16>,
    /// How long an answer may be reused; zero for never. Default 60 s.
    pub cache_ttl: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Network {
            endpoint: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(60),
            retry_timeout: Duration::from_secs(300),
            max_body: 64 << 20,
            concurrency: None,
            requests_per_second: None,
            cache_ttl: Duration::from_secs(60),
        }
    }
}

impl Network {
    /// The names of its options.
    pub const NAMES: [&'static str; 8] = [
        "endpoint",
        "connect_timeout",
        "request_timeout",
        "retry_timeout",
        "max_body",
        "concurrency",
        "requests_per_second",
        "cache_ttl",
    ];

    /// Takes an option if it is one of these; `false` if it is none.
    pub fn take(&mut self, name: &str, value: &str) -> Result<bool, OptionError> {
        match name {
            "endpoint" => self.endpoint = Some(endpoint(value)?),
            "connect_timeout" => self.connect_timeout = some_time("connect_timeout", value)?,
            "request_timeout" => self.request_timeout = some_time("request_timeout", value)?,
            "retry_timeout" => self.retry_timeout = some_time("retry_timeout", value)?,
            "cache_ttl" => self.cache_ttl = duration("cache_ttl", value)?,
            "max_body" => self.max_body = bytes("max_body", value)?,
            "concurrency" => self.concurrency = Some(count("concurrency", value, 64)?),
            "requests_per_second" => {
                self.requests_per_second = Some(count("requests_per_second", value, 64)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn count(name: &'static str, value: &str, most: u16) -> Result<u16, OptionError> {
    let expected = "a whole number from 1 to 64";
    let number = value.trim().parse::<u16>().ok().filter(|n| (1..=most).contains(n));
    number.ok_or(OptionError::Malformed { name, expected })
}

fn bytes(name: &'static str, value: &str) -> Result<usize, OptionError> {
    let (number, unit) = split(value);
    let scale = match unit {
        "" | "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => 0,
    };
    let size = number.parse::<usize>().ok().and_then(|n| n.checked_mul(scale));
    size.filter(|size| (1 << 16..=1 << 30).contains(size))
        .ok_or(OptionError::Malformed { name, expected: "a size from 64kB to 1GB, such as '64MB'" })
}

fn split(value: &str) -> (&str, &str) {
    let value = value.trim();
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    (&value[..end], value[end..].trim())
}

/// A duration as Postgres writes settings: `500ms`, `60`, `60 s`, `5 min`, `1 h`, `1 d`. Without a
/// unit it is seconds.
pub fn duration(name: &'static str, value: &str) -> Result<Duration, OptionError> {
    let (number, unit) = split(value);
    let scale: u64 = match unit.to_ascii_lowercase().as_str() {
        "ms" => 1,
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => 0,
    };
    let millis = number.parse::<u64>().ok().and_then(|n| n.checked_mul(scale));
    let valid = millis.filter(|millis| scale > 0 && *millis <= 366 * 86_400_000);
    valid.map(Duration::from_millis).ok_or(OptionError::Malformed {
        name,
        expected: "a duration such as '500ms', '60s', '5 min', '1 h' or '0'",
    })
}

fn some_time(name: &'static str, value: &str) -> Result<Duration, OptionError> {
    let time = duration(name, value)?;
    if time.is_zero() {
        return Err(OptionError::Malformed { name, expected: "a duration longer than 0" });
    }
    Ok(time)
}

/// Checks an endpoint: a scheme, a host, perhaps a port and a path, no user, no query. Credentials
/// travel in clear over `http://`, so that it is for loopback addresses alone.
fn endpoint(value: &str) -> Result<String, OptionError> {
    let wrong = OptionError::Malformed {
        name: "endpoint",
        expected: "https://host[:port], or http://127.0.0.1:port",
    };
    let url = reqwest::Url::parse(value.trim()).map_err(|_| wrong.clone())?;
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host == "localhost"
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    match url.scheme() {
        "https" if !host.is_empty() && is_plain => {}
        "http" if is_loopback && is_plain => {}
        _ => return Err(wrong),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// What is said of an unknown option.
pub(crate) fn unknown(name: &str, valid: &[&[&'static str]]) -> OptionError {
    let mut valid: Vec<_> = valid.iter().flat_map(|names| names.iter().copied()).collect();
    valid.sort_unstable();
    OptionError::Unknown { name: name.to_owned(), valid }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let of = |text| duration("cache_ttl", text).ok().map(|d| d.as_millis());
        assert_eq!(of("0"), Some(0));
        assert_eq!(of("5 min"), Some(300_000));
        assert_eq!(of("250ms"), Some(250));
        assert_eq!(of("1 h"), Some(3_600_000));
        for wrong in ["", "min", "-1", "5 fortnights", "99999999999999999999", "1000000 d"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn endpoints_do_not_leak_credentials() {
        assert_eq!(endpoint("http://127.0.0.1:80/").expect("loopback"), "http://127.0.0.1");
        assert!(endpoint("http://[::1]:9000").is_ok());
        assert!(endpoint("https://api.example.com:8443").is_ok());
        for wrong in [
            "http://api.example.com",
            "https://u:p@example.com",
            "ftp://127.0.0.1",
            "x",
            "https://e/?a=b",
        ] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_are_not_in_errors() {
        let mut network = Network::default();
        let error = network.take("max_body", "canary").expect_err("no size");
        assert!(!error.to_string().contains("canary"));
        assert_eq!(network.take("nope", "1"), Ok(false));
    }
}
