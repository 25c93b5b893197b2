//! Checksums that tell numbers of people from other numbers.

/// Whether 12 to 19 digits, with spaces or dashes between, have the check digit of ISO/IEC 7812
/// (Luhn), as payment cards have.
pub fn is_card(text: &str) -> bool {
    let separates = |byte: u8| matches!(byte, b' ' | b'-');
    let digits = || text.bytes().filter(|byte| !separates(*byte));
    (12..=19).contains(&digits().count()) && luhn(digits().rev())
}

/// Whether digits, the last first, have the check digit of ISO/IEC 7812. Zeros alone have none.
pub(super) fn luhn(digits: impl Iterator<Item = u8>) -> bool {
    let mut sum = 0;
    for (at, byte) in digits.enumerate() {
        if !byte.is_ascii_digit() {
            return false;
        }
        let digit = u32::from(byte - b'0');
        sum += match digit * 2 {
            _ if at % 2 == 0 => digit,
            twice if twice > 9 => twice - 9,
            twice => twice,
        };
    }
    sum > 0 && sum % 10 == 0
}

/// The countries that have IBANs and their lengths (SWIFT's IBAN registry, release 99).
const IBAN_LENGTHS: &str = "\
    AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18\
    FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20\
    LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24\
    SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

fn iban_length(country: &[u8]) -> Option<usize> {
    let known = IBAN_LENGTHS.as_bytes().chunks_exact(4).find(|entry| entry[..2] == *country)?;
    Some(usize::from(known[2] - b'0') * 10 + usize::from(known[3] - b'0'))
}

/// Whether a text is an IBAN by its country's length and its check digits (ISO 13616, ISO/IEC 7064 MOD
/// 97-10). Spaces and dashes may stand in it, and letters may be small.
pub fn is_iban(text: &str) -> bool {
    iban_prefix(text) == Some(text.len())
}

/// The bytes of the IBAN that a text begins with.
pub(super) fn iban_prefix(text: &str) -> Option<usize> {
    let mut characters = [0u8; 34];
    let mut wanted = 4;
    let mut count = 0;
    let plain = text.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b' ' | b'-'));
    for (at, byte) in plain {
        if !byte.is_ascii_alphanumeric() {
            return None;
        }
        *characters.get_mut(count)? = byte.to_ascii_uppercase();
        count += 1;
        if count == 4 {
            wanted = iban_length(&characters[..2])?;
        }
        if count > 4 && count == wanted {
            let (head, body) = characters.get(..count)?.split_at_checked(4)?;
            let remainder = body.iter().chain(head).fold(0u32, |rest, byte| match byte {
                b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
                letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
            });
            let good = remainder == 1 && head[2..].iter().all(u8::is_ascii_digit);
            return good.then_some(at + 1);
        }
    }
    None
}

/// Whether a text is a US social security number of the form 123-45-6789 or 123 45 6789 that was or
/// could be given out: no group of zeros, no area 666 or from 900.
pub fn is_ssn(text: &str) -> bool {
    let bytes = text.as_bytes();
    let between = |at: usize| matches!(bytes.get(at), Some(b'-' | b' '));
    if bytes.len() != 11 || !between(3) || !between(6) || bytes[3] != bytes[6] {
        return false;
    }
    let number = |from: usize, to: usize| {
        let group = text.get(from..to)?;
        group.bytes().all(|b| b.is_ascii_digit()).then(|| group.parse::<u32>().ok()).flatten()
    };
    match (number(0, 3), number(4, 6), number(7, 11)) {
        (Some(area), Some(group), Some(serial)) => is_ssn_of(area, group, serial),
        _ => false,
    }
}

/// The same of its three numbers, of three, two and four digits.
pub(super) fn is_ssn_of(area: u32, group: u32, serial: u32) -> bool {
    area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cards() {
        for card in
            ["4111111111111111", "5500 0000 0000 0004", "3400-0000-0000-009", "6011000000000004"]
        {
            assert!(is_card(card), "{card}");
        }
        for text in ["4111111111111112", "0000000000000000", "4242", "", "4111a111111111111"] {
            assert!(!is_card(text), "{text}");
        }
    }

    #[test]
    fn ibans() {
        for iban in
            ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "fr1420041010050500013m02606"]
        {
            assert!(is_iban(iban), "{iban}");
        }
        for text in [
            "DE88370400440532013000",
            "",
            "DE",
            "1234567890123456",
            "DE89é370400440532013000",
            // MOD 97-10 holds, but no German IBAN has 21 characters, and XX is no country.
            "DE6937040044053201300",
            "XX2137040044053201300",
        ] {
            assert!(!is_iban(text), "{text}");
        }
    }

    #[test]
    fn ssns() {
        assert!(is_ssn("123-45-6789") && is_ssn("899 01 0001"));
        for text in [
            "000-12-3456",
            "666-12-3456",
            "900-12-3456",
            "123-00-6789",
            "123-45-0000",
            "123-45 6789",
            "123456789",
            "é23-45-678",
        ] {
            assert!(!is_ssn(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), number in "[A-Z0-9 -]{0,45}") {
            for text in [text, number] {
                let _ = (is_card(&text), is_iban(&text), is_ssn(&text));
            }
        }
    }
}
