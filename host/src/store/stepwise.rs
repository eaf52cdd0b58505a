//! Expressions with look-around or back-references, which no engine searches in linear time (rule G38): searched step by
//! step, within limits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// An expression that is searched by trying, and what its searches have cost so far.
///
/// A search that comes to a limit, or that the engine does not survive, finds nothing, and neither does any that follows: whoever searched must ask
/// [`Stepwise::is_exhausted`] before it believes what was found. Clones share what they have used up.
#[derive(Debug, Clone)]
pub struct Stepwise {
    source: Arc<str>,
    /// For short and for longer texts.
    engines: Arc<[fancy_regex::Regex; 2]>,
    spent: Arc<AtomicU64>,
    exhausted: Arc<AtomicBool>,
}

/// Why an expression can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoExpression {
    /// It is none.
    #[error("invalid regular expression")]
    Invalid,
    /// Its program would take too much memory.
    #[error("the regular expression is too large")]
    TooLarge,
}

/// A step may be a look over the whole text. So the longer the text, the fewer steps: each search ends after about
/// half a second. Bytes of the longest text, and steps.
const TIERS: [(usize, usize); 2] = [(1 << 10, 500_000), (Stepwise::LONGEST_TEXT, 32_768)];
/// Most memory of a part that is searched in linear time, in bytes.
const PART_BYTES: usize = 1 << 20;
/// Most instructions.
const INSTRUCTIONS: usize = 10_000;

impl Stepwise {
    /// Longer texts are not searched, in bytes.
    pub const LONGEST_TEXT: usize = 16 << 10;
    /// What all searches of one request may take together.
    pub const LONGEST: Duration = Duration::from_secs(2);

    /// Prepares an expression; letters match in any case.
    ///
    /// # Errors
    ///
    /// [`NoExpression`].
    pub fn new(source: &str) -> Result<Self, NoExpression> {
        let [short, long] = TIERS.map(|(_, steps)| {
            fancy_regex::RegexBuilder::new(source)
                .case_insensitive(true)
                .backtrack_limit(steps)
                .delegate_size_limit(PART_BYTES)
                .max_prog_size(INSTRUCTIONS)
                .build()
                .map_err(|error| reason(&error))
        });
        Ok(Self {
            source: source.into(),
            engines: Arc::new([short?, long?]),
            spent: Arc::default(),
            exhausted: Arc::default(),
        })
    }

    /// The expression.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Is there something in this text? Nothing, once a limit was met.
    #[must_use]
    pub fn finds_in(&self, text: &str) -> bool {
        if self.is_exhausted() {
            return false;
        }
        let tier = TIERS.iter().position(|(longest, _)| text.len() <= *longest);
        let Some(engine) = tier.and_then(|tier| self.engines.get(tier)) else {
            self.exhausted.store(true, Ordering::Relaxed);
            return false;
        };
        let begin = Instant::now();
        // The engine breaks on some expressions, such as a condition on a group that there is not: `(?(1)a)`.
        let found = catch_unwind(AssertUnwindSafe(|| engine.is_match(text)));
        let found = found.ok().and_then(Result::ok);
        let took = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let spent = self.spent.fetch_add(took, Ordering::Relaxed);
        if u128::from(spent) > Self::LONGEST.as_nanos() || found.is_none() {
            self.exhausted.store(true, Ordering::Relaxed);
        }
        found.unwrap_or(false)
    }

    /// Was a limit met, so that what was found can't be believed?
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Relaxed)
    }
}

fn reason(error: &fancy_regex::Error) -> NoExpression {
    use fancy_regex::{CompileError, Error, ParseError};
    let is_large = match error {
        Error::ParseError(_, ParseError::RecursionExceeded) => true,
        Error::CompileError(error) => match error.as_ref() {
            CompileError::InnerError(error) => error.size_limit().is_some(),
            CompileError::PatternTooComplex | CompileError::DfaBuildError(..) => true,
            _ => false,
        },
        _ => false,
    };
    if is_large {
        NoExpression::TooLarge
    } else {
        NoExpression::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g38_look_around_and_back_references() {
        let rows = [
            (r"(a+)-\1$", "xAA-aa", true),
            (r"(a+)-\1$", "aa-b", false),
            (r"^(?!www\.).*\.com$", "evil.com", true),
            (r"^(?!www\.).*\.com$", "www.evil.com", false),
            (r"(?<=@)evil", "x@EVIL.com", true),
            (r"(?<!@)evil", "x@evil.com", false),
            (r"(?=.*a)(?=.*b)", "b a", true),
            (r"(?P<q>['é])x(?P=q)", "Éxé", true),
            (r"(?>a*)ab", "aab", false),
        ];
        for (expression, text, found) in rows {
            let stepwise = Stepwise::new(expression).unwrap();
            assert_eq!(stepwise.finds_in(text), found, "{expression} in {text}");
            assert!(!stepwise.is_exhausted());
        }
    }

    #[test]
    fn g38_what_is_no_expression_is_told_from_what_is_too_large() {
        for invalid in ["(?=a", "[", r"\2(a)", "(?<=a"] {
            assert_eq!(
                Stepwise::new(invalid).err(),
                Some(NoExpression::Invalid),
                "{invalid}"
            );
        }
        for large in [r"(?=(.{1000}){1000})", r"(a)\1(?:.{1000}){1000}"] {
            assert_eq!(
                Stepwise::new(large).err(),
                Some(NoExpression::TooLarge),
                "{large}"
            );
        }
    }

    #[test]
    fn qy13_an_expression_that_breaks_the_engine_is_met_like_a_limit() {
        let broken = Stepwise::new("a*(?(1))").unwrap();
        assert!(!broken.finds_in("") && broken.is_exhausted());
    }

    #[test]
    fn qy3_costly_searches_end_and_say_so() {
        let costly = [
            (r"(a+)+\1$", "a".repeat(5_000) + "b"),
            (r"(?=.*x)y", "a".repeat(Stepwise::LONGEST_TEXT)),
            (r"(a*)*\1b", "a".repeat(1_000)),
            (r"(x)\1", "a".repeat(1 << 20)),
        ];
        for (expression, text) in costly {
            let stepwise = Stepwise::new(expression).unwrap();
            let clone = stepwise.clone();
            if !clone.finds_in(&text) && stepwise.is_exhausted() {
                assert!(
                    !stepwise.finds_in("xx aa b"),
                    "{expression}: nothing is found any more"
                );
            } else {
                assert!(!stepwise.finds_in(&text), "{expression}");
            }
        }
        let met = Stepwise::new(r"(a+)+\1$").unwrap();
        assert!(!met.finds_in(&("a".repeat(5_000) + "b")) && met.is_exhausted());
    }
}
