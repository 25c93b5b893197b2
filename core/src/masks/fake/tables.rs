//! The words that fakes are made of: plain text beside this file, a word a line.
//!
//! Common names and inventions; no line stands for a person. Adding, dropping or moving a line changes
//! the fakes of everybody, so a release that does says so.

use super::Locale;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

/// The words of a locale.
pub(super) struct Tables {
    pub(super) first: Vec<&'static str>,
    pub(super) last: Vec<&'static str>,
    /// `first` for addresses: letters a-z.
    pub(super) first_plain: Vec<String>,
    /// `last` for addresses: letters a-z.
    pub(super) last_plain: Vec<String>,
    pub(super) cities: Vec<&'static str>,
    pub(super) streets: Vec<&'static str>,
    /// What ends a company's name.
    pub(super) forms: &'static [&'static str],
}

macro_rules! table {
    ($name:literal) => {
        include_str!(concat!("tables/", $name, ".txt"))
    };
}

static EN: LazyLock<Tables> = LazyLock::new(|| {
    let texts = [table!("en_first"), table!("en_last"), table!("en_city"), table!("en_street")];
    Tables::new(texts, &["Inc", "LLC", "Ltd", "Group", "Co"])
});
static DE: LazyLock<Tables> = LazyLock::new(|| {
    let texts = [table!("de_first"), table!("de_last"), table!("de_city"), table!("de_street")];
    Tables::new(texts, &["GmbH", "AG", "KG", "OHG", "e.K."])
});
static ES: LazyLock<Tables> = LazyLock::new(|| {
    let texts = [table!("es_first"), table!("es_last"), table!("es_city"), table!("es_street")];
    Tables::new(texts, &["S.A.", "S.L.", "S.L.U.", "S.C.", "e Hijos"])
});
static FR: LazyLock<Tables> = LazyLock::new(|| {
    let texts = [table!("fr_first"), table!("fr_last"), table!("fr_city"), table!("fr_street")];
    Tables::new(texts, &["SA", "SARL", "SAS", "SNC", "et Fils"])
});

/// The first words of companies.
pub(super) static COMPANY_FIRST: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| table!("company_first").lines().collect());
/// Their second words.
pub(super) static COMPANY_SECOND: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| table!("company_second").lines().collect());

/// The words of a locale.
pub(super) fn of(locale: Locale) -> &'static Tables {
    match locale {
        Locale::En => &EN,
        Locale::De => &DE,
        Locale::Es => &ES,
        Locale::Fr => &FR,
    }
}

impl Tables {
    fn new(texts: [&'static str; 4], forms: &'static [&'static str]) -> Tables {
        let [first, last, cities, streets] = texts.map(|text| text.lines().collect::<Vec<_>>());
        let plain = |words: &[&str]| words.iter().map(|word| plain(word)).collect::<Vec<_>>();
        let (first_plain, last_plain) = (plain(&first), plain(&last));
        Tables { first, last, first_plain, last_plain, cities, streets, forms }
    }
}

/// The letters a-z of a name.
fn plain(name: &str) -> String {
    let name = name.to_lowercase().replace('ß', "ss");
    let name = name.replace('ä', "ae").replace('ö', "oe").replace('ü', "ue");
    name.nfd().filter(char::is_ascii_alphabetic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_word_is_twice_or_empty() {
        for (_, locale) in Locale::ALL {
            let tables = of(*locale);
            for words in [&tables.first, &tables.last, &tables.cities, &tables.streets] {
                let set: HashSet<_> = words.iter().collect();
                assert_eq!(set.len(), words.len());
                assert!(words.iter().all(|word| !word.is_empty() && word.trim() == *word));
            }
            for words in [&tables.first_plain, &tables.last_plain] {
                // Two that become one would make fewer fakes than are said.
                assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
                assert!(words.iter().all(|word| !word.is_empty() && word.is_ascii()));
            }
        }
    }

    #[test]
    fn names_become_plain() {
        assert_eq!(plain("Jürgen"), "juergen");
        assert_eq!(plain("Weiß"), "weiss");
        assert_eq!(plain("Éric"), "eric");
    }
}
