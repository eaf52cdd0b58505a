//! Formats (core-api sections 8.2 to 8.4), and those that are ours.

use super::*;
use crate::api::render::testing::written_by_python;

const XML: &str = "<?xml version='1.0' encoding='utf-8'?>\n";

/// An event with a fixed id.
async fn event(server: &Server, id: &str, fields: Document) -> String {
    let mut body = doc! {"_id": ObjectId::parse_str(id).unwrap()};
    body.extend(fields);
    let instance = doc! {"tlp": "red", "date": bson::DateTime::from_millis(1_577_934_245_006)};
    body.insert("source", vec![doc! {"name": "A", "instances": [instance]}]);
    server
        .store
        .commit(WriteSet {
            writes: vec![Write::Insert {
                collection: "events".into(),
                body,
            }],
            ..WriteSet::default()
        })
        .await
        .unwrap();
    id.to_owned()
}

const ID: &str = "5b2c3d4e5f60718293a4b5c6";

/// What a server with one event has to say.
async fn with_one_event() -> Server {
    let server = Server::start().await;
    event(
        &server,
        ID,
        doc! {"title": "a <b> & é", "size": 3, "weird key": [1.5, true, bson::Bson::Null, [ "x" ]]},
    )
    .await;
    server
}

const EMPTY_LISTS: &str = "<objects type=\"list\"/><relationships type=\"list\"/><releasability type=\"list\"/><screenshots type=\"list\"/><sectors type=\"list\"/>";

/// That event as XML.
fn event_xml() -> String {
    format!(
        "<object type=\"hash\"><_id>{ID}</_id><actions type=\"list\"/><bucket_list type=\"list\"/><campaign type=\"list\"/><locations type=\"list\"/>{EMPTY_LISTS}<size type=\"integer\">3</size><source type=\"list\"><object type=\"hash\"><instances type=\"list\"><object type=\"hash\"><date>2020-01-02 03:04:05.006000</date><tlp>red</tlp></object></instances><name>A</name></object></source><tickets type=\"list\"/><title>a &lt;b&gt; &amp; é</title><tlp>red</tlp><unsupported_attrs type=\"hash\"><value name=\"weird key\" type=\"list\"><value type=\"float\">1.5</value><value type=\"boolean\">True</value><value type=\"null\"/><objects><value>x</value></objects></value></unsupported_attrs></object>"
    )
}

#[tokio::test]
async fn x1_x2_x3_lists_and_details_in_xml() {
    let server = with_one_event().await;
    let detail = server
        .get(&format!("/api/v1/events/{ID}/?format=xml"))
        .await;
    assert_eq!(
        (detail.status, detail.header("content-type")),
        (200, Some("application/xml; charset=utf-8"))
    );
    assert_eq!(
        detail.text,
        format!(
            "{XML}<response><objects type=\"list\">{}</objects></response>",
            event_xml()
        )
    );
    let list = server
        .get("/api/v1/events/?format=xml&limit=1&c-size__foo=%3C1%3E")
        .await;
    assert_eq!(
        list.text,
        format!(
            "{XML}<response><meta type=\"hash\"><limit type=\"integer\">1</limit><next type=\"null\"/><offset type=\"integer\">0</offset><previous type=\"null\"/><total_count type=\"integer\">1</total_count><warnings type=\"list\"><value>c-size__foo: unknown operator, condition ignored</value></warnings></meta><objects type=\"list\">{}</objects></response>",
            event_xml()
        )
    );
    let set = server
        .get(&format!("/api/v1/events/set/{ID};bad/?format=xml"))
        .await;
    assert_eq!(
        set.text,
        format!(
            "{XML}<response><not_found type=\"list\"><value>bad</value></not_found><objects type=\"list\">{}</objects></response>",
            event_xml()
        )
    );
    let none = server.get("/api/v1/events/?format=xml&offset=9").await;
    assert!(
        none.text
            .ends_with("</meta><objects type=\"list\"/></response>")
    );
}

