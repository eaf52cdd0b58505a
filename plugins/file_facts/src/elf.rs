//! Programs of Unix, in the format ELF.

use critd_sdk::{Json, json};
use object::Endianness;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _};

use crate::program::{MOST_SECTIONS, Program, hex, text};

/// Most segments, and most entries of the dynamic table, that are looked at.
const MOST_SEGMENTS: usize = 1_000;
const MOST_DYNAMIC: usize = 10_000;
/// Most libraries that are told of.
const MOST_LIBRARIES: usize = 256;

/// What a program in ELF says of itself. None: it is none.
pub(crate) fn read(file: &[u8]) -> Option<Program> {
    if !file.starts_with(&elf::ELFMAG) {
        return None;
    }
    let mut program = Program::default();
    let read = match file.get(4) {
        Some(1) => headers::<FileHeader32<Endianness>>(file, &mut program),
        Some(2) => headers::<FileHeader64<Endianness>>(file, &mut program),
        _ => Err("it is for neither 32 nor 64 bits".to_owned()),
    };
    if let Err(reason) = read {
        program.gap(format!("Not all of its tables can be read: {reason}."));
    }
    Some(program)
}

fn headers<Elf: FileHeader<Endian = Endianness>>(
    file: &[u8],
    program: &mut Program,
) -> Result<(), String> {
    let said = |error: object::Error| error.to_string();
    let header = Elf::parse(file).map_err(said)?;
    let endian = header.endian().map_err(said)?;
    let short = |name: Option<&str>, prefix: &str, number: u16| match name {
        Some(name) => name.strip_prefix(prefix).unwrap_or(name).to_owned(),
        None => format!("{number:#x}"),
    };
    let (machine, kind) = (header.e_machine(endian), header.e_type(endian));
    program.find(
        "elf_header",
        short(machine.name(), "EM_", machine.0),
        json!({
            "machine": machine.0,
            "bits": if header.is_type_64() { 64 } else { 32 },
            "byte_order": if header.is_little_endian() { "little" } else { "big" },
            "type": short(kind.name(), "ET_", kind.0),
            "entry_point": hex(header.e_entry(endian)),
        }),
    );
    let segments = header.program_headers(endian, file).map_err(said)?;
    let interpreter = segments
        .iter()
        .take(MOST_SEGMENTS)
        .find(|segment| segment.p_type(endian) == elf::PT_INTERP)
        .and_then(|segment| text(segment.data(endian, file).ok()?));
    if let Some(interpreter) = interpreter {
        program.find("elf_interpreter", interpreter, Json::Null);
    }
    let sections = header.section_headers(endian, file).map_err(said)?;
    if sections.is_empty() {
        return Ok(());
    }
    // Where its names can't be read, a program still has sections.
    let names_of = header
        .shstrndx(endian, file)
        .ok()
        .and_then(|number| sections.get(usize::try_from(number).ok()?))
        .and_then(|section| section.data(endian, file).ok())
        .unwrap_or_default();
    for section in sections.iter().take(MOST_SECTIONS) {
        let Some((place, size)) = section.file_range(endian).filter(|(_, size)| *size > 0) else {
            continue;
        };
        let name = usize::try_from(section.sh_name(endian)).ok();
        let name = name
            .and_then(|place| text(names_of.get(place..)?))
            .unwrap_or_default();
        let address: u64 = section.sh_addr(endian).into();
        let told = program.section("elf_section", name, json!({ "address": hex(address) }));
        (told.place, told.size) = (place, size);
    }
    if sections.len() > MOST_SECTIONS {
        program.gap(format!(
            "It has {} sections: the first {MOST_SECTIONS} were looked at.",
            sections.len()
        ));
    }
    libraries::<Elf>(file, endian, sections, program)
}

/// The libraries that the program wants at its start.
fn libraries<Elf: FileHeader<Endian = Endianness>>(
    file: &[u8],
    endian: Endianness,
    sections: &[Elf::SectionHeader],
    program: &mut Program,
) -> Result<(), String> {
    let is_dynamic = |section: &&Elf::SectionHeader| section.sh_type(endian) == elf::SHT_DYNAMIC;
    let Some(section) = sections.iter().find(is_dynamic) else {
        return Ok(());
    };
    let entries = section.data_as_array::<Elf::Dyn, _>(endian, file);
    let entries = entries.map_err(|error| error.to_string())?;
    let names = usize::try_from(section.sh_link(endian))
        .ok()
        .and_then(|number| sections.get(number))
        .and_then(|section| section.data(endian, file).ok())
        .ok_or("the names of libraries are missing")?;
    let mut found = 0;
    for entry in entries.iter().take(MOST_DYNAMIC) {
        match entry.d_tag(endian) {
            elf::DT_NULL => break,
            elf::DT_NEEDED => {}
            _ => continue,
        }
        found += 1;
        if found > MOST_LIBRARIES {
            program.gap(format!(
                "It wants more libraries than the {MOST_LIBRARIES} that are shown."
            ));
            break;
        }
        let place: u64 = entry.d_val(endian).into();
        let name = usize::try_from(place).ok();
        let name = name.and_then(|place| text(names.get(place..)?));
        program.find(
            "elf_library",
            name.ok_or("the name of a library leads out of the file")?,
            Json::Null,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
