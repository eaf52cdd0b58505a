//! POST over HTTP: what each type stores, its side effects across types, its second POST, its refusals.

use anyhow::{Context, Result};
use critd_tests::{Json, Server, json};

/// The document behind an id.
async fn document(server: &Server, resource: &str, id: &str) -> Result<Json> {
    Ok(server.get(&format!("/api/v1/{resource}/{id}/")).await?.json())
}

/// The one document of a resource with this value.
async fn find(server: &Server, resource: &str, field: &str, value: &str) -> Result<Json> {
    let page = server.get(&format!("/api/v1/{resource}/?c-{field}={value}")).await?.json();
    assert_eq!(page["meta"]["total_count"], 1, "{resource} {field}={value}: {page}");
    Ok(page["objects"][0].clone())
}

/// (relationship, type) of all entries that point to `partner`.
fn relations(document: &Json, partner: &Json) -> Vec<(String, String)> {
    document["relationships"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["value"] == partner["_id"])
        .map(|entry| (entry["relationship"].as_str().unwrap_or_default().to_owned(), entry["type"].as_str().unwrap_or_default().to_owned()))
        .collect()
}

fn pair(relationship: &str, partner: &str) -> Vec<(String, String)> {
    vec![(relationship.to_owned(), partner.to_owned())]
}

/// documents.md 2.1, create.md 2.7: a new event has exactly these keys, in this shape.
#[tokio::test]
async fn create_5_9_event_is_stored_in_the_originals_shape() -> Result<()> {
    let server = Server::start().await?;
    let answer = server
        .post("/api/v1/events/", &[("title", " Invoice wave "), ("event_type", "phishing"), ("description", "Three mailboxes"), ("source", "Alpha"), ("tlp", "Amber"), ("method", "m"), ("reference", "r"), ("date", "2018-05-03"), ("bucket_list", "a, b,,a"), ("ticket", "T-1, T-2")])
        .await?;
    let body = answer.json();
    let id = body["id"].as_str().context("id")?.to_owned();
    assert_eq!(
        body,
        json!({"return_code": 0, "type": "Event", "id": id, "message": "Success! Click here to view the new event: Invoice wave", "url": format!("/api/v1/events/{id}/"), "created": true})
    );
    assert_eq!(answer.header("location"), Some(format!("/api/v1/events/{id}/").as_str()));
    let mut event = document(&server, "events", &id).await?;
    for date in ["created", "modified"] {
        assert_eq!(event[date].as_str().map(str::len), Some(26), "{date}: {}", event[date]);
    }
    let now = event["created"].clone();
    assert_eq!(event["event_id"].as_str().map(str::len), Some(36));
    assert_eq!(event["tickets"].as_array().map(Vec::len), Some(2));
    assert_eq!(event["tickets"][1], json!({"ticket_number": "T-2", "analyst": "admin", "date": now}));
    assert_eq!(event["source"], json!([{"name": "Alpha", "instances": [{"analyst": "admin", "date": "2018-05-03 00:00:00.000000", "method": "m", "reference": "r", "tlp": "amber"}]}]));
    let object = event.as_object_mut().context("an object")?;
    for varying in ["created", "modified", "event_id", "tickets", "source"] {
        object.remove(varying);
    }
    assert_eq!(
        event,
        json!({"_id": id, "schema_version": 3, "status": "New", "tlp": "amber", "title": "Invoice wave", "event_type": "Phishing", "description": "Three mailboxes", "bucket_list": ["a", "b"],
            "actions": [], "campaign": [], "locations": [], "objects": [], "relationships": [], "releasability": [], "screenshots": [], "sectors": [], "unsupported_attrs": {}})
    );
    Ok(())
}

