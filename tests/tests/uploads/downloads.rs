//! Files of real sizes, sent and fetched through the real binary: byte for byte, and in flat memory.

use std::time::Duration;

use anyhow::{Context, Result};
use critd_tests::{Answer, Server, admin};
use reqwest::multipart::{Form, Part};
use tokio::io::AsyncWriteExt as _;

use crate::files::{Fields, opened};

/// Bytes of one of the large files.
const LARGE: usize = 48 << 20;
/// What a server may take for files that are many times as large, in bytes.
const FLAT: u64 = 40 << 20;

const FILE: Fields<'static> = &[
    ("username", "admin"),
    ("upload_type", "file"),
    ("source", "Alpha"),
];

/// Bytes that no compressor makes smaller, other ones for each seed (xorshift).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The most memory that the server has had at a time, in bytes.
fn peak(server: &Server) -> Result<u64> {
    let process = server.process_id().context("a running server")?;
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("a line VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes << 10)
}

/// Makes `VmHWM` begin anew.
fn forget_peak(server: &Server) -> Result<()> {
    let process = server.process_id().context("a running server")?;
    std::fs::write(format!("/proc/{process}/clear_refs"), "5")?;
    Ok(())
}

async fn upload(server: &Server, name: &str, bytes: Vec<u8>) -> Result<Answer> {
    let mut form = Form::new().text("api_key", admin().key);
    for (name, value) in FILE {
        form = form.text(*name, *value);
    }
    let form = form.part("filedata", Part::bytes(bytes).file_name(name.to_owned()));
    let url = format!("{}/api/v1/samples/", server.url());
    server.send(server.client().post(url).multipart(form)).await
}

fn url(server: &Server, path: &str) -> String {
    let admin = admin();
    let join = if path.contains('?') { '&' } else { '?' };
    format!(
        "{}{path}{join}file=1&username={}&api_key={}",
        server.url(),
        admin.name,
        admin.key
    )
}

#[tokio::test]
async fn f13_up_6_large_files_come_and_go_in_flat_memory() -> Result<()> {
    let server = Server::start().await?;
    // What the first upload makes the server load is not what is measured.
    upload(&server, "small", noise(9, 100))
        .await?
        .created_id()?;
    for seed in 1..=3 {
        let bytes = noise(seed, LARGE);
        forget_peak(&server)?;
        let before = peak(&server)?;
        upload(&server, &format!("{seed}.bin"), bytes)
            .await?
            .created_id()?;
        let grown = peak(&server)?.saturating_sub(before);
        assert!(grown < FLAT, "an upload took {grown} bytes");
    }
    forget_peak(&server)?;
    let before = peak(&server)?;
    let mut answer = server
        .client()
        .get(url(&server, "/api/v1/samples/"))
        .send()
        .await?;
    let mut file = tokio::fs::File::from_std(tempfile::tempfile()?);
    let mut length = 0;
    while let Some(part) = answer.chunk().await? {
        // A client that is slower than the server: what waits for it waits on the disk.
        if length < LARGE && length / (8 << 20) != (length + part.len()) / (8 << 20) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        length += part.len();
        file.write_all(&part).await?;
    }
    let grown = peak(&server)?.saturating_sub(before);
    assert!(length > 3 * LARGE, "{length} bytes only");
    assert!(grown < FLAT, "a download took {grown} bytes");
    Ok(())
}

#[tokio::test]
async fn f3_f9_large_files_are_what_was_sent_in_every_format() -> Result<()> {
    const UNDONE: &str = "import base64, sys, zipfile, zlib
a = zipfile.ZipFile(sys.argv[1]); a.setpassword(b'infected')
names = a.namelist(); assert len(names) == 1, names
read = a.read(names[0])
undo = {'raw': bytes, 'base64': base64.b64decode, 'zlib': zlib.decompress, 'invert': lambda b: bytes(x ^ 255 for x in b)}
assert undo[sys.argv[3]](read) == open(sys.argv[2], 'rb').read(), 'other bytes'";
    let server = Server::start().await?;
    // No multiple of anything, and longer than several parts that are read at a time.
    let bytes = noise(7, (3 << 18) + 12345);
    let folder = tempfile::tempdir()?;
    let (sent, came) = (folder.path().join("sent"), folder.path().join("came"));
    std::fs::write(&sent, &bytes)?;
    let id = upload(&server, "noise.bin", bytes).await?.created_id()?;
    for format in ["raw", "base64", "zlib", "invert"] {
        let path = format!("/api/v1/samples/{id}/?file_format={format}");
        let answer = server.client().get(url(&server, &path)).send().await?;
        let archive = answer.bytes().await?;
        assert!(
            archive.starts_with(b"PK"),
            "{format}: {}",
            String::from_utf8_lossy(&archive[..archive.len().min(200)])
        );
        std::fs::write(&came, archive)?;
        let output = std::process::Command::new("python3")
            .args(["-c", UNDONE])
            .args([&came, &sent])
            .arg(format)
            .output()?;
        assert!(
            output.status.success(),
            "{format}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// A client that goes away, one that waits without end: others are served, and the server ends in order.
#[tokio::test]
async fn f13_downloads_that_nobody_takes_hold_nothing_up() -> Result<()> {
    let mut server = Server::start().await?;
    let id = upload(&server, "noise.bin", noise(3, 8 << 20))
        .await?
        .created_id()?;
    let path = format!("/api/v1/samples/{id}/");
    let mut waiting = Vec::new();
    for _ in 0..40 {
        waiting.push(server.client().get(url(&server, &path)).send().await?);
    }
    let fetched = server
        .client()
        .get(url(&server, &path))
        .send()
        .await?
        .bytes()
        .await?;
    let files = opened(&fetched)?;
    assert_eq!(files.values().map(Vec::len).collect::<Vec<_>>(), [8 << 20]);
    assert_eq!(server.count("samples").await?, 1);
    drop(waiting);
    assert_eq!(server.stop().await?, Some(0));
    Ok(())
}
