//! The names of a row in its texts.
//!
//! Compared without case and accents, word by word; a name in a script without spaces (Chinese,
//! Japanese, Thai) anywhere.

use super::Span;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Finds names. Keeps its room from one row to the next.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The folded words of all names, one after the other.
    folded: String,
    /// Where each begins and ends in `folded`, and whether it is looked for within words.
    words: Vec<(usize, usize, bool)>,
    word: String,
    /// Where the characters of `word` begin in it, and in the text.
    places: Vec<(usize, usize)>,
}

/// The most words that names have: of more, a row's names are no names, and a search for them all
/// would take the product of two texts of anybody's length.
const MOST: usize = 64;

/// Folds a character at a time: what folding changes across characters, the order of marks, is left
/// out.
fn fold(c: char, out: &mut String) {
    if c.is_ascii() {
        out.push(c.to_ascii_lowercase());
    } else {
        let plain = std::iter::once(c).nfkd().filter(|c| !is_combining_mark(*c));
        out.extend(plain.flat_map(char::to_lowercase));
    }
}

/// Letters of scripts that put no spaces between words, and of Korean, which puts none before particles.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    text.split(move |c: char| !is_part(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

impl Names {
    /// Adds what is found; nothing if there are too many words to look for.
    pub(super) fn find<'v>(
        &mut self,
        text: &str,
        names: impl IntoIterator<Item = &'v str>,
        spans: &mut Vec<Span>,
    ) -> Option<()> {
        self.folded.clear();
        self.words.clear();
        for name in names {
            let single = words(name).nth(1).is_none();
            for (_, word) in words(name) {
                if word.chars().nth(1).is_none() && !single {
                    continue;
                }
                if self.words.len() == MOST {
                    return None;
                }
                let start = self.folded.len();
                word.chars().for_each(|c| fold(c, &mut self.folded));
                let within = word.chars().all(is_unspaced);
                self.words.push((start, self.folded.len(), within));
            }
        }
        if self.words.is_empty() {
            return Some(());
        }
        for (at, word) in words(text) {
            self.word.clear();
            self.places.clear();
            for (from, c) in word.char_indices() {
                self.places.push((self.word.len(), at + from));
                fold(c, &mut self.word);
            }
            self.places.push((self.word.len(), at + word.len()));
            let names = self.words.iter().filter_map(|(start, end, within)| {
                self.folded.get(*start..*end).map(|name| (name, *within))
            });
            for (name, within) in names.filter(|(name, _)| !name.is_empty()) {
                if is_or_genitive(&self.word, name) {
                    spans.push(Span { start: at, end: at + word.len(), tag: "[name]" });
                } else if within {
                    spans.extend(self.word.match_indices(name).map(|(from, found)| {
                        let (start, end) = self.whole(from, from + found.len());
                        Span { start, end, tag: "[name]" }
                    }));
                }
            }
        }
        Some(())
    }

    /// The whole characters of the text that a part of the folded word was made of.
    fn whole(&self, from: usize, to: usize) -> (usize, usize) {
        let first = self.places.partition_point(|(folded, _)| *folded <= from).saturating_sub(1);
        let after = self.places.partition_point(|(folded, _)| *folded < to);
        let place = |at: usize| self.places.get(at).or(self.places.last()).map_or(0, |at| at.1);
        (place(first), place(after))
    }
}

/// Whether a word is a name, or one of three letters or more with an s.
fn is_or_genitive(word: &str, name: &str) -> bool {
    match word.strip_prefix(name) {
        Some("") => true,
        Some("s") => name.chars().nth(2).is_some(),
        _ => false,
    }
}
