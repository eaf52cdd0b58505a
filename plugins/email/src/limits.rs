//! What one e-mail may be. Whatever is larger is refused in words, or kept as data where that loses nothing: a plugin
//! that runs out of memory or time could only say "internal error".

use critd_sdk::prelude::*;

/// Bytes of an upload.
pub(crate) const MESSAGE_BYTES: u64 = 32 << 20;
/// Bytes of the header of a message. A byte that is no UTF-8 becomes three.
pub(crate) const HEADER_BYTES: usize = 1 << 20;
/// Fields of a header.
pub(crate) const HEADER_FIELDS: usize = 5_000;
/// Fields of a part's header that are looked at.
pub(crate) const PART_FIELDS: usize = 500;
/// Parts of a message, those of messages within it included.
pub(crate) const PARTS: usize = 2_000;
/// Bytes of a Content-Type or Content-Disposition that are looked at.
pub(crate) const PARAMETER_BYTES: usize = 64 << 10;
/// Received fields whose dates are tried.
pub(crate) const DATES: usize = 50;
/// How deep parts and messages may lie within each other; what lies deeper is kept as it is.
pub(crate) const DEPTH: usize = 32;
/// How often a message may be encoded within an encoded message, and bytes of all of them; the rest is kept as it is.
pub(crate) const ENCODED_DEPTH: usize = 3;
/// See [`ENCODED_DEPTH`].
pub(crate) const ENCODED_BYTES: usize = 32 << 20;
/// Attachments with different bytes. Each becomes a Sample, and one that is a capture a PCAP on top: two creates of the
/// 500 that a request may make.
pub(crate) const ATTACHMENTS: usize = 200;
/// Bytes of all texts of a message (documents.md 3.9); the rest is cut off.
pub(crate) const TEXT_BYTES: usize = 8 << 20;
/// Bytes of a YAML document.
pub(crate) const YAML_BYTES: u64 = 8 << 20;
/// Outlook messages within each other.
pub(crate) const EMBEDDED_DEPTH: usize = 8;
/// Recipients and attachments of one Outlook message that are looked at.
pub(crate) const STORAGES: usize = 5_000;

/// From this size on it is worth asking whether there is room.
const LARGE: u64 = 4 << 20;

/// The refusal of something that is too large.
pub(crate) fn too_large(message: impl Into<String>) -> Fault {
    refused("limit", message)
}

/// All bytes of an upload, if it may be so large and there is memory for it and for what it holds.
///
/// # Errors
///
/// `refused(limit)` with a sentence.
pub(crate) fn read(upload: Upload, most: u64) -> Result<Vec<u8>, Fault> {
    let size = upload.size()?;
    if size > most {
        return Err(too_large(format!(
            "The e-mail has {size} bytes; at most {most} are allowed."
        )));
    }
    // The message, a copy without what lay around it, encoded messages within it, its longest part decoded; its texts.
    let wanted = usize::try_from(size.saturating_mul(4)).unwrap_or(usize::MAX);
    if size > LARGE && !has_room(wanted.saturating_add(4 * TEXT_BYTES)) {
        return Err(too_large(format!(
            "The e-mail has {size} bytes, which is more than the memory of the plugin has room for."
        )));
    }
    upload
        .read_all(most)?
        .ok_or_else(|| internal("a file has grown"))
}

/// Is there so much memory? An allocation that fails elsewhere would end the call.
fn has_room(bytes: usize) -> bool {
    let mut room: Vec<u8> = Vec::new();
    let answer = room.try_reserve_exact(bytes).is_ok();
    // Else the compiler leaves out an allocation that nobody uses.
    std::hint::black_box(&mut room);
    answer
}