/// One row: resource, form, message.
const REFUSALS: &[(&str, &[(&str, &str)], &str)] = &[
    ("events", &[("title", "t"), ("event_type", "Phishing"), ("source", "Alpha")], "Must provide a title, event_type, source, and description."),
    ("events", &[("title", "t"), ("event_type", "Nonsense"), ("description", "d"), ("source", "Alpha")], "Not a valid Event Type."),
    ("events", &[("title", "t"), ("event_type", "Phishing"), ("description", "d"), ("source", "Nowhere")], "User does not have permission to add object using source Nowhere."),
    ("events", &[("title", "t"), ("event_type", "Phishing"), ("description", "d"), ("source", "Alpha"), ("campaign", "None")], "None is not a valid campaign."),
    ("events", &[("title", "t"), ("event_type", "Phishing"), ("description", "d"), ("source", "Alpha"), ("tlp", "purple")], "'purple' is not a valid TLP."),
    ("events", &[("title", "t"), ("event_type", "Phishing"), ("description", "d"), ("source", "Alpha"), ("date", "no date")], "Invalid date: no date."),
    ("indicators", &[("type", "MD5"), ("value", "x")], "Missing source information."),
    ("indicators", &[("type", "MD5"), ("source", "Alpha")], "Can't create indicator with an empty value field"),
    ("indicators", &[("value", "x"), ("source", "Alpha")], "Can't create indicator with an empty type field"),
    ("indicators", &[("value", "x"), ("type", "Nope"), ("source", "Alpha")], "Not a valid Indicator Type: Nope"),
    ("indicators", &[("value", "x"), ("type", "MD5"), ("threat_type", "Nope"), ("source", "Alpha")], "Not a valid Indicator Threat Type: Nope"),
    ("indicators", &[("value", "x"), ("type", "MD5"), ("attack_type", "Nope"), ("source", "Alpha")], "Not a valid Indicator Attack Type: Nope"),
    ("indicators", &[("value", "http:///x"), ("type", "URI"), ("source", "Alpha")], "Failed to parse a domain or IP from the URL"),
    ("indicators", &[("value", "nobody"), ("type", "Email Address"), ("source", "Alpha")], "Email address must contain an '@'"),
    ("indicators", &[("value", "a@"), ("type", "Email Address"), ("source", "Alpha")], "Email address must contain a domain (or IP)"),
    ("indicators", &[("value", "a@[x]"), ("type", "Email Address"), ("source", "Alpha")], "Email address does not contain a valid IP"),
    ("indicators", &[("value", "1.2.3"), ("type", "IPv4 Address"), ("source", "Alpha")], "Invalid IPv4 address"),
    ("indicators", &[("value", "x"), ("type", "MD5"), ("source", "Nowhere")], "User does not have permission to add object using source Nowhere."),
    ("indicators", &[("value", "x"), ("type", "MD5"), ("source", "Alpha"), ("campaign", "C"), ("confidence", "sure")], "Invalid campaign confidence: sure."),
    ("ips", &[("ip", "10.0.0.1"), ("source", "Alpha")], "Must provide an IP, IP Type, and Source."),
    ("ips", &[("ip", "10.0.0.1"), ("ip_type", "IPv4 Subnet"), ("source", "Alpha")], "Invalid CIDR address"),
    ("ips", &[("ip", "10.0.0.0/33"), ("ip_type", "IPv4 Subnet"), ("source", "Alpha")], "Invalid CIDR address"),
    ("ips", &[("ip", "10.0.0.256"), ("ip_type", "IPv4 Address"), ("source", "Alpha")], "Invalid IPv4 address"),
    ("ips", &[("ip", "10.0.0/8"), ("ip_type", "IPv4 Subnet"), ("source", "Alpha")], "Invalid IPv4 CIDR address"),
    ("ips", &[("ip", "2001::x"), ("ip_type", "IPv6 Address"), ("source", "Alpha")], "Invalid IPv6 address"),
    ("ips", &[("ip", "2001::x/64"), ("ip_type", "IPv6 Subnet"), ("source", "Alpha")], "Invalid IPv6 CIDR address"),
    ("ips", &[("ip", "10.0.0.1"), ("ip_type", "Carrier pigeon"), ("source", "Alpha")], "Invalid IP type."),
    ("ips", &[("ip", "10.0.0.1"), ("ip_type", "IPv4 Address"), ("source", "Nowhere")], "User does not have permission to add object using source Nowhere."),
    ("domains", &[("source", "Alpha")], "Need a Domain Name."),
    ("domains", &[("domain", ""), ("source", "Alpha")], "Need a Domain Name."),
    ("domains", &[("domain", "www.example.com"), ("source", "Nowhere")], "User does not have permission to add objects using source Nowhere."),
    ("domains", &[("domain", "www.example.com")], "User does not have permission to add objects using source None."),
    ("domains", &[("domain", "a b.com"), ("source", "Alpha")], " Domain cannot contain space or characters /:@\\  "),
    ("domains", &[("domain", "nosuchtld.nosuchtld"), ("source", "Alpha")], " No valid TLD found "),
    ("domains", &[("domain", "10.0.0.1"), ("source", "Alpha")], " No valid TLD found "),
    ("domains", &[("domain", "www.example.com"), ("source", "Alpha"), ("add_ip", "true"), ("ip", "1.2.3"), ("ip_type", "IPv4 Address"), ("same_source", "true")], " Invalid IPv4 address "),
    ("campaigns", &[("aliases", "x")], "Need a Campaign name."),
    ("actors", &[("name", "A")], "Missing source information."),
    ("actors", &[("source", "Alpha")], "Need an Actor name."),
    ("actors", &[("name", "A"), ("source", "Nowhere")], "User does not have permission to add objects using source Nowhere."),
    ("actoridentifiers", &[("identifier", "x"), ("source", "Alpha")], "Unknown Identifier Type"),
    ("actoridentifiers", &[("identifier_type", "Nope"), ("identifier", "x"), ("source", "Alpha")], "Unknown Identifier Type"),
    ("actoridentifiers", &[("identifier_type", "Handle"), ("source", "Alpha")], "Missing Identifier"),
    ("actoridentifiers", &[("identifier_type", "Handle"), ("identifier", "x")], "Missing source information."),
];

