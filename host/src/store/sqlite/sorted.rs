//! Order by fields: along the sort entries where there are any, else by the best so far.

use std::cell::Cell;
use std::collections::HashSet;

use bson::oid::ObjectId;
use rusqlite::params;

use super::connection::{self, Link};
use super::keys;
use super::list::{blob, sort_key_of, with_body};
use super::schema::Collection;
use crate::store::page::directed;
use crate::store::{Direction, Result, SortKey, Visible};

/// Documents with the same key that are held back to be turned round, before their order is asked for instead.
const RUN: usize = 256;

/// A walk along the sort entries of one field.
pub(super) struct Walk<'a> {
    pub(super) link: &'a Link,
    pub(super) collection: &'a Collection,
    pub(super) field: i64,
    pub(super) key: &'a SortKey,
    pub(super) visible: &'a Visible,
    /// Only these, if given.
    pub(super) among: Option<&'a HashSet<ObjectId>>,
    /// After so many entries it is given up.
    pub(super) most: u64,
    /// Entries so far.
    pub(super) steps: Cell<u64>,
}

/// The page as it fills.
struct Filling {
    skip: u64,
    limit: usize,
    page: Vec<ObjectId>,
}

impl Filling {
    fn add(&mut self, id: ObjectId) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if !self.is_full() {
            self.page.push(id);
        }
    }

    fn is_full(&self) -> bool {
        self.page.len() >= self.limit
    }
}

/// How a stretch of the walk ended.
enum Stretch {
    Done,
    /// At a key that very many documents have.
    Crowd(Vec<u8>),
}

impl Walk<'_> {
    /// The page; none if the walk was given up.
    pub(super) fn page(&self, offset: u64, limit: usize) -> Result<Option<Vec<ObjectId>>> {
        let mut filling = Filling {
            skip: offset,
            limit,
            page: Vec::with_capacity(limit.min(1000)),
        };
        match self.key.direction {
            Direction::Ascending => self.ascend(&mut filling)?,
            Direction::Descending => {
                let mut below: Option<Vec<u8>> = None;
                // Within one key ids ascend, against the walk: small runs are turned round, large ones asked for anew.
                while let Stretch::Crowd(key) = self.descend(below.as_deref(), &mut filling)? {
                    self.cross(&key, &mut filling)?;
                    below = Some(key);
                }
            }
        }
        Ok((!self.is_too_far()).then_some(filling.page))
    }

    fn step(&self) -> Result<()> {
        self.steps.set(self.steps.get() + 1);
        self.link.tick()
    }

    fn is_too_far(&self) -> bool {
        self.steps.get() > self.most
    }

    fn accepts(&self, class: u32, id: ObjectId) -> bool {
        self.visible.allows(class) && self.among.is_none_or(|among| among.contains(&id))
    }

    fn ascend(&self, filling: &mut Filling) -> Result<()> {
        let n = self.collection.number;
        let mut statement = self.link.sql.prepare_cached(&format!(
            "SELECT key, oid, class FROM sort_{n} WHERE field = ? ORDER BY key, oid"
        ))?;
        let mut rows = statement.query([self.field])?;
        let mut run: Vec<ObjectId> = Vec::new();
        let mut run_prefix: Vec<u8> = Vec::new();
        while let Some(row) = rows.next()? {
            self.step()?;
            let key = blob(row.get_ref(0)?);
            if !run.is_empty() && (!keys::is_capped(key) || keys::prefix(key) != run_prefix) {
                self.settle(std::mem::take(&mut run), filling)?;
            }
            if filling.is_full() || self.is_too_far() {
                return Ok(());
            }
            let id = connection::object_id(blob(row.get_ref(1)?))?;
            if !self.accepts(row.get(2)?, id) {
                continue;
            }
            if keys::is_capped(key) {
                run_prefix = keys::prefix(key).to_vec();
                run.push(id);
            } else {
                filling.add(id);
            }
        }
        self.settle(run, filling)
    }

    /// Adds documents whose keys are cut off at the same place, by what they really contain.
    fn settle(&self, run: Vec<ObjectId>, filling: &mut Filling) -> Result<()> {
        let mut ordered = Vec::with_capacity(run.len());
        for id in run {
            let look = |body: &[u8]| sort_key_of(self.collection, id, body, &self.key.path);
            if let Some(key) = with_body(self.link, self.collection, id, look)? {
                ordered.push((key?, id));
            }
        }
        ordered.sort_unstable_by(|a, b| {
            directed(self.key.direction, a.0.cmp(&b.0)).then(a.1.cmp(&b.1))
        });
        for (_, id) in ordered {
            filling.add(id);
        }
        Ok(())
    }

    fn descend(&self, below: Option<&[u8]>, filling: &mut Filling) -> Result<Stretch> {
        let n = self.collection.number;
        let bound = if below.is_some() { "AND key < ?2" } else { "" };
        let mut statement = self.link.sql.prepare_cached(&format!(
            "SELECT key, oid, class FROM sort_{n} WHERE field = ?1 {bound} ORDER BY key DESC, oid DESC"
        ))?;
        let mut rows = match below {
            Some(below) => statement.query(params![self.field, below])?,
            None => statement.query([self.field])?,
        };
        let mut run: Vec<ObjectId> = Vec::new();
        let mut run_key: Vec<u8> = Vec::new();
        let mut rows_in_run = 0;
        while let Some(row) = rows.next()? {
            self.step()?;
            let key = blob(row.get_ref(0)?);
            let same = match keys::is_capped(&run_key) {
                true => keys::is_capped(key) && keys::prefix(key) == keys::prefix(&run_key),
                false => key == run_key,
            };
            if !same || rows_in_run == 0 {
                self.turn(std::mem::take(&mut run), &run_key, filling)?;
                if filling.is_full() || self.is_too_far() {
                    return Ok(Stretch::Done);
                }
                run_key.clear();
                run_key.extend_from_slice(key);
                rows_in_run = 0;
            }
            rows_in_run += 1;
            if rows_in_run > RUN && !keys::is_capped(&run_key) {
                return Ok(Stretch::Crowd(run_key));
            }
            let id = connection::object_id(blob(row.get_ref(1)?))?;
            if self.accepts(row.get(2)?, id) {
                run.push(id);
            }
        }
        self.turn(run, &run_key, filling)?;
        Ok(Stretch::Done)
    }

    fn turn(&self, run: Vec<ObjectId>, key: &[u8], filling: &mut Filling) -> Result<()> {
        if keys::is_capped(key) {
            return self.settle(run, filling);
        }
        for id in run.into_iter().rev() {
            filling.add(id);
        }
        Ok(())
    }

    /// All documents with one key.
    fn cross(&self, key: &[u8], filling: &mut Filling) -> Result<()> {
        let n = self.collection.number;
        let mut statement = self.link.sql.prepare_cached(&format!(
            "SELECT oid, class FROM sort_{n} WHERE field = ? AND key = ? ORDER BY oid"
        ))?;
        let mut rows = statement.query(params![self.field, key])?;
        while let Some(row) = rows.next()? {
            self.step()?;
            if filling.is_full() || self.is_too_far() {
                break;
            }
            let id = connection::object_id(blob(row.get_ref(0)?))?;
            if self.accepts(row.get(1)?, id) {
                filling.add(id);
            }
        }
        Ok(())
    }
}
