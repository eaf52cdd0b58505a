//! How random bytes are: Shannon's entropy, in bits a byte.

/// How often each byte occurs.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: [u64; 256],
    total: u64,
}

impl Histogram {
    pub(crate) const fn new() -> Self {
        Self {
            counts: [0; 256],
            total: 0,
        }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.counts[usize::from(*byte)] += 1;
        }
        self.total += bytes.len() as u64;
    }

    /// Bytes that were added.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// 0 to 8 bits a byte, in thousandths. None: there were no bytes.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the counts of files are far below 2^52"
    )]
    pub(crate) fn entropy(&self) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let total = self.total as f64;
        let bits: f64 = self
            .counts
            .iter()
            .filter(|count| **count > 0)
            .map(|count| {
                let share = *count as f64 / total;
                -share * share.log2()
            })
            .sum();
        // Without it a file of equal bytes would have -0.
        Some((bits * 1_000.0).round().abs() / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    fn entropy(bytes: &[u8]) -> Option<f64> {
        let mut histogram = Histogram::new();
        histogram.add(bytes);
        histogram.entropy()
    }

    #[test]
    fn entropy_is_known_for_simple_bytes() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(entropy(b""), None);
        assert_eq!(entropy(b"aaaa"), Some(0.0));
        assert_eq!(entropy(b"abab"), Some(1.0));
        assert_eq!(entropy(b"aab"), Some(0.918));
        assert_eq!(entropy(&all), Some(8.0));
        let mut parts = Histogram::new();
        parts.add(&all[..100]);
        parts.add(&all[100..]);
        assert_eq!((parts.entropy(), parts.total()), (Some(8.0), 256));
    }
}
