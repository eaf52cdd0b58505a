//! What is worked out from a draft as a whole.

use bson::RawDocumentBuf;

use super::{Draft, DraftError, Root, decode_appended};
use crate::store::class::{self, Pairs};
use crate::store::raw::{Elements, Malformed, OwnedValue};

impl Draft {
    /// The document with its changes, the root fields in another order: by their rank, those of one rank as they were.
    ///
    /// # Errors
    ///
    /// [`DraftError::Damaged`].
    pub fn to_raw_ranked(
        &self,
        rank: impl Fn(&str) -> usize,
    ) -> Result<RawDocumentBuf, DraftError> {
        let raw = self.to_raw();
        let mut members = Vec::with_capacity(32);
        for element in Elements::new(raw.as_bytes())? {
            let element = element?;
            let name = std::str::from_utf8(element.name)
                .map_err(|_| Malformed("a name that is no UTF-8"))?;
            members.push((rank(name), element.whole));
        }
        if members.is_sorted_by_key(|(rank, _)| *rank) {
            return Ok(raw);
        }
        members.sort_by_key(|(rank, _)| *rank);
        let whole = raw.as_bytes();
        let mut bytes = Vec::with_capacity(whole.len());
        bytes.extend_from_slice(&whole[..4]);
        for (_, member) in members {
            bytes.extend_from_slice(member);
        }
        bytes.push(0);
        RawDocumentBuf::from_bytes(bytes).map_err(|error| DraftError::Damaged(error.to_string()))
    }

    /// The visibility pairs that the document has now (rule S1).
    ///
    /// # Errors
    ///
    /// [`DraftError::Damaged`].
    pub fn pairs(&self) -> Result<Pairs, DraftError> {
        let name = class::SOURCE;
        let stored = self.stored_root(name)?;
        let source = match (self.changed.get(name).map(AsRef::as_ref), stored) {
            (None, Some(stored)) => return Ok(class::pairs_of_source(stored)?),
            (None, None) | (Some(Root::Removed), _) => return Ok(Pairs::new()),
            (Some(Root::Grown(value)), _) => return Ok(class::pairs_of_source(value.as_value())?),
            (Some(Root::Replaced(value)), _) => OwnedValue::encode(value)?,
            (Some(Root::Appended(appended)), Some(stored)) => {
                OwnedValue::encode(&decode_appended(stored, appended)?)?
            }
            (Some(Root::Appended(_)), None) => return Ok(Pairs::new()),
        };
        Ok(class::pairs_of_source(source.as_value())?)
    }
}
