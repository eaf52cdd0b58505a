//! What the registers of a fresh store hold (vocabulary section 17).

use bson::{Document, doc};

use super::Register;
use crate::access::records::{self, AdminResult};
use crate::store::Store;

const COUNTRIES: &str = include_str!("countries.txt");

fn names(register: Register) -> &'static [&'static str] {
    match register {
        Register::IdentifierType => &[
            "Email Address",
            "Domain",
            "IPv4 Address",
            "Handle",
            "Telephone",
        ],
        Register::RawDataType => &["Text", "JSON"],
        Register::SignatureType => &["Bro", "Snort", "Yara"],
        Register::ActionType => &[
            "Blocked Outbound At Firewall",
            "Blocked Outbound At Desktop Firewall",
        ],
        Register::Source
        | Register::SignatureDependency
        | Register::Sector
        | Register::Location => &[],
    }
}

/// A register entry in the original's shape (documents 6.3).
pub(super) fn entry(register: Register, name: &str) -> Document {
    let mut entry = doc! { "name": name, "active": "on", "schema_version": 1 };
    match register {
        Register::Source => {
            entry.insert("sample_count", 0);
        }
        Register::ActionType => {
            entry.insert("object_types", Vec::<String>::new());
            entry.insert("preferred", Vec::<String>::new());
        }
        Register::IdentifierType
        | Register::RawDataType
        | Register::SignatureType
        | Register::SignatureDependency
        | Register::Sector
        | Register::Location => {}
    }
    entry
}

/// Region, code and name of each country.
fn countries() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let mut region = "";
    COUNTRIES.lines().filter_map(move |line| {
        if let Some(heading) = line.strip_prefix("# ") {
            region = heading;
            return None;
        }
        let (code, name) = line.split_once(' ').filter(|(code, _)| *code != "//")?;
        Some((region, code, name))
    })
}

/// Adds the entries that are missing from registers that hold nothing at all; a register that somebody has edited stays
/// as it is.
pub(super) async fn plant(store: &dyn Store) -> AdminResult<()> {
    for register in [
        Register::IdentifierType,
        Register::RawDataType,
        Register::SignatureType,
        Register::ActionType,
    ] {
        let Some(collection) = register.collection() else {
            continue;
        };
        if !records::all(store, collection).await?.is_empty() {
            continue;
        }
        for name in names(register) {
            records::insert(store, collection, "name", name, entry(register, name)).await?;
        }
    }
    if records::all(store, "locations").await?.is_empty() {
        let places = countries().map(|(region, code, name)| {
            let mut place = entry(Register::Location, name);
            place.extend(doc! { "region": region, "cca2": code });
            place
        });
        records::insert_all(store, "locations", places).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_countries_is_well_formed() {
        let all: Vec<_> = countries().collect();
        assert_eq!(all.len(), 250);
        assert!(all.contains(&("Europe", "DE", "Germany")));
        assert!(
            all.iter().all(|(region, code, name)| !region.is_empty()
                && code.len() == 2
                && !name.is_empty())
        );
        let distinct: std::collections::BTreeSet<_> = all.iter().map(|(_, _, name)| name).collect();
        assert_eq!(distinct.len(), all.len());
    }
}