#[tokio::test]
async fn y1_y2_y3_lists_and_details_in_yaml() {
    let server = with_one_event().await;
    let detail = server
        .get(&format!("/api/v1/events/{ID}/?format=yaml"))
        .await;
    assert_eq!(
        (detail.status, detail.header("content-type")),
        (200, Some("text/yaml; charset=utf-8"))
    );
    assert_eq!(
        detail.text,
        format!(
            "\
_id: {ID}
actions: []
bucket_list: []
campaign: []
locations: []
objects: []
relationships: []
releasability: []
screenshots: []
sectors: []
size: 3
source:
- instances:
  - date: '2020-01-02 03:04:05.006000'
    tlp: red
  name: A
tickets: []
title: a <b> & é
tlp: red
unsupported_attrs:
  weird key:
  - 1.5
  - true
  - null
  - - x
"
        )
    );
    for path in [
        "/api/v1/events/".to_owned(),
        format!("/api/v1/events/{ID}/"),
        format!("/api/v1/events/set/{ID};bad/"),
        "/api/v1/events/schema/".into(),
        "/api/v1/vocab/".into(),
        "/api/v1/vocab/Status/".into(),
        "/api/v1/".into(),
        "/api/v1/?fullschema=1".into(),
        "/api/v1/events/?limit=x".into(),
    ] {
        let join = if path.contains('?') { '&' } else { '?' };
        let json = server.get(&format!("{path}{join}format=json")).await;
        let yaml = server.get(&format!("{path}{join}format=yaml")).await;
        assert!(!yaml.text.contains('!'), "{path}: {}", yaml.text);
        assert_eq!(json.status, yaml.status);
        let mut read: Json = serde_norway::from_str(&yaml.text).unwrap();
        let mut expected = json.json();
        // The links repeat the format.
        if let (Some(read), Some(expected)) = (read.get_mut("meta"), expected.get_mut("meta")) {
            for link in ["next", "previous"] {
                read[link] = Json::Null;
                expected[link] = Json::Null;
            }
        }
        assert_eq!(read, expected, "{path}");
    }
}

#[tokio::test]
async fn x2_whatever_answers_a_get_answers_in_xml() {
    let server = with_one_event().await;
    for (path, begin) in [
        (
            "/api/v1/vocab/?limit=1",
            "<response><meta type=\"hash\"><limit type=\"integer\">1</limit><next>/api/v1/vocab/?",
        ),
        (
            "/api/v1/vocab/Status/?x",
            "<response><objects type=\"list\"><object type=\"hash\"><category>Status</category><resource_uri>/api/v1/vocab/Status/</resource_uri><values type=\"list\"><value>Analyzed</value>",
        ),
        (
            "/api/v1/events/schema/?x",
            "<response><allowed_detail_http_methods type=\"list\"><value>get</value><value>patch</value></allowed_detail_http_methods>",
        ),
        (
            "/api/v1/?x",
            "<response><actions type=\"hash\"><list_endpoint>/api/v1/actions/</list_endpoint></actions><actoridentifiers type=\"hash\"><list_endpoint>/api/v1/actoridentifiers/</list_endpoint><schema>/api/v1/actoridentifiers/schema/</schema></actoridentifiers>",
        ),
    ] {
        let answer = server.get(&format!("{path}&format=xml")).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("application/xml; charset=utf-8"))
        );
        assert!(
            answer.text.starts_with(&format!("{XML}{begin}")),
            "{path}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn x4_y3_q6_e5_errors_come_in_the_chosen_format() {
    let server = with_one_event().await;
    let rows: [(&str, &str, u16, &str); 9] = [
        ("GET", "/nosuch/", 404, "Not found."),
        ("GET", "/api/v2/events/", 404, "Not found."),
        ("DELETE", "/api/v1/events/", 405, "Method not allowed."),
        ("!GET", "/api/v1/events/", 401, "Authentication failed."),
        ("!POST", "/api/v1/events/", 401, "Authentication failed."),
        (
            "GET",
            "/api/v1/actoridentifiers/",
            403,
            "You do not have access to this object.",
        ),
        (
            "GET",
            "/api/v1/events/ffffffffffffffffffffffff/",
            404,
            "Not found.",
        ),
        (
            "GET",
            "/api/v1/events/?limit=%3C%26%3E",
            400,
            "Invalid limit '<&>' provided. Please provide a positive integer.",
        ),
        (
            "GET",
            "/api/v1/vocab/x/",
            400,
            "Vocabulary category \"x\" does not exist",
        ),
    ];
    for (method, path, status, text) in rows {
        let join = if path.contains('?') { '&' } else { '?' };
        let escaped = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        for (format, content_type, body) in [
            (
                "format=xml",
                "application/xml; charset=utf-8",
                format!("{XML}<response><error>{escaped}</error></response>"),
            ),
            (
                "format=xml&file=1",
                "application/xml; charset=utf-8",
                format!("{XML}<response><error>{escaped}</error></response>"),
            ),
            (
                "format=json&format=yaml",
                "text/yaml; charset=utf-8",
                format!("error: {text}\n"),
            ),
            (
                "format=json",
                "application/json",
                json!({"error": text}).to_string(),
            ),
            (
                "file=1",
                "application/json",
                json!({"error": text}).to_string(),
            ),
            (
                "format=csv",
                "application/json",
                json!({"error": text}).to_string(),
            ),
            (
                "format=nosuch",
                "application/json",
                json!({"error": text}).to_string(),
            ),
        ] {
            // Without permission a download is refused before anything is read.
            if format == "file=1" && path.starts_with("/api/v1/events/") && method == "GET" {
                continue;
            }
            let answer = server
                .call(method, &format!("{path}{join}{format}"), &[], "")
                .await;
            assert_eq!(
                (
                    answer.status,
                    answer.header("content-type"),
                    answer.text.as_str()
                ),
                (status, Some(content_type), body.as_str()),
                "{method} {path} {format}"
            );
        }
    }
    let strict = server
        .get("/api/v1/events/?strict=1&x=1&y=2&format=xml")
        .await;
    assert_eq!(
        strict.text,
        format!(
            "{XML}<response><error>x: unknown parameter, ignored</error><warnings type=\"list\"><value>x: unknown parameter, ignored</value><value>y: unknown parameter, ignored</value></warnings></response>"
        )
    );
    let many = "a=1&".repeat(1_100);
    let many = server
        .get(&format!("/api/v1/events/?{many}format=yaml"))
        .await;
    assert_eq!(
        (many.status, many.header("content-type")),
        (400, Some("text/yaml; charset=utf-8"))
    );
    assert!(many.text.starts_with("error: "), "{}", many.text);
}

