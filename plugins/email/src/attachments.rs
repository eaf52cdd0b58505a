//! Attachments become Samples, each `Contained Within` the e-mail (create.md 5.8.1 step 5, 5.8.3). What a Sample is, that a
//! capture becomes a PCAP instead, how an archive is unpacked: all that is the Sample plugin's.

use critd_sdk::prelude::*;

use crate::{limits, mail};

/// Files that are to be added, each content once.
#[derive(Debug, Default)]
pub(crate) struct Files(Vec<File>);

/// One of them.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) upload: Upload,
    /// Its name; without one the MD5.
    pub(crate) name: String,
    pub(crate) md5: String,
}

impl Files {
    /// Takes up a file, unless it is empty. Equal bytes are one file, which then has the last name.
    ///
    /// # Errors
    ///
    /// `refused(limit)`: there are too many, or they are too large.
    pub(crate) fn add(&mut self, name: Option<&str>, content: &[u8]) -> Result<(), Fault> {
        if content.is_empty() {
            return Ok(());
        }
        let upload = Upload::make(name.unwrap_or_default(), content)?;
        let md5 = upload.digest("md5")?.unwrap_or_default();
        let file = File {
            upload,
            name: name.map_or_else(|| md5.clone(), str::to_owned),
            md5,
        };
        let known = self.0.len();
        match self.0.iter_mut().find(|other| other.md5 == file.md5) {
            Some(same) if name.is_some() => same.name = file.name,
            Some(_) => {}
            None if known >= limits::ATTACHMENTS => {
                let most = limits::ATTACHMENTS;
                return Err(limits::too_large(format!(
                    "The e-mail has more than {most} attachments."
                )));
            }
            None => self.0.push(file),
        }
        Ok(())
    }

    /// The files in the order in which they came first.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, File> {
        self.0.iter()
    }
}

/// Adds a file as a Sample and says that the e-mail contains it; of an archive that is unpacked, each of its members.
///
/// # Errors
///
/// The fault of creating the Sample; nothing of it is kept then.
pub(crate) fn add(email: &mut Tlo, file: &File, given: &Params) -> Result<(), Fault> {
    let params = given
        .clone()
        .with("upload_type", "file")
        .with("filedata", file.upload)
        .with("filename", &file.name);
    let created = Tlo::create("Sample", params)?;
    let first = created.tlo.as_ref().map(Tlo::id).transpose()?;
    if let Some(tlo) = &created.tlo {
        email.relate("Contains", tlo, Params::new())?;
    }
    for id in created.extra["ids"].as_array().into_iter().flatten() {
        let id = id["$oid"].as_str().or(id.as_str()).unwrap_or_default();
        if first.as_ref().is_some_and(|first| first.as_str() == id) {
            continue;
        }
        // A capture among the members is a PCAP.
        let member = Tlo::by_id("Sample", id).or_else(|_| Tlo::by_id("PCAP", id))?;
        email.relate("Contains", &member, Params::new())?;
    }
    Ok(())
}

/// Adds all files of a message, or none: what failed is told of each.
///
/// # Errors
///
/// The files that could not be added, each with its reason.
pub(crate) fn add_all(
    call: &Call,
    email: &mut Tlo,
    files: &Files,
    given: &Params,
) -> Result<(), Fault> {
    let mut failures: Vec<String> = Vec::new();
    let mut code = None;
    for file in files.iter() {
        if let Err(fault) = add(email, file, given) {
            if let Fault::Internal(reason) = &fault {
                log::error!("attachment {}: {reason}", file.md5);
            }
            let failed = format!("Failed to save attachment '{}'.", file.md5);
            failures.push(mail::failure(call, &failed, mail::text_of(&fault)));
            code.get_or_insert(match fault {
                Fault::Refused((code, _)) => code,
                Fault::Missing(_) => "not_found".to_owned(),
                Fault::Invalid(_) => "invalid_attachment".to_owned(),
                Fault::Internal(_) => "unavailable".to_owned(),
            });
        }
    }
    match code {
        None => Ok(()),
        Some(code) => Err(refused(&code, failures.join("\n"))),
    }
}