/// create.md section 5, the validation rows of the foundation's types: exact texts, nothing stored.
#[tokio::test]
async fn create_5_validation_rows() -> Result<()> {
    let server = Server::start().await?;
    for (resource, form, message) in REFUSALS {
        let answer = server.post(&format!("/api/v1/{resource}/"), form).await?;
        let body = answer.json();
        assert_eq!((answer.status, &body["return_code"], body["message"].as_str()), (200, &json!(1), Some(*message)), "{resource} {form:?}: {}", answer.text);
        assert!(body.get("url").is_none(), "{resource} {form:?}");
    }
    for resource in ["events", "indicators", "ips", "domains", "campaigns", "actors", "actoridentifiers"] {
        assert_eq!(server.count(resource).await?, 0, "{resource}");
    }
    Ok(())
}

/// create.md 1.5, B18: without the right to create.
#[tokio::test]
async fn b18_creating_needs_the_types_write_flag() -> Result<()> {
    let server = Server::start().await?;
    let user = server.add_user("reader", &["Event.read"], &[("Alpha", &["--read", "--write"])])?;
    let rows: [(&str, &[(&str, &str)]); 7] = [
        ("events", &[("title", "t"), ("event_type", "Phishing"), ("description", "d"), ("source", "Alpha")]),
        ("indicators", &[("type", "MD5"), ("value", "x"), ("source", "Alpha")]),
        ("ips", &[("ip", "10.0.0.1"), ("ip_type", "IPv4 Address"), ("source", "Alpha")]),
        ("domains", &[("domain", "www.example.com"), ("source", "Alpha")]),
        ("campaigns", &[("name", "c")]),
        ("actors", &[("name", "a"), ("source", "Alpha")]),
        ("actoridentifiers", &[("identifier_type", "Handle"), ("identifier", "x"), ("source", "Alpha")]),
    ];
    for (resource, form) in rows {
        let body = server.post_as(&user, &format!("/api/v1/{resource}/"), form).await?.json();
        assert_eq!((&body["return_code"], body["message"].as_str()), (&json!(1), Some("User does not have permission to create Object.")), "{resource}: {body}");
        assert_eq!(server.count(resource).await?, 0, "{resource}");
    }
    Ok(())
}

