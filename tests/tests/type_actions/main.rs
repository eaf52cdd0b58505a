//! Actions that one type has (actions.md sections 3 to 5 and 10): a module a type.

mod activity;
mod actor;
mod comment;
mod further;
mod identifiers;
mod indicator;
mod signature;

use anyhow::Result;
use critd_tests::{Json, Server, User, admin, json};

/// A document that actions are tried on.
pub(crate) struct Subject<'a> {
    server: &'a Server,
    resource: &'static str,
    type_name: &'static str,
    id: String,
}

/// A request, what is said, and `error`.
pub(crate) type Refusal = (Json, &'static str, Json);
/// A request, the refusal of whoever lacks the flag, and the flag.
pub(crate) type Guarded = (Json, &'static str, &'static str);

impl<'a> Subject<'a> {
    /// Posts it as the administrator.
    pub(crate) async fn post(
        server: &'a Server,
        resource: &'static str,
        type_name: &'static str,
        form: &[(&str, &str)],
    ) -> Result<Self> {
        let path = format!("/api/v1/{resource}/");
        let id = server.post(&path, form).await?.created_id()?;
        Ok(Self {
            server,
            resource,
            type_name,
            id,
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    fn path(&self) -> String {
        format!("/api/v1/{}/{}/", self.resource, self.id)
    }

    /// The document as the administrator reads it.
    pub(crate) async fn read(&self) -> Result<Json> {
        self.server.document(self.resource, &self.id).await
    }

    /// A PATCH as the administrator; the body of the answer.
    pub(crate) async fn patch(&self, body: &Json) -> Result<Json> {
        self.patch_as(&admin(), body).await
    }

    pub(crate) async fn patch_as(&self, user: &User, body: &Json) -> Result<Json> {
        let answer = self.server.patch_as(user, &self.path(), body).await?;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        Ok(answer.json())
    }

    /// A PATCH that changes the document: the whole answer but `object`, and `modified`. Answers `object`.
    pub(crate) async fn done(&self, body: Json, detail: &str) -> Result<Json> {
        let before = self.read().await?;
        let object = self.succeeds(&body, detail).await?;
        let after = self.read().await?;
        assert_ne!(after["modified"], before["modified"], "ACT-16: {body}");
        Ok(object)
    }

    /// A PATCH that finds nothing to do (ACT-18): success, and not even `modified` changes. Answers `object`.
    pub(crate) async fn idle(&self, body: Json, detail: &str) -> Result<Json> {
        let before = self.read().await?;
        let object = self.succeeds(&body, detail).await?;
        assert_eq!(self.read().await?, before, "ACT-18: {body}");
        Ok(object)
    }

    async fn succeeds(&self, body: &Json, detail: &str) -> Result<Json> {
        let answer = self.patch(body).await?;
        let object = answer["object"].clone();
        assert_eq!(
            answer,
            json!({"return_code": 0, "type": self.type_name, "id": self.id, "message": "success!", "detail": detail, "object": object}),
            "{body}"
        );
        Ok(object)
    }

    /// PATCHes that change nothing, each with its text and its machine-readable half.
    pub(crate) async fn refuses(&self, rows: Vec<Refusal>) -> Result<()> {
        let before = self.read().await?;
        for (body, message, error) in rows {
            let answer = self.patch(&body).await?;
            assert_eq!(
                answer,
                json!({"return_code": 1, "type": self.type_name, "id": self.id, "message": message, "error": error}),
                "{body}"
            );
            assert!(!message.contains("success"), "{message}");
        }
        assert_eq!(self.read().await?, before);
        Ok(())
    }

    /// Whoever may read the document and nothing else is refused with the action's own text; whoever has the flag, and no
    /// other, is not.
    pub(crate) async fn guards(&self, rows: Vec<Guarded>) -> Result<()> {
        let clearance: &[&str] = &["--read", "--tlp", "red,amber,green"];
        let sources = [("Alpha", clearance)];
        let read = format!("{}.read", self.type_name);
        let weak = self.server.add_user("weak", &[&read], &sources)?;
        let before = self.read().await?;
        for (body, message, flag) in &rows {
            let answer = self.patch_as(&weak, body).await?;
            assert_eq!(
                (
                    &answer["return_code"],
                    answer["message"].as_str(),
                    &answer["error"]
                ),
                (
                    &json!(1),
                    Some(*message),
                    &json!({"code": "forbidden", "permission": flag})
                ),
                "{body}"
            );
        }
        assert_eq!(self.read().await?, before);
        for (number, (body, _, flag)) in rows.iter().enumerate() {
            let name = format!("holder{number}");
            let holder = self.server.add_user(&name, &[&read, flag], &sources)?;
            let answer = self.patch_as(&holder, body).await?;
            assert_ne!(answer["error"]["code"], "forbidden", "{body}: {answer}");
        }
        Ok(())
    }
}

/// A machine-readable half of a refusal that names the argument.
pub(crate) fn about(code: &str, argument: &str) -> Json {
    json!({"code": code, "argument": argument})
}

/// The same with what it should have been.
pub(crate) fn not_of_type(argument: &str, expected: &str) -> Json {
    json!({"code": "invalid_type", "argument": argument, "expected": expected})
}

/// The same with a key of the argument.
pub(crate) fn about_key(code: &str, argument: &str, key: &str) -> Json {
    json!({"code": code, "argument": argument, "key": key})
}

pub(crate) fn not_found() -> Json {
    json!({"code": "not_found"})
}
