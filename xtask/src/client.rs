//! A client of the API: one keep-alive connection a value.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::time::Duration;
use ureq::Agent;

/// How long many objects in one request may take.
const LONGEST_BULK: Duration = Duration::from_secs(900);

/// One user's connection to a server.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    authorization: String,
}

/// What the server says about something posted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// Stored; the object's id, where the answer has one.
    Stored(String),
    /// Not stored; the id of what is already there, where the answer has one, and the server's text.
    Refused {
        existing: Option<String>,
        message: String,
    },
}

impl Client {
    pub(crate) fn new(address: &str, user: &str, key: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self {
            agent: config.into(),
            base: format!("http://{address}/api/v1"),
            authorization: format!("ApiKey {user}:{key}"),
        }
    }

    /// GET of a path below `/api/v1`.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let text = self.get_text(path)?;
        serde_json::from_str(&text).with_context(|| format!("GET {path} answered no JSON"))
    }

    /// GET of a path below `/api/v1`, not read further: for times that are not to hold those of a parser.
    pub(crate) fn get_text(&self, path: &str) -> Result<String> {
        let url = format!("{}{path}", self.base);
        let mut response = self
            .agent
            .get(&url)
            .header("Authorization", &self.authorization)
            .call()
            .with_context(|| format!("GET {url}"))?;
        let status = response.status();
        let text = response
            .body_mut()
            .read_to_string()
            .with_context(|| format!("GET {url}"))?;
        if status != 200 {
            bail!("GET {url} answered {status}: {text}");
        }
        Ok(text)
    }

    /// How many objects of a resource the user sees.
    pub(crate) fn count(&self, resource: &str) -> Result<u64> {
        let page = self.get(&format!("/{resource}/?limit=1"))?;
        page["meta"]["total_count"]
            .as_u64()
            .with_context(|| format!("/{resource}/ answered no total_count"))
    }

    /// POST of form parameters to a resource.
    pub(crate) fn post(&self, resource: &str, form: &[(&str, &str)]) -> Result<Posted> {
        let url = format!("{}/{resource}/", self.base);
        let response = self
            .agent
            .post(&url)
            .header("Authorization", &self.authorization)
            .send_form(form.iter().copied());
        Ok(verdict(&answer(&url, response)?))
    }

    /// POST of many objects, a line of JSON each, in one request: how many were stored.
    ///
    /// One that is refused is an error.
    pub(crate) fn post_many(&self, resource: &str, lines: &str) -> Result<usize> {
        let url = format!("{}/{resource}/?bulk=1", self.base);
        let mut response = self
            .agent
            .post(&url)
            .config()
            .timeout_global(Some(LONGEST_BULK))
            .build()
            .header("Authorization", &self.authorization)
            .header("Content-Type", "application/x-ndjson")
            .send(lines)
            .with_context(|| format!("POST {url}"))?;
        let answers = response
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_string()
            .with_context(|| format!("POST {url}"))?;
        let refused = answers
            .lines()
            .find(|line| !line.contains("\"return_code\":0"));
        if let Some(line) = refused {
            bail!("POST {url}: {line}");
        }
        Ok(answers.lines().count())
    }

    /// PATCH of an object: one action with its arguments, the answer in short.
    pub(crate) fn act(
        &self,
        resource: &str,
        id: &str,
        query: &str,
        body: &Value,
    ) -> Result<Posted> {
        Ok(verdict(
            &self.patch(&format!("/{resource}/{id}/{query}"), body)?,
        ))
    }

    /// PATCH of an object: one action with its arguments, the whole answer.
    pub(crate) fn act_whole(&self, resource: &str, id: &str, body: &Value) -> Result<Value> {
        self.patch(&format!("/{resource}/{id}/"), body)
    }

    fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}", self.base);
        let request = self
            .agent
            .patch(&url)
            .header("Authorization", &self.authorization);
        answer(&url, request.send_json(body))
    }
}

fn answer(
    url: &str,
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Value> {
    let mut response = response.with_context(|| format!("request to {url}"))?;
    let status = response.status();
    let text = response
        .body_mut()
        .read_to_string()
        .with_context(|| format!("answer of {url}"))?;
    if status.as_u16() == 401 || status.is_server_error() {
        bail!("{url} answered {status}: {text}");
    }
    serde_json::from_str(&text)
        .with_context(|| format!("{url} answered {status} without JSON: {text}"))
}

fn verdict(answer: &Value) -> Posted {
    let id = answer["id"]
        .as_str()
        .filter(|id| !id.is_empty())
        .map(str::to_owned);
    if answer["return_code"] == 0 {
        return Posted::Stored(id.unwrap_or_default());
    }
    let message = ["message", "error_message", "error"]
        .iter()
        .find_map(|key| answer[key].as_str())
        .map_or_else(|| answer.to_string(), |text| text.trim().to_owned());
    Posted::Refused {
        existing: id,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_with_code_0_is_stored() {
        let answer = json!({"return_code": 0, "id": "507f1f77bcf86cd799439011", "type": "Domain"});
        assert_eq!(
            verdict(&answer),
            Posted::Stored("507f1f77bcf86cd799439011".into())
        );
    }

    #[test]
    fn a_refusal_keeps_the_servers_words_without_the_blanks_around_them() {
        let answer = json!({"return_code": 1, "message": " No valid TLD found "});
        let expected = Posted::Refused {
            existing: None,
            message: "No valid TLD found".into(),
        };
        assert_eq!(verdict(&answer), expected);
    }

    #[test]
    fn a_duplicate_names_what_is_there() {
        let answer = json!({"return_code": 1, "id": "abc", "message": "exists"});
        let expected = Posted::Refused {
            existing: Some("abc".into()),
            message: "exists".into(),
        };
        assert_eq!(verdict(&answer), expected);
    }
}