/// create.md 5.7 with everything on: root, host, address, both indicators, and who is related to whom.
#[tokio::test]
async fn create_5_7_domain_with_address_and_indicators() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("domain", "WWW.Example.co.uk."), ("source", "Alpha"), ("method", "feed"), ("reference", "ref"), ("tlp", "green"), ("campaign", "Bear"), ("bucket_list", "b1"), ("ticket", "T1"),
        ("add_ip", "True"), ("ip", "192.0.2.17"), ("ip_type", "IPv4 Address"), ("same_source", "True"), ("add_indicators", "True"),
    ];
    let answer = server.post("/api/v1/domains/", &form).await?.json();
    assert_eq!(answer["message"], "Success! Click here to view the new domain: WWW.Example.co.uk.");
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
    assert_eq!(relations(&host, &domain_indicator), pair("Related To", "Indicator"));
    assert_eq!(relations(&ip, &ip_indicator), pair("Related To", "Indicator"));
    assert_eq!(relations(&domain_indicator, &ip_indicator), pair("Resolved To", "Indicator"));
    for made in [&root, &host, &ip] {
        assert_eq!(made["bucket_list"], json!(["b1"]), "{made}");
        assert_eq!(made["campaign"][0]["name"], "Bear", "{made}");
        assert_eq!(made["campaign"][0]["confidence"], "low", "{made}");
        assert_eq!(made["tickets"][0]["ticket_number"], "T1", "{made}");
        assert_eq!(made["source"][0]["instances"][0]["method"], "feed", "{made}");
        assert_eq!((&made["tlp"], &made["status"]), (&json!("green"), &json!("New")), "{made}");
    }
    assert_eq!((&host["analyst"], &host["type"], &host["watchlistEnabled"]), (&json!("admin"), &json!("A"), &json!(false)));
    let method = format!("Indicator created/updated from Domain with ID {}", host["_id"].as_str().unwrap_or_default());
    let methods: Vec<&str> = domain_indicator["source"][0]["instances"].as_array().into_iter().flatten().filter_map(|i| i["method"].as_str()).collect();
    assert!(methods.contains(&method.as_str()) && methods.contains(&"feed"), "{domain_indicator}");
    assert_eq!((&domain_indicator["type"], &domain_indicator["threat_types"]), (&json!("Domain"), &json!(["Unknown"])));

    // The second POST: another source instance on root and host, the same ids, nothing else new.
    let again = server.post("/api/v1/domains/", &[("domain", "www.example.co.uk"), ("source", "Alpha"), ("ip", "192.0.2.99")]).await?.json();
    assert_eq!((again["message"].as_str(), &again["id"], &again["created"]), (Some("Updated existing domain: www.example.co.uk"), &host["_id"], &json!(false)));
    let host = document(&server, "domains", host["_id"].as_str().unwrap_or_default()).await?;
    assert_eq!(host["source"][0]["instances"].as_array().map(Vec::len), Some(2));
    assert_eq!((server.count("domains").await?, server.count("ips").await?, server.count("indicators").await?), (2, 1, 2));
    Ok(())
}

/// O10, O11: internationalised names and public suffixes.
#[tokio::test]
async fn o10_o11_names_under_public_suffixes_and_in_unicode() -> Result<()> {
    let server = Server::start().await?;
    let first = server.post("/api/v1/domains/", &[("domain", "xn--e1afmkfd.xn--p1acf"), ("source", "Alpha")]).await?.created_id()?;
    let second = server.post("/api/v1/domains/", &[("domain", "пример.рус"), ("source", "Alpha")]).await?.created_id()?;
    assert_eq!(first, second);
    for name in ["name.uk", "sub.name.uk", "name.co.uk"] {
        server.post("/api/v1/domains/", &[("domain", name), ("source", "Alpha")]).await?.created_id()?;
    }
    let suffix = server.post("/api/v1/domains/", &[("domain", "co.uk"), ("source", "Alpha")]).await?.json();
    assert_eq!((&suffix["return_code"], suffix["message"].as_str()), (&json!(1), Some(" No valid TLD found ")));
    assert_eq!(server.count("domains").await?, 4);
    Ok(())
}

