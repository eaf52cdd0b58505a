//! `fields`: an e-mail that the client has taken apart (create.md 5.8.5).

use critd_sdk::merge;
use critd_sdk::prelude::*;

use crate::mail::{self, Mail};
use crate::{NewEmail, header, limits};

/// Adds an e-mail from its fields.
///
/// # Errors
///
/// No source, or one that the user may not write with.
pub(crate) fn add(call: &Call, args: NewEmail, shared: &Shared) -> Outcome {
    mail::require_source(shared, mail::MISSING_SOURCE)?;
    let email = read(args).store(call, "Fields Upload", "Failed to save object.", shared)?;
    Ok(Answer::new("").document(&email))
}

fn read(args: NewEmail) -> Mail {
    let mut mail = Mail {
        to: merge::distinct(args.to),
        cc: merge::distinct(args.cc),
        date: args.date.unwrap_or_default(),
        ..Mail::default()
    };
    for (name, text) in [
        ("boundary", args.boundary),
        ("description", args.description),
        ("from", args.from_address),
        ("helo", args.helo),
        ("message_id", args.message_id),
        ("originating_ip", args.originating_ip),
        ("reply_to", args.reply_to),
        ("sender", args.sender),
        ("subject", args.subject),
        ("x_mailer", args.x_mailer),
        ("x_originating_ip", args.x_originating_ip),
    ] {
        mail.set(name, text.unwrap_or_default());
    }
    mail.raw_headers = args.raw_header.unwrap_or_default();
    mail.set_body(&args.raw_body.unwrap_or_default());
    mail.fallback_dates = header::block(mail.raw_headers.as_bytes(), 200)
        .all("received")
        .take(limits::DATES)
        .filter_map(|value| header::received_date(&header::raw(value)))
        .collect();
    mail
}
