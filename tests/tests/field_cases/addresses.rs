//! Addresses, domains and URIs in all the spellings in which feeds send them.

use anyhow::{Context as _, Result};
use critd_tests::{Json, Server, json};

use crate::{Form, ids, post, refused, stored};

/// (relationship, type, partner) of a document.
fn relations(document: &Json) -> Vec<(String, String, String)> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let entries = document["relationships"].as_array().into_iter().flatten();
    entries
        .map(|entry| {
            (
                text(&entry["relationship"]),
                text(&entry["type"]),
                text(&entry["value"]),
            )
        })
        .collect()
}

/// The indicator of a URI, and the object that it brings: resource, field, value.
async fn brings(
    server: &Server,
    uri: &str,
    resource: &str,
    field: &str,
    value: &str,
) -> Result<()> {
    // As a published client sends it: everything, mostly empty.
    let form = [
        ("type", "URI"),
        ("value", uri),
        ("source", "Alpha"),
        ("add_domain", "True"),
        ("add_relationship", "True"),
        ("reference", ""),
        ("method", ""),
        ("campaign", ""),
        ("confidence", ""),
        ("bucket_list", ""),
        ("ticket", ""),
        ("threat_type", ""),
        ("attack_type", ""),
        ("description", ""),
        ("indicator_confidence", ""),
        ("indicator_impact", ""),
    ];
    let answer = post(server, "indicators", &form, None).await?;
    let indicator = stored(server, "indicators", &answer).await?;
    assert_eq!(indicator["value"], uri);
    let id = indicator["_id"].as_str().context("an id")?;
    let made = ids(server, &format!("/api/v1/{resource}/?c-{field}={value}")).await?;
    let [made] = made.as_slice() else {
        anyhow::bail!("{uri}: {made:?}");
    };
    let object = server.document(resource, made).await?;
    let kind = if resource == "ips" { "IP" } else { "Domain" };
    assert_eq!(
        relations(&indicator),
        [("Related To".to_owned(), kind.to_owned(), made.clone())],
        "{uri}"
    );
    assert!(
        relations(&object).contains(&(
            "Related To".to_owned(),
            "Indicator".to_owned(),
            id.to_owned()
        )),
        "{uri}: {object}"
    );
    Ok(())
}

/// O09: URIs with an address as their host.
#[tokio::test]
async fn o09_uris_of_addresses_bring_the_address() -> Result<()> {
    let server = Server::start().await?;
    for (uri, address, kind) in [
        ("http://1.2.3.4/bad.php", "1.2.3.4", "IPv4 Address"),
        (
            "https://user:secret@1.2.3.5:8443/x?y#z",
            "1.2.3.5",
            "IPv4 Address",
        ),
        ("http://1.2.3.6", "1.2.3.6", "IPv4 Address"),
        ("ftp://[2001:DB8:0::7]:21/a", "2001:db8::7", "IPv6 Address"),
        ("http://[2001:db8::8]", "2001:db8::8", "IPv6 Address"),
    ] {
        brings(&server, uri, "ips", "ip", address).await?;
        let list = server.get(&format!("/api/v1/ips/?c-ip={address}")).await?;
        assert_eq!(list.json()["objects"][0]["type"], kind, "{uri}");
    }
    assert_eq!(server.count("domains").await?, 0);
    // Without `add_domain` the address is only related where it is known.
    for (uri, known) in [("http://1.2.3.4/other", 1), ("http://9.9.9.9/x", 0)] {
        let form = [
            ("type", "URI"),
            ("value", uri),
            ("source", "Alpha"),
            ("add_relationship", "True"),
        ];
        let answer = post(&server, "indicators", &form, None).await?;
        let indicator = stored(&server, "indicators", &answer).await?;
        assert_eq!(relations(&indicator).len(), known, "{uri}");
    }
    assert_eq!(server.count("ips").await?, 5);
    Ok(())
}

/// O12: URIs of bare domains, with and without what may follow.
#[tokio::test]
async fn o12_uris_of_bare_domains_bring_the_domain() -> Result<()> {
    let server = Server::start().await?;
    for uri in [
        "https://mega.nz/#!a!b",
        "https://mega.nz?x=1",
        "HTTPS://Sub.MEGA.nz:443",
    ] {
        let form = [("type", "URI"), ("value", uri), ("source", "Alpha")];
        let answer = post(&server, "indicators", &form, None).await?;
        answer.created_id()?;
    }
    assert_eq!(server.count("domains").await?, 0);
    brings(&server, "https://mega.nz", "domains", "domain", "mega.nz").await?;
    brings(
        &server,
        "https://a.mega.co.nz/x",
        "domains",
        "domain",
        "a.mega.co.nz",
    )
    .await?;
    assert_eq!(server.count("domains").await?, 3);
    Ok(())
}

const SPELLINGS: [&str; 5] = [
    "2001:0DB8:0:0::0001",
    "2001:db8::1",
    "2001:DB8:0000:0000:0000:0000:0000:0001",
    "2001:db8:0:0:0:0:0:1",
    "2001:db8::0.0.0.1",
];