/// create.md 5.11: same object, second POST, domain and address of a URI (O09, O12).
#[tokio::test]
async fn create_5_11_indicator_merges_and_makes_what_it_names() -> Result<()> {
    let server = Server::start().await?;
    let first = server
        .post("/api/v1/indicators/", &[("type", "URI - URL"), ("value", "https://Mega.nz"), ("source", "Alpha"), ("add_domain", "1"), ("threat_type", "Malicious URL"), ("indicator_confidence", "low"), ("description", "one")])
        .await?;
    let id = first.created_id()?;
    let indicator = document(&server, "indicators", &id).await?;
    assert_eq!((&indicator["value"], &indicator["lower"], &indicator["type"]), (&json!("https://Mega.nz"), &json!("https://mega.nz"), &json!("URI")));
    assert_eq!((&indicator["threat_types"], &indicator["attack_types"]), (&json!(["Malicious URL"]), &json!(["Unknown"])));
    assert_eq!((&indicator["confidence"]["rating"], &indicator["impact"]["rating"]), (&json!("low"), &json!("unknown")));
    let domain = find(&server, "domains", "domain", "mega.nz").await?;
    assert_eq!(relations(&domain, &indicator), pair("Related To", "Indicator"));

    let second = server
        .post("/api/v1/indicators/", &[("type", "uri"), ("value", "HTTPS://MEGA.NZ"), ("source", "Beta"), ("attack_type", "Phishing"), ("indicator_confidence", "benign"), ("indicator_impact", "high"), ("status", "In Progress")])
        .await?;
    assert_eq!(second.created_id()?, id);
    let indicator = document(&server, "indicators", &id).await?;
    assert_eq!(indicator["value"], "https://Mega.nz", "the first spelling stays");
    assert_eq!((&indicator["attack_types"], &indicator["threat_types"]), (&json!(["Phishing"]), &json!(["Malicious URL"])));
    assert_eq!((&indicator["confidence"]["rating"], &indicator["impact"]["rating"]), (&json!("low"), &json!("high")), "raise only");
    assert_eq!((&indicator["status"], indicator["source"].as_array().map(Vec::len)), (&json!("In Progress"), Some(2)));
    let description = indicator["description"].as_str().unwrap_or_default();
    assert!(description.starts_with("one\nSeen on ") && description.ends_with(" as: HTTPS://MEGA.NZ"), "{description}");

    let uri = server.post("/api/v1/indicators/", &[("type", "URI"), ("value", "http://1.2.3.4/bad.php"), ("source", "Alpha"), ("add_domain", "True"), ("add_relationship", "True"), ("campaign", ""), ("ticket", "")]).await?.created_id()?;
    let uri = document(&server, "indicators", &uri).await?;
    let ip = find(&server, "ips", "ip", "1.2.3.4").await?;
    assert_eq!((&ip["type"], relations(&ip, &uri)), (&json!("IPv4 Address"), pair("Related To", "Indicator")));

    let address = server.post("/api/v1/indicators/", &[("type", "Address - ipv4-addr"), ("value", "1.2.3.4"), ("source", "Alpha"), ("add_relationship", "1")]).await?.created_id()?;
    let address = document(&server, "indicators", &address).await?;
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
    let bad = server.post("/api/v1/indicators/", &[base[0], base[1], base[2], ("threat_type", "Nope")]).await?.json();
    assert_eq!(bad["return_code"], 1);
    assert_eq!(server.count("indicators").await?, 0);
    let id = server.post("/api/v1/indicators/", &base).await?.created_id()?;
    assert_eq!(server.post("/api/v1/indicators/", &base).await?.created_id()?, id);
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
        let id = server.post("/api/v1/ips/", &[("ip", sent), ("ip_type", kind), ("source", "Alpha")]).await?.created_id()?;
        let ip = document(&server, "ips", &id).await?;
        assert_eq!((&ip["ip"], &ip["type"]), (&json!(stored), &json!(kind)));
        assert_eq!(server.post("/api/v1/ips/", &[("ip", stored), ("ip_type", kind), ("source", "Alpha")]).await?.created_id()?, id);
    }
    let answer = server.post("/api/v1/ips/", &[("ip", "192.0.2.5"), ("ip_type", "IPv4 Address"), ("source", "Alpha"), ("description", "one"), ("add_indicator", "yes"), ("indicator_reference", "ref-i")]).await?.json();
    assert_eq!(answer["message"], "Success! Click here to view the new IP: 192.0.2.5");
    let ip = find(&server, "ips", "ip", "192.0.2.5").await?;
    let indicator = find(&server, "indicators", "value", "192.0.2.5").await?;
    assert_eq!(relations(&ip, &indicator), pair("Related To", "Indicator"));
    assert_eq!(indicator["source"][0]["instances"][0]["reference"], "ref-i");
    let again = server.post("/api/v1/ips/", &[("ip", "192.0.2.5"), ("ip_type", "IPv4 Address"), ("source", "Alpha"), ("description", "two")]).await?.json();
    assert_eq!(again["message"], "Updated existing IP: 192.0.2.5");
    let ip = find(&server, "ips", "ip", "192.0.2.5").await?;
    assert_eq!(ip["description"], "one\ntwo");
    server.post("/api/v1/ips/", &[("ip", "192.0.2.5"), ("ip_type", "IPv4 Address"), ("source", "Alpha")]).await?.created_id()?;
    assert_eq!(find(&server, "ips", "ip", "192.0.2.5").await?["description"], "one\ntwo");
    Ok(())
}

