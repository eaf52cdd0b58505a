//! Database-managed sets (sources, identifier types, …), the public suffix list and the server's settings.

use std::sync::Arc;

use crate::store::{Store, StoreError};

/// The registers of a store; cached for one administrative revision.
pub struct Registers {
    store: Arc<dyn Store>,
}

impl Registers {
    /// The registers of a store whose administrative collections are declared.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Is there such an entry? Registers: `source`, `identifier-type`, `raw-data-type`, `signature-type`,
    /// `signature-dependency`, `action-type`, `sector`, `location`. Unknown register: false.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn has(&self, register: &str, name: &str) -> Result<bool, StoreError> {
        let _ = (&self.store, register, name);
        todo!()
    }

    /// At most 1,000 entries in alphabetic order after `after`.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn entries(&self, register: &str, after: &str) -> Result<Vec<String>, StoreError> {
        let _ = (register, after);
        todo!()
    }

    /// A setting as text: what was set, else its default; none for unknown names.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let _ = name;
        todo!()
    }

    /// The registrable domain of a host by the public suffix list, as lower-case A-labels. None: unknown suffix, an
    /// address, a bare suffix (create.md 5.7 [better]).
    #[must_use]
    pub fn registrable_domain(&self, host: &str) -> Option<String> {
        let _ = host;
        todo!()
    }
}
