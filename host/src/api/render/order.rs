//! Members of objects in the order of their names (rules X1, Y2), without a tree: what is written is cut where members
//! begin, and its parts are put in order when their object ends.

/// Where the members of the objects that are open begin.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Of all open objects, those of inner ones last.
    marks: Vec<Mark>,
    /// Their names, one after the other.
    names: String,
    /// Parts being put in order.
    scratch: Vec<u8>,
}

/// Where a member begins.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// In the names.
    name: usize,
    /// In what is written.
    start: usize,
}

impl Members {
    /// An object begins. What comes back is to be given to [`Members::close`].
    pub(super) fn open(&self) -> usize {
        self.marks.len()
    }

    /// A member of the innermost object begins. Members are ordered by the bytes of their names; of equal ones, the first
    /// stays first.
    pub(super) fn mark(&mut self, name: &[&str], start: usize) {
        self.marks.push(Mark {
            name: self.names.len(),
            start,
        });
        self.names.extend(name.iter().copied());
    }

    /// The innermost object ends, and what is written ends with its last member.
    pub(super) fn close(&mut self, opened: usize, written: &mut Vec<u8>) {
        let marks = self.marks.get(opened..).unwrap_or_default();
        let Some(first) = marks.first().copied() else {
            return;
        };
        let name = |number: usize| {
            let from = marks.get(number).map_or(self.names.len(), |mark| mark.name);
            let to = marks
                .get(number + 1)
                .map_or(self.names.len(), |mark| mark.name);
            self.names.get(from..to).unwrap_or_default()
        };
        let mut order: Vec<usize> = (0..marks.len()).collect();
        if !order.is_sorted_by_key(|number| name(*number)) {
            order.sort_by_key(|number| name(*number));
            self.scratch.clear();
            for number in order {
                let from = marks.get(number).map_or(written.len(), |mark| mark.start);
                let to = marks
                    .get(number + 1)
                    .map_or(written.len(), |mark| mark.start);
                self.scratch
                    .extend_from_slice(written.get(from..to).unwrap_or_default());
            }
            written.truncate(first.start);
            written.extend_from_slice(&self.scratch);
        }
        self.names.truncate(first.name);
        self.marks.truncate(opened);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_put_in_order_at_every_level() {
        let mut members = Members::default();
        let mut written = b"<".to_vec();
        let outer = members.open();
        members.mark(&["b"], written.len());
        written.extend(b"b(");
        let inner = members.open();
        for name in ["z", "a", "m", "a"] {
            members.mark(&[name], written.len());
            written.extend(name.as_bytes());
            written.extend(written.len().to_string().as_bytes());
        }
        members.close(inner, &mut written);
        written.extend(b")");
        members.mark(&["a", "x"], written.len());
        written.extend(b"ax");
        let empty = members.open();
        members.close(empty, &mut written);
        members.close(outer, &mut written);
        assert_eq!(String::from_utf8(written).unwrap(), "<axb(a6a10m8z4)");
        assert_eq!((members.marks.len(), members.names.len()), (0, 0));
    }
}
