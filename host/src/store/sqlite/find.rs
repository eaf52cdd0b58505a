//! Finds the documents that meet a condition: takes the cheapest of the ways that [`plan`](super::plan) names.
//!
//! What a way costs is told by how many index rows it has. They are counted up to a limit that grows until the cheapest
//! candidate is known, so that a choice never costs much more than what is chosen.

use std::cell::RefCell;
use std::collections::BTreeSet;

use bson::oid::ObjectId;
use rusqlite::{ToSql, params};

use super::connection::{self, Link};
use super::keys;
use super::list::{blob, meets};
use super::plan::{Bound, Index, Plan, Span};
use super::schema::{Collection, Counts};
use crate::store::explain::{Considered, Kind, Rows, Step};
use crate::store::filter::Filter;
use crate::store::order::rank;
use crate::store::{Result, Visible};

/// So many rows of each candidate are counted at first.
const FIRST_LOOK: u64 = 64;
/// By how much more with each round.
const GROWTH: u64 = 4;
/// Beyond this, candidates count as equally large.
const LAST_LOOK: u64 = 65_536;

/// A look at a document costs as much as so many steps along an index.
const LOOK: u64 = 40;
/// A look at a document found by an index costs as much as so many documents of a scan.
const SCANNED: u64 = 5;
/// Fewer documents than these are never worth a scan.
const FEW: u64 = 50;

/// What became of a query, for whoever wants it explained.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) steps: Vec<Step>,
    pub(super) considered: Vec<Considered>,
    pub(super) order: String,
}

/// Finds documents within one read transaction.
pub(super) struct Finder<'a> {
    link: &'a Link,
    collection: &'a Collection,
    visible: &'a Visible,
    /// How many documents each class has; none: visibility is no way to documents.
    counts: Option<&'a Counts>,
    trace: Option<&'a RefCell<Trace>>,
    /// About how many documents there are; exactly, where counts are known.
    documents: u64,
    /// Those of them that are visible.
    visible_documents: u64,
}

/// How many rows a way has, as far as they were counted.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    rows: u64,
    is_complete: bool,
}

impl Estimate {
    fn exactly(rows: u64) -> Self {
        Self {
            rows,
            is_complete: true,
        }
    }

    fn rows(self) -> Rows {
        if self.is_complete {
            Rows::Exactly(self.rows)
        } else {
            Rows::AtLeast(self.rows)
        }
    }
}

impl<'a> Finder<'a> {
    /// Among documents of which all are visible.
    pub(super) fn among_all(link: &'a Link, collection: &'a Collection) -> Result<Self> {
        let n = collection.number;
        // The highest row is found at once, and not far from the number of rows.
        let documents: Option<i64> = link
            .sql
            .prepare_cached(&format!("SELECT max(id) FROM doc_{n}"))?
            .query_row([], |row| row.get(0))?;
        let documents = documents.unwrap_or_default().unsigned_abs();
        Ok(Self {
            link,
            collection,
            visible: &Visible::All,
            counts: None,
            trace: None,
            documents,
            visible_documents: documents,
        })
    }

    /// Among the visible documents of the state that `counts` are of.
    pub(super) fn among_visible(
        link: &'a Link,
        collection: &'a Collection,
        visible: &'a Visible,
        counts: &'a Counts,
        trace: Option<&'a RefCell<Trace>>,
    ) -> Self {
        let of_classes = counts.of(collection.number);
        let documents = of_classes.iter().sum();
        let visible_documents = match visible {
            Visible::All => documents,
            Visible::Classes(set) => set
                .iter()
                .map_while(|class| of_classes.get(class as usize))
                .sum(),
        };
        Self {
            link,
            collection,
            visible,
            counts: Some(counts),
            trace,
            documents,
            visible_documents,
        }
    }

    /// How many documents there are.
    pub(super) fn documents(&self) -> u64 {
        self.documents
    }

