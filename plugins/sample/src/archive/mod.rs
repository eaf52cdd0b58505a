//! Archives whose members become samples: ZIP, 7z and RAR, told apart by their first bytes.
//!
//! Members are written to files of the call piece by piece while they are unpacked; what is counted is what comes out, not
//! what the archive says of itself. Whatever is wrong with an archive, nothing of it is stored. Archives within archives are
//! members like any other: nothing is unpacked twice.

mod cipher;
mod rar;
mod sevenz;
mod zip;

use std::io::{self, Read, Write as _};

use critd_sdk::prelude::*;
use critd_sdk::{UploadReader, UploadWriter};

/// Most members that are files.
const MOST_MEMBERS: usize = 500;
/// Most entries of any kind: folders and links count.
const MOST_ENTRIES: usize = 10_000;
/// Most bytes of all members.
const MOST_BYTES: u64 = 256 << 20;
/// Members may be so much larger than the archive, if they are larger than [`FREE_BYTES`] together.
const HIGHEST_RATIO: u64 = 200;
const FREE_BYTES: u64 = 16 << 20;
/// Most memory in KiB of a decoder.
const MOST_MEMORY_KIB: u32 = 96 << 10;
/// The password by which the field hands samples around.
const USUAL_PASSWORD: &str = "infected";

/// A member as a file of the call.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its name, without folders.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) file: Upload,
}

/// Why an archive is not unpacked.
#[derive(Debug)]
enum Trouble {
    /// It is encrypted, and not with this password.
    Password,
    /// It is damaged: how. Of what is encrypted the password may be to blame.
    Damaged(String),
    /// It is of a kind that can't be read: the rest of a sentence.
    Unreadable(String),
    /// It is larger than it may be: the rest of a sentence.
    TooLarge(String),
    /// The host said no.
    Fault(Fault),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        damaged(&error.to_string())
    }
}

fn damaged(how: &str) -> Trouble {
    Trouble::Damaged(how.to_owned())
}

fn unsupported(what: &str) -> Trouble {
    Trouble::Unreadable([what, " can't be unpacked here"].concat())
}

impl Trouble {
    /// What is deciphered with a wrong password looks damaged.
    fn of_encrypted(self) -> Self {
        match self {
            Self::Damaged(_) => Self::Password,
            other => other,
        }
    }

    fn into_fault(self, password: Option<&str>) -> Fault {
        const SAID: &str = "Error while extracting archive: ";
        match self {
            Self::Password if password.is_some() => {
                invalid("password", [SAID, "the password is wrong."].concat())
            }
            Self::Password => invalid(
                "password",
                [SAID, "it is encrypted, and not with the usual password."].concat(),
            ),
            Self::Damaged(how) => {
                invalid("filedata", [SAID, "it is damaged: ", &how, "."].concat())
            }
            Self::Unreadable(why) => invalid("filedata", [SAID, &why, "."].concat()),
            Self::TooLarge(why) => refused("limit", [SAID, &why, "."].concat()),
            Self::Fault(fault) => fault,
        }
    }
}

/// Unpacks an archive.
///
/// # Errors
///
/// The password is wrong; it is damaged, of another kind, or larger than it may be; there are no files in it.
pub(crate) fn unpack(archive: Upload, password: Option<&str>) -> Result<Vec<Member>, Fault> {
    let mut members = Members {
        packed: archive.size()?,
        done: Vec::new(),
        total: 0,
        entries: 0,
        empty: 0,
    };
    let head = archive.read(0, 8)?;
    let tried = password.unwrap_or(USUAL_PASSWORD);
    let outcome = match head.as_slice() {
        [b'P', b'K', ..] => zip::unpack(archive, tried, &mut members),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => sevenz::unpack(archive, tried, &mut members),
        [b'R', b'a', b'r', b'!', ..] | [b'R', b'E', 0x7e, 0x5e, ..] => {
            rar::unpack(archive, tried, &mut members)
        }
        _ => Err(Trouble::Unreadable(
            "it is no ZIP, 7z or RAR archive".into(),
        )),
    };
    if let Err(trouble) = outcome {
        return Err(trouble.into_fault(password));
    }
    if members.empty > 0 {
        Call.warn("Files without bytes in the archive were left out.");
    }
    if members.done.is_empty() {
        return Err(Trouble::Unreadable("there are no files in it".into()).into_fault(password));
    }
    Ok(members.done)
}

/// The members unpacked so far, and what may still come.
#[derive(Debug)]
struct Members {
    /// Bytes of the archive.
    packed: u64,
    done: Vec<Member>,
    /// Bytes of all members.
    total: u64,
    entries: usize,
    empty: usize,
}

