use critd_sdk::json;

use super::read;
use crate::program::Program;

/// A program of 32 bits as the tests want it.
struct Made {
    file: Vec<u8>,
}

impl Made {
    /// One section `.idata` of 0x400 bytes at the address 0x1000, which lies at 0x400 in the file.
    fn new() -> Self {
        let mut made = Self {
            file: vec![0; 0x800],
        };
        made.put(0, b"MZ");
        made.put32(0x3c, 0x80);
        made.put(0x80, b"PE\0\0\x4c\x01\x01\0");
        // 2026-01-01T00:00:00Z
        made.put32(0x88, 1_767_225_600);
        made.put(0x94, &0xe0_u16.to_le_bytes());
        made.put(0x96, &0x2102_u16.to_le_bytes());
        made.put(0x98, &0x10b_u16.to_le_bytes());
        for (at, value) in [
            (0xa8, 0x1234),
            (0xb4, 0x40_0000),
            (0xb8, 0x1000),
            (0xbc, 0x200),
            (0xd0, 0x3000),
            (0xd4, 0x400),
            (0xf4, 16),
        ] {
            made.put32(at, value);
        }
        made.put(0xdc, &3_u16.to_le_bytes());
        made.section(0, b".idata\0\0", 0x1000, 0x400, 0x400);
        made
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.file[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    fn section(&mut self, number: usize, name: &[u8; 8], address: u32, size: u32, place: u32) {
        let at = 0x178 + number * 40;
        self.put(at, name);
        self.put32(at + 8, size);
        self.put32(at + 12, address);
        self.put32(at + 16, size);
        self.put32(at + 20, place);
        self.put32(at + 36, 0xc000_0040);
    }

    /// `Kernel32.DLL` by name, `WS2_32.dll` by number.
    fn with_imports(mut self) -> Self {
        self.put32(0x100, 0x1000);
        self.put32(0x104, 60);
        for (entry, (lookup, library)) in [(0x1080, 0x10c0), (0x1090, 0x10d0)].iter().enumerate() {
            self.put32(0x400 + entry * 20, *lookup);
            self.put32(0x400 + entry * 20 + 12, *library);
            self.put32(0x400 + entry * 20 + 16, *lookup);
        }
        self.put32(0x480, 0x10e0);
        self.put32(0x490, 0x8000_0013);
        self.put32(0x494, 0x8000_fffe);
        self.put(0x4c0, b"Kernel32.DLL\0");
        self.put(0x4d0, b"WS2_32.dll\0");
        self.put(0x4e2, b"CreateFileW\0");
        self
    }

    /// `run` at an address, `gone` forwarded.
    fn with_exports(mut self) -> Self {
        self.put32(0xf8, 0x1200);
        self.put32(0xfc, 0x100);
        for (at, value) in [
            (0x610, 5),
            (0x614, 2),
            (0x618, 2),
            (0x61c, 0x1240),
            (0x620, 0x1250),
            (0x624, 0x1260),
            (0x640, 0x2222),
            (0x644, 0x1290),
            (0x650, 0x1270),
            (0x654, 0x1280),
        ] {
            self.put32(at, value);
        }
        self.put(0x660, &[1, 0, 0, 0]);
        self.put(0x670, b"gone\0");
        self.put(0x680, b"run\0");
        self.put(0x690, b"other.dll.it\0");
        self
    }
}

fn texts<'a>(program: &'a Program, subtype: &str) -> Vec<&'a str> {
    program
        .findings
        .iter()
        .filter(|finding| finding.subtype == subtype)
        .map(|finding| finding.text.as_str())
        .collect()
}

#[test]
fn a_program_of_windows_is_read() {
    let program = read(&Made::new().with_imports().with_exports().file).unwrap();
    assert_eq!(program.gaps, Vec::<String>::new());
    let [header, kernel, sockets, hash, gone, run] = program.findings.as_slice() else {
        panic!("{program:?}");
    };
    assert_eq!(
        (header.subtype, header.text.as_str()),
        ("pe_header", "I386")
    );
    assert_eq!(
        header.details,
        json!({"machine": "0x14c", "bits": 32, "dll": true, "time_stamp": 1_767_225_600,
            "compiled": "2026-01-01 00:00:00.000000", "subsystem": "WINDOWS_CUI", "entry_point": "0x1234",
            "image_base": "0x400000", "sections": 1})
    );
    assert_eq!(kernel.text, "Kernel32.DLL");
    assert_eq!(
        kernel.details,
        json!({"functions": ["CreateFileW"], "count": 1})
    );
    assert_eq!(sockets.text, "WS2_32.dll");
    assert_eq!(
        sockets.details,
        json!({"functions": ["send", "ord65534"], "count": 2})
    );
    // The MD5 of `kernel32.createfilew,ws2_32.send,ws2_32.ord65534`.
    assert_eq!(hash.text, "47f5ca68a29c2e518f1b0e15152a314f");
    assert_eq!(
        (gone.text.as_str(), &gone.details),
        (
            "gone",
            &json!({"ordinal": 6, "address": "0x1290", "forward": "other.dll.it"})
        )
    );
    assert_eq!(
        (run.text.as_str(), &run.details),
        (
            "run",
            &json!({"ordinal": 5, "address": "0x2222", "forward": null})
        )
    );
    let [section] = program.sections.as_slice() else {
        panic!("{program:?}");
    };
    assert_eq!(
        (section.finding.text.as_str(), section.place, section.size),
        (".idata", 0x400, 0x400)
    );
    assert_eq!(section.finding.details["access"], "rw");
}

