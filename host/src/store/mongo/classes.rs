//! Visibility classes, and what else one process learns of the others.
//!
//! A class is a document of `critd.classes`: its number and its pairs. Numbers are given without gaps, and a class is
//! never changed: whoever is second to give a number finds it taken and looks again. A class without documents does no
//! harm, so classes are made before the transaction that needs them is committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use mongodb::IndexModel;
use mongodb::options::IndexOptions;

use super::errors::{is_duplicate, store_error};
use super::own;
use super::schema::Collection;
use super::{Shared, names};
use crate::store::class::{self, ClassId, ClassTable, Pairs};
use crate::store::{Result, StoreError};

/// How often a process looks for what others have changed.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// What is known of commits to administrative collections.
#[derive(Debug, Default)]
pub(super) struct Administrative {
    revision: u64,
    asked_at: Option<Instant>,
    /// When it was last asked for in vain, and why.
    failed: Option<(Instant, String)>,
}

/// The index that gives each set of pairs one number.
pub(super) fn index_model() -> IndexModel {
    IndexModel::builder()
        .keys(doc! { "pairs": 1 })
        .options(
            IndexOptions::builder()
                .name("critd pairs".to_owned())
                .unique(true)
                .build(),
        )
        .build()
}

impl Shared {
    fn error(&self, error: &mongodb::error::Error) -> StoreError {
        store_error(error, self.options.longest_query)
    }

    /// Reads the classes that others have made.
    pub(super) async fn refresh_classes(&self) -> Result<()> {
        let known = self.classes.read().classes.len();
        let mut found = self
            .database
            .collection::<Document>(names::CLASSES)
            .find(doc! { "_id": { "$gte": known as i64 } })
            .sort(doc! { "_id": 1 })
            .await
            .map_err(|error| self.error(&error))?;
        let mut read = Vec::new();
        while found.advance().await.map_err(|error| self.error(&error))? {
            let document = found
                .deserialize_current()
                .map_err(|error| self.error(&error))?;
            let number = document.get_i64("_id").unwrap_or(-1);
            let pairs = match document.get("pairs") {
                Some(Bson::Binary(data)) => class::read_pairs(&data.bytes),
                _ => None,
            };
            let pairs = pairs.ok_or_else(|| {
                StoreError::Engine(format!("class {number} in the database is damaged"))
            })?;
            read.push((number, Arc::new(pairs)));
        }
        if read.is_empty() {
            return Ok(());
        }
        let mut classes = self.classes.write();
        for (number, pairs) in read {
            // Another look may have been quicker.
            if number == classes.classes.len() as i64 {
                Arc::make_mut(&mut classes).add(pairs);
            }
        }
        Ok(())
    }

    fn table(&self) -> Arc<ClassTable> {
        Arc::clone(&self.classes.read())
    }

    /// Whether the class can be looked up here; if not, its maker is another process.
    pub(super) async fn know_class(&self, number: ClassId) -> Result<()> {
        if number as usize >= self.table().classes.len() {
            self.refresh_classes().await?;
        }
        Ok(())
    }

    /// The number of a set of pairs; a new one if need be.
    pub(super) async fn intern(&self, pairs: Pairs) -> Result<ClassId> {
        loop {
            if let Some(number) = self.table().number(&pairs) {
                return Ok(number);
            }
            self.refresh_classes().await?;
            let table = self.table();
            if let Some(number) = table.number(&pairs) {
                return Ok(number);
            }
            let next = table.classes.len();
            if u32::try_from(next).is_err() {
                return Err(StoreError::Engine(
                    "there are too many visibility classes".to_owned(),
                ));
            }
            let document =
                doc! { "_id": next as i64, "pairs": own::binary(&class::write_pairs(&pairs)) };
            let made = self
                .database
                .collection::<Document>(names::CLASSES)
                .insert_one(document)
                .await;
            match made {
                Ok(_) => self.count_class(next as i64 + 1).await?,
                Err(error) if is_duplicate(&error) => {}
                Err(error) => return Err(self.error(&error)),
            }
            self.refresh_classes().await?;
        }
    }

