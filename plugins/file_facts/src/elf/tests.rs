use critd_sdk::json;

use super::read;
use crate::program::Program;

/// A program of 64 bits: an interpreter, the sections ``, `.dynamic`, `.dynstr`, `.shstrtab`, two libraries.
fn made() -> Vec<u8> {
    let mut file = vec![0; 0x400];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(0x10, &[3, 0, 62, 0, 1, 0, 0, 0]);
    for (at, value) in [(0x18, 0x1040_u64), (0x20, 0x40), (0x28, 0x200)] {
        put(at, &value.to_le_bytes());
    }
    for (at, value) in [
        (0x34, 64_u16),
        (0x36, 56),
        (0x38, 1),
        (0x3a, 64),
        (0x3c, 4),
        (0x3e, 3),
    ] {
        put(at, &value.to_le_bytes());
    }
    // The interpreter's segment.
    put(0x40, &3_u32.to_le_bytes());
    put(0x48, &0x80_u64.to_le_bytes());
    put(0x60, &16_u64.to_le_bytes());
    put(0x80, b"/lib/ld-x.so.2\0");
    // Two libraries, the end, one behind it.
    for (at, value) in [
        (0xa0, 1_u64),
        (0xa8, 1),
        (0xb0, 1),
        (0xb8, 9),
        (0xd0, 1),
        (0xd8, 1),
    ] {
        put(at, &value.to_le_bytes());
    }
    put(0x100, b"\0libc.so\0libm.so\0");
    put(0x120, b"\0.dynamic\0.dynstr\0.shstrtab\0");
    for (number, (name, kind, place, size, link)) in [
        (1_u32, 6_u32, 0xa0_u64, 0x40_u64, 2_u32),
        (10, 3, 0x100, 0x20, 0),
        (18, 3, 0x120, 0x20, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let at = 0x240 + number * 64;
        put(at, &name.to_le_bytes());
        put(at + 4, &kind.to_le_bytes());
        put(at + 0x18, &place.to_le_bytes());
        put(at + 0x20, &size.to_le_bytes());
        put(at + 0x28, &link.to_le_bytes());
    }
    file
}

fn told(program: &Program) -> Vec<(&str, &str)> {
    let told = program.findings.iter();
    told.map(|finding| (finding.subtype, finding.text.as_str()))
        .collect()
}

#[test]
fn a_program_of_unix_is_read() {
    let program = read(&made()).unwrap();
    assert_eq!(program.gaps, Vec::<String>::new());
    assert_eq!(
        told(&program),
        [
            ("elf_header", "X86_64"),
            ("elf_interpreter", "/lib/ld-x.so.2"),
            ("elf_library", "libc.so"),
            ("elf_library", "libm.so"),
        ]
    );
    assert_eq!(
        program.findings[0].details,
        json!({"machine": 62, "bits": 64, "byte_order": "little", "type": "DYN", "entry_point": "0x1040"})
    );
    let sections: Vec<_> = program
        .sections
        .iter()
        .map(|section| (section.finding.text.as_str(), section.place, section.size))
        .collect();
    assert_eq!(
        sections,
        [
            (".dynamic", 0xa0, 0x40),
            (".dynstr", 0x100, 0x20),
            (".shstrtab", 0x120, 0x20)
        ]
    );
}

#[test]
fn a_program_cut_or_changed_anywhere_ends_readably() {
    let whole = made();
    for length in 4..0x300 {
        let program = read(&whole[..length]).unwrap();
        assert_eq!(program.gaps.len(), 1, "{length}: {program:?}");
    }
    for place in 4..whole.len() {
        for value in [0, 1, 2, 0x7f, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[place] = value;
            assert!(read(&changed).is_some_and(|program| program.gaps.len() <= 2));
        }
    }
    assert_eq!(read(b"\x7fEL"), None);
    assert_eq!(read(b"MZ"), None);
}

#[test]
fn of_many_sections_the_first_are_told() {
    let mut file = made();
    file[0x28..0x30].copy_from_slice(&0x400_u64.to_le_bytes());
    file[0x3c..0x3e].copy_from_slice(&0xff00_u16.to_le_bytes());
    // So many are counted in the first section: https://refspecs.linuxbase.org/elf/gabi4+/ch4.eheader.html
    file[0x3c..0x3e].copy_from_slice(&0_u16.to_le_bytes());
    file.resize(0x400 + 64 * 70_000, 1);
    file[0x420..0x428].copy_from_slice(&70_000_u64.to_le_bytes());
    let program = read(&file).unwrap();
    assert_eq!(program.sections.len(), 128);
    assert!(
        program
            .gaps
            .contains(&"It has 70000 sections: the first 128 were looked at.".to_owned()),
        "{:?}",
        program.gaps
    );
}
