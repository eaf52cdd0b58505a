//! Where an answer is written to, value by value: one implementation for each format.

/// A format being written. Calls come nested rightly: between `begin_object` and `end_object` each value follows its
/// `key`.
pub(in crate::api) trait Sink {
    /// An object begins.
    fn begin_object(&mut self);
    /// The name of the value that follows.
    fn key(&mut self, name: &str);
    /// The object ends.
    fn end_object(&mut self);
    /// A list begins.
    fn begin_list(&mut self);
    /// The list ends.
    fn end_list(&mut self);
    /// A text.
    fn text(&mut self, text: &str);
    /// A whole number.
    fn whole(&mut self, number: i64);
    /// A finite number.
    fn number(&mut self, number: f64);
    /// Yes or no.
    fn flag(&mut self, flag: bool);
    /// Nothing.
    fn null(&mut self);
    /// A value of the host's own, such as `meta`.
    fn value(&mut self, value: &serde_json::Value) {
        match value {
            serde_json::Value::Null => self.null(),
            serde_json::Value::Bool(flag) => self.flag(*flag),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => self.whole(number),
                (None, Some(number)) => self.number(number),
                (None, None) => self.null(),
            },
            serde_json::Value::String(text) => self.text(text),
            serde_json::Value::Array(elements) => {
                self.begin_list();
                elements.iter().for_each(|element| self.value(element));
                self.end_list();
            }
            serde_json::Value::Object(members) => {
                self.begin_object();
                for (name, value) in members {
                    self.key(name);
                    self.value(value);
                }
                self.end_object();
            }
        }
    }
}

/// What an answer says, in whatever format it is asked for.
pub(in crate::api) trait Content {
    /// Writes all of it.
    fn write(&self, sink: &mut impl Sink);

    /// About how many bytes that takes.
    fn size(&self) -> usize {
        512
    }
}

impl Content for serde_json::Value {
    fn write(&self, sink: &mut impl Sink) {
        sink.value(self);
    }
}

/// JSON without superfluous space.
#[derive(Debug, Default)]
pub(in crate::api) struct JsonSink {
    written: Vec<u8>,
}

impl JsonSink {
    /// With room for about so many bytes.
    pub(in crate::api) fn with_capacity(bytes: usize) -> Self {
        Self {
            written: Vec::with_capacity(bytes),
        }
    }

    /// What was written.
    pub(in crate::api) fn into_bytes(self) -> Vec<u8> {
        self.written
    }

    /// A comma, unless this is the first value of its list or object, or follows its name. A text never ends here with
    /// anything but its quote.
    fn separate(&mut self) {
        if !matches!(self.written.last(), None | Some(b'{' | b'[' | b':')) {
            self.written.push(b',');
        }
    }

    fn write<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        self.separate();
        let before = self.written.len();
        // Writing these types to memory does not fail.
        if serde_json::to_writer(&mut self.written, value).is_err() {
            self.written.truncate(before);
            self.written.extend_from_slice(b"null");
        }
    }
}

impl Sink for JsonSink {
    fn begin_object(&mut self) {
        self.separate();
        self.written.push(b'{');
    }

    fn key(&mut self, name: &str) {
        self.write(name);
        self.written.push(b':');
    }

    fn end_object(&mut self) {
        self.written.push(b'}');
    }

    fn begin_list(&mut self) {
        self.separate();
        self.written.push(b'[');
    }

    fn end_list(&mut self) {
        self.written.push(b']');
    }

    fn text(&mut self, text: &str) {
        self.write(text);
    }

    fn whole(&mut self, number: i64) {
        self.write(&number);
    }

    fn number(&mut self, number: f64) {
        self.write(&number);
    }

    fn flag(&mut self, flag: bool) {
        self.write(&flag);
    }

    fn null(&mut self) {
        self.write(&());
    }

    fn value(&mut self, value: &serde_json::Value) {
        self.write(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_are_where_json_wants_them() {
        let mut sink = JsonSink::default();
        sink.begin_object();
        sink.key("a{");
        sink.begin_list();
        sink.end_list();
        sink.key("b:");
        sink.begin_list();
        sink.text("[");
        sink.text("\"\n\u{1f}é:");
        sink.whole(-1);
        sink.number(1.0);
        sink.flag(true);
        sink.null();
        sink.begin_object();
        sink.end_object();
        sink.end_list();
        sink.key("c");
        sink.value(&serde_json::json!({"x": [1]}));
        sink.end_object();
        assert_eq!(
            String::from_utf8(sink.into_bytes()).unwrap(),
            "{\"a{\":[],\"b:\":[\"[\",\"\\\"\\n\\u001fé:\",-1,1.0,true,null,{}],\"c\":{\"x\":[1]}}"
        );
    }
}