    /// Says to the others that there is a new class.
    async fn count_class(&self, number: i64) -> Result<()> {
        let done = self
            .database
            .collection::<Document>(names::STATE)
            .update_one(
                doc! { "_id": names::NUMBER_OF_CLASSES },
                doc! { "$max": { "n": number } },
            )
            .upsert(true)
            .await;
        match done {
            Ok(_) => Ok(()),
            // Made by another process at the same time; its next look finds both classes.
            Err(error) if is_duplicate(&error) => Ok(()),
            Err(error) => Err(self.error(&error)),
        }
    }

    /// The class of a document as it should be.
    pub(super) async fn class_of(
        &self,
        collection: &Collection,
        pairs: Option<Pairs>,
    ) -> Result<ClassId> {
        match pairs {
            Some(pairs) if collection.classed => self.intern(pairs).await,
            _ => Ok(0),
        }
    }

    /// The number of commits to administrative collections, as it is after the call has begun; and classes that others
    /// have made until then are known afterwards. Who calls while another call asks waits and shares the next answer.
    pub(super) async fn administrative_revision(&self) -> Result<u64> {
        let called_at = Instant::now();
        let _alone = self.asking.lock().await;
        {
            let known = self.administrative.lock();
            if known.asked_at.is_some_and(|asked_at| asked_at >= called_at) {
                return Ok(known.revision);
            }
            // Whoever waited for this need not wait for the same once more.
            if let Some((asked_at, reason)) = &known.failed
                && *asked_at >= called_at
            {
                return Err(StoreError::Unavailable(reason.clone()));
            }
        }
        let asked_at = Instant::now();
        let answer = self.ask_administrative_revision().await;
        if let Err(StoreError::Unavailable(reason)) = &answer {
            self.administrative.lock().failed = Some((asked_at, reason.clone()));
        }
        answer
    }

    async fn ask_administrative_revision(&self) -> Result<u64> {
        let asked_at = Instant::now();
        let mut cursor = self
            .database
            .collection::<Document>(names::STATE)
            .find(doc! { "_id": { "$in": [names::ADMINISTRATIVE, names::NUMBER_OF_CLASSES] } })
            .await
            .map_err(|error| self.error(&error))?;
        let (mut revision, mut classes) = (0, 0);
        while cursor.advance().await.map_err(|error| self.error(&error))? {
            let state = cursor
                .deserialize_current()
                .map_err(|error| self.error(&error))?;
            let n = state.get_i64("n").unwrap_or_default().unsigned_abs();
            if state
                .get_str("_id")
                .is_ok_and(|id| id == names::ADMINISTRATIVE)
            {
                revision = n;
            } else {
                classes = n;
            }
        }
        if classes > self.table().classes.len() as u64 {
            self.refresh_classes().await?;
        }
        let mut known = self.administrative.lock();
        known.revision = known.revision.max(revision);
        known.asked_at = known.asked_at.max(Some(asked_at));
        Ok(known.revision)
    }

    /// This process has committed to an administrative collection.
    pub(super) fn administrative_commit(&self, revision: u64) {
        let mut known = self.administrative.lock();
        known.revision = known.revision.max(revision);
    }

    /// One look at what others have changed.
    pub(super) async fn look(&self) -> Result<()> {
        self.ask_administrative_revision().await?;
        self.refresh_classes().await?;
        self.refresh_schema().await
    }
}

/// Looks again and again, until the store is closed or dropped.
pub(super) async fn keep_looking(shared: std::sync::Weak<Shared>) {
    let mut failing = false;
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match shared.look().await {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("the database can be reached again");
            }
            Ok(()) => {}
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "what other processes have changed can't be seen at the moment");
            }
            Err(_) => {}
        }
    }
}
