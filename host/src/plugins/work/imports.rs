//! What a Windows program imports, as the fuzzy digest `impfuzzy` is made of it: `kernel32.createfilew,ws2_32.send`, in the
//! order of the program.
//!
//! Our own reader, because it works in the server's process on hostile files: every table is read up to a limit. `goblin` and
//! its like build all that the tables claim, and tables may share their bytes.

use std::collections::HashMap;
use std::sync::LazyLock;

/// So much of a file is looked at. Imports are named in its first part.
pub(super) const MOST: u64 = 64 << 20;
/// Longest list.
const LONGEST: usize = 4 << 20;
/// Most libraries, and most that is imported from all of them.
const MOST_LIBRARIES: usize = 4_096;
const MOST_IMPORTS: usize = 100_000;
/// Longest name.
const LONGEST_NAME: usize = 4_096;

/// Names by library and number.
static ORDINALS: LazyLock<HashMap<(&str, u16), &str>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    let mut library = "";
    for line in include_str!("../../../../sdk/src/ordinals.txt").lines() {
        match line.split_once(' ') {
            Some(("#", _)) => {}
            Some((number, name)) => {
                if let Ok(number) = number.parse() {
                    names.insert((library, number), name);
                }
            }
            None => library = line,
        }
    }
    names
});

/// None: no program of Windows, one that imports nothing, or one that can't be read.
pub(super) fn list(file: &[u8]) -> Option<String> {
    let program = Program::of(file)?;
    let mut list = String::new();
    let mut count = 0;
    for entry in 0..MOST_LIBRARIES {
        let entry = program.bytes(
            program
                .directory
                .checked_add(u32::try_from(entry * 20).ok()?)?,
        )?;
        let (lookup, name, addresses) = (u32_at(entry, 0)?, u32_at(entry, 12)?, u32_at(entry, 16)?);
        if name == 0 || (lookup == 0 && addresses == 0) {
            break;
        }
        let library = program.name(name)?.to_lowercase();
        let library = match library.rsplit_once('.') {
            Some((name, "dll" | "ocx" | "sys")) => name,
            _ => library.as_str(),
        };
        // Some linkers leave the lookup table out.
        let table = program.bytes(if lookup == 0 { addresses } else { lookup })?;
        for import in table.chunks_exact(program.width) {
            let Some(name) = program.import(import, library)? else {
                break;
            };
            count += 1;
            if count > MOST_IMPORTS || list.len() > LONGEST {
                return None;
            }
            if !list.is_empty() {
                list.push(',');
            }
            list.extend([library, ".", &name]);
        }
    }
    (!list.is_empty()).then_some(list)
}

/// What of a program's headers leads to its imports.
struct Program<'a> {
    file: &'a [u8],
    /// (address, length in memory, place in the file) of each section.
    sections: Vec<(u32, u32, u32)>,
    /// Address of the directory of imports.
    directory: u32,
    /// Bytes of an entry of a lookup table: 4, or 8 in programs of 64 bits.
    width: usize,
}

impl<'a> Program<'a> {
    fn of(file: &'a [u8]) -> Option<Self> {
        if !file.starts_with(b"MZ") {
            return None;
        }
        let header = file.get(usize::try_from(u32_at(file, 0x3c)?).ok()?..)?;
        if !header.starts_with(b"PE\0\0") {
            return None;
        }
        let (count, length) = (u16_at(header, 6)?, usize::from(u16_at(header, 20)?));
        let optional = header.get(24..)?;
        let (width, directories) = match u16_at(optional, 0)? {
            0x10b => (4, 96),
            0x20b => (8, 112),
            _ => return None,
        };
        let directory = u32_at(optional, directories + 8)?;
        let table = optional.get(length..)?;
        let sections = table.chunks_exact(40).take(count.into()).map(|section| {
            let length = u32_at(section, 8)?.max(u32_at(section, 16)?);
            Some((u32_at(section, 12)?, length, u32_at(section, 20)?))
        });
        Some(Self {
            file,
            sections: sections.collect::<Option<_>>()?,
            directory,
            width,
        })
        .filter(|program| program.directory != 0)
    }

