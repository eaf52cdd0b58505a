//! Programs of Windows. `object` reads the tables where they are asked for; how much is asked for is limited here.

use critd_sdk::{Date, digest, json};
use object::LittleEndian as LE;
use object::pe::{self, ImageNtHeaders32, ImageNtHeaders64};
use object::read::pe::{
    ImageNtHeaders, ImageOptionalHeader as _, ImageThunkData as _, ImportTable, PeFile,
    SectionTable, optional_header_magic,
};

use crate::ordinals;
use crate::program::{MOST_SECTIONS, Program, hex, padded, text};

/// Most libraries, and most that is imported from all of them.
const MOST_LIBRARIES: usize = 256;
const MOST_IMPORTS: usize = 10_000;
/// Most of a library's functions that are shown.
const MOST_SHOWN: usize = 500;
/// Most exports that are told of.
const MOST_EXPORTS: usize = 500;

/// What a program of Windows says of itself. None: it is none.
pub(crate) fn read(file: &[u8]) -> Option<Program> {
    if !file.starts_with(b"MZ") {
        return None;
    }
    let mut program = Program::default();
    match optional_header_magic(file) {
        Ok(pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC) => headers::<ImageNtHeaders32>(file, &mut program),
        Ok(pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC) => headers::<ImageNtHeaders64>(file, &mut program),
        Ok(_) => program.gap("It begins as a program of Windows, but is none for 32 or 64 bits."),
        Err(error) => program.gap(format!("It begins as a program of Windows, but: {error}.")),
    }
    Some(program)
}

fn headers<Pe: ImageNtHeaders>(file: &[u8], program: &mut Program) {
    let parsed = match PeFile::<Pe>::parse(file) {
        Ok(parsed) => parsed,
        Err(error) => {
            program.gap(format!("The headers can't be read: {error}."));
            return;
        }
    };
    let headers = parsed.nt_headers();
    let (coff, optional) = (headers.file_header(), headers.optional_header());
    let machine = coff.machine.get(LE);
    let seconds = coff.time_date_stamp.get(LE);
    program.find(
        "pe_header",
        short(machine.name(), "IMAGE_FILE_MACHINE_", machine.0),
        json!({
            "machine": hex(machine.0),
            "bits": if headers.is_type_64() { 64 } else { 32 },
            "dll": coff.characteristics.get(LE).contains(pe::IMAGE_FILE_DLL),
            "time_stamp": seconds,
            "compiled": Date::from_millis(i64::from(seconds) * 1_000).to_string(),
            "subsystem": short(optional.subsystem().name(), "IMAGE_SUBSYSTEM_", optional.subsystem().0),
            "entry_point": hex(optional.address_of_entry_point()),
            "image_base": hex(optional.image_base()),
            "sections": coff.number_of_sections.get(LE),
        }),
    );
    let sections = parsed.section_table();
    for section in sections.iter().take(MOST_SECTIONS) {
        let flags = section.characteristics.get(LE);
        let memory = [
            (pe::IMAGE_SCN_MEM_READ, "r"),
            (pe::IMAGE_SCN_MEM_WRITE, "w"),
            (pe::IMAGE_SCN_MEM_EXECUTE, "x"),
        ];
        let access: String = memory
            .into_iter()
            .filter_map(|(flag, letter)| flags.contains(flag).then_some(letter))
            .collect();
        let told = program.section(
            "pe_section",
            padded(&section.name),
            json!({
                "address": hex(section.virtual_address.get(LE)),
                "memory_size": section.virtual_size.get(LE),
                "access": access,
            }),
        );
        told.place = section.pointer_to_raw_data.get(LE).into();
        told.size = section.size_of_raw_data.get(LE).into();
    }
    if sections.len() > MOST_SECTIONS {
        program.gap(format!(
            "It has {} sections: the first {MOST_SECTIONS} were looked at.",
            sections.len()
        ));
    }
    let memory = Memory { file, sections };
    let directory = |number| {
        let directory = parsed.data_directory(number)?;
        Some(directory.virtual_address.get(LE)).filter(|address| *address != 0)
    };
    if let Some(address) = directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT)
        && let Err(reason) = imports::<Pe>(&memory, address, program)
    {
        program.gap(format!("Not all imports can be read: {reason}."));
    }
    if directory(pe::IMAGE_DIRECTORY_ENTRY_EXPORT).is_some()
        && let Err(reason) = exports(&parsed, &memory, program)
    {
        program.gap(format!("The exports can't be read: {reason}."));
    }
}

