//! From what a compiler makes to a plugin file: a component whose last section is its declaration, frozen.
//!
//! The section is called `critd:declaration`. Its content: the JSON text, the SHA-256 of all bytes of the file before the
//! section, the length of the JSON as 4 bytes (little-endian), and `critdEND`. So a complete file ends with these 8
//! bytes, and one that was cut anywhere does not, although a component cut after its first 8 bytes is a valid one.

use std::path::Path;

use sha2::{Digest, Sha256};
use wasmparser::{Encoding, Parser, Payload};

use super::declaration::{Declaration, LONGEST};
use super::runtime::Runtime;

/// Name of the section.
const SECTION: &str = "critd:declaration";
/// The last bytes of a complete file.
pub(super) const END: &[u8; 8] = b"critdEND";
/// What follows the JSON: digest, length, end.
const TRAILER: usize = 32 + 4 + END.len();
/// Imports that every plugin may have.
const OURS: &str = "critd:plugin/";

/// A file taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frozen<'a> {
    /// The component without the section.
    pub(super) component: &'a [u8],
    /// The declaration.
    pub(super) text: &'a str,
}

/// Whether code may also import from `wasi:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wasi {
    Allowed,
    Refused,
}

/// Makes a plugin of a core module (made with the Rust SDK) or of a component (made by the tools of other languages).
///
/// # Errors
///
/// A sentence: it imports something else than the contract, does not describe itself, or describes itself wrongly.
pub fn freeze(input: &[u8]) -> Result<Vec<u8>, String> {
    super::blocking(freeze_async(input))?
}

async fn freeze_async(input: &[u8]) -> Result<Vec<u8>, String> {
    let component = component_of(input)?;
    check_imports(&component, Wasi::Allowed)?;
    let runtime = Runtime::on_demand()?;
    let code = runtime.prepare(&component, &Sha256::digest(&component).into())?;
    let text = runtime
        .describe("plugin", &code)
        .await
        .map_err(|abort| format!("`describe` failed: {abort}"))?;
    let declaration = Declaration::read(&text)?;
    super::loader::check_exports(&declaration, &code)?;
    append(component, &text)
}

/// Makes a plugin file of a compiler's output. What was at `out` stays if this fails.
///
/// # Errors
///
/// As [`freeze`]; a file can't be read or written.
pub fn build_file(input: &Path, out: &Path) -> Result<Declaration, String> {
    let bytes = std::fs::read(input).map_err(|error| format!("{}: {error}", input.display()))?;
    let frozen = freeze(&bytes).map_err(|reason| format!("{}: {reason}", input.display()))?;
    super::write_whole(out, &frozen).map_err(|error| format!("{}: {error}", out.display()))?;
    let text = thaw(&frozen)?.text;
    Declaration::read(text)
}

fn component_of(input: &[u8]) -> Result<Vec<u8>, String> {
    match encoding(input)? {
        Encoding::Component => Ok(thaw(input)
            .map_or(input, |frozen| frozen.component)
            .to_vec()),
        Encoding::Module => {
            check_imports(input, Wasi::Refused)?;
            wit_component::ComponentEncoder::default()
                .validate(true)
                .module(input)
                .and_then(|mut encoder| encoder.encode())
                .map_err(|error| {
                    format!("it can't be made a component (was it built with the SDK?): {error:#}")
                })
        }
    }
}

/// Component or core module?
///
/// # Errors
///
/// Neither.
pub(super) fn encoding(bytes: &[u8]) -> Result<Encoding, String> {
    match Parser::new(0).parse_all(bytes).next() {
        Some(Ok(Payload::Version { encoding, .. })) => Ok(encoding),
        _ => Err("it is no WebAssembly file".into()),
    }
}

/// Everything that a module or component imports is the contract's, or `wasi:` where other languages need it.
///
/// # Errors
///
/// A sentence that names the imports that are not; or the code is damaged.
pub(super) fn check_component_imports(component: &[u8]) -> Result<(), String> {
    check_imports(component, Wasi::Allowed)
}

fn check_imports(bytes: &[u8], wasi: Wasi) -> Result<(), String> {
    let mut strange = Vec::new();
    let mut note = |name: &str| {
        let legal = name.starts_with(OURS) || (wasi == Wasi::Allowed && name.starts_with("wasi:"));
        if !legal && !strange.iter().any(|known| known == name) {
            strange.push(name.to_owned());
        }
    };
    // Only the outermost level: what is inside can reach nothing else.
    let mut level = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| format!("its code is damaged: {error}"))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => level += 1,
            Payload::End(_) => level -= 1,
            Payload::ImportSection(imports) if level == 0 => {
                for import in imports.into_imports() {
                    note(
                        import
                            .map_err(|error| format!("its imports are damaged: {error}"))?
                            .module,
                    );
                }
            }
            Payload::ComponentImportSection(imports) if level == 0 => {
                for import in imports {
                    note(
                        import
                            .map_err(|error| format!("its imports are damaged: {error}"))?
                            .name
                            .name,
                    );
                }
            }
            _ => {}
        }
    }
    if strange.is_empty() {
        return Ok(());
    }
    let names = strange
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    let allowed = match wasi {
        Wasi::Allowed => "`critd:plugin/…` and `wasi:…`",
        Wasi::Refused => "`critd:plugin/…`",
    };
    Err(format!(
        "it imports {names}, but a plugin can import nothing but {allowed}"
    ))
}