#[tokio::test]
async fn x4_e2_what_fails_inside_the_server_has_an_error_message() {
    let server = Server::start().await;
    let answer = server
        .call(
            "POST",
            "/api/v1/events/?format=xml",
            &[("content-type", "application/json")],
            r#"{"panic": "1"}"#,
        )
        .await;
    assert_eq!(answer.status, 500);
    let begin = format!("{XML}<response><error_id>");
    assert!(answer.text.starts_with(&begin), "{}", answer.text);
    assert!(answer.text.ends_with("</error_id><error_message>Sorry, this request could not be processed. Please try again later.</error_message></response>"), "{}", answer.text);
}

#[tokio::test]
async fn q7_answers_to_post_and_patch_are_json() {
    let server = with_one_event().await;
    for format in ["xml", "yaml", "csv", "file"] {
        let post = server
            .call(
                "POST",
                &format!("/api/v1/events/?format={format}"),
                &[("content-type", "application/json")],
                r#"{"title": "x"}"#,
            )
            .await;
        assert_eq!(
            (
                post.status,
                post.header("content-type"),
                &post.json()["return_code"]
            ),
            (200, Some("application/json"), &json!(0))
        );
        let patch = server
            .patch(
                &format!("/api/v1/events/{ID}/?format={format}"),
                &json!({"action": "status_update"}),
            )
            .await;
        assert_eq!(
            (
                patch.status,
                patch.header("content-type"),
                &patch.json()["message"]
            ),
            (200, Some("application/json"), &json!("success!"))
        );
    }
}

