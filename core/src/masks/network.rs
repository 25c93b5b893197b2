//! The network of an address.

use super::{Inet, MaskError, Masked, Value};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network of the first `v4` or `v6` bits that an address lies in. A network that is wider stays
/// as wide. An IPv4 address in IPv6 clothes is an IPv6 address, of which 96 bits say nothing.
pub(super) fn network(inet: Inet, v4: u8, v6: u8) -> Inet {
    match inet.address {
        IpAddr::V4(address) => {
            let bits = v4.min(inet.bits).min(32);
            let keep = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Inet { address: IpAddr::V4(Ipv4Addr::from(u32::from(address) & keep)), bits }
        }
        IpAddr::V6(address) => {
            let bits = v6.min(inet.bits).min(128);
            let keep = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Inet { address: IpAddr::V6(Ipv6Addr::from(u128::from(address) & keep)), bits }
        }
    }
}

/// An address as text, with or without a netmask.
pub(crate) fn parse(text: &str) -> Option<Inet> {
    let (address, bits) = match text.trim().split_once('/') {
        Some((_, bits)) if bits.starts_with('+') => return None,
        Some((address, bits)) => (address, Some(bits.parse().ok()?)),
        None => (text.trim(), None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some(Inet { address, bits })
}

pub(super) fn mask<'o>(
    value: Value<'_>,
    v4: u8,
    v6: u8,
    out: &'o mut String,
) -> Result<Masked<'o>, MaskError> {
    match value {
        Value::Inet(inet) => Ok(Masked::Inet(network(inet, v4, v6))),
        Value::Text(text) => match parse(text).map(|inet| network(inet, v4, v6)) {
            Some(Inet { address, bits }) => {
                // Writing to a string does not fail.
                let _ = write!(out, "{address}/{bits}");
                Ok(Masked::Text(out))
            }
            None => Ok(Masked::Null),
        },
        _ => Err(MaskError::Unreadable { mask: "ip_prefix" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(of: &str, v4: u8, v6: u8) -> Option<String> {
        let mut out = String::new();
        match mask(Value::Text(of), v4, v6, &mut out).unwrap() {
            Masked::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }

    #[test]
    fn networks() {
        assert_eq!(text("192.168.17.42", 24, 48).as_deref(), Some("192.168.17.0/24"));
        assert_eq!(text("10.1.2.3/8", 24, 48).as_deref(), Some("10.0.0.0/8"));
        assert_eq!(text("2001:db8:1:2::3", 24, 48).as_deref(), Some("2001:db8:1::/48"));
        assert_eq!(text("::ffff:10.1.2.3", 24, 48).as_deref(), Some("::/48"));
        assert_eq!(text("10.1.2.3", 0, 0).as_deref(), Some("0.0.0.0/0"));
    }

    #[test]
    fn what_is_no_address_is_hidden() {
        for of in ["", "bob", "10.1.2", "10.1.2.3/33", "10.1.2.3 bob", "::1/129", "fe80::1%eth0"] {
            assert_eq!(text(of, 24, 48), None, "{of}");
        }
    }
}
