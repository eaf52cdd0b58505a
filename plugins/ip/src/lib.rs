//! IP addresses and subnets.

use critd_sdk::merge;
use critd_sdk::net::{self, IpType};
use critd_sdk::prelude::*;

plugin! {
    name = "ip",
    summary = "IP addresses and subnets, in one spelling each.",
    types = [Ip],
    needs = {
        "create:Indicator" = "`add_indicator` makes an indicator from the address.",
    },
}

/// An IP address or a subnet.
///
/// Addresses are kept in one spelling: IPv4 without leading zeros, IPv6 in lower case with the longest run of zeros
/// left out (RFC 5952). A subnet keeps the bits that name a host: `10.0.0.1/8` and `10.0.0.0/8` are two documents.
#[derive(Debug, TloType)]
#[tlo(
    name = "IP",
    resource = "ips",
    collection = "ips",
    schema_version = 3,
    keys(ip),
    lookup = "ip"
)]
pub struct Ip {
    /// The address, or the subnet with its prefix length: `192.0.2.17`, `2001:db8::/32`.
    #[field(required, sortable, indexed, searchable)]
    pub ip: String,
    /// Address or subnet, of which version.
    #[field(
        stored = "type",
        default = "IPv4 Address",
        sortable,
        indexed,
        vocab = "IPTypes"
    )]
    pub ip_type: String,
}

/// What a new address is made of.
#[derive(Debug, Args)]
pub struct NewIp {
    /// The address, or the subnet with its prefix length. Any valid spelling.
    #[arg(
        required,
        missing = "Must provide an IP, IP Type, and Source.",
        example = "192.0.2.17"
    )]
    pub ip: String,
    /// Address or subnet, of which version.
    #[arg(
        required,
        vocab = "IPTypes",
        missing = "Must provide an IP, IP Type, and Source.",
        invalid = "Invalid IP type.",
        example = "IPv4 Address"
    )]
    pub ip_type: String,
    /// Name of the source that told of it.
    #[arg(
        required,
        missing = "Must provide an IP, IP Type, and Source.",
        synonyms("source_name"),
        example = "Example CERT"
    )]
    pub source: String,
    /// What is known about it. If the address exists, a text that is not yet part of its description is appended on a
    /// line of its own.
    #[arg(example = "Sinkhole")]
    pub description: Option<String>,
    /// Also make an indicator of this type and value, with the same source, method, TLP, buckets and tickets, related to
    /// the address. What prevents the indicator prevents the address too.
    pub add_indicator: bool,
    /// Reference of the indicator's source instance.
    #[arg(example = "https://example.com/report/7")]
    pub indicator_reference: Option<String>,
}

/// Create.md 5.13: adds an address, or brings the one with the same normalised text up to date.
///
/// # Errors
///
/// Not an address of that type; a source that the user may not write with; the indicator's faults.
#[create(Ip, touches("create:Indicator"))]
#[example(
    "a new address",
    args = {"ip": "2001:0DB8:0:0::0001", "ip_type": "IPv6 Address", "source": "Example"},
    message = "Success! Click here to view the new IP: 2001:db8::1"
)]
#[example(
    "another spelling of a known address",
    before = {"ip": "192.0.2.17", "type": "IPv4 Address"},
    args = {"ip": "192.000.002.017", "ip_type": "IPv4 Address", "source": "Example"},
    message = "Updated existing IP: 192.0.2.17"
)]
#[example("no address of that type", args = {"ip": "10.0.0.300", "ip_type": "IPv4 Address", "source": "Example"}, fault = {"invalid": "ip", "message": "Invalid IPv4 address"})]
#[example("no prefix", args = {"ip": "10.0.0.0", "ip_type": "IPv4 Subnet", "source": "Example"}, fault = {"invalid": "ip", "message": "Invalid CIDR address"})]
#[example("no type", args = {"ip": "10.0.0.1", "source": "Example"}, fault = {"invalid": "ip_type", "message": "Must provide an IP, IP Type, and Source."})]
pub fn create(call: &Call, args: NewIp, shared: &Shared) -> Outcome {
    let kind = IpType::named(&args.ip_type).ok_or_else(|| invalid("ip_type", net::BAD_IP_TYPE))?;
    let address = net::normalise_ip(&args.ip, kind).map_err(|text| invalid("ip", text))?;
    shared.require_source(SourceText::Object)?;

    let (mut ip, origin) = Tlo::make::<Ip>([("ip", &address)])?;
    if origin == Origin::Fresh {
        ip.set_many(params! { "type" => kind.name(), "description" => args.description })?;
    } else if let Some(posted) = args.description
        && let Some(description) = merge::description(&ip.text("description")?, &posted)
    {
        ip.set("description", description)?;
    }
    ip.merge_shared(shared)?;

    if args.add_indicator {
        let indicator = shared
            .params()
            .clone()
            .only(&["source", "method", "tlp", "bucket_list", "ticket"])
            .with("value", &address)
            .with("type", kind.name())
            .with("reference", args.indicator_reference);
        let indicator = Tlo::create("Indicator", indicator)?
            .tlo
            .ok_or_else(|| internal("no indicator was answered"))?;
        ip.relate("Related To", &indicator, Params::new())?;
    }

    let link = call.link(&["ips", "details", &address], &address);
    let message = match origin {
        Origin::Fresh => format!("Success! Click here to view the new IP: {link}"),
        Origin::Visible | Origin::Hidden => format!("Updated existing IP: {link}"),
    };
    Ok(Answer::new(message).document(&ip))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
