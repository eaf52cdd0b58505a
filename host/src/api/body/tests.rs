//! Tests of body decoding, named after the rules they show.

use axum::http::HeaderValue;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::endless::{any_of_parts, for_a_while};

/// What a body decodes to: parameters as text, files as `NAME:SIZE:MD5`; or the status and text of the refusal.
async fn decoded(
    content_type: Option<&str>,
    body: impl Into<Vec<u8>>,
) -> Result<(Vec<(String, String)>, Decoded), (u16, String)> {
    let folder = tempfile::tempdir().unwrap();
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    }
    let allowance = Allowance {
        most: 1 << 20,
        folder: folder.path(),
    };
    match decode(&headers, Body::from(body.into()), allowance).await {
        Ok(decoded) => {
            let shown = |value: &Param| match value {
                Param::Text(text) => text.clone(),
                Param::Json(value) => value.to_string(),
                Param::File(file) => {
                    format!("{}:{}:{}", file.name, file.size, hex::encode(file.md5))
                }
            };
            Ok((
                decoded
                    .params
                    .iter()
                    .map(|(name, value)| (name.clone(), shown(value)))
                    .collect(),
                decoded,
            ))
        }
        Err(failure) => {
            let response = failure.response(crate::api::format::Format::Json);
            let status = response.status().as_u16();
            let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
                .await
                .unwrap();
            let body: Json = serde_json::from_slice(&bytes).unwrap();
            Err((
                status,
                body["error"].as_str().unwrap_or_default().to_owned(),
            ))
        }
    }
}

async fn params(content_type: Option<&str>, body: impl Into<Vec<u8>>) -> Vec<(String, String)> {
    decoded(content_type, body)
        .await
        .unwrap_or_else(|error| panic!("{error:?}"))
        .0
}

