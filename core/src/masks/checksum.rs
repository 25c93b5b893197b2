//! Checksums that tell numbers of people from other numbers.

/// Whether 12 to 19 digits, with spaces or dashes between, have the check digit of ISO/IEC 7812
/// (Luhn), as payment cards have.
pub fn is_card(text: &str) -> bool {
    let mut sum = 0;
    let mut count = 0;
    let mut all_zero = true;
    for byte in text.bytes().rev() {
        match byte {
            b'0'..=b'9' => {
                let digit = u32::from(byte - b'0');
                let twice = digit * 2;
                sum += match count % 2 {
                    0 => digit,
                    _ if twice > 9 => twice - 9,
                    _ => twice,
                };
                all_zero &= digit == 0;
                count += 1;
            }
            b' ' | b'-' => {}
            _ => return false,
        }
    }
    (12..=19).contains(&count) && !all_zero && sum % 10 == 0
}

/// Whether a text is an IBAN by form and check digits (ISO 13616, ISO/IEC 7064 MOD 97-10). Spaces may
/// stand in it, and letters may be small.
pub fn is_iban(text: &str) -> bool {
    let mut characters = [0u8; 34];
    let mut count = 0;
    for byte in text.bytes().filter(|byte| *byte != b' ') {
        match characters.get_mut(count) {
            Some(slot) if byte.is_ascii_alphanumeric() => *slot = byte.to_ascii_uppercase(),
            _ => return false,
        }
        count += 1;
    }
    let Some((head, body)) = characters.get(..count).and_then(|all| all.split_at_checked(4)) else {
        return false;
    };
    let form =
        head[..2].iter().all(u8::is_ascii_uppercase) && head[2..].iter().all(u8::is_ascii_digit);
    if !form || body.len() < 11 {
        return false;
    }
    let remainder = body.iter().chain(head).fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    remainder == 1
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
        (Some(area), Some(group), Some(serial)) => {
            area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
        }
        _ => false,
    }
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
        for text in
            ["DE88370400440532013000", "", "DE", "1234567890123456", "DE89é370400440532013000"]
        {
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
