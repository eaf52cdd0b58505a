//! One sample: a file, or what is known of one.

use critd_sdk::merge;
use critd_sdk::prelude::*;

use crate::relations::{self, Related};
use crate::{NewSample, Sample, capture};

/// What was stored, and what is said of it.
#[derive(Debug)]
pub(crate) struct Stored {
    /// A sample, or a PCAP.
    pub(crate) tlo: Tlo,
    /// The message.
    pub(crate) message: String,
}

impl Stored {
    /// As the answer of a POST.
    pub(crate) fn answer(self) -> Answer {
        Answer::new(self.message).document(&self.tlo)
    }
}

/// What is posted of a file.
#[derive(Debug)]
pub(crate) struct Posted {
    name: String,
    /// It was given, not made up.
    is_named: bool,
    md5: String,
    sha1: Option<String>,
    sha256: Option<String>,
    size: Option<i64>,
    mimetype: Option<String>,
}

impl Posted {
    /// Create.md 5.16 (7) to (10): digests are trimmed, in lower case, and as long as they must be.
    ///
    /// # Errors
    ///
    /// One of them is not, or the MD5 is missing.
    pub(crate) fn of_metadata(args: &NewSample) -> Result<Self, Fault> {
        let md5 = digest("md5", "MD5", 32, args.md5.as_deref())?;
        if args.size.is_some_and(|size| size < 0) {
            return Err(invalid("size", "A size can't be negative."));
        }
        let name = args.filename.as_deref().map(legible);
        Ok(Self {
            is_named: name.is_some(),
            name: name.unwrap_or_else(|| "unknown".to_owned()),
            md5: md5.ok_or_else(|| invalid("md5", "At least MD5 hash is required."))?,
            sha1: digest("sha1", "SHA1", 40, args.sha1.as_deref())?,
            sha256: digest("sha256", "SHA256", 64, args.sha256.as_deref())?,
            size: args.size,
            mimetype: args.mimetype.clone(),
        })
    }

    fn of_file(file: Upload, name: &str) -> Result<Self, Fault> {
        let md5 = file.digest("md5")?;
        Ok(Self {
            name: name.to_owned(),
            is_named: name != "unknown",
            md5: md5.ok_or_else(|| internal("no MD5 was answered"))?,
            sha1: file.digest("sha1")?,
            sha256: file.digest("sha256")?,
            size: Some(i64::try_from(file.size()?).unwrap_or(i64::MAX)),
            mimetype: None,
        })
    }
}

fn digest(
    argument: &str,
    name: &str,
    length: usize,
    sent: Option<&str>,
) -> Result<Option<String>, Fault> {
    let Some(sent) = sent.map(str::trim).filter(|sent| !sent.is_empty()) else {
        return Ok(None);
    };
    if sent.len() == length && sent.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(Some(sent.to_ascii_lowercase()));
    }
    Err(invalid(
        argument,
        format!("The {name} digest needs to be {length} hex characters."),
    ))
}

/// A name that somebody gave, without characters that can't be shown.
pub(crate) fn legible(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|letter| !letter.is_control())
        .take(1000)
        .collect();
    match name.trim() {
        "" => "unknown".to_owned(),
        name => name.to_owned(),
    }
}

/// Stores a file as a sample; a capture of network traffic as a PCAP if the user may.
///
/// # Errors
///
/// Those of [`store`] and of PCAPs.
pub(crate) fn store_file(
    call: &Call,
    args: &NewSample,
    shared: &Shared,
    file: Upload,
    name: &str,
    archive: Option<&str>,
) -> Result<Stored, Fault> {
    if call.may("PCAP.write") && file.is_capture()? {
        let related = Related::of(args, archive);
        return capture::store(call, args, shared, file, name, related.as_ref());
    }
    store(
        call,
        args,
        shared,
        &Posted::of_file(file, name)?,
        Some((file, archive)),
    )
}