/// A constant's name without what all of its kind begin with, or its number.
fn short(name: Option<&str>, prefix: &str, number: u16) -> String {
    match name {
        Some(name) => name.strip_prefix(prefix).unwrap_or(name).to_owned(),
        None => format!("{number:#x}"),
    }
}

/// The program as it lies in memory, as far as its first sections go.
struct Memory<'a> {
    file: &'a [u8],
    sections: SectionTable<'a>,
}

impl<'a> Memory<'a> {
    /// The bytes from an address to the end of its section.
    fn at(&self, address: u32) -> Result<&'a [u8], &'static str> {
        let mut sections = self.sections.iter().take(MOST_SECTIONS);
        sections
            .find_map(|section| section.pe_data_at(self.file, address))
            .ok_or("an address leads out of the file")
    }

    fn text(&self, address: u32) -> Result<String, &'static str> {
        text(self.at(address)?).ok_or("a name has no end")
    }
}

fn imports<Pe: ImageNtHeaders>(
    memory: &Memory<'_>,
    address: u32,
    program: &mut Program,
) -> Result<(), &'static str> {
    // A table by itself: what its entries name may be in any section.
    let table = |address| Ok::<_, &str>(ImportTable::new(memory.at(address)?, address, address));
    let descriptors = table(address)?.descriptors();
    let descriptors = descriptors.map_err(|_| "there is no table")?;
    // As the import hash wants it: `kernel32.createfilew,ws2_32.send`.
    let (mut list, mut count) = (String::new(), 0);
    for (number, descriptor) in descriptors.enumerate() {
        let descriptor = descriptor.map_err(|_| "the table has no end")?;
        if number == MOST_LIBRARIES {
            program.gap(format!(
                "It imports from more libraries than the {MOST_LIBRARIES} that were looked at."
            ));
            return Ok(());
        }
        let library = memory.text(descriptor.name.get(LE))?;
        let stem = ordinals::stem(&library);
        // Some linkers leave the lookup table out.
        let lookup = match descriptor.original_first_thunk.get(LE) {
            0 => descriptor.first_thunk.get(LE),
            address => address,
        };
        let thunks = table(lookup)?.thunks(lookup);
        let mut thunks = thunks.map_err(|_| "a lookup table is missing")?;
        let mut functions = Vec::new();
        while let Some(thunk) = thunks
            .next::<Pe>()
            .map_err(|_| "a lookup table has no end")?
        {
            count += 1;
            if count > MOST_IMPORTS {
                program.gap(format!(
                    "It imports more than the {MOST_IMPORTS} functions that were looked at."
                ));
                return Ok(());
            }
            let function = if thunk.is_ordinal() {
                ordinals::name(&stem, thunk.ordinal())
            } else {
                let name = thunk.address().checked_add(2);
                memory.text(name.ok_or("an address leads out of the file")?)?
            };
            if !list.is_empty() {
                list.push(',');
            }
            list.extend([&stem, ".", &function.to_lowercase()]);
            functions.push(function);
        }
        let imported = functions.len();
        functions.truncate(MOST_SHOWN);
        program.find(
            "pe_import",
            library,
            json!({ "functions": functions, "count": imported }),
        );
    }
    if !list.is_empty() {
        program.find(
            "import_hash",
            digest::md5(list.as_bytes()),
            json!({ "algorithm": "imphash" }),
        );
    }
    Ok(())
}

fn exports<Pe: ImageNtHeaders>(
    parsed: &PeFile<'_, Pe>,
    memory: &Memory<'_>,
    program: &mut Program,
) -> Result<(), String> {
    let table = parsed.export_table().map_err(|error| error.to_string())?;
    let table = table.ok_or("there is no table")?;
    for (pointer, index) in table.name_iter().take(MOST_EXPORTS) {
        let name = memory.text(pointer)?;
        let address = table
            .address_by_index(index)
            .map_err(|error| error.to_string())?;
        let ordinal = table
            .ordinal_from_index(index)
            .map_err(|error| error.to_string())?;
        let forward = match table.is_forward(address) {
            true => Some(memory.text(address)?),
            false => None,
        };
        program.find(
            "pe_export",
            name,
            json!({ "ordinal": ordinal.0, "address": hex(address), "forward": forward }),
        );
    }
    let named = table.name_pointers().len();
    if named > MOST_EXPORTS {
        program.gap(format!(
            "It exports {named} names: the first {MOST_EXPORTS} are shown."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