    /// How many of them are visible: a sum of class counts.
    pub(super) fn visible_documents(&self) -> u64 {
        self.visible_documents
    }

    /// Says how the page came into its order.
    pub(super) fn ordered(&self, how: impl FnOnce() -> String) {
        if let Some(trace) = self.trace {
            trace.borrow_mut().order = how();
        }
    }

    fn note(&self, kind: Kind, what: impl FnOnce() -> String, found: usize) {
        if let Some(trace) = self.trace {
            trace.borrow_mut().steps.push(Step {
                kind,
                what: what(),
                found: found as u64,
            });
        }
    }

    fn consider(&self, what: impl FnOnce() -> String, rows: Rows, chosen: bool) {
        if let Some(trace) = self.trace {
            let way = Considered {
                way: what(),
                rows,
                chosen,
            };
            let mut trace = trace.borrow_mut();
            if trace.considered.last() != Some(&way) {
                trace.considered.push(way);
            }
        }
    }

    /// Ids of the visible documents that meet a condition, ascending, without a plan for it.
    pub(super) fn scan(&self, condition: &Filter) -> Result<Vec<ObjectId>> {
        let (documents, visible) = (self.documents, self.visible_documents);
        if self.is_few(visible.saturating_mul(SCANNED)) {
            self.consider(
                || "visible classes; documents looked at".to_owned(),
                Rows::Exactly(visible),
                true,
            );
            let rows = Rows::Exactly(documents);
            self.consider(|| "look at every document".to_owned(), rows, false);
            let ids = self.ids_by_class()?;
            return self.check(ids, condition);
        }
        self.consider(
            || "look at every document".to_owned(),
            Rows::Exactly(documents),
            true,
        );
        self.look_at_all(condition)
    }

    /// Is it worth while to go by the classes, if that costs so much and the other way a step for each document?
    fn is_few(&self, cost: u64) -> bool {
        self.counts.is_some()
            && matches!(self.visible, Visible::Classes(_))
            && cost < self.documents
    }

