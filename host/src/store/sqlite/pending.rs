//! Rows for the tables of indexes, gathered while documents are written and then written in the order of the tables.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::store::class::ClassId;

/// A table of index rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Entry,
    Sort,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Sort => "sort",
        }
    }
}

/// A row: field, key, id of the document, class.
type Row = (i64, Vec<u8>, Vec<u8>, ClassId);

/// Rows that are not written yet, by table and collection.
#[derive(Debug, Default)]
pub(super) struct Pending(BTreeMap<(Table, i64), Vec<Row>>);

impl Pending {
    /// Notes a row; it takes the place of an earlier one with the same field, key and id.
    pub(super) fn add(
        &mut self,
        table: Table,
        collection: i64,
        field: i64,
        key: Vec<u8>,
        oid: &[u8],
        class: ClassId,
    ) {
        let rows = self.0.entry((table, collection)).or_default();
        rows.push((field, key, oid.to_vec(), class));
    }

    /// Writes all of them. One at a time: a statement for several rows keeps copies of the pages that it changes, as it might
    /// have to be taken back by itself.
    pub(super) fn write(&mut self, sql: &Connection) -> rusqlite::Result<()> {
        for ((table, collection), mut rows) in std::mem::take(&mut self.0) {
            // Neighbours in the table are written one after the other; of equal ones the last stays.
            rows.sort_by(|a, b| (a.0, &a.1, &a.2).cmp(&(b.0, &b.1, &b.2)));
            let table = table.name();
            let mut statement = sql.prepare_cached(&format!(
                "INSERT OR REPLACE INTO {table}_{collection}(field, key, oid, class) VALUES (?, ?, ?, ?)"
            ))?;
            for (field, key, oid, class) in rows {
                statement.execute(params![field, key, oid, class])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(sql: &Connection) -> Vec<(i64, Vec<u8>, u32)> {
        let mut statement = sql
            .prepare("SELECT field, key, class FROM entry_7 ORDER BY field, key, oid")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn all_rows_are_written_and_the_last_of_a_place_stays() {
        for count in [0, 1, 75] {
            let sql = Connection::open_in_memory().unwrap();
            sql.execute_batch(
                "CREATE TABLE entry_7(field INTEGER, key BLOB, oid BLOB, class INTEGER NOT NULL,
                     PRIMARY KEY (field, key, oid)) WITHOUT ROWID",
            )
            .unwrap();
            let mut pending = Pending::default();
            for number in (0..count).rev() {
                pending.add(Table::Entry, 7, 1, vec![number], b"id", 1);
            }
            for number in 0..count {
                pending.add(Table::Entry, 7, 1, vec![number], b"id", 2);
            }
            pending.write(&sql).unwrap();
            let expected: Vec<_> = (0..count).map(|number| (1, vec![number], 2)).collect();
            assert_eq!(stored(&sql), expected);
            pending.write(&sql).unwrap();
            assert_eq!(stored(&sql), expected, "once written they are gone");
        }
    }
}