/// Stores a sample. `bytes`: its file, and the MD5 of the archive that it comes from.
///
/// # Errors
///
/// A related object that is not there; a source that the user may not write with.
pub(crate) fn store(
    call: &Call,
    args: &NewSample,
    shared: &Shared,
    posted: &Posted,
    bytes: Option<(Upload, Option<&str>)>,
) -> Result<Stored, Fault> {
    let (mut sample, origin) = Tlo::make::<Sample>([("md5", &posted.md5)])?;
    if let Some(related) = Related::of(args, bytes.and_then(|(_, archive)| archive)) {
        related.relate(&mut sample)?;
    }
    shared.require_source(SourceText::Object)?;

    if origin == Origin::Fresh {
        sample.set_many(params! {
            "filename" => &posted.name,
            "mimetype" => posted.mimetype.as_deref(),
            "description" => args.description.as_deref(),
        })?;
    } else {
        add_name(&mut sample, posted)?;
        let stored = sample.text("description")?;
        let posted = args.description.as_deref().unwrap_or_default();
        if let Some(description) = merge::description(&stored, posted) {
            sample.set("description", description)?;
        }
    }
    let has_bytes = origin != Origin::Fresh && Upload::open(&sample, "filedata")?.is_some();
    match bytes {
        Some((file, _)) => {
            if !has_bytes {
                file.keep(&mut sample, "filedata")?;
            }
            describe(&mut sample, file, posted)?;
        }
        // Bytes speak for themselves.
        None if has_bytes => {}
        None => {
            for (field, digest) in [("sha1", &posted.sha1), ("sha256", &posted.sha256)] {
                if let Some(digest) = digest {
                    sample.set(field, digest)?;
                }
            }
            if let Some(size) = posted.size {
                sample.set("size", size)?;
            }
        }
    }

    let how = if bytes.is_some() {
        "File Upload"
    } else {
        "Metadata Upload"
    };
    let method = match shared.text("method").filter(|method| !method.is_empty()) {
        Some(method) => [how, " - ", method].concat(),
        None => how.to_owned(),
    };
    let rest = shared.clone().with("method", method);
    sample.merge_shared(rest.params().clone().without(&relations::ARGUMENTS))?;
    relations::relate_backdoors(&mut sample, args)?;

    let link = call.link(
        &["samples", "details", &posted.md5],
        &[posted.md5.as_str(), "."].concat(),
    );
    let message = match origin {
        Origin::Fresh => format!("Success: Added new sample {link}"),
        Origin::Visible | Origin::Hidden => format!("Success: Updated sample {link}"),
    };
    Ok(Stored {
        tlo: sample,
        message,
    })
}

/// What the bytes say of themselves.
fn describe(sample: &mut Tlo, file: Upload, posted: &Posted) -> Result<(), Fault> {
    let (filetype, mimetype) = file.kind()?;
    sample.set_many(params! {
        "sha1" => posted.sha1.as_deref(),
        "sha256" => posted.sha256.as_deref(),
        "ssdeep" => file.digest("ssdeep")?,
        "impfuzzy" => file.digest("impfuzzy")?,
        "size" => posted.size,
        "filetype" => filetype,
        "mimetype" => mimetype,
    })
}

/// Another name of a known sample.
fn add_name(sample: &mut Tlo, posted: &Posted) -> Result<(), Fault> {
    let first = sample.text("filename")?;
    if posted.is_named && posted.name != first {
        sample.push_unique("filenames", &posted.name, &[])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{digest, legible};

    #[test]
    fn create_5_16_digests_are_trimmed_and_in_lower_case() {
        let sent = " 0123456789ABCDEF0123456789abcdef ";
        let read = digest("md5", "MD5", 32, Some(sent)).unwrap();
        assert_eq!(read.as_deref(), Some("0123456789abcdef0123456789abcdef"));
        assert!(digest("md5", "MD5", 32, Some(" ")).unwrap().is_none());
        assert!(digest("md5", "MD5", 32, Some("0123456789abcdef0123456789abcdeg")).is_err());
    }

    #[test]
    fn create_5_16_names_have_no_control_characters() {
        assert_eq!(legible("a\0b\u{202e}.exe\n"), "ab\u{202e}.exe");
        assert_eq!(legible("\0"), "unknown");
    }
}
