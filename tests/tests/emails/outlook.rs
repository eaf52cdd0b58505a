//! Writes messages as Outlook does, as far as these tests need.

#![expect(clippy::expect_used, reason = "writing to memory does not fail")]

use std::io::{Cursor, Write};

use cfb::CompoundFile;

/// What an attachment is.
pub(crate) enum Attached<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// Another message: its properties.
    Message(&'a [(&'a str, &'a str)]),
    /// An object of another program.
    Object,
}

/// A message that is being written.
pub(crate) struct Writer {
    file: CompoundFile<Cursor<Vec<u8>>>,
    recipients: usize,
    attachments: usize,
}

/// A message with these texts: (property, text).
pub(crate) fn message(texts: &[(&str, &str)]) -> Vec<u8> {
    Writer::new(texts).finish()
}

impl Writer {
    /// A message with these texts.
    pub(crate) fn new(texts: &[(&str, &str)]) -> Self {
        let file = CompoundFile::create(Cursor::new(Vec::new())).expect("a file in memory");
        let mut writer = Self {
            file,
            recipients: 0,
            attachments: 0,
        };
        writer.stream("/__properties_version1.0", &[0; 32]);
        writer.texts("", texts);
        writer
    }

    fn stream(&mut self, path: &str, bytes: &[u8]) {
        let mut stream = self.file.create_stream(path).expect("a stream");
        stream.write_all(bytes).expect("bytes in memory");
    }

    fn texts(&mut self, storage: &str, texts: &[(&str, &str)]) {
        for (property, text) in texts {
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            self.stream(&format!("{storage}/__substg1.0_{property}001F"), &wide);
        }
    }

    /// A text in single bytes; `code_page`: what the message says of them.
    pub(crate) fn narrow(mut self, property: &str, bytes: &[u8], code_page: Option<u16>) -> Self {
        self.stream(&format!("/__substg1.0_{property}001E"), bytes);
        if let Some(page) = code_page {
            let mut properties = vec![0; 32];
            properties.extend(0x3ffd_0003_u32.to_le_bytes());
            properties.extend([0; 4]);
            properties.extend(u32::from(page).to_le_bytes());
            properties.extend([0; 4]);
            self.stream("/__properties_version1.0", &properties);
        }
        self
    }

    /// A recipient.
    pub(crate) fn recipient(mut self, address: &str) -> Self {
        let storage = format!("/__recip_version1.0_#{:08X}", self.recipients);
        self.recipients += 1;
        self.file.create_storage(&storage).expect("a storage");
        self.texts(&storage, &[("39FE", address)]);
        self
    }

    /// An attachment.
    pub(crate) fn attach(mut self, name: &str, mime: &str, content: &Attached<'_>) -> Self {
        let storage = format!("/__attach_version1.0_#{:08X}", self.attachments);
        self.attachments += 1;
        self.file.create_storage(&storage).expect("a storage");
        self.texts(&storage, &[("3707", name), ("370E", mime)]);
        match content {
            Attached::Bytes(bytes) => {
                self.stream(&format!("{storage}/__substg1.0_37010102"), bytes)
            }
            Attached::Message(texts) => {
                let inner = format!("{storage}/__substg1.0_3701000D");
                self.file.create_storage(&inner).expect("a storage");
                self.stream(&format!("{inner}/__properties_version1.0"), &[0; 24]);
                self.texts(&inner, texts);
            }
            Attached::Object => {
                let inner = format!("{storage}/__substg1.0_3701000D");
                self.file.create_storage(&inner).expect("a storage");
                self.stream(&format!("{inner}/CONTENTS"), b"drawing");
            }
        }
        self
    }

    /// The bytes of the file.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.file.flush().expect("a file in memory");
        self.file.into_inner().into_inner()
    }
}
