//! Captures of network traffic that come as samples (create.md 5.16, PCAP detour).

use critd_sdk::prelude::*;

use crate::NewSample;
use crate::relations::Related;
use crate::single::Stored;

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
