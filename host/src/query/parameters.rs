//! A query string as name-value pairs.

/// The parameters of a query string in the order sent, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    pairs: Vec<(String, String)>,
}

/// More parameters than are read (rule L8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Too many parameters: at most {} are read.", Parameters::MOST)]
pub struct TooMany;

impl Parameters {
    /// Most parameters of a request (rule L8).
    pub const MOST: usize = 1_000;

    /// Reads a query string or an urlencoded form.
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    pub fn parse(text: &[u8]) -> Result<Self, TooMany> {
        let mut pairs = Vec::new();
        for (name, value) in form_urlencoded::parse(text) {
            if pairs.len() == Self::MOST {
                return Err(TooMany);
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter; the last one if repeated.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a parameter, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All of them.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// All of them, to keep.
    #[must_use]
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.pairs
    }
}