fn append(mut component: Vec<u8>, text: &str) -> Result<Vec<u8>, String> {
    let length = u32::try_from(text.len()).map_err(|_| "the declaration is too long".to_owned())?;
    let digest = Sha256::digest(&component);
    component.extend(section_header(text.len()));
    component.extend(text.as_bytes());
    component.extend(digest);
    component.extend(length.to_le_bytes());
    component.extend(END);
    Ok(component)
}

/// Everything of the section before the JSON.
fn section_header(json: usize) -> Vec<u8> {
    let content = 1 + SECTION.len() + json + TRAILER;
    let mut header = vec![0];
    let mut rest = content;
    while rest >= 0x80 {
        header.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    header.push(rest as u8);
    header.push(SECTION.len() as u8);
    header.extend(SECTION.as_bytes());
    header
}

/// Takes a complete file apart, without running or parsing any code.
///
/// # Errors
///
/// A sentence: the file is empty, incomplete, was changed, or is none that `critd plugin build` made.
pub(super) fn thaw(file: &[u8]) -> Result<Frozen<'_>, String> {
    if file.is_empty() {
        return Err("the file is empty".into());
    }
    if !file.starts_with(&b"\0asm"[..file.len().min(4)]) {
        return Err("it is no WebAssembly file".into());
    }
    if !file.ends_with(END) {
        return Err(format!(
            "the file is incomplete ({} bytes): it does not end with a declaration. It was cut off, is still being written, or was not made by `critd plugin build`",
            file.len()
        ));
    }
    let damaged =
        || "the file is damaged: its declaration does not fit what is before it".to_owned();
    let (before, length) = file[..file.len() - END.len()]
        .split_last_chunk::<4>()
        .ok_or_else(damaged)?;
    let (before, digest) = before.split_last_chunk::<32>().ok_or_else(damaged)?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > LONGEST {
        return Err(damaged());
    }
    let header = section_header(length);
    let place = before.len().checked_sub(length).ok_or_else(damaged)?;
    let (before, text) = before.split_at(place);
    let component = before.strip_suffix(header.as_slice()).ok_or_else(damaged)?;
    if Sha256::digest(component).as_slice() != digest {
        return Err("the file is damaged: its content was changed after it was built".into());
    }
    let text = std::str::from_utf8(text).map_err(|_| damaged())?;
    Ok(Frozen { component, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_frozen_file_comes_apart_again() {
        for length in [0, 1, 60, 61, 62, 100, 127, 128, 16_300, 16_384, 70_000] {
            let text = "x".repeat(length);
            let file = append(EMPTY.to_vec(), &text).unwrap();
            assert_eq!(
                thaw(&file),
                Ok(Frozen {
                    component: EMPTY,
                    text: &text
                }),
                "{length}"
            );
            // The whole is still a component.
            assert!(
                Parser::new(0)
                    .parse_all(&file)
                    .all(|payload| payload.is_ok()),
                "{length}"
            );
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_incomplete() {
        let file = append(EMPTY.to_vec(), &"{}".repeat(50)).unwrap();
        assert_eq!(thaw(b""), Err("the file is empty".into()));
        for length in 1..file.len() {
            let reason = thaw(&file[..length]).unwrap_err();
            assert!(
                reason.starts_with(&format!("the file is incomplete ({length} bytes)")),
                "{length}: {reason}"
            );
        }
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let file = append(EMPTY.to_vec(), "{}").unwrap();
        for place in 0..file.len() {
            let mut changed = file.clone();
            changed[place] ^= 1;
            let noticed = thaw(&changed);
            // The JSON itself is compared with what `describe` answers.
            let in_text = noticed.is_ok_and(|frozen| frozen.text != "{}");
            assert!(in_text || thaw(&changed).is_err(), "{place}");
        }
    }

    #[test]
    fn garbage_is_no_webassembly() {
        assert_eq!(
            thaw(b"this is no plugin"),
            Err("it is no WebAssembly file".into())
        );
        assert_eq!(
            freeze(b"this is no plugin"),
            Err("it is no WebAssembly file".into())
        );
        assert!(thaw(&[b"garbage", &END[..]].concat()).is_err());
        assert_eq!(
            thaw(&[&b"\0asm"[..], END].concat()),
            Err("the file is damaged: its declaration does not fit what is before it".into())
        );
    }

    #[test]
    fn foreign_imports_are_named() {
        // (import "env" "a" (func)) (import "wasi_snapshot_preview1" "b" (func))
        let imports = |modules: &[&str]| {
            let mut content = vec![modules.len() as u8];
            for module in modules {
                content.push(module.len() as u8);
                content.extend(module.as_bytes());
                content.extend([1, b'a', 0, 0]);
            }
            [
                &b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02"[..],
                &[content.len() as u8],
                &content,
            ]
            .concat()
        };
        assert_eq!(
            freeze(&imports(&["env", "wasi_snapshot_preview1", "env"])),
            Err("it imports `env`, `wasi_snapshot_preview1`, but a plugin can import nothing but `critd:plugin/…`".into())
        );
        let reason = freeze(&imports(&["critd:plugin/log@1.0.0"])).unwrap_err();
        assert!(
            reason.starts_with("it can't be made a component (was it built with the SDK?): "),
            "{reason}"
        );
    }

    #[test]
    fn an_empty_component_describes_nothing() {
        let reason = freeze(EMPTY).unwrap_err();
        assert!(
            reason.starts_with("it does not export `critd:plugin/plugin@1`"),
            "{reason}"
        );
    }
}
