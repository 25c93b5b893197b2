//! Texts that have broken something somewhere.

use super::random::Random;

/// Short ones: blanks, quotes, metacharacters, case and normal forms, every UTF-8 plane, words of
/// other types' input functions.
const HOSTILE: [&str; 72] = [
    "",
    " ",
    "   ",
    "a",
    "A",
    "b",
    "ab",
    "AB",
    "aB",
    "abc",
    " a",
    "a ",
    "  a  ",
    "a\t",
    "\ta\nb",
    "\r\n",
    "\u{1}",
    "\u{7f}",
    "\u{a0}",
    "it's",
    "''",
    "\"quoted\"",
    "\\",
    "\\\\",
    "a\\b",
    "\\'",
    "E'\\n'",
    "$1",
    "$$",
    "$tag$",
    "-- x",
    "/* x */",
    "; DROP TABLE t",
    "%",
    "_",
    "a%",
    "%a",
    "a_c",
    "a%c",
    "\\%",
    "100%",
    ".*",
    "(",
    "[a-z]",
    "a.c",
    "NULL",
    "null",
    "\\N",
    "{a,b}",
    "{\"a\":1}",
    "(1,2)",
    "0",
    "42",
    "-1",
    "1e3",
    "true",
    "é",
    "É",
    "e\u{301}",
    "ß",
    "ẞ",
    "İ",
    "ı",
    "ǆ",
    "ﬁ",
    "Σίσυφος",
    "日本語",
    "😀",
    "👩\u{200d}👩\u{200d}👧",
    "𝔘𝔫𝔦",
    "\u{10ffff}",
    "\u{feff}x\u{202e}y",
];

/// Characters for longer ones.
const LETTERS: [char; 20] = [
    'a', 'b', 'c', 'A', 'B', 'Z', ' ', '\'', '\\', '%', '_', '"', '0', '9', 'ä', 'Ö', 'я', '中',
    '😀', '\n',
];

/// A text of at most `longest` characters.
pub fn text(random: &mut Random, longest: usize) -> String {
    let chosen = match random.below(10) {
        0..=6 => random.pick(&HOSTILE).to_owned(),
        // The lengths around the one where a text needs a longer header.
        7 => "x".repeat(random.between(122, 130)),
        8 => letters(random, 300),
        _ => letters(random, 6),
    };
    chosen.chars().take(longest).collect()
}

fn letters(random: &mut Random, longest: usize) -> String {
    let length = random.below(longest + 1);
    (0..length).map(|_| random.pick(&LETTERS)).collect()
}

/// Patterns for LIKE that are well formed.
pub const LIKE_PATTERNS: [&str; 22] = [
    "", "%", "_", "__", "a%", "A%", "%a", "%a%", "_b%", "a_c", "a\\%", "%\\_%", "%\\\\%", "100\\%",
    "%'%", "% ", " %", "%é%", "É", "%ß", "😀%", "%語",
];

/// Regular expressions that are well formed.
pub const REGEXES: [&str; 20] = [
    "",
    "a",
    "^a",
    "a$",
    "^$",
    "^a.c$",
    "[a-c]+",
    "[[:alpha:]]",
    "[[:upper:]]",
    "[[:space:]]",
    "\\d+",
    "\\w",
    "\\s$",
    "(a|b)+",
    "é",
    "^É$",
    "\\\\",
    "'",
    "^.$",
    "^..$",
];

/// `text` as a string literal under standard_conforming_strings.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
