//! Bytes on the wire, as no honest client writes them.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::site::LIMIT;

/// Reads until the other side has no more to say, or `enough` of it is there.
pub(crate) async fn read_until(stream: &mut (impl AsyncRead + Unpin), enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while !enough(&read) {
        match timeout(LIMIT, stream.read(&mut buffer)).await.expect("it ends") {
            Ok(0) | Err(_) => break,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
    read
}

/// Waits until the other side hangs up; what it said is answered as text.
pub(crate) async fn hung_up(stream: &mut (impl AsyncRead + Unpin)) -> Result<String, String> {
    let said = read_until(stream, |_| false).await;
    Err(format!("hung up after {:?}", String::from_utf8_lossy(&said)))
}

/// Writes bytes one by one, until they are through or the other side has had enough.
pub(crate) async fn trickle(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8], pause: Duration) {
    for byte in bytes {
        if stream.write_all(&[*byte]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// An answer of HTTP/1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Sends a request of HTTP/1 and reads the answer to its end; the request asks for the connection's end.
pub(crate) async fn http1(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    head: &str,
    body: &[u8],
) -> Result<Answer, String> {
    let request = [head.as_bytes(), b"Host: x\r\nConnection: close\r\n\r\n", body].concat();
    // It may be refused before all of it is there.
    stream.write_all(&request).await.ok();
    stream.flush().await.ok();
    let read = read_until(stream, |_| false).await;
    let end = read.windows(4).position(|four| four == b"\r\n\r\n").ok_or("hung up")?;
    let head = String::from_utf8_lossy(&read[..end]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    Ok(Answer { status, body: read[end + 4..].to_vec() })
}

/// An answer as the outcome of an attack: anything but success is a refusal.
pub(crate) fn refused(answer: Result<Answer, String>) -> Result<String, String> {
    let Answer { status, body } = answer?;
    let text = format!("{status} {}", String::from_utf8_lossy(&body));
    if (200..300).contains(&status) { Ok(text) } else { Err(text) }
}

/// What a client of HTTP/2 begins with: the preface, and settings that say nothing.
pub(crate) fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, b"")].concat()
}

pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame of HTTP/2.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers, each written out: not compressed, not remembered.
pub(crate) fn headers(list: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A length as HPACK writes it, in seven bits and as many more as it takes (RFC 7541, 5.1).
fn integer(block: &mut Vec<u8>, mut number: usize) {
    if number < 127 {
        block.push(u8::try_from(number).expect("is small"));
        return;
    }
    block.push(127);
    number -= 127;
    while number >= 128 {
        block.push(u8::try_from(number % 128).expect("is small") | 128);
        number /= 128;
    }
    block.push(u8::try_from(number).expect("is small"));
}

/// The headers of a call.
pub(crate) fn call<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<u8> {
    let common = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", path),
        (":authority", "x"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    headers(&[&common, more].concat())
}

/// The frames in what was read: their kinds and payloads.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        frames.push((head[3], payload.to_vec()));
        bytes = rest;
    }
    frames
}

/// Waits for the end of a connection of HTTP/2, and answers the reason that the other side gives.
pub(crate) async fn goaway(stream: &mut (impl AsyncRead + Unpin)) -> Result<String, String> {
    let read = read_until(stream, |_| false).await;
    let last = frames(&read).into_iter().rfind(|(kind, _)| *kind == GOAWAY);
    match last {
        Some((_, payload)) if payload.len() >= 8 => {
            let code = u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]);
            Err(format!("goaway {code}: {}", String::from_utf8_lossy(&payload[8..])))
        }
        Some(_) | None => Err("hung up without a reason".to_owned()),
    }
}

/// A message as gRPC frames it.
pub(crate) fn grpc_frame(flag: u8, length: u32, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &length.to_be_bytes(), message].concat()
}

/// The beginning of a handshake of TLS 1.2, by a client that knows nothing newer.
pub(crate) fn tls12_hello() -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let formats = [0, 11, 0, 2, 1, 0];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let extensions = [&groups[..], &formats, &signatures].concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    // No session, two suites, no compression.
    body.extend([0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    body.extend(u16::try_from(extensions.len()).expect("is short").to_be_bytes());
    body.extend(extensions);
    let length = u32::try_from(body.len()).expect("is short").to_be_bytes();
    let handshake = [&[1][..], &length[1..], &body].concat();
    let record = u16::try_from(handshake.len()).expect("is short").to_be_bytes();
    [&[22, 3, 1][..], &record, &handshake].concat()
}
