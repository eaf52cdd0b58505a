//! Who asked for what, and when.

use crate::sys::call;
use crate::{Date, Fault, ObjectId, invalid, refused};

/// The call that is being answered. All answers stay the same during a call.
#[derive(Debug, Clone, Copy)]
pub struct Call;

impl Call {
    /// Name of the user on whose behalf the call runs.
    #[must_use]
    pub fn user(&self) -> String {
        call::user()
    }

    /// PATCH action, or "" in a create.
    #[must_use]
    pub fn action(&self) -> String {
        call::action()
    }

    /// Type of the document, or of what is to be created: `Domain`.
    #[must_use]
    pub fn type_name(&self) -> String {
        call::type_name()
    }

    /// Time of the request.
    #[must_use]
    pub fn now(&self) -> Date {
        Date::from_millis(call::now())
    }

    /// A new object id; none only if the host breaks its promise.
    #[must_use]
    pub fn new_id(&self) -> Option<ObjectId> {
        ObjectId::parse(&call::new_id())
    }

    /// Random bytes, at most 1,024 a call.
    #[must_use]
    pub fn random(&self, len: u32) -> Vec<u8> {
        call::random(len)
    }

    /// A random UUID (version 4) as text.
    #[must_use]
    pub fn random_uuid(&self) -> String {
        let mut bytes = self.random(16);
        bytes.resize(16, 0);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        uuid_text(&bytes)
    }

    /// Does the user hold this permission flag? `PCAP.write`; without a type the call's type is meant: `name_edit`.
    #[must_use]
    pub fn may(&self, flag: &str) -> bool {
        call::may(flag)
    }

    /// The user must hold this flag: for types that check it themselves, at its place (`permission_check = "within"`).
    ///
    /// # Errors
    ///
    /// The text of rule B18.
    pub fn require(&self, flag: &str) -> Result<(), Fault> {
        if self.may(flag) {
            Ok(())
        } else {
            Err(refused(
                "forbidden",
                "User does not have permission to create Object.",
            ))
        }
    }

    /// The fault for an argument that is needed only beside others, and was not sent (core-api 13.3).
    #[must_use]
    pub fn missing_argument(&self, name: &str) -> Fault {
        let action = self.action();
        invalid(
            name,
            [
                "Missing required argument '",
                name,
                "' for action '",
                &action,
                "'.",
            ]
            .concat(),
        )
    }

    /// May the user add things under this source? False for unknown sources.
    #[must_use]
    pub fn may_write(&self, source: &str) -> bool {
        call::may_write(source)
    }

    /// A server setting that the operator made readable for plugins.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<String> {
        call::setting(name)
    }

    /// 0 for the client's request, 1 for a create within it, …
    #[must_use]
    pub fn depth(&self) -> u32 {
        call::depth()
    }

    /// Adds a sentence to `warnings` of the answer.
    pub fn warn(&self, message: &str) {
        call::warn(message);
    }

    /// `text` for a message that names an object: plain, or with the setting `html_messages` a link to its page of the
    /// web interface, made of the parts of the path (create.md 1.6: `["domains", "details", name]`).
    #[must_use]
    pub fn link(&self, path: &[&str], text: &str) -> String {
        match self.setting("html_messages").as_deref() {
            Some("true" | "on" | "yes" | "1") => anchor(path, text),
            _ => text.to_owned(),
        }
    }
}

fn anchor(path: &[&str], text: &str) -> String {
    let mut out = String::from("<a href=\"/");
    for part in path {
        for byte in part.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    out.push(byte.into())
                }
                _ => {
                    out.push('%');
                    push_hex(&mut out, byte, b'A');
                }
            }
        }
        out.push('/');
    }
    out.push_str("\">");
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out + "</a>"
}

fn uuid_text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        push_hex(&mut out, *byte, b'a');
    }
    out
}

fn push_hex(out: &mut String, byte: u8, ten: u8) {
    for digit in [byte >> 4, byte & 15] {
        out.push(
            if digit < 10 {
                b'0' + digit
            } else {
                ten + digit - 10
            }
            .into(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{anchor, uuid_text};

    #[test]
    fn create_1_6_links_escape_what_they_show() {
        assert_eq!(
            anchor(&["actors", "details", "5b2c"], "A <b> & c"),
            "<a href=\"/actors/details/5b2c/\">A &lt;b&gt; &amp; c</a>"
        );
        assert_eq!(
            anchor(&["ips", "details", "::1"], "::1"),
            "<a href=\"/ips/details/%3A%3A1/\">::1</a>"
        );
    }

    #[test]
    fn uuids_have_their_hyphens() {
        assert_eq!(
            uuid_text(&[0xab; 16]),
            "abababab-abab-abab-abab-abababababab"
        );
    }
}
