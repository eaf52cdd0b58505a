//! Certificates, kept as files; what an X.509 certificate says is shown beside.

use critd_sdk::prelude::*;
use critd_x509::Found;

plugin! {
    name = "certificate",
    summary = "Certificates, with the file and what an X.509 certificate says.",
    types = [Certificate],
}

/// A certificate: the file, what it is, and what it is related to.
///
/// The MD5 of the bytes is the key: the same file sent again is the same document. Any bytes are taken. If they are an X.509
/// certificate (DER, PEM, or the first one of a PKCS#7 bundle), what it says is shown under `x509`.
#[derive(Debug, TloType)]
#[tlo(
    resource = "certificates",
    collection = "certificates",
    schema_version = 2,
    keys(md5),
    lookup = "md5",
    triage = "unanalysed"
)]
pub struct Certificate {
    /// The file.
    #[field(kind = "file", bucket = "certificates")]
    pub filedata: Option<ObjectId>,
    /// Name under which it was first sent.
    #[field(required, sortable, indexed, searchable)]
    pub filename: String,
    /// What the file is, found from its content: `PEM certificate`.
    #[field(required, sortable)]
    pub filetype: String,
    /// Bytes.
    #[field(default = 0, sortable)]
    pub size: i64,
    /// MD5 of the bytes.
    #[field(sortable, indexed, searchable)]
    pub md5: String,
    /// What the X.509 certificate says; absent if it can't be read as one.
    pub x509: Option<X509>,
}

/// What an X.509 certificate says of itself. Nothing is verified.
#[derive(Debug, Fields)]
pub struct X509 {
    /// Whose it is: `CN=mail.example.com,O=Example`.
    #[field(indexed, searchable)]
    pub subject: String,
    /// Who issued it.
    #[field(indexed, searchable)]
    pub issuer: String,
    /// Serial number in hexadecimal digits.
    #[field(indexed)]
    pub serial_number: String,
    /// From when it is valid.
    pub not_before: Date,
    /// Until when it is valid.
    pub not_after: Date,
    /// SHA-1 of its DER form.
    #[field(indexed)]
    pub sha1: String,
    /// SHA-256 of its DER form.
    #[field(indexed)]
    pub sha256: String,
}

/// What a new certificate is made of.
#[derive(Debug, Args)]
pub struct NewCertificate {
    /// The certificate, as a file part of a multipart form.
    #[arg(
        required,
        missing = "Upload type of 'file' but no file uploaded.",
        example = "server.pem"
    )]
    pub filedata: Upload,
    /// Name of the source that told of it. Required.
    #[arg(synonyms("source_name"), example = "Example CERT")]
    pub source: Option<String>,
    /// What is known about it. Of a certificate that exists it changes nothing.
    #[arg(example = "TLS certificate of a C2 host")]
    pub description: Option<String>,
    /// Id of an object to relate to.
    #[arg(example = "5b2c3d4e5f60718293a4b5c6")]
    pub related_id: Option<String>,
    /// Natural key of an object to relate to: digest, name, address.
    #[arg(example = "www.example.com")]
    pub related_md5: Option<String>,
    /// Type of that object.
    #[arg(example = "Domain")]
    pub related_type: Option<String>,
}

/// Names of the arguments that relate.
const RELATED: [&str; 4] = ["related_id", "related_md5", "related_type", "relationship"];

/// Create.md 5.5: adds a certificate, or a source to the one of these bytes.
///
/// # Errors
///
/// No bytes; half of a relationship, or one to something that is not there; no source, or one that the user may not write
/// with.
#[create(Certificate)]
#[example("no file", args = {"source": "Example"}, fault = {"invalid": "filedata", "message": "Upload type of 'file' but no file uploaded."})]
pub fn create(args: NewCertificate, shared: &Shared) -> Outcome {
    let size = args.filedata.size()?;
    if size == 0 {
        return Err(invalid("filedata", "No data object passed in"));
    }
    if args.related_type.is_some() != (args.related_id.is_some() || args.related_md5.is_some()) {
        return Err(invalid(
            "related_type",
            "Must specify both related_type and related_id or related_md5.",
        ));
    }

    let md5 = args.filedata.digest("md5")?;
    let md5 = md5.ok_or_else(|| internal("no MD5 was answered"))?;
    let (mut certificate, origin) = Tlo::make::<Certificate>([("md5", &md5)])?;
    certificate.merge_shared(shared.params().clone().only(&RELATED))?;
    shared.require_source(SourceText::Objects)?;
    if origin == Origin::Fresh {
        let found = said(args.filedata)?;
        let mut kind = args.filedata.kind()?.0;
        if found.is_some() && kind == "data" {
            kind = "X.509 certificate".to_owned();
        }
        certificate.set_many(params! {
            "filename" => args.filedata.file_name()?,
            "filetype" => kind,
            "size" => i64::try_from(size).unwrap_or(i64::MAX),
            "description" => args.description,
            "x509" => found,
        })?;
    }
    if origin == Origin::Fresh || Upload::open(&certificate, "filedata")?.is_none() {
        // Also bytes that were lost (documents.md M26).
        args.filedata.keep(&mut certificate, "filedata")?;
    }
    certificate.merge_shared(shared.params().clone().without(&RELATED))?;
    Ok(Answer::new("Uploaded certificate").document(&certificate))
}

/// What the X.509 certificate in a file says, as the field `x509` keeps it. None: there is none; what can't be read is no
/// error, the file is kept all the same.
fn said(file: Upload) -> Result<Option<Json>, Fault> {
    let Some(found) = Found::in_file(file)? else {
        return Ok(None);
    };
    let der = Upload::make("", &found.der)?;
    Ok(Some(json!({
        "subject": found.subject(),
        "issuer": found.issuer(),
        "serial_number": found.serial_number(),
        "not_before": found.not_before(),
        "not_after": found.not_after(),
        "sha1": der.digest("sha1")?,
        "sha256": der.digest("sha256")?,
    })))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