#[tokio::test]
async fn q1_q2_the_last_format_in_its_own_spelling_counts() {
    let server = with_one_event().await;
    for (query, expected) in [
        ("format=xml", "application/xml; charset=utf-8"),
        ("format=yaml", "text/yaml; charset=utf-8"),
        ("format=yaml&format=xml", "application/xml; charset=utf-8"),
        ("format=xml&format=json", "application/json"),
        ("format=Xml", "application/json"),
        ("format=html", "application/json"),
        ("format=", "application/json"),
    ] {
        let answer = server.get(&format!("/api/v1/events/?{query}")).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(expected)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn g43_warnings_in_headers_are_one_line_each_whatever_they_quote() {
    let server = with_one_event().await;
    for format in ["json", "xml", "yaml", "csv", "ndjson"] {
        let answer = server
            .get(&format!(
                "/api/v1/events/{ID}/?format={format}&%0d%0aSet-Cookie:%20a=1&c-%E2%80%AE__foo=1"
            ))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let warnings: Vec<&str> = answer
            .headers
            .get_all("x-crits-warning")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert_eq!(
            warnings,
            [
                "c-\\u{202e}__foo: unknown operator, condition ignored",
                "\\u{d}\\u{a}Set-Cookie: a: unknown parameter, ignored"
            ],
            "{format}"
        );
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn csv_of_lists_details_and_sets() {
    let server = Server::start().await;
    let ids: Vec<String> = [
        "000000000000000000000001",
        "000000000000000000000002",
        "000000000000000000000003",
    ]
    .map(String::from)
    .into();
    for (number, id) in ids.iter().enumerate() {
        let title = ["=cmd()", "a \"b\", c\r\nd", "é;x"][number];
        event(&server, id, doc! {"title": title, "size": -1 - number as i64, "bucket_list": ["x", "+y"], "tickets": [{"ticket_number": "1"}]}).await;
    }
    let all = server.get("/api/v1/events/?format=csv").await;
    assert_eq!(
        (all.status, all.header("content-type")),
        (200, Some("text/csv; charset=utf-8; header=present"))
    );
    assert_eq!(
        all.text,
        "_id,schema_version,status,tlp,analyst,description,created,modified,title,event_type,event_id,size\r\n\
         000000000000000000000001,,,red,,,,,'=cmd(),,,-1\r\n\
         000000000000000000000002,,,red,,,,,\"a \"\"b\"\", c\r\nd\",,,-2\r\n\
         000000000000000000000003,,,red,,,,,\"é;x\",,,-3\r\n"
    );
    let only = "only=title,id,source.name,bucket_list,tickets,unsupported_attrs,nosuch";
    let page = server
        .get(&format!(
            "/api/v1/events/?format=csv&{only}&limit=1&offset=2&order_by=size"
        ))
        .await;
    assert_eq!(
        page.text,
        "title,_id,source.name,bucket_list,tickets,unsupported_attrs\r\n'=cmd(),000000000000000000000001,A,\"x;'+y\",\"{\"\"ticket_number\"\":\"\"1\"\"}\",{}\r\n"
    );
    assert_eq!(
        page.header("x-crits-warning"),
        Some("only: unknown field 'nosuch', ignored")
    );
    let detail = server
        .get(&format!(
            "/api/v1/events/{}/?format=csv&only=size,created",
            ids[1]
        ))
        .await;
    assert_eq!(detail.text, "size,created\r\n-2,\r\n");
    let set = server
        .get(&format!(
            "/api/v1/events/set/{};bad;{}/?format=csv&only=id",
            ids[2], ids[0]
        ))
        .await;
    assert_eq!(set.text, format!("_id\r\n{}\r\n{}\r\n", ids[2], ids[0]));
    assert_eq!(
        set.header("x-crits-warning"),
        Some("set: 'bad' was not found")
    );
    let none = server
        .get("/api/v1/events/?format=csv&c-title=none&only=id")
        .await;
    assert_eq!(none.text, "_id\r\n");
    let unsorted = server
        .get("/api/v1/events/?format=csv&sort=size&only=id")
        .await;
    assert_eq!(
        unsorted.header("x-crits-warning"),
        Some("order: without a limit, rows come in ascending order of _id, ignored")
    );
    let strict = server
        .get("/api/v1/events/?format=csv&sort=size&strict=1")
        .await;
    assert_eq!(
        (strict.status, &strict.json()["error"]),
        (
            400,
            &json!("order: without a limit, rows come in ascending order of _id, ignored")
        )
    );
    let schema = server.get("/api/v1/events/schema/?format=csv").await;
    assert_eq!(schema.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn ndjson_is_all_that_matches_and_is_visible_in_order_of_id() {
    let server = Server::start().await;
    let mut writes = Vec::new();
    let source = |name: &str| vec![doc! {"name": name, "instances": [{"tlp": "red"}]}];
    for number in 0..2_500_u32 {
        let id = format!("{:024x}", number + 1);
        writes.push(Write::Insert {
            collection: "events".into(),
            body: doc! {"_id": ObjectId::parse_str(id).unwrap(), "title": format!("e{number}"), "size": i64::from(number % 10), "source": source(if number % 3 == 0 { "B" } else { "A" })},
        });
    }
    for part in writes.chunks(500) {
        let writes = part.to_vec();
        server
            .store
            .commit(WriteSet {
                writes,
                ..WriteSet::default()
            })
            .await
            .unwrap();
    }
    let visible: Vec<String> = (0..2_500)
        .filter(|number| number % 3 != 0)
        .map(|number| format!("e{number}"))
        .collect();
    let lines = |answer: &Answer| -> Vec<Json> {
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("application/x-ndjson"))
        );
        assert!(answer.text.is_empty() || answer.text.ends_with('\n'));
        answer
            .text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let titles = |lines: &[Json]| -> Vec<String> {
        lines
            .iter()
            .map(|line| line["title"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = lines(&server.get("/api/v1/events/?format=ndjson").await);
    assert_eq!(titles(&all), visible);
    assert_eq!(
        (&all[0]["source"], &all[0]["tickets"]),
        (
            &json!([{"name": "A", "instances": [{"tlp": "red"}]}]),
            &json!([])
        )
    );
    let some = lines(
        &server
            .get("/api/v1/events/?format=ndjson&c-size=4&offset=10&only=size")
            .await,
    );
    let expected: Vec<String> = (0..2_500)
        .filter(|number| number % 3 != 0 && number % 10 == 4)
        .map(|number| format!("e{number}"))
        .skip(10)
        .collect();
    assert_eq!(titles(&some), expected);
    assert_eq!(
        some[0].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["_id", "title", "size", "source"]
    );
    let page = lines(
        &server
            .get("/api/v1/events/?format=ndjson&limit=3&sort=-title")
            .await,
    );
    assert_eq!(titles(&page), ["e998", "e997", "e995"]);
    assert_eq!(
        lines(&server.get("/api/v1/events/?format=ndjson&limit=0").await).len(),
        1_000
    );
    assert_eq!(
        lines(
            &server
                .get("/api/v1/events/?format=ndjson&offset=5000")
                .await
        )
        .len(),
        0
    );
    let detail = server
        .get("/api/v1/events/000000000000000000000002/?format=ndjson")
        .await;
    assert_eq!(titles(&lines(&detail)), ["e1"]);
    let admin = server
        .get_as("admin", ADMIN_KEY, "/api/v1/events/?format=ndjson")
        .await;
    assert_eq!(lines(&admin).len(), 2_500);
    let csv = server.get("/api/v1/events/?format=csv&only=title").await;
    assert_eq!(csv.text.lines().skip(1).collect::<Vec<_>>(), visible);
    assert_eq!(
        server
            .get("/api/v1/events/?format=ndjson&limit=x")
            .await
            .status,
        400
    );
    let foreign = server
        .get("/api/v1/events/?format=ndjson&c-source.name=B")
        .await;
    assert_eq!(lines(&foreign).len(), 0);
}

#[tokio::test]
async fn xs2_hostile_text_stays_text_in_every_format() {
    let server = Server::start().await;
    let hostile = "</title><script>alert(1)</script>\u{0}\u{1b}[2J\r\nX: y\u{2028}\u{202e}- !!python/object:x {{7*7}} ${x} ]]> &#0;";
    event(&server, ID, doc! {"title": hostile, "<k>: -": hostile}).await;
    let path = format!("/api/v1/events/{ID}/");
    let json = server.get(&path).await.json();
    assert_eq!(json["title"], hostile);
    let yaml = server.get(&format!("{path}?format=yaml")).await;
    assert_eq!(serde_norway::from_str::<Json>(&yaml.text).unwrap(), json);
    let xml = server.get(&format!("{path}?format=xml")).await;
    let script = "import sys, json, xml.etree.ElementTree as E\no = E.fromstring(sys.stdin.buffer.read())[0][0]\nu = o.find('unsupported_attrs')[0]\nprint(json.dumps([o.find('title').text, u.tag, u.get('name'), u.text, len(list(o))]))";
    let shown = hostile.replace(['\0', '\u{1b}'], "\u{fffd}");
    assert_eq!(
        written_by_python(script, &xml.bytes),
        json!([
            shown,
            "value",
            "<k>: -",
            shown,
            json.as_object().unwrap().len()
        ])
    );
    let lines = server.get(&format!("{path}?format=ndjson")).await;
    assert_eq!(lines.text.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Json>(&lines.text).unwrap(), json);
}
