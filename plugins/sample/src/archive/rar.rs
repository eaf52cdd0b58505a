//! RAR archives of all versions, by the crate `rars`.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use critd_sdk::prelude::*;
use rars::{ArchiveReadOptions, ArchiveReader, AttrSource, ErrorKind, ExtractionDecision};

use super::{
    MOST_BYTES, MOST_ENTRIES, MOST_MEMORY_KIB, Making, Members, Trouble, damaged, unsupported,
};

/// Largest dictionary.
const LARGEST_DICTIONARY: u64 = 64 << 20;
/// Most bytes of all headers.
const MOST_HEADERS: u64 = 4 << 20;

/// Links point to another place; they are no files.
const LINK: u64 = 0o120_000;

pub(super) fn unpack(
    archive: Upload,
    password: &str,
    members: &mut Members,
) -> Result<(), Trouble> {
    let options = ArchiveReadOptions::with_password(password.as_bytes())
        .with_max_header_count(MOST_ENTRIES as u64)
        .with_max_header_bytes(MOST_HEADERS)
        .with_rar50_dictionary_size_limit(LARGEST_DICTIONARY)
        .with_rar50_buffered_decode_limit(1 << 20)
        .with_max_total_output_bytes(MOST_BYTES)
        .with_max_reader_workspace_bytes(u64::from(MOST_MEMORY_KIB) << 10);
    let taken = std::mem::replace(
        members,
        Members {
            packed: 0,
            done: Vec::new(),
            total: 0,
            entries: 0,
            empty: 0,
        },
    );
    let state = Rc::new(RefCell::new(State {
        members: taken,
        making: None,
        trouble: None,
        is_encrypted: false,
    }));
    let outcome =
        ArchiveReader::read_reader_with_options(archive.reader()?, options).and_then(|archive| {
            archive.extract_with_control(options, |member| {
                let meta = &member.meta;
                let is_unix = meta.attr_source() == AttrSource::Unix;
                let is_link =
                    meta.is_redirection || (is_unix && meta.file_attr & 0o170_000 == LINK);
                let is_part = meta.is_split_before || meta.is_split_after;
                let no_file = meta.is_directory || is_link;
                state.borrow_mut().is_encrypted |= meta.is_encrypted;
                let next = state
                    .borrow_mut()
                    .next(&meta.name_lossy(), no_file, is_part);
                Ok(match next {
                    Next::File => ExtractionDecision::Extract(Box::new(Handle(Rc::clone(&state)))),
                    Next::NoFile if meta.is_directory || meta.is_redirection => {
                        ExtractionDecision::Skip
                    }
                    // Of a solid archive everything must be decoded.
                    Next::NoFile => ExtractionDecision::Extract(Box::new(io::sink())),
                    Next::Stop => ExtractionDecision::Stop,
                })
            })
        });
    let mut state = state.borrow_mut();
    state.finish();
    std::mem::swap(members, &mut state.members);
    if let Some(trouble) = state.trouble.take() {
        return Err(trouble);
    }
    let is_encrypted = state.is_encrypted;
    outcome.map(|_| ()).map_err(|error| match error.kind() {
        ErrorKind::PasswordRequired | ErrorKind::BadPassword => Trouble::Password,
        ErrorKind::ResourceLimit => Trouble::TooLarge(format!("it needs too much: {error}")),
        ErrorKind::UnsupportedFeature | ErrorKind::UnsupportedFormat => {
            unsupported("this kind of RAR")
        }
        // Older versions don't know a wrong password; what is deciphered with it looks damaged.
        _ if is_encrypted => Trouble::Password,
        _ => damaged(&error.to_string()),
    })
}

/// What the callbacks of the decoder share.
#[derive(Debug)]
struct State {
    members: Members,
    /// The file that is being unpacked.
    making: Option<Making>,
    trouble: Option<Trouble>,
    is_encrypted: bool,
}

enum Next {
    File,
    NoFile,
    Stop,
}

impl State {
    fn next(&mut self, name: &str, no_file: bool, is_part: bool) -> Next {
        self.finish();
        let begun = self.members.count().and_then(|()| {
            if is_part {
                return Err(unsupported("a part of an archive in several files"));
            }
            if no_file {
                return Ok(None);
            }
            self.members.begin(name).map(Some)
        });
        match begun {
            _ if self.trouble.is_some() => Next::Stop,
            Ok(None) => Next::NoFile,
            Ok(making) => {
                self.making = making;
                Next::File
            }
            Err(trouble) => {
                self.trouble = Some(trouble);
                Next::Stop
            }
        }
    }

    /// Ends the file that is being unpacked.
    fn finish(&mut self) {
        if let Some(making) = self.making.take()
            && self.trouble.is_none()
            && let Err(trouble) = self.members.end(making)
        {
            self.trouble = Some(trouble);
        }
    }
}

/// Takes bytes of the file that is being unpacked.
struct Handle(Rc<RefCell<State>>);

impl Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        let State {
            members,
            making,
            trouble,
            is_encrypted: _,
        } = &mut *state;
        let taken = members.allow(bytes.len()).and_then(|()| match making {
            Some(making) => making.write(bytes),
            None => Ok(()),
        });
        taken.map(|()| bytes.len()).map_err(|why| {
            *trouble = Some(why);
            io::Error::other("no more is taken")
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