#[test]
fn what_is_no_program_is_none() {
    assert_eq!(read(b""), None);
    assert_eq!(read(b"M"), None);
    assert_eq!(read(b"\x7fELF"), None);
}

#[test]
fn a_program_cut_anywhere_ends_readably() {
    let whole = Made::new().with_imports().with_exports().file;
    for length in 2..whole.len() {
        let program = read(&whole[..length]).unwrap();
        let is_told = !program.gaps.is_empty() || length >= 0x400;
        assert!(is_told, "{length}: {program:?}");
        assert!(
            program.gaps.iter().all(|gap| gap.ends_with('.')),
            "{length}"
        );
    }
}

#[test]
fn changed_bytes_and_noise_do_not_trap() {
    let whole = Made::new().with_imports().with_exports().file;
    for place in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[place] = value;
            read(&changed);
        }
    }
    // A linear congruence is noise enough.
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    for _ in 0..2_000 {
        let mut noise: Vec<u8> = (0..0x600).map(|_| next()).collect();
        noise[..2].copy_from_slice(b"MZ");
        read(&noise);
        // The same below good headers.
        let mut headed = whole.clone();
        headed[0x100..0x178].copy_from_slice(&noise[0x100..0x178]);
        headed[0x400..].copy_from_slice(&noise[..0x400]);
        headed[0xf4..0xf8].copy_from_slice(&16_u32.to_le_bytes());
        read(&headed);
    }
}

#[test]
fn sections_beyond_the_end_are_told_as_they_claim() {
    let mut made = Made::new();
    made.section(0, b"far\0\0\0\0\0", 0xffff_f000, 0xffff_ffff, 0xffff_ff00);
    let program = read(&made.file).unwrap();
    assert_eq!(
        (program.sections[0].place, program.sections[0].size),
        (0xffff_ff00, 0xffff_ffff)
    );
}

#[test]
fn of_65535_sections_the_first_are_told() {
    let mut made = Made::new();
    made.put(0x86, &u16::MAX.to_le_bytes());
    made.file.resize(0x178 + 40 * 65_535, 0xff);
    let program = read(&made.file).unwrap();
    assert_eq!(program.sections.len(), 128);
    assert!(
        program
            .gaps
            .contains(&"It has 65535 sections: the first 128 were looked at.".to_owned()),
        "{:?}",
        program.gaps
    );
}

#[test]
fn huge_tables_of_imports_are_cut() {
    // A section of a megabyte that is nothing but descriptors, each of which names itself.
    let mut made = Made::new();
    made.file.resize(0x40_0400, 0);
    made.section(0, b".idata\0\0", 0x1000, 0x40_0000, 0x400);
    made.put32(0x100, 0x1000);
    for entry in 0..10_000 {
        for place in [0, 12, 16] {
            made.put32(0x400 + entry * 20 + place, 0x30_1000);
        }
    }
    // The one lookup table has no end but that of the section, and each of its entries names the same function.
    for entry in 0..0x3_f000 {
        made.put32(0x30_0400 + entry * 4, 0x2f_1000);
    }
    made.put(0x2f_0400, b"\0\0name\0");
    let program = read(&made.file).unwrap();
    assert_eq!(
        program.gaps,
        ["It imports more than the 10000 functions that were looked at."]
    );
    // Names without an end.
    made.file[0x400..].fill(b'A');
    made.put32(0x100, 0x1000);
    assert_eq!(read(&made.file).unwrap().gaps.len(), 1);
}

#[test]
fn many_libraries_are_cut() {
    let mut made = Made::new();
    made.file.resize(0x40_0400, 0);
    made.section(0, b".idata\0\0", 0x1000, 0x40_0000, 0x400);
    made.put32(0x100, 0x1000);
    for entry in 0..300 {
        let lookup = 0x30_1000 + entry * 8;
        made.put32(0x400 + entry as usize * 20, lookup);
        made.put32(0x400 + entry as usize * 20 + 12, 0x2f_1000);
        made.put32(0x400 + entry as usize * 20 + 16, lookup);
        made.put32(lookup as usize - 0xc00, 0x8000_0001);
    }
    made.put(0x2f_0400, b"a.dll\0");
    let program = read(&made.file).unwrap();
    assert_eq!(texts(&program, "pe_import").len(), 256);
    assert_eq!(
        program.gaps,
        ["It imports from more libraries than the 256 that were looked at."]
    );
}

#[test]
fn huge_tables_of_exports_are_cut() {
    let mut made = Made::new().with_exports();
    made.file.resize(0x40_0400, 0);
    made.section(0, b".edata\0\0", 0x1000, 0x40_0000, 0x400);
    made.put32(0xfc, 0x3f_0000);
    made.put32(0x614, 60_000);
    made.put32(0x618, 60_000);
    made.put32(0x61c, 0x10_1000);
    made.put32(0x620, 0x20_1000);
    made.put32(0x624, 0x30_1000);
    for entry in 0..60_000 {
        made.put32(0x20_0400 + entry * 4, 0x1270);
    }
    let program = read(&made.file).unwrap();
    assert_eq!(texts(&program, "pe_export").len(), 500);
    assert_eq!(
        program.gaps,
        ["It exports 60000 names: the first 500 are shown."]
    );
}