/// O28: one address is one indicator, however it is written.
#[tokio::test]
async fn o28_indicators_of_one_address_are_one() -> Result<()> {
    let server = Server::start().await?;
    let mut seen = Vec::new();
    for value in SPELLINGS {
        let form = [
            ("type", "IPv6 Address"),
            ("value", value),
            ("source", "Alpha"),
        ];
        let answer = post(&server, "indicators", &form, None).await?;
        seen.push(answer.created_id()?);
    }
    seen.dedup();
    let [id] = seen.as_slice() else {
        anyhow::bail!("{seen:?}");
    };
    let indicator = server.document("indicators", id).await?;
    assert_eq!(
        (&indicator["value"], &indicator["lower"]),
        (&json!("2001:db8::1"), &json!("2001:db8::1"))
    );
    for query in ["c-lower", "c-value", "c-value__in"] {
        let path = format!("/api/v1/indicators/?{query}=2001:db8::1");
        assert_eq!(ids(&server, &path).await?, [id.as_str()], "{query}");
    }
    for (kind, first, second, stored_as) in [
        (
            "IPv6 Subnet",
            "2001:DB8:0::/032",
            "2001:db8::/32",
            "2001:db8::/32",
        ),
        ("IPv4 Address", "192.000.002.001", "192.0.2.1", "192.0.2.1"),
        (
            "IPv4 Subnet",
            "192.0.02.0/24",
            "192.0.2.0/24",
            "192.0.2.0/24",
        ),
    ] {
        let mut found = Vec::new();
        for value in [first, second] {
            let form = [("type", kind), ("value", value), ("source", "Alpha")];
            let answer = post(&server, "indicators", &form, None).await?;
            found.push(answer.created_id()?);
            let indicator = stored(&server, "indicators", &answer).await?;
            assert_eq!(indicator["value"], stored_as, "{kind} {value}");
        }
        assert_eq!(found[0], found[1], "{kind}");
    }
    Ok(())
}

/// O42: what a crawler takes for a domain: a host with its port, an address, more than a host. A refusal each, and the next
/// request is none the worse for it.
#[tokio::test]
async fn o42_ports_addresses_and_users_are_no_domains() -> Result<()> {
    const NO_TLD: &str = " No valid TLD found ";
    const CHARACTERS: &str = r" Domain cannot contain space or characters /:@\  ";
    let server = Server::start().await?;
    for (number, (name, text)) in [
        ("203.0.113.9:8080", CHARACTERS),
        ("203.0.113.9", NO_TLD),
        ("user@host.tld", CHARACTERS),
        ("2001:db8::1", CHARACTERS),
        ("[2001:db8::1]", CHARACTERS),
        ("http://example.com/", CHARACTERS),
        ("example.com:80", CHARACTERS),
        ("a b.example.com", CHARACTERS),
        ("localhost", NO_TLD),
        ("host.no-such-tld", NO_TLD),
        ("..", CHARACTERS),
    ]
    .into_iter()
    .enumerate()
    {
        let form = [("domain", name), ("source", "Alpha")];
        let answer = post(&server, "domains", &form, None).await?;
        assert_eq!(refused(&answer), text, "{name}");
        let next = format!("n{number}.example.com");
        let form = [("domain", next.as_str()), ("source", "Alpha")];
        post(&server, "domains", &form, None).await?.created_id()?;
        // The registrable domain, and those before.
        assert_eq!(server.count("domains").await?, number as u64 + 2, "{name}");
    }
    Ok(())
}

/// O50: addresses are kept in the form of RFC 5952, and found by whatever spelling is asked for.
#[tokio::test]
async fn o50_addresses_are_found_by_any_spelling() -> Result<()> {
    let server = Server::start().await?;
    let form: Form = &[
        ("ip", "2001:DB8:0:0:1::1"),
        ("ip_type", "IPv6 Address"),
        ("source", "Alpha"),
    ];
    let answer = post(&server, "ips", form, None).await?;
    let address = stored(&server, "ips", &answer).await?;
    assert_eq!(address["ip"], "2001:db8::1:0:0:1");
    let id = address["_id"].as_str().context("an id")?;
    for query in [
        "c-ip=2001:db8:0:0:1::1",
        "c-ip=2001:db8::1:0:0:1",
        "c-ip=2001:DB8:0:0:1:0:0:1",
        "c-ip__in=192.0.2.1,2001:db8:0:0:1::1",
        "c-ip__eq=2001:db8:0:0:1::1",
        "c-ip=%222001:db8:0:0:1::1%22",
    ] {
        let found = ids(&server, &format!("/api/v1/ips/?{query}")).await?;
        assert_eq!(found, [id], "{query}");
    }
    for query in ["c-ip=2001:db8::1", "c-ip__ne=2001:db8:0:0:1::1"] {
        let found = ids(&server, &format!("/api/v1/ips/?{query}")).await?;
        assert!(found.is_empty(), "{query}");
    }
    // Digests by the value in lower case.
    let form: Form = &[
        ("type", "MD5"),
        ("value", "0123456789ABCDEF0123456789ABCDEF"),
        ("source", "Alpha"),
    ];
    let answer = post(&server, "indicators", form, None).await?;
    let id = answer.created_id()?;
    let lower = "/api/v1/indicators/?c-lower=0123456789abcdef0123456789abcdef";
    assert_eq!(ids(&server, lower).await?, [id]);
    Ok(())
}