impl Members {
    /// To be called for each entry of the archive, file or not, before anything else is done about it.
    fn count(&mut self) -> Result<(), Trouble> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return Err(Trouble::TooLarge(format!(
                "it has more than {MOST_ENTRIES} entries"
            )));
        }
        Ok(())
    }

    /// Begins a file.
    fn begin(&self, name: &str) -> Result<Making, Trouble> {
        if self.done.len() >= MOST_MEMBERS {
            return Err(Trouble::TooLarge(format!(
                "it has more than {MOST_MEMBERS} files"
            )));
        }
        let name = base_name(name);
        Ok(Making {
            writer: Upload::writer(&name)?,
            name,
        })
    }

    /// Counts bytes that came out.
    fn allow(&mut self, bytes: usize) -> Result<(), Trouble> {
        self.total += bytes as u64;
        if self.total > MOST_BYTES {
            return Err(Trouble::TooLarge(format!(
                "its files are larger than {MOST_BYTES} bytes together"
            )));
        }
        if self.total > FREE_BYTES && self.total / HIGHEST_RATIO > self.packed {
            return Err(Trouble::TooLarge(format!(
                "its files are more than {HIGHEST_RATIO} times as large as itself"
            )));
        }
        Ok(())
    }

    /// Ends a file. One without bytes is no sample.
    fn end(&mut self, making: Making) -> Result<(), Trouble> {
        let file = making.writer.finish()?;
        // Also ends it for the host, which holds no file open for it any longer.
        if file.size()? == 0 {
            self.empty += 1;
        } else {
            self.done.push(Member {
                name: making.name,
                file,
            });
        }
        Ok(())
    }

    /// Takes a whole file from a decoder.
    fn take(&mut self, name: &str, from: &mut dyn Read) -> Result<(), Trouble> {
        let mut making = self.begin(name)?;
        let mut piece = vec![0; 64 << 10];
        loop {
            let count = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            self.allow(count)?;
            making.write(&piece[..count])?;
        }
        self.end(making)
    }
}

/// A file on its way.
#[derive(Debug)]
struct Making {
    name: String,
    writer: UploadWriter,
}

impl Making {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        if self.writer.write_all(bytes).is_ok() {
            return Ok(());
        }
        let writer = std::mem::replace(&mut self.writer, Upload::writer("")?);
        match writer.finish() {
            Err(fault) => Err(fault.into()),
            Ok(_) => Err(damaged("a file could not be written")),
        }
    }
}

/// The last part of a path of either kind of system, as far as it can be a name.
fn base_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name
        .chars()
        .filter(|letter| !letter.is_control())
        .take(255)
        .collect();
    match name.trim() {
        "" | "." | ".." => "unknown".to_owned(),
        _ => name,
    }
}

/// A part of an upload.
fn part(archive: Upload, start: u64, length: u64) -> Result<io::Take<UploadReader>, Trouble> {
    use std::io::{Seek as _, SeekFrom};
    let mut reader = archive.reader()?;
    reader.seek(SeekFrom::Start(start))?;
    Ok(reader.take(length))
}

#[cfg(test)]
mod tests {
    use super::{FREE_BYTES, Members, Trouble, base_name};

    #[test]
    fn create_5_16_members_are_known_by_their_base_names() {
        for (path, name) in [
            ("a/b/c.exe", "c.exe"),
            ("..\\..\\c.exe", "c.exe"),
            ("../..", "unknown"),
            ("a/", "unknown"),
            ("C:\\x\\\u{1f600}.scr", "\u{1f600}.scr"),
            ("nul\0.exe", "nul.exe"),
        ] {
            assert_eq!(base_name(path), name, "{path}");
        }
    }

    #[test]
    fn up_3_what_comes_out_is_counted() {
        let members = |packed| Members {
            packed,
            done: Vec::new(),
            total: 0,
            entries: 0,
            empty: 0,
        };
        assert!(members(1).allow(FREE_BYTES as usize).is_ok());
        assert!(matches!(
            members(1).allow(FREE_BYTES as usize + 201),
            Err(Trouble::TooLarge(why)) if why.contains("200 times")
        ));
        let mut large = members(200 << 20);
        assert!(large.allow(256 << 20).is_ok());
        assert!(
            matches!(large.allow(1), Err(Trouble::TooLarge(why)) if why.contains("bytes together"))
        );
        let mut many = members(1);
        assert!((0..10_000).all(|_| many.count().is_ok()));
        assert!(many.count().is_err());
    }
}