    /// The file from what lies at this address in memory.
    fn bytes(&self, address: u32) -> Option<&'a [u8]> {
        let place = self.sections.iter().find_map(|(start, length, place)| {
            let within = address.checked_sub(*start)?;
            (within < *length).then(|| place.checked_add(within))?
        });
        self.file
            .get(usize::try_from(place.unwrap_or(address)).ok()?..)
    }

    /// The text at this address, up to its zero.
    fn name(&self, address: u32) -> Option<String> {
        let bytes = self.bytes(address)?;
        let end = bytes
            .iter()
            .take(LONGEST_NAME)
            .position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// What an entry of a lookup table imports. Inner none: the table's end.
    fn import(&self, entry: &[u8], library: &str) -> Option<Option<String>> {
        let low = u32_at(entry, 0)?;
        let high = u32_at(entry, self.width - 4)?;
        if entry.iter().all(|byte| *byte == 0) {
            return Some(None);
        }
        Some(Some(if high & 1 << 31 != 0 {
            by_number(library, low as u16)
        } else {
            self.name(low.checked_add(2)?)?.to_lowercase()
        }))
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.get(..2)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.get(..4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The name of what is imported by its number.
fn by_number(library: &str, number: u16) -> String {
    // The digests that are around were made with one list for both libraries of sockets.
    let listed = if library == "wsock32" {
        "ws2_32"
    } else {
        library
    };
    match ORDINALS.get(&(listed, number)) {
        Some(name) => (*name).to_owned(),
        None => format!("ord{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of 32 bits that imports `Kernel32.DLL` by name and `WS2_32.dll` by number.
    fn program() -> Vec<u8> {
        let mut file = vec![0; 0x400];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"MZ");
        put(0x3c, &0x80_u32.to_le_bytes());
        put(0x80, b"PE\0\0\x4c\x01\x01\0");
        put(0x94, &0xe0_u16.to_le_bytes());
        put(0x96, &0x102_u16.to_le_bytes());
        put(0x98, &0x10b_u16.to_le_bytes());
        put(0xb4, &0x40_0000_u32.to_le_bytes());
        put(0xb8, &0x1000_u32.to_le_bytes());
        put(0xbc, &0x200_u32.to_le_bytes());
        put(0xd0, &0x2000_u32.to_le_bytes());
        put(0xd4, &0x200_u32.to_le_bytes());
        put(0xdc, &2_u16.to_le_bytes());
        put(0xf4, &16_u32.to_le_bytes());
        // The directory of imports is the second.
        put(0x100, &0x1000_u32.to_le_bytes());
        put(0x104, &60_u32.to_le_bytes());
        put(0x178, b".idata\0\0");
        for (at, value) in [
            (0x180, 0x200),
            (0x184, 0x1000),
            (0x188, 0x200),
            (0x18c, 0x200),
        ] {
            put(at, &u32::to_le_bytes(value));
        }
        let section = 0x200;
        for (entry, (names, library)) in [(0x1080, 0x10c0), (0x1090, 0x10d0)].iter().enumerate() {
            put(section + entry * 20, &u32::to_le_bytes(*names));
            put(section + entry * 20 + 12, &u32::to_le_bytes(*library));
            put(section + entry * 20 + 16, &u32::to_le_bytes(*names));
        }
        put(section + 0x80, &0x10e0_u32.to_le_bytes());
        put(section + 0x90, &0x8000_0013_u32.to_le_bytes());
        put(section + 0x94, &0x8000_fffe_u32.to_le_bytes());
        put(section + 0xc0, b"Kernel32.DLL\0");
        put(section + 0xd0, b"WS2_32.dll\0");
        put(section + 0xe2, b"CreateFileW\0");
        file
    }

    #[test]
    fn create_3_5_imports_by_name_and_number() {
        assert_eq!(
            list(&program()).as_deref(),
            Some("kernel32.createfilew,ws2_32.send,ws2_32.ord65534")
        );
    }

    #[test]
    fn create_3_5_what_is_no_program_imports_nothing() {
        let program = program();
        for length in [0, 2, 0x40, 0x84, 0x100, 0x178, 0x200, 0x280] {
            let _ = list(&program[..length]);
        }
        assert_eq!(list(b"MZ"), None);
        assert_eq!(list(b"%PDF-1.7"), None);
        assert_eq!(list(&program[..0x100]), None);
    }

    #[test]
    fn create_3_5_numbers_have_names() {
        assert_eq!(by_number("ws2_32", 19), "send");
        assert_eq!(by_number("wsock32", 23), "socket");
        assert_eq!(by_number("oleaut32", 2), "sysallocstring");
        assert_eq!(by_number("mfc42", 1), "ord1");
    }
}
