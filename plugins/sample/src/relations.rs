//! To what a sample is related: the object that the arguments name, and backdoors.

use critd_sdk::prelude::*;

use crate::NewSample;

/// Names of the arguments that relate.
pub(crate) const ARGUMENTS: [&str; 4] =
    ["related_id", "related_md5", "related_type", "relationship"];

/// Create.md 5.16 (4): id and type belong together; an MD5 alone is that of a sample.
///
/// # Errors
///
/// One without the other.
pub(crate) fn check_pair(args: &NewSample) -> Result<(), Fault> {
    let halved = match (&args.related_id, &args.related_type) {
        (Some(_), None) => true,
        (None, Some(_)) => args.related_md5.is_none(),
        _ => false,
    };
    if halved {
        return Err(invalid(
            "related_type",
            "Must specify related_type and related_id",
        ));
    }
    Ok(())
}

/// The object to relate to, as the arguments of the shared rules name it.
#[derive(Debug)]
pub(crate) struct Related {
    /// As the client named it: id, or natural key.
    named: String,
    by_id: bool,
    type_name: String,
    relationship: String,
}

impl Related {
    /// `archive`: MD5 of the archive of which the sample is a member.
    pub(crate) fn of(args: &NewSample, archive: Option<&str>) -> Option<Self> {
        let (named, by_id) = match (&args.related_id, &args.related_md5) {
            (Some(id), _) => (id.clone(), true),
            (None, Some(key)) => (key.clone(), false),
            (None, None) => return None,
        };
        let type_name = args.related_type.as_deref().unwrap_or("Sample");
        let of_archive =
            archive.is_some_and(|archive| !by_id && named.eq_ignore_ascii_case(archive));
        let relationship = match &args.relationship {
            Some(relationship) => relationship,
            None if of_archive => "Compressed Into",
            None if archive.is_none() && is_email(type_name) => "Contained Within",
            None => "Related To",
        };
        Some(Self {
            named,
            by_id,
            type_name: type_name.to_owned(),
            relationship: relationship.to_owned(),
        })
    }

    /// The arguments that relate a new object so, read from its side.
    pub(crate) fn params(&self) -> Params {
        let argument = if self.by_id {
            "related_id"
        } else {
            "related_md5"
        };
        params! {
            argument => &self.named,
            "related_type" => &self.type_name,
            "relationship" => &self.relationship,
        }
    }

    /// The same, read from the other side.
    ///
    /// # Errors
    ///
    /// No such relationship.
    pub(crate) fn params_of_the_other_side(&self) -> Result<Params, Fault> {
        let inverse = registers::inverse(&self.relationship)
            .ok_or_else(|| invalid("relationship", "Could not find relationship type"))?;
        Ok(self.params().with("relationship", inverse))
    }

    /// Relates the sample, unless it is the object itself.
    ///
    /// # Errors
    ///
    /// There is no such object, or the user may not see it (create.md 5.16 (11)).
    pub(crate) fn relate(&self, sample: &mut Tlo) -> Result<(), Fault> {
        match sample.merge_shared(self.params()) {
            Err(Fault::Missing(_)) => Err(missing(format!(
                " Related {} not found. Sample not uploaded.",
                self.named
            ))),
            Err(Fault::Refused((code, _))) if code == "conflict" => Ok(()),
            other => other,
        }
    }
}

/// Is it the type of e-mails, by its own name or that of the resource?
fn is_email(type_name: &str) -> bool {
    ["email", "emails"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(type_name.trim()))
}

/// Relates the sample to the first backdoor of the name that there is, and to the one of the version. That there is none is
/// no error.
///
/// # Errors
///
/// Only the host's.
pub(crate) fn relate_backdoors(sample: &mut Tlo, args: &NewSample) -> Result<(), Fault> {
    let Some(name) = &args.backdoor_name else {
        return Ok(());
    };
    let mut conditions = vec![json!({ "name": name })];
    if let Some(version) = &args.backdoor_version {
        conditions.push(json!({ "name": name, "version": version }));
    }
    for condition in conditions {
        let found = match Tlo::select("Backdoor", &condition, 1) {
            // A server without that type.
            Err(Fault::Missing(_)) => Vec::new(),
            other => other?,
        };
        if let Some(backdoor) = found.first() {
            sample.relate("Related To", backdoor, Params::new())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_email;

    #[test]
    fn create_5_16_e_mails_go_by_two_names() {
        assert!(is_email("Email") && is_email(" emails"));
        assert!(!is_email("Sample"));
    }
}
