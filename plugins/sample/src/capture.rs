//! Captures of network traffic that come as samples (create.md 5.16, PCAP detour).

use critd_sdk::prelude::*;

use crate::NewSample;
use crate::relations::Related;
use crate::single::Stored;

/// Vocabulary.md 16: how captures begin.
const SIGNATURES: [[u8; 4]; 5] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

/// Does a file begin as a capture does?
pub(crate) fn is_capture(head: &[u8]) -> bool {
    SIGNATURES
        .iter()
        .any(|signature| head.starts_with(signature))
}

/// What of the shared arguments a capture takes over: no campaigns.
const GIVEN: [&str; 8] = [
    "source",
    "method",
    "reference",
    "tlp",
    "bucket_list",
    "ticket",
    "status",
    "sectors",
];

/// Stores a capture as a PCAP, related as the sample would be.
///
/// # Errors
///
/// Those of the PCAP.
pub(crate) fn store(
    call: &Call,
    args: &NewSample,
    shared: &Shared,
    file: Upload,
    name: &str,
    related: Option<&Related>,
) -> Result<Stored, Fault> {
    let mut params = shared
        .params()
        .clone()
        .only(&GIVEN)
        .with("filedata", file)
        .with("filename", name)
        .with("description", args.description.as_deref());
    if let Some(related) = related {
        params = params.with_all(&related.params_of_the_other_side()?);
    }
    let pcap = Tlo::create("PCAP", params)?.tlo;
    let pcap = pcap.ok_or_else(|| internal("no PCAP was answered"))?;
    let md5 = pcap.text("md5")?;
    let link = call.link(&["pcaps", "details", &md5], &[md5.as_str(), "."].concat());
    Ok(Stored {
        message: ["Detected a PCAP! New PCAP: ", &link].concat(),
        tlo: pcap,
    })
}

#[cfg(test)]
mod tests {
    use super::is_capture;

    #[test]
    fn create_5_16_captures_in_both_byte_orders() {
        for head in [
            b"\xa1\xb2\xc3\xd4",
            b"\xd4\xc3\xb2\xa1",
            b"\x4d\x3c\xb2\xa1",
            b"\xa1\xb2\x3c\x4d",
            b"\x0a\x0d\x0d\x0a",
        ] {
            assert!(is_capture(head), "{head:?}");
        }
        for head in [&b""[..], b"\xa1\xb2\xc3", b"MZ\x90\x00", b"\n\r\r\r"] {
            assert!(!is_capture(head), "{head:?}");
        }
    }
}
