//! Domain names, with the addresses and indicators that a POST may add to them.

mod indicators;

use critd_sdk::net::{self, IpType};
use critd_sdk::prelude::*;
use critd_sdk::source_refusal;

plugin! {
    name = "domain",
    summary = "Domain names, each with its registrable domain.",
    types = [Domain],
    needs = {
        "create:IP" = "`add_ip` makes the address an object of its own.",
        "create:Indicator" = "`add_indicators` makes indicators from the domain and the address.",
    },
}

/// The shared arguments that domain, registrable domain and address all take.
const GIVEN: [&str; 4] = ["campaign", "confidence", "bucket_list", "ticket"];
/// Those of the source.
const SOURCE: [&str; 4] = ["source", "method", "reference", "tlp"];

/// A domain name.
///
/// Names are kept in lower case, without a dot at the end, internationalised ones in their `xn--` form, and must lie
/// under a public suffix. A name below its registrable domain (`www.example.com` below `example.com`) brings that domain
/// along, the two related as `Sub-domain Of` and `Supra-domain Of`.
#[derive(Debug, TloType)]
#[tlo(
    resource = "domains",
    collection = "domains",
    schema_version = 3,
    keys(domain),
    lookup = "domain"
)]
pub struct Domain {
    /// The name: `www.example.com`.
    #[field(required, sortable, indexed, searchable)]
    pub domain: String,
    /// Type of its DNS record. Always `A`.
    #[field(stored = "type", default = "A")]
    pub record_type: String,
    /// Without meaning; kept for old clients.
    #[field(name = "watchlistEnabled", default = false)]
    pub watchlist_enabled: bool,
    /// Who added it first.
    pub analyst: Option<String>,
}

/// What a new domain is made of.
#[derive(Debug, Args)]
pub struct NewDomain {
    /// The full name, in any letter case, internationalised names in either form.
    #[arg(required, missing = "Need a Domain Name.", example = "www.example.com")]
    pub domain: String,
    /// Name of the source that told of it. Required.
    #[arg(synonyms("source_name"), example = "Example CERT")]
    pub source: Option<String>,
    /// Also add the address in `ip`, to which the domain resolves. Without it everything that begins with `ip` is ignored.
    pub add_ip: bool,
    /// The address.
    #[arg(example = "192.0.2.17")]
    pub ip: Option<String>,
    /// Its type: `IPv4 Address`, `IPv4 Subnet`, `IPv6 Address` or `IPv6 Subnet`.
    #[arg(example = "IPv4 Address")]
    pub ip_type: Option<String>,
    /// The address has source, method, reference and TLP of the domain.
    pub same_source: bool,
    /// Name of the address's source, required without `same_source`.
    #[arg(example = "Example CERT")]
    pub ip_source: Option<String>,
    /// How that source learnt of the address.
    #[arg(example = "Passive DNS")]
    pub ip_method: Option<String>,
    /// Where that source tells of it.
    #[arg(example = "https://example.com/report/7")]
    pub ip_reference: Option<String>,
    /// TLP of that source instance: `white`, `green`, `amber` (if not given) or `red`.
    #[arg(example = "green")]
    pub ip_tlp: Option<String>,
    /// Also make indicators from the domain and, if one was added, from the address. They take over sources, campaigns,
    /// buckets, tickets and related events.
    pub add_indicators: bool,
}

/// An address to be added: its checked spelling and the arguments it is created with.
struct NewIp {
    kind: IpType,
    address: String,
    /// Source, method, reference, tlp.
    source: Params,
}