async fn refusal(content_type: Option<&str>, body: impl Into<Vec<u8>>) -> (u16, String) {
    decoded(content_type, body)
        .await
        .err()
        .unwrap_or_else(|| panic!("was read"))
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

#[tokio::test]
async fn b1_b2_b10_urlencoded_with_and_without_charset() {
    let wanted = pairs(&[("a", "1"), ("b", "x y"), ("a", "é"), ("c", "")]);
    for content_type in [
        FORM,
        Some("application/x-www-form-urlencoded; charset=utf-8"),
        Some("Application/X-WWW-Form-URLEncoded;charset=UTF-8"),
    ] {
        assert_eq!(params(content_type, "a=1&b=x+y&a=%C3%A9&c=").await, wanted);
    }
    assert_eq!(
        refusal(FORM, "filedata=x").await,
        (400, "Filedata only supported in multipart forms.".into())
    );
    assert_eq!(
        refusal(FORM, "a=1&".repeat(1_001)).await,
        (400, "Too many parameters: at most 1000 are read.".into())
    );
}

#[tokio::test]
async fn b4_json_with_and_without_content_type() {
    for content_type in [
        None,
        Some("application/json"),
        Some("application/json; charset=utf-8"),
    ] {
        assert_eq!(
            params(content_type, r#"{"a": 1, "b": [true, null], "a": "last"}"#).await,
            pairs(&[("a", r#""last""#), ("b", "[true,null]")])
        );
    }
    for body in [
        "{",
        "{'a': 1}",
        "{\"a\": NaN}",
        "{\"a\": 1e400}",
        "{} x",
        "http://example.com/",
        "\u{0}",
    ] {
        assert_eq!(
            refusal(None, body).await,
            (400, "Request is not valid JSON.".into()),
            "{body}"
        );
    }
    for body in ["[1]", "\"x\"", "7", "null", "true"] {
        assert_eq!(
            refusal(None, body).await,
            (400, "Request body must be a JSON object.".into()),
            "{body}"
        );
    }
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(refusal(None, deep).await.0, 400);
}

#[tokio::test]
async fn b5_xml() {
    let body = r#"<?xml version='1.0' encoding='utf-8'?>
        <object><title>a &lt;b&gt; &#233;</title><n type="integer">7</n><f type="float">1.5</f><t type="boolean">True</t><z type="null"/><empty/>
        <ticket type="hash"><ticket_number>1</ticket_number></ticket><list type="list"><value>x</value><value>y</value></list><cdata><![CDATA[<raw>]]></cdata></object>"#;
    let wanted = pairs(&[
        ("title", "\"a <b> é\""),
        ("n", "7"),
        ("f", "1.5"),
        ("t", "true"),
        ("z", "null"),
        ("empty", "\"\""),
        ("ticket", r#"{"ticket_number":"1"}"#),
        ("list", r#"["x","y"]"#),
        ("cdata", "\"<raw>\""),
    ]);
    for content_type in ["application/xml", "text/xml; charset=utf-8"] {
        assert_eq!(params(Some(content_type), body).await, wanted);
    }
    assert_eq!(
        params(
            Some("text/xml"),
            "<request><object><a>1</a></object></request>"
        )
        .await,
        pairs(&[("a", "\"1\"")])
    );
    assert_eq!(
        params(Some("text/xml"), "<request><a>1</a></request>").await,
        pairs(&[("a", "\"1\"")])
    );
    let bomb =
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><object><a>&b;</a></object>";
    let external =
        "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><object><a>&a;</a></object>";
    let deep = format!(
        "<object>{}{}</object>",
        "<a>".repeat(10_000),
        "</a>".repeat(10_000)
    );
    for body in [
        "<object>",
        "<a/>",
        "x",
        "<object/><object/>",
        "<object>&undefined;</object>",
        "<object></request>",
        bomb,
        external,
        deep.as_str(),
        "<object><n type=\"integer\">x</n></object>",
    ] {
        assert_eq!(
            refusal(Some("application/xml"), body).await,
            (400, "Request is not valid XML.".into()),
            "{body:.60}"
        );
    }
}

#[tokio::test]
async fn b6_yaml() {
    let body = "title: a title\nn: 7\nlist: [x, 2]\nmap: {k: v}\nno: ~\nshared: &s [1]\nagain: *s\ntagged: !!python/object:x {k: 1}\n";
    let wanted = pairs(&[
        ("title", "\"a title\""),
        ("n", "7"),
        ("list", "[\"x\",2]"),
        ("map", r#"{"k":"v"}"#),
        ("no", "null"),
        ("shared", "[1]"),
        ("again", "[1]"),
        ("tagged", r#"{"k":1}"#),
    ]);
    for content_type in [
        "text/yaml",
        "application/yaml",
        "application/x-yaml; charset=utf-8",
    ] {
        assert_eq!(params(Some(content_type), body).await, wanted);
    }
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    for body in ["a: [", "a: !local x", "a: .nan", "[1]: 2", bomb.as_str()] {
        assert_eq!(
            refusal(Some("text/yaml"), body).await,
            (400, "Request is not valid YAML.".into()),
            "{body:.60}"
        );
    }
    assert_eq!(
        refusal(Some("text/yaml"), deep).await,
        (400, "Request body is nested too deep.".into())
    );
    for body in [
        "- 1\n- 2\n",
        "!!python/object/apply:os.system ['x']",
        "text",
    ] {
        assert_eq!(
            refusal(Some("text/yaml"), body).await,
            (400, "Request body must be a YAML mapping.".into()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn b7_other_types() {
    assert_eq!(
        refusal(Some("text/plain"), "x").await,
        (415, "Unsupported content type 'text/plain'.".into())
    );
    assert_eq!(
        refusal(Some(""), "{}").await,
        (415, "Unsupported content type ''.".into())
    );
}

#[tokio::test]
async fn an_empty_body_is_an_empty_parameter_set() {
    for content_type in [
        None,
        Some("application/json"),
        FORM,
        Some("text/xml"),
        Some("text/yaml"),
        Some("text/plain"),
    ] {
        assert_eq!(
            params(content_type, "").await,
            pairs(&[]),
            "{content_type:?}"
        );
    }
}

const MULTIPART: Option<&str> = Some("multipart/form-data; boundary=XX");

fn part(disposition: &str, content: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
}

#[tokio::test]
async fn b3_b8_b13_o01_multipart() {
    let file = "evil.exe:3:900150983cd24fb0d6963f7d28e17f72";
    let body = part("name=\"source\"", "A")
        + &part("name=\"filedata\"; filename=\"C:\\dir\\evil.exe\"", "abc")
        + &part("name=\"filedata\"", "text")
        + "--XX--\r\n";
    assert_eq!(
        params(MULTIPART, body).await,
        pairs(&[("source", "A"), ("filedata", file)])
    );
    let text_only = part("name=filedata", "~/message.eml") + "--XX--\r\n";
    assert_eq!(
        params(MULTIPART, text_only).await,
        pairs(&[("filedata", "~/message.eml")])
    );
    let other_file_alone =
        part("name=\"x\"; filename=\"a\"", "abc") + &part("name=\"x\"", "text") + "--XX--\r\n";
    assert_eq!(
        params(MULTIPART, other_file_alone).await,
        pairs(&[("x", "text")])
    );
    let left_empty =
        part("name=\"filedata\"; filename=\"\"", "") + &part("name=\"a\"", "1") + "--XX--";
    assert_eq!(params(MULTIPART, left_empty).await, pairs(&[("a", "1")]));
    for (content_type, body) in [
        (Some("multipart/form-data"), "x".to_owned()),
        (MULTIPART, "nothing".to_owned()),
        (MULTIPART, part("name=\"a\"", "1")),
    ] {
        assert_eq!(
            refusal(content_type, body).await,
            (400, "Request is not valid multipart/form-data.".into())
        );
    }
    let many = part("name=\"a\"", "1").repeat(1_001) + "--XX--";
    assert_eq!(
        refusal(MULTIPART, many).await,
        (400, "Too many parameters: at most 1000 are read.".into())
    );
}

#[tokio::test]
async fn o26_file_names_in_any_unicode() {
    let rows: [(&[u8], &str); 6] = [
        ("filename=\"übung.exe\"".as_bytes(), "übung.exe"),
        ("filename=\"发票.scr\"".as_bytes(), "发票.scr"),
        (
            b"filename=\"x.exe\"; filename*=UTF-8''%e2%82%ac.exe",
            "€.exe",
        ),
        (b"filename=\"a\xff.exe\"", "a\u{fffd}.exe"),
        (b"filename=\"../../etc/pass;wd\"", "pass;wd"),
        (b"filename=\"quo\\\"te\"; x=y", "quo\"te"),
    ];
    for (disposition, name) in rows {
        let mut body = b"--XX\r\nContent-Disposition: form-data; name=\"filedata\"; ".to_vec();
        body.extend_from_slice(disposition);
        body.extend_from_slice(b"\r\n\r\nabc\r\n--XX--\r\n");
        let (_, decoded) = decoded(MULTIPART, body).await.unwrap();
        let Some((_, Param::File(file))) = decoded.params.first() else {
            panic!("no file for {name}")
        };
        assert_eq!((file.name.as_str(), file.size), (name, 3));
    }
}

#[tokio::test]
async fn a4_a6_credentials_in_bodies_are_taken_out() {
    let multipart = part("name=\"username\"", "u")
        + &part("name=\"a\"", "1")
        + &part("name=\"api_key\"", "k")
        + "--XX--";
    let rows = [
        (FORM, "username=x&username=u&a=1&api_key=k".to_owned(), "1"),
        (MULTIPART, multipart, "1"),
        (
            None,
            json!({"username": "u", "a": "1", "api_key": "k"}).to_string(),
            "\"1\"",
        ),
        (
            Some("text/xml"),
            "<object><username>u</username><a>1</a><api_key>k</api_key></object>".to_owned(),
            "\"1\"",
        ),
        (
            Some("text/yaml"),
            "username: u\napi_key: k\na: '1'\n".to_owned(),
            "\"1\"",
        ),
    ];
    for (content_type, body, one) in rows {
        let (params, decoded) = decoded(content_type, body).await.unwrap();
        assert_eq!(params, pairs(&[("a", one)]), "{content_type:?}");
        assert_eq!(
            (decoded.username.as_deref(), decoded.api_key.as_deref()),
            (Some("u"), Some("k")),
            "{content_type:?}"
        );
    }
    for value in [
        json!(null),
        json!({"$ne": 1}),
        json!([]),
        json!(7),
        json!(""),
    ] {
        let (params, decoded) =
            decoded(None, json!({"username": "u", "api_key": value}).to_string())
                .await
                .unwrap();
        assert!(params.is_empty() && decoded.api_key.is_none());
    }
}

#[tokio::test]
async fn l1_bodies_that_are_too_large() {
    let large = vec![b'a'; (1 << 20) + 1];
    for content_type in [None, FORM, Some("text/xml")] {
        assert_eq!(
            refusal(content_type, large.clone()).await,
            (413, "Request body too large.".into())
        );
    }
    let file = part("name=\"filedata\"; filename=\"a\"", &"a".repeat(1 << 20)) + "--XX--";
    assert_eq!(
        refusal(MULTIPART, file).await,
        (413, "Request body too large.".into())
    );
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("1048577"));
    assert!(announces_too_much(&headers, 1 << 20) && !announces_too_much(&headers, 1 << 21));
}

/// A part whose headers never end must not be collected in memory.
#[tokio::test]
async fn qy11_endless_part_headers_are_refused() {
    let pieces =
        (0..200).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b'a'; 64 << 10])));
    let begin = Ok(bytes::Bytes::from_static(b"--XX\r\nX-Long: "));
    let body = Body::from_stream(futures_util::stream::iter(
        std::iter::once(begin).chain(pieces),
    ));
    let folder = tempfile::tempdir().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("multipart/form-data; boundary=XX"),
    );
    let refused = decode(
        &headers,
        body,
        Allowance {
            most: u64::MAX,
            folder: folder.path(),
        },
    )
    .await
    .unwrap_err();
    assert!(matches!(refused, Failure::BadRequest(_)), "{refused:?}");
}

/// A parser that looks at all that is open for each mark takes time that grows with the square of their number.
#[test]
fn qy11_what_is_nested_without_end_is_refused_at_once() {
    let marks = 300_000;
    for (form, begin, mark) in [
        (Form::Yaml, "a: ", "["),
        (Form::Yaml, "a: ", "{"),
        (Form::Yaml, "a: ", "[a, {b: "),
        (Form::Yaml, "", "- "),
        (Form::Yaml, "", "? "),
        (Form::Yaml, "", "? - "),
        (Form::Yaml, "", "a: &a "),
        (Form::Yaml, "a: ", "!x "),
        (Form::Xml, "", "<a>"),
        (Form::Xml, "<a>", "&lt;<b>"),
        (Form::Json, "{\"a\": ", "["),
        (Form::Json, "", "{\"a\": "),
    ] {
        let text = format!("{begin}{}", mark.repeat(marks));
        let began = std::time::Instant::now();
        let outcome = read(form, text.as_bytes());
        println!("{form:?} {mark:?}: {:?}", began.elapsed());
        assert!(
            matches!(outcome, Err(Failure::BadRequest(_))),
            "{form:?} {mark}"
        );
    }
}

const XML: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "<a>",
    "</a>",
    "<a type=\"list\">",
    " type=\"integer\"",
    " type='hash'",
    "<request>",
    "</request>",
    "<value>",
    "</value>",
    "12",
    "true",
    "&amp;",
    "&#x41;",
    "&#0;",
    "&x;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?xml version=\"1.0\"?>",
    "<!DOCTYPE x [<!ENTITY x \"y\">]>",
    "<?x?>",
    "é",
    "\0",
    "\"",
    "=",
];
const YAML: &[&str] = &[
    "a",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\n- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "|",
    ">",
    "&x ",
    "*x",
    "<<: ",
    "!!str ",
    "!!binary ",
    "!x ",
    "---",
    "...",
    "%YAML 1.1",
    "#",
    "? ",
    "~",
    "12",
    "0x1F",
    "1e3",
    ".inf",
    "yes",
    "2020-01-02",
    "é",
    "\0",
    "\t",
    "\\u0041",
];
const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"a\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "12",
    "-0",
    "1e400",
    "18446744073709551616",
    "true",
    "null",
    "NaN",
    "\u{feff}",
    "é",
    " ",
];

#[test]
fn qy11_qy13_any_text_of_any_form_is_read_or_refused() {
    let form = |form: Form, parts| any_of_parts(parts, 30).prop_map(move |text| (form, text));
    let any = prop_oneof![
        form(Form::Xml, XML),
        form(Form::Yaml, YAML),
        form(Form::Json, JSON),
    ];
    for_a_while(any, |(form, text)| {
        match read(form, text.as_bytes()) {
            Ok(decoded) => {
                for (name, _) in decoded.params {
                    prop_assert!(name != USERNAME && name != API_KEY);
                }
            }
            Err(Failure::BadRequest(message)) => prop_assert!(message.len() < 500, "{}", message),
            Err(other) => prop_assert!(false, "{:?}", other),
        }
        Ok(())
    });
}

const PARTS: &[&str] = &[
    "--b\r\n",
    "--b",
    "--b--",
    "\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "Content-Disposition: form-data",
    "; name=\"a\"",
    "; name=filedata",
    "; filename=\"x\"",
    "; filename*=UTF-8''%e2%82%ac",
    "; filename*=",
    "Content-Type: text/plain",
    "Content-Transfer-Encoding: base64",
    ":",
    ";",
    "=",
    "\"",
    "\\",
    "é",
    "\0",
    "value",
];

#[test]
fn qy13_any_multipart_body_is_read_or_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let any = prop_oneof![
        any_of_parts(PARTS, 40).prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    for_a_while(any, |body| {
        let outcome = runtime.block_on(decoded(Some("multipart/form-data; boundary=b"), body));
        if let Err((status, message)) = outcome {
            prop_assert_eq!(status, 400, "{}", message);
            prop_assert!(!message.is_empty() && message.len() < 500);
        }
        Ok(())
    });
}
