//! What the file of a sample says of itself.

mod elf;
mod entropy;
mod links;
mod ordinals;
mod pe;
mod program;

use critd_sdk::prelude::*;

use crate::entropy::Histogram;
use crate::links::{Kind, Links, Search};
use crate::program::{Finding, Program, Section};

plugin! {
    name = "file_facts",
    summary = "Facts about files: entropy, headers of programs, embedded links.",
    services = [file_facts],
}

/// So much of a file is looked at in all.
const MOST: u64 = 1 << 30;
/// In so much of its beginning the tables of programs are read; it is held in memory.
const HEAD: u64 = 32 << 20;
/// In so much of its beginning links are looked for.
const TEXTS: u64 = 128 << 20;

/// How files are looked at.
#[derive(Debug, Args)]
pub struct Options {
    /// Look for URLs, e-mail addresses and IP addresses.
    #[arg(default = true)]
    pub links: bool,
    /// Most links of each kind that are told of, at most 1000.
    #[arg(default = 200, example = 50)]
    pub most_links: i64,
}

/// Tells facts about a file: its entropy; of programs of Windows (PE) and Unix (ELF) the headers, sections with their
/// entropy, imports with the import hash, and exports; URLs, e-mail addresses and IP addresses in its texts.
///
/// Nothing is run or unpacked. What was left out because there is too much of it, and what can't be read, is told in the log.
///
/// # Errors
///
/// The file is not there.
#[service(
    on = "Sample",
    requires = "filedata",
    limits = { time_ms = 120000, memory_mib = 128 }
)]
#[example(
    "a text",
    files = {"filedata": "See http://www.example.com/a, or write to bob@example.com."},
    results = [
        {"subtype": "entropy", "bytes": 58},
        {"subtype": "url", "result": "http://www.example.com/a", "offset": 4, "encoding": "ascii"},
        {"subtype": "email_address", "result": "bob@example.com"}
    ],
    log = [],
    message = "58 bytes, 2 links."
)]
#[example(
    "fewer links",
    args = {"most_links": 1},
    files = {"filedata": "http://a.example/ http://b.example/"},
    results = [{"subtype": "entropy"}, {"subtype": "url", "result": "http://a.example/"}],
    log = [{"warning": "More URLs were found than the 1 that are told of: 1 left out."}]
)]
#[example(
    "no links",
    args = {"links": false},
    files = {"filedata": "http://a.example/"},
    results = [{"subtype": "entropy"}],
    message = "17 bytes."
)]
#[example(
    "a program that was cut off",
    files = {"filedata": "MZ"},
    results = [{"subtype": "entropy", "result": "1.000"}],
    log = [{"warning": "It begins as a program of Windows, but: Invalid DOS header size or alignment."}]
)]
#[example("an empty file", files = {"filedata": ""}, results = [], message = "The file is empty.")]
pub fn file_facts(sample: &Tlo, task: &Task, options: Options) -> Analysis {
    let Some(file) = Upload::open(sample, "filedata")? else {
        return Err(missing("The file is not there."));
    };
    let size = file.size()?;
    if size == 0 {
        return Ok("The file is empty.".into());
    }
    let most = usize::try_from(options.most_links.clamp(0, 1_000)).unwrap_or_default();
    let mut search = options.links.then(|| Search::new(most));
    let (mut whole, mut head) = (Histogram::new(), Vec::new());
    for piece in file.pieces(0..size.min(MOST)) {
        let piece = piece?;
        if task.cancelled() {
            return Ok("Cancelled.".into());
        }
        let place = whole.total();
        whole.add(&piece);
        head.extend_from_slice(within(&piece, place, HEAD));
        if let Some(search) = &mut search {
            search.feed(within(&piece, place, TEXTS));
        }
    }
    if size > MOST {
        task.warning(format!("Only the first {MOST} bytes were looked at."))?;
    }
    let entropy = whole.entropy().unwrap_or_default();
    task.result(
        "entropy",
        format!("{entropy:.3}"),
        json!({ "entropy": entropy, "bytes": whole.total() }),
    )?;

    let program = pe::read(&head).or_else(|| elf::read(&head));
    // The sections are read from the file again.
    drop(head);
    if let Some(program) = program {
        if size > HEAD && !program.findings.is_empty() {
            task.info(format!(
                "Tables of the program beyond the first {HEAD} bytes were not read."
            ))?;
        }
        tell_program(task, file, size, program)?;
    }
    let links = search.map(Search::finish);
    let mut message = format!("{size} bytes");
    if let Some(links) = links {
        if size > TEXTS {
            task.warning(format!(
                "Links were looked for in the first {TEXTS} bytes only."
            ))?;
        }
        message += &format!(", {} links", links.found.len());
        tell_links(task, most, links)?;
    }
    Ok(message + ".")
}

/// The part of a piece, which lies at this place in the file, that is before the end.
fn within(piece: &[u8], place: u64, end: u64) -> &[u8] {
    let left = usize::try_from(end.saturating_sub(place)).unwrap_or(usize::MAX);
    &piece[..piece.len().min(left)]
}

fn tell_program(task: &Task, file: Upload, size: u64, program: Program) -> Result<(), Fault> {
    for Finding {
        subtype,
        text,
        details,
    } in program.findings
    {
        task.result(subtype, text, details)?;
    }
    // Sections may share their bytes: 128 times a large file would be read.
    let (mut budget, mut unread) = (size.saturating_mul(2), 0);
    for Section {
        finding,
        place,
        size: claimed,
    } in program.sections
    {
        let there = claimed.min(size.saturating_sub(place));
        let mut histogram = Histogram::new();
        if there <= budget {
            budget -= there;
            for piece in file.pieces(place..place.saturating_add(there)) {
                histogram.add(&piece?);
            }
        } else {
            unread += 1;
        }
        if there < claimed {
            task.warning(format!(
                "The section '{}' should have {claimed} bytes in the file, but {there} are there.",
                finding.text
            ))?;
        }
        let mut details = finding.details;
        details["offset"] = place.into();
        details["size"] = claimed.into();
        details["entropy"] = json!(histogram.entropy());
        task.result(finding.subtype, finding.text, details)?;
    }
    if unread > 0 {
        task.warning(format!(
            "The entropy of {unread} sections was not worked out: sections share their bytes."
        ))?;
    }
    for gap in program.gaps {
        task.warning(gap)?;
    }
    Ok(())
}

fn tell_links(task: &Task, most: usize, links: Links) -> Result<(), Fault> {
    for link in links.found {
        task.result(
            link.kind.subtype(),
            link.text,
            json!({
                "offset": link.place,
                "encoding": link.encoding.name(),
                "shortened": link.shortened.then_some(true),
            }),
        )?;
    }
    for (kind, left_out) in Kind::ALL.into_iter().zip(links.left_out) {
        if left_out > 0 {
            let name = match kind {
                Kind::Url => "URLs",
                Kind::Email => "e-mail addresses",
                Kind::Ip => "IP addresses",
            };
            task.warning(format!(
                "More {name} were found than the {most} that are told of: {left_out} left out."
            ))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
