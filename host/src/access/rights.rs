//! What a user may do: flags, sources, and rule S1.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::class::{Mark, Pairs};

/// The flag that stands for all flags, those of plugins included; only the role `UberAdmin` grants it.
pub(crate) const EVERY_FLAG: &str = "*";

/// Rights on one source, united over all active roles of a user (rules R7, R8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceRights {
    /// `read`.
    pub read: bool,
    /// `write`: may add things under this source (rule S6).
    pub write: bool,
    /// `tlp_red`.
    pub red: bool,
    /// `tlp_amber`.
    pub amber: bool,
    /// `tlp_green`.
    pub green: bool,
}

impl SourceRights {
    /// Every right.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        red: true,
        amber: true,
        green: true,
    };

    /// Rules R7, R8: or, flag by flag.
    pub(crate) fn unite(&mut self, other: Self) {
        self.read |= other.read;
        self.write |= other.write;
        self.red |= other.red;
        self.amber |= other.amber;
        self.green |= other.green;
    }

    /// S1 (b) for marks that need rights: `red(user)`, `amber(user)`, `green(user)` all require `read` as well.
    fn covers(self, mark: Mark) -> bool {
        match mark {
            Mark::White => true,
            Mark::Red | Mark::Unmarked => self.read && self.red,
            Mark::Amber => self.read && self.amber,
            Mark::Green => self.read && self.green,
            Mark::NoInstance | Mark::Other => false,
        }
    }
}

/// What a user may do: the union of the user's active roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Flags that are on: `api_interface`, `Event.tickets_add`. The flag `*` stands for all of them.
    pub flags: BTreeSet<String>,
    /// Sources by name, whatever their flags.
    pub sources: BTreeMap<String, SourceRights>,
}

impl Rights {
    /// Is this flag on? `flag` or `Type.flag` (rule R5). A holder of `UberAdmin` has every flag, also those that only a
    /// plugin knows.
    #[must_use]
    pub fn may(&self, flag: &str) -> bool {
        self.flags.contains(flag) || self.flags.contains(EVERY_FLAG)
    }

    /// A holder of `UberAdmin`.
    #[must_use]
    pub fn may_everything(&self) -> bool {
        self.flags.contains(EVERY_FLAG)
    }

    /// May things be added under this source (rule S6)?
    #[must_use]
    pub fn may_write(&self, source: &str) -> bool {
        self.sources.get(source).is_some_and(|rights| rights.write)
    }

    /// Is this one of the user's sources, whatever its flags (`sources(user)` of core-api 6.2)?
    #[must_use]
    pub fn has_source(&self, source: &str) -> bool {
        self.sources.contains_key(source)
    }

    /// Would an instance with this mark satisfy S1 (b) alone? White does in any source.
    #[must_use]
    pub fn reads(&self, source: &str, mark: Mark) -> bool {
        mark == Mark::White
            || self
                .sources
                .get(source)
                .is_some_and(|rights| rights.covers(mark))
    }

    /// Rule S1, the one function for it: may a document with these (source, TLP) pairs be seen? Both must hold, not
    /// necessarily by the same pair: (a) a source is one of the user's, whatever its flags; (b) an instance is white, or
    /// its TLP is one that the user may read in its source.
    #[must_use]
    pub fn sees(&self, pairs: &Pairs) -> bool {
        pairs.iter().any(|(source, _)| self.has_source(source))
            && pairs.iter().any(|(source, mark)| self.reads(source, *mark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_user() -> Rights {
        let a = SourceRights {
            read: true,
            red: true,
            ..SourceRights::default()
        };
        let b = SourceRights {
            read: false,
            write: true,
            red: true,
            amber: true,
            green: true,
        };
        Rights {
            flags: BTreeSet::new(),
            sources: BTreeMap::from([("A".to_owned(), a), ("B".to_owned(), b)]),
        }
    }

    fn pairs(of: &[(&str, Mark)]) -> Pairs {
        of.iter()
            .map(|(source, mark)| ((*source).to_owned(), *mark))
            .collect()
    }

    #[test]
    fn s1_table_of_core_api_6_2() {
        use Mark::{Amber, Green, Red, White};
        let table: [(&[(&str, Mark)], bool); 10] = [
            (&[("A", Red)], true),
            (&[("A", Amber)], false),
            (&[("A", Green)], false),
            (&[("A", White)], true),
            (&[("B", Red)], false),
            (&[("B", White)], true),
            (&[("Z", White)], false),
            (&[("A", Amber), ("Z", White)], true),
            (&[("A", Amber), ("A", Red)], true),
            (&[("A", Amber), ("Z", Red)], false),
        ];
        for (document, visible) in table {
            assert_eq!(test_user().sees(&pairs(document)), visible, "{document:?}");
        }
    }

    #[test]
    fn az7_no_sources_no_instances_missing_and_odd_tlp() {
        use Mark::{Green, NoInstance, Other, Red, Unmarked, White};
        let table: [(&[(&str, Mark)], bool); 11] = [
            (&[], false),
            (&[("A", NoInstance)], false),
            (&[("A", NoInstance), ("B", NoInstance)], false),
            (&[("A", Unmarked)], true),
            (&[("B", Unmarked)], false),
            (&[("Z", Unmarked)], false),
            (&[("A", Other)], false),
            (&[("A", Other), ("Z", White)], true),
            // The entry without instances satisfies (a), the white one of a foreign source (b).
            (&[("A", NoInstance), ("Z", White)], true),
            (&[("B", Green), ("A", Red)], true),
            (&[("Z", White), ("Y", White)], false),
        ];
        for (document, visible) in table {
            assert_eq!(test_user().sees(&pairs(document)), visible, "{document:?}");
        }
    }

    #[test]
    fn s1_red_does_not_include_amber_or_green() {
        let only = |rights: SourceRights| Rights {
            flags: BTreeSet::new(),
            sources: BTreeMap::from([("A".to_owned(), rights)]),
        };
        let read = SourceRights {
            read: true,
            ..SourceRights::default()
        };
        let amber = only(SourceRights {
            amber: true,
            ..read
        });
        let green = only(SourceRights {
            green: true,
            ..read
        });
        assert!(amber.sees(&pairs(&[("A", Mark::Amber)])));
        assert!(!amber.sees(&pairs(&[("A", Mark::Green)])));
        assert!(!amber.sees(&pairs(&[("A", Mark::Red)])));
        assert!(green.sees(&pairs(&[("A", Mark::Green)])));
        assert!(!green.sees(&pairs(&[("A", Mark::Unmarked)])));
    }

    #[test]
    fn s6_writing_needs_the_write_flag_only() {
        assert!(!test_user().may_write("A"));
        assert!(test_user().may_write("B"));
        assert!(!test_user().may_write("Z"));
    }

    #[test]
    fn r5_an_unknown_flag_is_false_and_the_star_is_every_flag() {
        let mut rights = test_user();
        assert!(!rights.may("Actor.no_such_flag"));
        rights.flags.insert("Actor.read".to_owned());
        assert!(rights.may("Actor.read"));
        assert!(!rights.may("Domain.read"));
        rights.flags.insert(EVERY_FLAG.to_owned());
        assert!(rights.may("FlagOf.a_plugin"));
    }
}
