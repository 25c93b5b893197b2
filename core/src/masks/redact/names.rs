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
}

fn fold(text: &str, out: &mut String) {
    if text.is_ascii() {
        out.extend(text.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
    } else {
        let plain = text.nfkd().filter(|c| !is_combining_mark(*c));
        out.extend(plain.flat_map(char::to_lowercase));
    }
}

/// Letters of scripts that put no spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    text.split(move |c: char| !is_part(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

impl Names {
    pub(super) fn find<'v>(
        &mut self,
        text: &str,
        names: impl IntoIterator<Item = &'v str>,
        spans: &mut Vec<Span>,
    ) {
        self.folded.clear();
        self.words.clear();
        for name in names {
            let single = words(name).nth(1).is_none();
            for (_, word) in words(name) {
                if word.chars().nth(1).is_none() && !single {
                    continue;
                }
                let start = self.folded.len();
                fold(word, &mut self.folded);
                let within = word.chars().all(is_unspaced);
                self.words.push((start, self.folded.len(), within));
            }
        }
        if self.words.is_empty() {
            return;
        }
        for (at, word) in words(text) {
            self.word.clear();
            fold(word, &mut self.word);
            let names = self.words.iter().filter_map(|(start, end, within)| {
                self.folded.get(*start..*end).map(|name| (name, *within))
            });
            for (name, within) in names {
                if name == self.word {
                    spans.push(Span { start: at, end: at + word.len(), tag: "[name]" });
                } else if within {
                    // These scripts have neither case nor accents: the text is as it was folded.
                    spans.extend(word.match_indices(name).map(|(from, found)| Span {
                        start: at + from,
                        end: at + from + found.len(),
                        tag: "[name]",
                    }));
                }
            }
        }
    }
}
