//! Envelopes of POST and PATCH (core-api 12.2, 12.3, 13.1 to 13.3).

use super::*;

fn refusal(message: &str, code: &str) -> Refusal {
    Refusal {
        message: message.into(),
        error: [("code".to_owned(), Json::from(code))]
            .into_iter()
            .collect(),
    }
}

#[tokio::test]
async fn b9_b12_a_form_reaches_the_handler_without_the_query() {
    let server = Server::start().await;
    let form = [(
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    )];
    server
        .call(
            "POST",
            "/api/v1/events/?source=q&title=q",
            &form,
            "title=a&title=b&x=",
        )
        .await;
    let seen = server.last();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        (seen.what.as_str(), seen.params, seen.dry_run),
        (
            "POST events",
            vec![pair("title", "a"), pair("title", "b"), pair("x", "")],
            false
        )
    );
    server
        .call("POST", "/api/v1/events/?dry_run=1", &[], "")
        .await;
    assert!(server.last().dry_run && server.last().params.is_empty());
}

#[tokio::test]
async fn o01_files_are_staged_and_go_with_the_request() {
    let server = Server::start().await;
    let body = "--X\r\nContent-Disposition: form-data; name=\"filedata\"; filename=\"a.pcap\"\r\n\r\nabc\r\n--X--\r\n";
    server
        .call(
            "POST",
            "/api/v1/events/",
            &[("content-type", "multipart/form-data; boundary=X")],
            body,
        )
        .await;
    assert_eq!(
        server.last().params,
        [("filedata".to_owned(), "file a.pcap 3".to_owned())]
    );
    let left = std::fs::read_dir(server.store.staging_folder())
        .unwrap()
        .filter(|entry| {
            entry
                .as_ref()
                .is_ok_and(|entry| entry.path().extension().is_some_and(|kind| kind == "part"))
        })
        .count();
    assert_eq!(left, 0, "nothing is left of a file that nobody kept");
}

#[tokio::test]
async fn b14_b16_b23_envelope_of_a_success() {
    let server = Server::start().await;
    let id = ObjectId::new();
    let url = format!("/api/v1/events/{id}/");
    let prepare = |fresh: bool| {
        let extra = [
            ("return_code".to_owned(), json!(7)),
            ("further".to_owned(), json!("kept")),
        ]
        .into_iter()
        .collect();
        *server.recorder.create.lock().unwrap() = Some(Ok(Created {
            fresh,
            extra,
            warnings: vec!["careful".into()],
            ..made(Some(id))
        }));
    };
    prepare(true);
    let answer = server
        .call("POST", "/api/v1/events/?format=xml", &[], "{}")
        .await;
    assert_eq!(
        (
            answer.status,
            answer.header("location"),
            answer.header("content-type")
        ),
        (200, Some(url.as_str()), Some("application/json"))
    );
    assert_eq!(
        answer.json(),
        json!({"return_code": 0, "type": "Event", "message": "made", "id": id.to_hex(), "url": url, "created": true, "warnings": ["careful"], "further": "kept"})
    );
    let rows: [(&str, &[Header<'_>], bool, u16); 4] = [
        ("?created_status=201", &[], true, 201),
        ("", &[("prefer", "status=201")], true, 201),
        ("?created_status=201", &[], false, 200),
        ("?created_status=200", &[], true, 200),
    ];
    for (query, headers, fresh, status) in rows {
        prepare(fresh);
        assert_eq!(
            server
                .call("POST", &format!("/api/v1/events/{query}"), headers, "{}")
                .await
                .status,
            status,
            "{query} {fresh}"
        );
    }
    server.set("post_created_status", "201").await;
    prepare(true);
    assert_eq!(
        server
            .call("POST", "/api/v1/events/", &[], "{}")
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn b17_b22_envelope_of_a_refusal() {
    let server = Server::start().await;
    let refuse = || {
        *server.recorder.create.lock().unwrap() = Some(Err(NotDone::Refused(refusal(
            "No source.",
            "missing_argument",
        ))))
    };
    refuse();
    let answer = server
        .call("POST", "/api/v1/events/?created_status=201", &[], "{}")
        .await;
    assert_eq!((answer.status, answer.header("location")), (200, None));
    assert_eq!(
        answer.json(),
        json!({"return_code": 1, "type": "Event", "message": "No source.", "id": "", "created": false, "error": {"code": "missing_argument"}})
    );
    refuse();
    let answer = server
        .call("POST", "/api/v1/campaigns/", &[], "{}")
        .await
        .json();
    assert_eq!(
        (&answer["type"], answer.get("id"), answer.get("url")),
        (&json!("Campaign"), None, None)
    );
}

#[tokio::test]
async fn busy_and_internal_failures_of_handlers() {
    let server = Server::start().await;
    *server.recorder.create.lock().unwrap() = Some(Err(NotDone::Busy("queue is full".into())));
    let busy = server.call("POST", "/api/v1/events/", &[], "{}").await;
    assert_eq!(
        (busy.status, busy.text.as_str(), busy.header("retry-after")),
        (
            503,
            r#"{"error":"The server is busy. Please try again later."}"#,
            Some("1")
        )
    );
    *server.recorder.create.lock().unwrap() = Some(Err(NotDone::Internal("secret details".into())));
    let internal = server.call("POST", "/api/v1/events/", &[], "{}").await;
    assert!(
        internal.status == 500 && !internal.text.contains("secret"),
        "{}",
        internal.text
    );
}

#[tokio::test]
async fn p13a_p14a_p15a_envelope_of_an_action() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "one"}).await;
    let path = format!("/api/v1/events/{}/", id.to_hex().to_uppercase());
    let extra = [
        ("object".to_owned(), json!({"status": "New"})),
        ("message".to_owned(), json!("no")),
    ]
    .into_iter()
    .collect();
    *server.recorder.perform.lock().unwrap() = Some(Ok(Performed {
        detail: "Status set.".into(),
        extra,
        ignored_arguments: vec!["x".into()],
        warnings: vec!["w".into()],
        is_repeated: false,
        changed: Vec::new(),
    }));
    let answer = server
        .patch(
            &path,
            &json!({"action": "status_update", "value": "New", "x": 1}),
        )
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({"return_code": 0, "type": "Event", "id": id.to_hex(), "message": "success!", "detail": "Status set.", "ignored_arguments": ["x"], "warnings": ["w"], "object": {"status": "New"}})
    );
    assert_eq!(
        server.last().what,
        format!("PATCH events {id} status_update")
    );
    *server.recorder.perform.lock().unwrap() = Some(Err(NotDone::Refused(refusal(
        "'x' is not a valid action.",
        "unknown_action",
    ))));
    let refused = server.patch(&path, &json!({"action": "x"})).await;
    assert_eq!(
        (refused.status, refused.json()),
        (
            200,
            json!({"return_code": 1, "type": "Event", "id": id.to_hex(), "message": "'x' is not a valid action.", "error": {"code": "unknown_action"}})
        )
    );
}

