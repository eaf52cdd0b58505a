//! `multipart/form-data` (rules B3, B8, B13): files go to the staging folder as they arrive.

use axum::body::Body;
use axum::http::header::CONTENT_DISPOSITION;

use super::disposition::{self, Disposition};
use super::stream::{self, Progress, ReadError};
use super::{Allowance, Decoded, MOST_IN_MEMORY};
use crate::api::failure::Failure;
use crate::query::{Parameters, TooMany};
use crate::store::StagedFile;

pub(super) async fn decode(
    content_type: &str,
    body: Body,
    allowance: Allowance<'_>,
) -> Result<Decoded, Failure> {
    let Ok(boundary) = multer::parse_boundary(content_type) else {
        return Err(invalid());
    };
    let progress = Progress::default();
    let mut parts = multer::Multipart::new(
        stream::pieces(body, allowance.most, progress.clone()),
        boundary,
    );
    let mut texts = Vec::new();
    let mut files = Vec::new();
    let mut in_memory = 0;
    let mut count = 0;
    while let Some(mut part) = parts.next_field().await.map_err(failure)? {
        progress.made();
        count += 1;
        if count > Parameters::MOST {
            return Err(Failure::BadRequest(TooMany.to_string()));
        }
        let Disposition { name, file_name } = part
            .headers()
            .get(CONTENT_DISPOSITION)
            .map_or_else(Disposition::default, |value| {
                disposition::read(value.as_bytes())
            });
        // A file field that was left empty comes with an empty name: no file.
        let is_left_empty = file_name.as_deref() == Some("");
        match (name, file_name) {
            (Some(name), Some(file_name)) if !is_left_empty => {
                let mut file = StagedFile::create(allowance.folder, &file_name).map_err(disk)?;
                while let Some(piece) = part.chunk().await.map_err(failure)? {
                    progress.made();
                    file.write(&piece).map_err(disk)?;
                }
                files.push((name, file.finish().map_err(disk)?));
            }
            (name, _) => {
                let mut bytes = Vec::new();
                // A part is read even if nothing is done with it: the next one comes after it.
                while let Some(piece) = part.chunk().await.map_err(failure)? {
                    progress.made();
                    if name.is_none() || is_left_empty {
                        continue;
                    }
                    in_memory += piece.len() as u64;
                    if in_memory > MOST_IN_MEMORY {
                        return Err(Failure::TooLarge);
                    }
                    bytes.extend_from_slice(&piece);
                }
                if let (Some(name), false) = (name, is_left_empty) {
                    texts.push((
                        name,
                        String::from_utf8(bytes).unwrap_or_else(|error| {
                            String::from_utf8_lossy(error.as_bytes()).into_owned()
                        }),
                    ));
                }
            }
        }
    }
    Ok(Decoded::of_parts(texts, files))
}

fn invalid() -> Failure {
    Failure::BadRequest("Request is not valid multipart/form-data.".into())
}

fn disk(error: std::io::Error) -> Failure {
    Failure::Internal(format!("staging an upload: {error}"))
}

fn failure(error: multer::Error) -> Failure {
    let read = match &error {
        multer::Error::StreamReadFailed(cause) => cause
            .downcast_ref::<ReadError>()
            .or_else(|| cause.source()?.downcast_ref::<ReadError>()),
        _ => None,
    };
    read.map_or_else(invalid, |read| Failure::from(*read))
}