/// create.md 5.1, 5.2, 5.4: names are keys; what a second POST does.
#[tokio::test]
async fn create_5_1_5_2_5_4_actor_identifier_campaign() -> Result<()> {
    let server = Server::start().await?;
    let actor = server.post("/api/v1/actors/", &[("name", "Bear"), ("aliases", "a, b,,a"), ("description", " d "), ("source", "Alpha"), ("campaign", "C"), ("confidence", "HIGH")]).await?;
    assert_eq!(actor.json()["message"], "Success! Click here to view the new Actor: Bear");
    let id = actor.created_id()?;
    let again = server.post("/api/v1/actors/", &[("name", "Bear"), ("aliases", "b,c"), ("description", "other"), ("source", "Beta"), ("campaign", "C"), ("confidence", "low")]).await?;
    assert_eq!(again.created_id()?, id);
    let stored = document(&server, "actors", &id).await?;
    assert_eq!((&stored["aliases"], &stored["description"], &stored["schema_version"]), (&json!(["a", "b", "c"]), &json!("d"), &json!(2)));
    assert_eq!((&stored["campaign"][0]["confidence"], stored["campaign"].as_array().map(Vec::len)), (&json!("high"), Some(1)));
    for empty in ["threat_types", "motivations", "sophistications", "intended_effects", "identifiers"] {
        assert_eq!(stored[empty], json!([]), "{empty}");
    }

    let identifier = server.post("/api/v1/actoridentifiers/", &[("identifier_type", " Handle "), ("identifier", " bear99 "), ("source", "Alpha")]).await?;
    assert_eq!(identifier.json()["message"], "Actor Identifier added successfully!");
    let id = identifier.created_id()?;
    let stored = document(&server, "actoridentifiers", &id).await?;
    let keys: Vec<&str> = stored.as_object().map(|o| { let mut keys: Vec<&str> = o.keys().map(String::as_str).collect(); keys.sort_unstable(); keys }).unwrap_or_default();
    assert_eq!(keys, ["_id", "active", "created", "identifier_type", "name", "schema_version", "source", "unsupported_attrs"]);
    assert_eq!((&stored["name"], &stored["identifier_type"], &stored["unsupported_attrs"]), (&json!("bear99"), &json!("Handle"), &json!({"tlp": "amber"})));
    assert_eq!(server.post("/api/v1/actoridentifiers/", &[("identifier_type", "Handle"), ("identifier", "bear99"), ("source", "Beta")]).await?.created_id()?, id);
    assert_eq!(document(&server, "actoridentifiers", &id).await?["source"].as_array().map(Vec::len), Some(2));
    assert_eq!(server.patch(&format!("/api/v1/actoridentifiers/{id}/"), &json!({"action": "status_update"})).await?.status, 405);

    let campaign = server.post_json("/api/v1/campaigns/", &json!({"name": "Night Owl", "aliases": ["NO", " owl "], "ticket": "T-9", "bucket_list": ["x"]})).await?;
    assert_eq!(campaign.json()["message"], "Campaign created successfully!");
    let id = campaign.created_id()?;
    let stored = document(&server, "campaigns", &id).await?;
    assert_eq!((&stored["aliases"], &stored["active"], &stored["actor_count"], &stored["ttps"]), (&json!(["NO", "owl"]), &json!("on"), &json!(0), &json!([])));
    assert_eq!(stored["tickets"][0]["ticket_number"], "T-9");
    assert!(stored.get("source").is_none());
    let twice = server.post("/api/v1/campaigns/", &[("name", "Night Owl")]).await?.json();
    assert_eq!((&twice["return_code"], twice["message"].as_str(), &twice["id"], &twice["url"]), (&json!(1), Some("Campaign already exists."), &json!(id), &json!(format!("/api/v1/campaigns/{id}/"))));
    let event = server.post("/api/v1/events/", &[("title", "t"), ("event_type", "Phishing"), ("description", "d"), ("source", "Alpha"), ("campaign", "night owl"), ("confidence", "high")]).await?.created_id()?;
    let event = document(&server, "events", &event).await?;
    assert_eq!((&event["campaign"][0]["name"], &event["campaign"][0]["confidence"]), (&json!("Night Owl"), &json!("high")));
    Ok(())
}