    fn look_at_all(&self, condition: &Filter) -> Result<Vec<ObjectId>> {
        self.link.look_for(condition);
        let n = self.collection.number;
        // CASE, since SQL does not promise that the cheap test comes first (pitfall P6).
        let mut statement = self.link.sql.prepare_cached(&format!(
            "SELECT oid FROM doc_{n} NOT INDEXED WHERE CASE WHEN sees(class) THEN holds(body, oid) ELSE 0 END"
        ))?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(connection::object_id(blob(row.get_ref(0)?))?);
        }
        found.sort_unstable();
        self.note(
            Kind::Scan,
            || "every visible document looked at".to_owned(),
            found.len(),
        );
        Ok(found)
    }

    /// Ids of the visible documents, ascending.
    pub(super) fn everything(&self) -> Result<Vec<ObjectId>> {
        if self.is_few(self.visible_documents.saturating_mul(2)) {
            return self.ids_by_class();
        }
        let n = self.collection.number;
        let found = self.collect(
            &format!("SELECT oid, class FROM doc_{n} INDEXED BY dir_{n} ORDER BY oid"),
            &[],
        )?;
        self.note(Kind::Directory, || "directory".to_owned(), found.len());
        Ok(found)
    }

    /// The same by their classes: a step for each of them, whatever else there is.
    pub(super) fn ids_by_class(&self) -> Result<Vec<ObjectId>> {
        let n = self.collection.number;
        let mut found = Vec::new();
        if let (Some(counts), Visible::Classes(set)) = (self.counts, self.visible) {
            let counts = counts.of(self.collection.number);
            let text = format!("SELECT oid FROM doc_{n} INDEXED BY seen_{n} WHERE class = ?");
            let mut statement = self.link.sql.prepare_cached(&text)?;
            for class in set.iter() {
                let Some(count) = counts.get(class as usize) else {
                    break;
                };
                if *count == 0 {
                    continue;
                }
                let mut rows = statement.query([class])?;
                while let Some(row) = rows.next()? {
                    self.link.tick()?;
                    found.push(connection::object_id(blob(row.get_ref(0)?))?);
                }
            }
        }
        found.sort_unstable();
        self.note(Kind::Classes, || "visible classes".to_owned(), found.len());
        Ok(found)
    }

    /// Visible ids of rows `oid, class`, as they come.
    fn collect(&self, text: &str, parameters: &[&dyn ToSql]) -> Result<Vec<ObjectId>> {
        let mut found = Vec::new();
        self.collect_into(text, parameters, &mut found)?;
        Ok(found)
    }

    fn collect_into(
        &self,
        text: &str,
        parameters: &[&dyn ToSql],
        found: &mut Vec<ObjectId>,
    ) -> Result<()> {
        let mut statement = self.link.sql.prepare_cached(text)?;
        let mut rows = statement.query(parameters)?;
        while let Some(row) = rows.next()? {
            self.link.tick()?;
            if self.visible.allows(row.get(1)?) {
                found.push(connection::object_id(blob(row.get_ref(0)?))?);
            }
        }
        Ok(())
    }

    /// Ids of the visible documents that meet the condition of a plan, ascending.
    pub(super) fn find(&self, plan: &Plan) -> Result<Vec<ObjectId>> {
        let n = self.collection.number;
        let mut found = Vec::new();
        let kind = match plan {
            Plan::Nothing => Kind::Nothing,
            Plan::Everything => return self.everything(),
            Plan::Equal { index, keys } => {
                let text = format!("SELECT oid, class FROM entry_{n} WHERE field = ? AND key = ?");
                for key in keys {
                    self.collect_into(&text, params![index.number, key], &mut found)?;
                }
                Kind::Equal
            }
            Plan::Range { index, span } => {
                self.collect_span(index, span, &mut found)?;
                Kind::Range
            }
            Plan::Between {
                index,
                span,
                condition,
            } => {
                let several = self.collect(&several_rows(n), params![-index.number])?;
                for id in several {
                    if self.meets(id, condition)? {
                        found.push(id);
                    }
                }
                self.collect_span(index, span, &mut found)?;
                Kind::Between
            }
            Plan::Present { index } => {
                let text = format!("SELECT oid, class FROM entry_{n} WHERE field = ?");
                self.collect_into(&text, params![index.number], &mut found)?;
                Kind::Present
            }
            Plan::Trigrams {
                index,
                query,
                expression,
                condition,
            } => {
                self.collect_trigrams(index.number, query, expression, condition, &mut found)?;
                Kind::Trigrams
            }
            Plan::Texts {
                index,
                expression,
                condition,
            } => {
                self.collect_texts(index.number, expression, condition, &mut found)?;
                Kind::Texts
            }
            Plan::Except(without) => {
                let without = self.find(without)?;
                found = self.everything()?;
                remove(&mut found, &without);
                Kind::Except
            }
            Plan::Either(first, second) => return self.find(self.choose(first, second)?),
            Plan::Any(plans) => {
                for plan in plans {
                    found.extend(self.find(plan)?);
                }
                Kind::Union
            }
            Plan::All {
                plans,
                rest,
                condition,
            } => return self.find_all(plans, *rest, condition),
        };
        found.sort_unstable();
        found.dedup();
        self.note(kind, || plan.words(), found.len());
        Ok(found)
    }

    fn collect_span(&self, index: &Index, span: &Span, found: &mut Vec<ObjectId>) -> Result<()> {
        let (from, to) = (comparison(&span.low, ">"), comparison(&span.high, "<"));
        let n = self.collection.number;
        self.collect_into(
            &format!(
                "SELECT oid, class FROM entry_{n} WHERE field = ? AND key {from} ? AND key {to} ?"
            ),
            params![index.number, span.low.key, span.high.key],
            found,
        )
    }

    /// What the trigrams let through, by a look at the texts themselves.
    fn collect_trigrams(
        &self,
        field: i64,
        query: &str,
        expression: &regex::Regex,
        condition: &Filter,
        found: &mut Vec<ObjectId>,
    ) -> Result<()> {
        let mut statement = self.link.sql.prepare_cached(&format!(
            "SELECT v.oid, v.class, v.text FROM text_{field} t CROSS JOIN value_{field} v ON v.id = t.rowid
             WHERE text_{field} MATCH ?"
        ))?;
        let mut rows = statement.query([query])?;
        let mut unsure = Vec::new();
        while let Some(row) = rows.next()? {
            self.link.tick()?;
            if !self.visible.allows(row.get(1)?) {
                continue;
            }
            let id = connection::object_id(blob(row.get_ref(0)?))?;
            match row.get_ref(2)?.as_str_or_null() {
                Ok(Some(text)) if expression.is_match(text) => found.push(id),
                Ok(Some(_)) => {}
                _ => unsure.push(id),
            }
        }
        for id in unsure {
            if self.meets(id, condition)? {
                found.push(id);
            }
        }
        Ok(())
    }

    fn collect_texts(
        &self,
        field: i64,
        expression: &regex::Regex,
        condition: &Filter,
        found: &mut Vec<ObjectId>,
    ) -> Result<()> {
        let n = self.collection.number;
        let mut statement = self.link.sql.prepare_cached(&format!(
            "SELECT key, oid, class FROM entry_{n} WHERE field = ? AND key >= ? AND key < ?"
        ))?;
        let mut rows = statement.query(params![field, [rank::TEXT], [rank::TEXT + 1]])?;
        // Texts cut off in the index, and (never yet seen) such as are no UTF-8: their documents decide.
        let mut unsure = BTreeSet::new();
        while let Some(row) = rows.next()? {
            self.link.tick()?;
            if !self.visible.allows(row.get(2)?) {
                continue;
            }
            let key = blob(row.get_ref(0)?);
            let text = keys::text(key)
                .filter(|_| !keys::is_capped(key))
                .map(std::str::from_utf8);
            match text {
                Some(Ok(text)) if expression.is_match(text) => {
                    found.push(connection::object_id(blob(row.get_ref(1)?))?);
                }
                Some(Ok(_)) => {}
                _ => {
                    unsure.insert(connection::object_id(blob(row.get_ref(1)?))?);
                }
            }
        }
        for id in unsure {
            if self.meets(id, condition)? {
                found.push(id);
            }
        }
        Ok(())
    }

    fn meets(&self, id: ObjectId, condition: &Filter) -> Result<bool> {
        meets(self.link, self.collection, id, condition)
    }

    /// Which of two ways to the same documents is to be taken.
    fn choose<'p>(&self, first: &'p Plan, second: &'p Plan) -> Result<&'p Plan> {
        let documents = self.documents;
        let most = match first {
            // A text found by its trigrams is looked up; one of the index just comes next.
            Plan::Trigrams { .. } => documents / 4,
            // Documents with several values are looked at.
            Plan::Between { .. } => documents / LOOK,
            _ => documents,
        };
        let most = most.max(FIRST_LOOK);
        let estimate = match first {
            Plan::Between { index, .. } => self.count(
                &several_rows(self.collection.number),
                params![-index.number],
                most,
            )?,
            first => self.estimate(first, most)?,
        };
        let is_first = estimate.is_complete;
        let of_first = || match first {
            Plan::Between { .. } => format!("{}, documents with several values", first.words()),
            first => first.words(),
        };
        self.consider(of_first, estimate.rows(), is_first);
        self.consider(|| second.words(), Rows::Unknown, !is_first);
        Ok(if is_first { first } else { second })
    }

    /// How many rows a plan has, counted up to `most`.
    fn estimate(&self, plan: &Plan, most: u64) -> Result<Estimate> {
        let n = self.collection.number;
        match plan {
            Plan::Nothing => Ok(Estimate::exactly(0)),
            Plan::Everything | Plan::Except(_) => Ok(Estimate {
                rows: self.visible_documents.min(most),
                is_complete: self.visible_documents <= most,
            }),
            Plan::Equal { index, keys } => {
                let text = format!("SELECT oid, class FROM entry_{n} WHERE field = ? AND key = ?");
                let mut sum = Estimate::exactly(0);
                for key in keys {
                    let of_key =
                        self.count(&text, params![index.number, key], most - sum.rows.min(most))?;
                    sum.rows += of_key.rows;
                    sum.is_complete = of_key.is_complete;
                    if !sum.is_complete {
                        break;
                    }
                }
                Ok(sum)
            }
            Plan::Range { index, span } | Plan::Between { index, span, .. } => {
                let (from, to) = (comparison(&span.low, ">"), comparison(&span.high, "<"));
                let text = format!(
                    "SELECT oid, class FROM entry_{n} WHERE field = ? AND key {from} ? AND key {to} ?"
                );
                self.count(
                    &text,
                    params![index.number, span.low.key, span.high.key],
                    most,
                )
            }
            Plan::Present { index } => self.count(
                &format!("SELECT oid, class FROM entry_{n} WHERE field = ?"),
                params![index.number],
                most,
            ),
            Plan::Texts { index, .. } => self.count(
                &format!(
                    "SELECT oid, class FROM entry_{n} WHERE field = ? AND key >= ? AND key < ?"
                ),
                params![index.number, [rank::TEXT], [rank::TEXT + 1]],
                most,
            ),
            Plan::Trigrams { index, query, .. } => {
                let field = index.number;
                self.count(
                    &format!("SELECT rowid FROM text_{field} WHERE text_{field} MATCH ?"),
                    params![query],
                    most,
                )
            }
            Plan::Either(first, _) => self.estimate(first, most),
            Plan::Any(plans) => {
                let mut sum = Estimate::exactly(0);
                for plan in plans {
                    let of_plan = self.estimate(plan, most - sum.rows.min(most))?;
                    sum.rows = sum.rows.saturating_add(of_plan.rows);
                    sum.is_complete &= of_plan.is_complete;
                    if !sum.is_complete {
                        break;
                    }
                }
                Ok(sum)
            }
            Plan::All { plans, .. } => {
                let mut least = Estimate {
                    rows: most,
                    is_complete: false,
                };
                for plan in plans {
                    let of_plan = self.estimate(plan, most)?;
                    if of_plan.is_complete && (!least.is_complete || of_plan.rows < least.rows) {
                        least = of_plan;
                    }
                }
                Ok(least)
            }
        }
    }

    fn count(&self, text: &str, parameters: &[&dyn ToSql], most: u64) -> Result<Estimate> {
        // One more than asked for tells whether there are more.
        let limit = i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX);
        let mut parameters = parameters.to_vec();
        parameters.push(&limit);
        let mut statement = self
            .link
            .sql
            .prepare_cached(&format!("SELECT count(*) FROM ({text} LIMIT ?)"))?;
        let rows: i64 = statement.query_row(parameters.as_slice(), |row| row.get(0))?;
        let rows = rows.unsigned_abs();
        Ok(Estimate {
            rows: rows.min(most),
            is_complete: rows <= most,
        })
    }

    /// Counts until the smallest is known, or all are large.
    fn race(&self, plans: &[Plan]) -> Result<Vec<Estimate>> {
        let mut most = FIRST_LOOK;
        loop {
            let mut estimates = Vec::with_capacity(plans.len());
            for plan in plans {
                estimates.push(self.estimate(plan, most)?);
            }
            let is_over = estimates.iter().any(|estimate| estimate.is_complete);
            if is_over || most >= LAST_LOOK {
                return Ok(estimates);
            }
            most *= GROWTH;
        }
    }

    /// What all of the plans find: the smallest first, then whatever is cheaper, another index or a look at the documents.
    fn find_all(&self, plans: &[Plan], rest: bool, condition: &Filter) -> Result<Vec<ObjectId>> {
        let mut candidates: Vec<(Estimate, &Plan)> = match plans {
            [] => return self.scan(condition),
            [only] => vec![(
                Estimate {
                    rows: 0,
                    is_complete: false,
                },
                only,
            )],
            several => self.race(several)?.into_iter().zip(several).collect(),
        };
        candidates
            .sort_by_key(|(estimate, plan)| (!estimate.is_complete, estimate.rows, plan.weight()));
        let Some(((of_first, first), others)) = candidates.split_first() else {
            return self.scan(condition);
        };
        if !others.is_empty() {
            self.consider(|| first.words(), of_first.rows(), true);
        }
        let mut found = self.find(first)?;
        let mut is_complete = !rest;
        for (of_plan, plan) in others {
            let taken = !found.is_empty() && self.narrow(&mut found, plan, rest)?;
            is_complete &= taken;
            self.consider(|| plan.words(), of_plan.rows(), taken);
        }
        if found.is_empty() || is_complete {
            return Ok(found);
        }
        let many = found.len() as u64;
        if many > FEW && many > self.documents / SCANNED {
            return self.look_at_all(condition);
        }
        self.check(found, condition)
    }

    /// Takes from what was found what is not in another plan, if that costs less than a look at each document. Whether
    /// it was done.
    fn narrow(&self, found: &mut Vec<ObjectId>, plan: &Plan, rest: bool) -> Result<bool> {
        let (plan, is_without) = match plan {
            Plan::Except(plan) => (plan.as_ref(), true),
            plan => (plan, false),
        };
        // Where documents are looked at anyway, an index must leave out many of them.
        let worth = if rest { LOOK / 10 } else { LOOK };
        let most = (found.len() as u64).saturating_mul(worth);
        if !self.estimate(plan, most)?.is_complete {
            return Ok(false);
        }
        let others = self.find(plan)?;
        if is_without {
            remove(found, &others);
        } else {
            keep(found, &others);
        }
        self.note(
            Kind::Intersection,
            || {
                let word = if is_without { "without" } else { "and" };
                format!("{word} {}", plan.words())
            },
            found.len(),
        );
        Ok(true)
    }

    /// Those of some documents that meet a condition, by a look at each.
    fn check(&self, ids: Vec<ObjectId>, condition: &Filter) -> Result<Vec<ObjectId>> {
        let mut kept = Vec::with_capacity(ids.len().min(1 << 16));
        for id in ids {
            self.link.watch()?;
            if self.meets(id, condition)? {
                kept.push(id);
            }
        }
        self.note(Kind::Check, || "documents looked at".to_owned(), kept.len());
        Ok(kept)
    }
}

fn comparison(bound: &Bound, strict: &'static str) -> String {
    format!("{strict}{}", if bound.inclusive { "=" } else { "" })
}

/// Documents with several values of a field: the field's number comes negative.
fn several_rows(n: i64) -> String {
    format!("SELECT oid, class FROM entry_{n} WHERE field = ?")
}

/// Both ascend.
fn keep(found: &mut Vec<ObjectId>, others: &[ObjectId]) {
    walk_along(found, others, true);
}

fn remove(found: &mut Vec<ObjectId>, others: &[ObjectId]) {
    walk_along(found, others, false);
}

fn walk_along(found: &mut Vec<ObjectId>, others: &[ObjectId], kept: bool) {
    if found.len() < others.len() / 16 {
        found.retain(|id| others.binary_search(id).is_ok() == kept);
        return;
    }
    let mut others = others.iter().peekable();
    found.retain(|id| {
        while others.next_if(|other| *other < id).is_some() {}
        (others.peek() == Some(&id)) == kept
    });
}
