//! POST over HTTP: domains, addresses and indicators, and what they make of each other.

use anyhow::Result;
use critd_tests::{Json, Server, json};

/// The one document of a resource with this value.
async fn find(server: &Server, resource: &str, field: &str, value: &str) -> Result<Json> {
    let page = server
        .get(&format!("/api/v1/{resource}/?c-{field}={value}"))
        .await?
        .json();
    assert_eq!(
        page["meta"]["total_count"], 1,
        "{resource} {field}={value}: {page}"
    );
    Ok(page["objects"][0].clone())
}

/// (relationship, type) of all entries that point to `partner`.
fn relations(document: &Json, partner: &Json) -> Vec<(String, String)> {
    document["relationships"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["value"] == partner["_id"])
        .map(|entry| {
            (
                entry["relationship"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                entry["type"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

fn pair(relationship: &str, partner: &str) -> Vec<(String, String)> {
    vec![(relationship.to_owned(), partner.to_owned())]
}

/// create.md 5.7 with everything on: root, host, address, both indicators, and who is related to whom.
#[tokio::test]
async fn create_5_7_domain_with_address_and_indicators() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("domain", "WWW.Example.co.uk."),
        ("source", "Alpha"),
        ("method", "feed"),
        ("reference", "ref"),
        ("tlp", "green"),
        ("campaign", "Bear"),
        ("bucket_list", "b1"),
        ("ticket", "T1"),
        ("add_ip", "True"),
        ("ip", "192.0.2.17"),
        ("ip_type", "IPv4 Address"),
        ("same_source", "True"),
        ("add_indicators", "True"),
    ];
    let answer = server.post("/api/v1/domains/", &form).await?.json();
    assert_eq!(
        answer["message"],
        "Success! Click here to view the new domain: WWW.Example.co.uk."
    );
    let host = find(&server, "domains", "domain", "www.example.co.uk").await?;
    assert_eq!(answer["id"], host["_id"]);
    let root = find(&server, "domains", "domain", "example.co.uk").await?;
    let ip = find(&server, "ips", "ip", "192.0.2.17").await?;
    let domain_indicator = find(&server, "indicators", "value", "www.example.co.uk").await?;
    let ip_indicator = find(&server, "indicators", "value", "192.0.2.17").await?;
    assert_eq!(relations(&root, &host), pair("Supra-domain Of", "Domain"));
    assert_eq!(relations(&host, &root), pair("Sub-domain Of", "Domain"));
    assert_eq!(relations(&host, &ip), pair("Resolved To", "IP"));
    assert_eq!(relations(&ip, &host), pair("Resolved To", "Domain"));
    assert_eq!(
        relations(&host, &domain_indicator),
        pair("Related To", "Indicator")
    );
    assert_eq!(
        relations(&ip, &ip_indicator),
        pair("Related To", "Indicator")
    );
    assert_eq!(
        relations(&domain_indicator, &ip_indicator),
        pair("Resolved To", "Indicator")
    );
    for made in [&root, &host, &ip] {
        assert_eq!(made["bucket_list"], json!(["b1"]), "{made}");
        assert_eq!(made["campaign"][0]["name"], "Bear", "{made}");
        assert_eq!(made["campaign"][0]["confidence"], "low", "{made}");
        assert_eq!(made["tickets"][0]["ticket_number"], "T1", "{made}");
        assert_eq!(
            made["source"][0]["instances"][0]["method"], "feed",
            "{made}"
        );
        assert_eq!(
            (&made["tlp"], &made["status"]),
            (&json!("green"), &json!("New")),
            "{made}"
        );
    }
    assert_eq!(
        (&host["analyst"], &host["type"], &host["watchlistEnabled"]),
        (&json!("admin"), &json!("A"), &json!(false))
    );
    let method = format!(
        "Indicator created/updated from Domain with ID {}",
        host["_id"].as_str().unwrap_or_default()
    );
    let methods: Vec<&str> = domain_indicator["source"][0]["instances"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|i| i["method"].as_str())
        .collect();
    assert!(
        methods.contains(&method.as_str()) && methods.contains(&"feed"),
        "{domain_indicator}"
    );
    assert_eq!(
        (&domain_indicator["type"], &domain_indicator["threat_types"]),
        (&json!("Domain"), &json!(["Unknown"]))
    );

    // The second POST: another source instance on root and host, the same ids, nothing else new.
    let again = server
        .post(
            "/api/v1/domains/",
            &[
                ("domain", "www.example.co.uk"),
                ("source", "Alpha"),
                ("ip", "192.0.2.99"),
            ],
        )
        .await?
        .json();
    assert_eq!(
        (again["message"].as_str(), &again["id"], &again["created"]),
        (
            Some("Updated existing domain: www.example.co.uk"),
            &host["_id"],
            &json!(false)
        )
    );
    let host = server
        .document("domains", host["_id"].as_str().unwrap_or_default())
        .await?;
    assert_eq!(
        host["source"][0]["instances"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(
        (
            server.count("domains").await?,
            server.count("ips").await?,
            server.count("indicators").await?
        ),
        (2, 1, 2)
    );
    Ok(())
}

/// O10, O11: internationalised names and public suffixes.
#[tokio::test]
async fn o10_o11_names_under_public_suffixes_and_in_unicode() -> Result<()> {
    let server = Server::start().await?;
    let first = server
        .post(
            "/api/v1/domains/",
            &[("domain", "xn--e1afmkfd.xn--p1acf"), ("source", "Alpha")],
        )
        .await?
        .created_id()?;
    let second = server
        .post(
            "/api/v1/domains/",
            &[("domain", "пример.рус"), ("source", "Alpha")],
        )
        .await?
        .created_id()?;
    assert_eq!(first, second);
    for name in ["name.uk", "sub.name.uk", "name.co.uk"] {
        server
            .post("/api/v1/domains/", &[("domain", name), ("source", "Alpha")])
            .await?
            .created_id()?;
    }
    let suffix = server
        .post(
            "/api/v1/domains/",
            &[("domain", "co.uk"), ("source", "Alpha")],
        )
        .await?
        .json();
    assert_eq!(
        (&suffix["return_code"], suffix["message"].as_str()),
        (&json!(1), Some(" No valid TLD found "))
    );
    assert_eq!(server.count("domains").await?, 4);
    Ok(())
}

/// create.md 5.11: same object, second POST, domain and address of a URI (O09, O12).
#[tokio::test]
async fn create_5_11_indicator_merges_and_makes_what_it_names() -> Result<()> {
    let server = Server::start().await?;
    let first = server
        .post(
            "/api/v1/indicators/",
            &[
                ("type", "URI - URL"),
                ("value", "https://Mega.nz"),
                ("source", "Alpha"),
                ("add_domain", "1"),
                ("threat_type", "Malicious URL"),
                ("indicator_confidence", "low"),
                ("description", "one"),
            ],
        )
        .await?;
    let id = first.created_id()?;
    let indicator = server.document("indicators", &id).await?;
    assert_eq!(
        (&indicator["value"], &indicator["lower"], &indicator["type"]),
        (
            &json!("https://Mega.nz"),
            &json!("https://mega.nz"),
            &json!("URI")
        )
    );
    assert_eq!(
        (&indicator["threat_types"], &indicator["attack_types"]),
        (&json!(["Malicious URL"]), &json!(["Unknown"]))
    );
    assert_eq!(
        (
            &indicator["confidence"]["rating"],
            &indicator["impact"]["rating"]
        ),
        (&json!("low"), &json!("unknown"))
    );
    let domain = find(&server, "domains", "domain", "mega.nz").await?;
    assert_eq!(
        relations(&domain, &indicator),
        pair("Related To", "Indicator")
    );

    let second = server
        .post(
            "/api/v1/indicators/",
            &[
                ("type", "uri"),
                ("value", "HTTPS://MEGA.NZ"),
                ("source", "Beta"),
                ("attack_type", "Phishing"),
                ("indicator_confidence", "benign"),
                ("indicator_impact", "high"),
                ("status", "In Progress"),
            ],
        )
        .await?;
    assert_eq!(second.created_id()?, id);
    let indicator = server.document("indicators", &id).await?;
    assert_eq!(
        indicator["value"], "https://Mega.nz",
        "the first spelling stays"
    );
    assert_eq!(
        (&indicator["attack_types"], &indicator["threat_types"]),
        (&json!(["Phishing"]), &json!(["Malicious URL"]))
    );
    assert_eq!(
        (
            &indicator["confidence"]["rating"],
            &indicator["impact"]["rating"]
        ),
        (&json!("low"), &json!("high")),
        "raise only"
    );
    assert_eq!(
        (
            &indicator["status"],
            indicator["source"].as_array().map(Vec::len)
        ),
        (&json!("In Progress"), Some(2))
    );
    let description = indicator["description"].as_str().unwrap_or_default();
    assert!(
        description.starts_with("one\nSeen on ") && description.ends_with(" as: HTTPS://MEGA.NZ"),
        "{description}"
    );

    let uri = server
        .post(
            "/api/v1/indicators/",
            &[
                ("type", "URI"),
                ("value", "http://1.2.3.4/bad.php"),
                ("source", "Alpha"),
                ("add_domain", "True"),
                ("add_relationship", "True"),
                ("campaign", ""),
                ("ticket", ""),
            ],
        )
        .await?
        .created_id()?;
    let uri = server.document("indicators", &uri).await?;
    let ip = find(&server, "ips", "ip", "1.2.3.4").await?;
    assert_eq!(
        (&ip["type"], relations(&ip, &uri)),
        (&json!("IPv4 Address"), pair("Related To", "Indicator"))
    );

    let address = server
        .post(
            "/api/v1/indicators/",
            &[
                ("type", "Address - ipv4-addr"),
                ("value", "1.2.3.4"),
                ("source", "Alpha"),
                ("add_relationship", "1"),
            ],
        )
        .await?
        .created_id()?;
    let address = server.document("indicators", &address).await?;
    assert_eq!(address["type"], "IPv4 Address");
    assert_eq!(relations(&address, &ip), pair("Related To", "IP"));
    Ok(())
}

/// O08: a URI that failed once can be added later.
#[tokio::test]
async fn o08_a_failed_indicator_can_be_added_later() -> Result<()> {
    let server = Server::start().await?;
    let value = ("value", "http://123.45.67.89:12345/a/b/0/0-AB1/0/");
    let base = [("type", "URI"), value, ("source", "Alpha")];
    let bad = server
        .post(
            "/api/v1/indicators/",
            &[base[0], base[1], base[2], ("threat_type", "Nope")],
        )
        .await?
        .json();
    assert_eq!(bad["return_code"], 1);
    assert_eq!(server.count("indicators").await?, 0);
    let id = server
        .post("/api/v1/indicators/", &base)
        .await?
        .created_id()?;
    assert_eq!(
        server
            .post("/api/v1/indicators/", &base)
            .await?
            .created_id()?,
        id
    );
    Ok(())
}

/// create.md 5.13: normal forms, same object, the indicator of an address.
#[tokio::test]
async fn create_5_13_addresses_have_one_spelling() -> Result<()> {
    let server = Server::start().await?;
    let rows = [
        ("IPv4 Address", " 010.001.0.1 ", "10.1.0.1"),
        ("IPv4 Subnet", "10.0.0.1/08", "10.0.0.1/8"),
        ("IPv6 Address", "2001:0DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("IPv6 Address", "::FFFF:192.0.2.1", "::ffff:192.0.2.1"),
        ("IPv6 Subnet", "2001:DB8::/32", "2001:db8::/32"),
    ];
    for (kind, sent, stored) in rows {
        let id = server
            .post(
                "/api/v1/ips/",
                &[("ip", sent), ("ip_type", kind), ("source", "Alpha")],
            )
            .await?
            .created_id()?;
        let ip = server.document("ips", &id).await?;
        assert_eq!((&ip["ip"], &ip["type"]), (&json!(stored), &json!(kind)));
        assert_eq!(
            server
                .post(
                    "/api/v1/ips/",
                    &[("ip", stored), ("ip_type", kind), ("source", "Alpha")]
                )
                .await?
                .created_id()?,
            id
        );
    }
    let answer = server
        .post(
            "/api/v1/ips/",
            &[
                ("ip", "192.0.2.5"),
                ("ip_type", "IPv4 Address"),
                ("source", "Alpha"),
                ("description", "one"),
                ("add_indicator", "yes"),
                ("indicator_reference", "ref-i"),
            ],
        )
        .await?
        .json();
    assert_eq!(
        answer["message"],
        "Success! Click here to view the new IP: 192.0.2.5"
    );
    let ip = find(&server, "ips", "ip", "192.0.2.5").await?;
    let indicator = find(&server, "indicators", "value", "192.0.2.5").await?;
    assert_eq!(relations(&ip, &indicator), pair("Related To", "Indicator"));
    assert_eq!(indicator["source"][0]["instances"][0]["reference"], "ref-i");
    let again = server
        .post(
            "/api/v1/ips/",
            &[
                ("ip", "192.0.2.5"),
                ("ip_type", "IPv4 Address"),
                ("source", "Alpha"),
                ("description", "two"),
            ],
        )
        .await?
        .json();
    assert_eq!(again["message"], "Updated existing IP: 192.0.2.5");
    let ip = find(&server, "ips", "ip", "192.0.2.5").await?;
    assert_eq!(ip["description"], "one\ntwo");
    server
        .post(
            "/api/v1/ips/",
            &[
                ("ip", "192.0.2.5"),
                ("ip_type", "IPv4 Address"),
                ("source", "Alpha"),
            ],
        )
        .await?
        .created_id()?;
    assert_eq!(
        find(&server, "ips", "ip", "192.0.2.5").await?["description"],
        "one\ntwo"
    );
    Ok(())
}

/// create.md 2.6: the related object of any type, on both sides, only if visible.
#[tokio::test]
async fn create_2_6_related_objects() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("hub").await?;
    let form = [
        ("ip", "192.0.2.1"),
        ("ip_type", "IPv4 Address"),
        ("source", "Alpha"),
        ("related_id", event.as_str()),
        ("related_type", "events"),
        ("relationship", "Connected_To"),
    ];
    let ip = server.post("/api/v1/ips/", &form).await?.created_id()?;
    let (event, ip) = (
        server.document("events", &event).await?,
        server.document("ips", &ip).await?,
    );
    assert_eq!(
        (relations(&ip, &event), relations(&event, &ip)),
        (pair("Connected To", "Event"), pair("Connected From", "IP"))
    );
    let by_value = [
        ("ip", "192.0.2.2"),
        ("ip_type", "IPv4 Address"),
        ("source", "Alpha"),
        ("related_md5", "192.0.2.1"),
        ("related_type", "IP"),
    ];
    let other = server.post("/api/v1/ips/", &by_value).await?.created_id()?;
    assert_eq!(
        relations(&server.document("ips", &other).await?, &ip),
        pair("Related To", "IP")
    );
    let unknown = [
        ("ip", "192.0.2.3"),
        ("ip_type", "IPv4 Address"),
        ("source", "Alpha"),
        ("related_id", "ffffffffffffffffffffffff"),
        ("related_type", "IP"),
        ("relationship", "Related To"),
    ];
    assert_eq!(
        server.post("/api/v1/ips/", &unknown).await?.json()["message"],
        "Related object not found."
    );
    let name = [
        ("ip", "192.0.2.3"),
        ("ip_type", "IPv4 Address"),
        ("source", "Alpha"),
        ("related_md5", "192.0.2.1"),
        ("related_type", "IP"),
        ("relationship", "Befriended"),
    ];
    assert_eq!(
        server.post("/api/v1/ips/", &name).await?.json()["message"],
        "Could not find relationship type"
    );
    assert_eq!(server.count("ips").await?, 2);
    Ok(())
}