#[tokio::test]
async fn p4a_p5a_o46_o47_where_actions_and_arguments_come_from() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "one"}).await;
    let what = |action: &str| format!("PATCH events {id} {action}");
    server
        .call(
            "PATCH",
            &format!("/api/v1/events//{id}/?action=a&name=A"),
            &[],
            "",
        )
        .await;
    assert_eq!(
        (server.last().what, server.last().params),
        (what("a"), vec![("name".to_owned(), "A".to_owned())])
    );
    server
        .call(
            "PATCH",
            &format!("/api/v1/events/{id}/?action=a&name=A"),
            &[],
            r#"{"action":"b","value":"v"}"#,
        )
        .await;
    assert_eq!(
        (server.last().what, server.last().params),
        (what("b"), vec![("value".to_owned(), "\"v\"".to_owned())])
    );
    server
        .call("PATCH", &format!("/api/v1/events/{id}/"), &[], "")
        .await;
    assert_eq!(server.last().what, what("None"));
}

#[tokio::test]
async fn act1_no_such_document_comes_before_what_is_wrong_with_the_body() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "one"}).await;
    let hidden = server
        .insert("events", &["B"], doc! {"title": "hidden"})
        .await;
    let json_body = [("content-type", "application/json")];
    for (path, status) in [
        (format!("/api/v1/events/{id}/"), 400),
        (format!("/api/v1/events/{hidden}/"), 404),
        ("/api/v1/events/bad/".to_owned(), 404),
    ] {
        assert_eq!(
            server.call("PATCH", &path, &json_body, "{").await.status,
            status,
            "{path}"
        );
    }
    assert_eq!(
        server.patch("/api/v1/events/bad/", &json!({})).await.status,
        404
    );
    *server.recorder.perform.lock().unwrap() = Some(Err(NotDone::NoDocument));
    let none = server
        .patch(
            &format!("/api/v1/events/{hidden}/"),
            &json!({"action": "a"}),
        )
        .await;
    assert_eq!(
        (none.status, none.text.as_str()),
        (404, r#"{"error":"Not found."}"#)
    );
}