/// create.md 2.6: the related object of any type, on both sides, only if visible.
#[tokio::test]
async fn create_2_6_related_objects() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("hub").await?;
    let form = [("ip", "192.0.2.1"), ("ip_type", "IPv4 Address"), ("source", "Alpha"), ("related_id", event.as_str()), ("related_type", "events"), ("relationship", "Connected_To")];
    let ip = server.post("/api/v1/ips/", &form).await?.created_id()?;
    let (event, ip) = (document(&server, "events", &event).await?, document(&server, "ips", &ip).await?);
    assert_eq!((relations(&ip, &event), relations(&event, &ip)), (pair("Connected To", "Event"), pair("Connected From", "IP")));
    let by_value = [("ip", "192.0.2.2"), ("ip_type", "IPv4 Address"), ("source", "Alpha"), ("related_md5", "192.0.2.1"), ("related_type", "IP")];
    let other = server.post("/api/v1/ips/", &by_value).await?.created_id()?;
    assert_eq!(relations(&document(&server, "ips", &other).await?, &ip), pair("Related To", "IP"));
    let unknown = [("ip", "192.0.2.3"), ("ip_type", "IPv4 Address"), ("source", "Alpha"), ("related_id", "ffffffffffffffffffffffff"), ("related_type", "IP"), ("relationship", "Related To")];
    assert_eq!(server.post("/api/v1/ips/", &unknown).await?.json()["message"], "Related object not found.");
    let name = [("ip", "192.0.2.3"), ("ip_type", "IPv4 Address"), ("source", "Alpha"), ("related_md5", "192.0.2.1"), ("related_type", "IP"), ("relationship", "Befriended")];
    assert_eq!(server.post("/api/v1/ips/", &name).await?.json()["message"], "Could not find relationship type");
    assert_eq!(server.count("ips").await?, 2);
    Ok(())
}
