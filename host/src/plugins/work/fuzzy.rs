//! The fuzzy digest `ssdeep`, over pieces.

use fuzzyhash::FuzzyHash;

/// Above it the digest does not apply: the library counts in 32 bits.
const LONGEST: u64 = 1 << 31;
/// Bytes that the rolling hash of the algorithm looks back on.
const WINDOW: usize = 7;

/// An `ssdeep` digest being made.
pub(super) struct Fuzzy {
    hash: FuzzyHash,
    size: u64,
    /// Zero bytes at the end so far, at most [`WINDOW`].
    zeros: usize,
}

impl Fuzzy {
    pub(super) fn new() -> Self {
        Self {
            hash: FuzzyHash::default(),
            size: 0,
            zeros: WINDOW,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if self.size > LONGEST {
            return;
        }
        self.hash.update(bytes);
        let end = bytes.iter().rev().take(WINDOW);
        let zeros = end.take_while(|byte| **byte == 0).count();
        let before = if zeros == bytes.len() { self.zeros } else { 0 };
        self.zeros = (before + zeros).min(WINDOW);
    }

    /// None: the file is too large.
    pub(super) fn finish(mut self) -> Option<String> {
        if self.size > LONGEST {
            return None;
        }
        self.hash.finalize();
        let mut digest = self.hash.to_string();
        // Where no block ends, the library leaves out the second part's only character, which is the first part's too.
        // With zeros in the whole window there is none to leave out.
        let first = digest.strip_suffix(':');
        let last = first.and_then(|first| first.chars().next_back());
        if let Some(last) = last.filter(|last| *last != ':' && self.zeros < WINDOW) {
            digest.push(last);
        }
        (!digest.is_empty()).then_some(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::Fuzzy;

    fn digest(bytes: &[u8], piece: usize) -> Option<String> {
        let mut fuzzy = Fuzzy::new();
        bytes.chunks(piece).for_each(|bytes| fuzzy.update(bytes));
        fuzzy.finish()
    }

    #[test]
    fn create_3_5_ssdeep_digests_are_those_of_the_algorithm() {
        let rows: [(&[u8], &str); 6] = [
            (b"", "3::"),
            (b"a", "3:E:E"),
            (b"hello\n", "3:iKv:B"),
            (
                b"The quick brown fox jumps over the lazy dog",
                "3:FJKKIUKact:FHIGi",
            ),
            (&[0; 7], "3::"),
            (&[0; 100], "3::"),
        ];
        for (bytes, expected) in rows {
            for piece in [1, 3, 7, 100] {
                assert_eq!(digest(bytes, piece).as_deref(), Some(expected), "{bytes:?}");
            }
        }
    }
}