/// Create.md 5.7: adds a domain and its registrable domain, or brings them up to date.
///
/// # Errors
///
/// Not a domain name or not an address; a source that the user may not write with; faults of the address and of the
/// indicators.
#[create(Domain, touches("create:IP", "create:Indicator"))]
#[example(
    "a name below its registrable domain",
    args = {"domain": "WWW.Example.com", "source": "Example"},
    message = "Success! Click here to view the new domain: WWW.Example.com"
)]
#[example(
    "a known name",
    before = {"domain": "example.com"},
    args = {"domain": "example.com.", "source": "Example", "ip": "ignored without add_ip"},
    message = "Updated existing domain: example.com."
)]
#[example("an address is no domain", args = {"domain": "203.0.113.9", "source": "Example"}, fault = {"invalid": "domain", "message": " No valid TLD found "})]
#[example("a port does not belong to a domain", args = {"domain": "example.com:8080", "source": "Example"}, fault = {"invalid": "domain", "message": " Domain cannot contain space or characters /:@\\  "})]
#[example("no name", args = {"source": "Example"}, fault = {"invalid": "domain", "message": "Need a Domain Name."})]
pub fn create(call: &Call, args: NewDomain, shared: &Shared) -> Outcome {
    let address = if args.add_ip {
        Some(check_address(&args)?)
    } else {
        None
    };
    if shared.source().is_none() {
        // The original prints what it has for a source that is not there.
        return Err(invalid(
            "source",
            "User does not have permission to add objects using source None.",
        ));
    }
    let source = shared.require_source(SourceText::Objects)?.to_owned();
    let name = net::domain(&args.domain).map_err(|text| invalid("domain", padded(text)))?;
    let new_ip = address
        .map(|(kind, address)| {
            Ok(NewIp {
                kind,
                address,
                source: ip_source(call, &args, shared)?,
            })
        })
        .transpose()?;

    let root = (name.root != name.host)
        .then(|| make(call, &name.root))
        .transpose()?;
    let (mut domain, origin) = make(call, &name.host)?;
    domain.merge_shared(shared)?;
    if let Some((mut root, _)) = root {
        root.merge_shared(
            shared
                .params()
                .clone()
                .only(&[&SOURCE[..], &GIVEN[..]].concat()),
        )?;
        root.relate("Supra-domain Of", &domain, Params::new())?;
    }

    let mut ip = None;
    if let Some(new) = &new_ip {
        let given = shared.params().clone().only(&GIVEN);
        let params = new
            .source
            .clone()
            .with_all(&given)
            .with("ip", &new.address)
            .with("ip_type", new.kind.name());
        let created = Tlo::create("IP", params)?
            .tlo
            .ok_or_else(|| internal("no address was answered"))?;
        domain.relate("Resolved To", &created, Params::new())?;
        ip = Some((created, new));
    }
    if args.add_indicators {
        let of_ip = match &mut ip {
            Some((ip, new)) => Some(indicators::add(
                ip,
                "IP",
                new.kind.name(),
                &new.address,
                &new.source,
            )?),
            None => None,
        };
        let own = params! { "source" => source, "tlp" => shared.text("tlp") };
        let mut of_domain = indicators::add(&mut domain, "Domain", "Domain", &name.host, &own)?;
        if let Some(of_ip) = of_ip {
            of_domain.relate("Resolved To", &of_ip, Params::new())?;
        }
    }

    let link = call.link(&["domains", "details", &args.domain], &args.domain);
    let message = match origin {
        Origin::Fresh => format!("Success! Click here to view the new domain: {link}"),
        Origin::Visible | Origin::Hidden => format!("Updated existing domain: {link}"),
    };
    Ok(Answer::new(message).document(&domain))
}

/// The domain of this name, known or new.
fn make(call: &Call, name: &str) -> Result<(Tlo, Origin), Fault> {
    let (mut domain, origin) = Tlo::make::<Domain>([("domain", name)])?;
    if origin == Origin::Fresh {
        domain.set("analyst", call.user())?;
    }
    Ok((domain, origin))
}

/// Type and spelling of the address in the arguments.
fn check_address(args: &NewDomain) -> Result<(IpType, String), Fault> {
    let sent = args.ip_type.as_deref().unwrap_or_default();
    let kind = registers::canonical("IPTypes", sent)
        .as_deref()
        .and_then(IpType::named);
    let kind = kind.ok_or_else(|| invalid("ip_type", padded(net::BAD_IP_TYPE)))?;
    let address = net::normalise_ip(args.ip.as_deref().unwrap_or_default(), kind);
    Ok((kind, address.map_err(|text| invalid("ip", padded(text)))?))
}

/// The source arguments of the address.
fn ip_source(call: &Call, args: &NewDomain, shared: &Shared) -> Result<Params, Fault> {
    if args.same_source {
        return Ok(shared.params().clone().only(&SOURCE));
    }
    let source = args
        .ip_source
        .as_deref()
        .ok_or_else(|| invalid("ip_source", "Missing source information."))?;
    if !call.may_write(source) {
        return Err(source_refusal(SourceText::Object, source));
    }
    Ok(params! {
        "source" => source,
        "method" => args.ip_method.as_deref(),
        "reference" => args.ip_reference.as_deref(),
        "tlp" => args.ip_tlp.as_deref(),
    })
}

/// These texts have always had a blank on either side.
fn padded(text: &str) -> String {
    [" ", text, " "].concat()
}

#[cfg(test)]
mod tests {
    use critd_sdk::net;

    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }

    #[test]
    fn create_5_7_texts_have_blanks_around() {
        assert_eq!(super::padded(net::NO_TLD), " No valid TLD found ");
        assert_eq!(
            super::padded(net::BAD_DOMAIN),
            r" Domain cannot contain space or characters /:@\  "
        );
    }
}
