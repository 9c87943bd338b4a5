//! Too much of something, or something that is not whole.

use std::net::IpAddr;
use std::sync::Arc;

use sprint_identity::connect::Credential;
use tokio::io::AsyncWriteExt as _;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::site::{LIMIT, Site};
use crate::table::{Attack, Outcome, STRANGER, attack};
use crate::wire::{
    CONTINUATION, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, call, frame, frames, goaway, grpc_frame, headers,
    http1, hung_up, preface, read_until, refused,
};

const DATA: u8 = 0;
const WINDOW_UPDATE: u8 = 8;
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
const ENROL: &str = "/sprint.v1.Identity/Enrol";

/// How many connections without a certificate one address may have here.
pub(crate) const CONNECTIONS: usize = 24;

/// Sends frames over a connection of HTTP/2, and answers why the coordinator ended it.
async fn framed(site: Arc<Site>, from: IpAddr, bytes: Vec<u8>) -> Outcome {
    let mut stream = site.tls(from, &Credential::None, &[b"h2"]).await?;
    // It may have had enough before all of it is there.
    stream.write_all(&preface()).await.ok();
    stream.write_all(&bytes).await.ok();
    stream.flush().await.ok();
    goaway(&mut stream).await
}

/// Sends one message of a call that strangers may make, framed as gRPC does not; answers what came back.
async fn message(site: Arc<Site>, from: IpAddr, message: Vec<u8>) -> Outcome {
    let mut stream = site.tls(from, &Credential::None, &[b"h2"]).await?;
    let begin = frame(HEADERS, END_HEADERS, 1, &call(ENROL, &[]));
    stream.write_all(&[preface(), begin, frame(DATA, END_STREAM, 1, &message)].concat()).await.expect("is sent");
    stream.flush().await.expect("is sent");
    let is_answered = |read: &[u8]| frames(read).iter().any(|(kind, _)| *kind == HEADERS);
    let read = frames(&read_until(&mut stream, is_answered).await);
    let got = read.iter().filter(|(kind, _)| *kind == DATA).count();
    if got == 0 { Err(format!("{} frames without a message", read.len())) } else { Ok(format!("{got} messages")) }
}

fn bad_message(name: &'static str, recorded: &'static str, bytes: Vec<u8>) -> Attack {
    attack(name, STRANGER, "without a message", recorded, move |site, from| message(site, from, bytes))
}

fn bad_frames(name: &'static str, told: &'static str, recorded: &'static str, bytes: Vec<u8>) -> Attack {
    attack(name, STRANGER, told, recorded, move |site, from| framed(site, from, bytes))
}

/// So many calls, each taken back at once (CVE-2023-44487).
fn rapid_reset() -> Vec<u8> {
    let block = call(ENROL, &[]);
    let streams = (0..4000_u32).map(|number| 2 * number + 1);
    let calls = streams.flat_map(|stream| {
        [frame(HEADERS, END_HEADERS, stream, &block), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    });
    calls.collect()
}

/// One call whose headers never end.
fn endless_headers() -> Vec<u8> {
    let begin = frame(HEADERS, 0, 1, &call(ENROL, &[]));
    let more = headers(&[("x-bomb", &"b".repeat(16_000))]);
    [begin, frame(CONTINUATION, 0, 1, &more).repeat(100)].concat()
}

pub(crate) fn table() -> Vec<Attack> {
    vec![
        bad_message("a message that is cut off", "Unexpected EOF", grpc_frame(0, 100, b"short")),
        bad_message("a message's length that is cut off", "Unexpected EOF", vec![0, 0, 0]),
        bad_message("a message that says it is 4 GiB", "too large", grpc_frame(0, u32::MAX, b"x")),
        bad_message("a message that is compressed by nothing", "compress", grpc_frame(1, 4, b"\x1f\x8b\x08\x00")),
        bad_message("a message of a kind that there is not", "compression flag", grpc_frame(7, 1, b"x")),
        bad_message("a message that is none", "failed to decode", grpc_frame(0, 4, b"\xff\xff\xff\xff")),
        bad_message("no message", "Missing request message", vec![]),
        bad_frames("calls that are taken back at once", "goaway 11", "excessive load", rapid_reset()),
        bad_frames("headers without an end", "goaway 11", "connection", endless_headers()),
        bad_frames(
            "headers that make no sense",
            "goaway 1",
            "connection",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 64]),
        ),
        bad_frames("data of a call that was never opened", "goaway 1", "connection", frame(DATA, END_STREAM, 5, b"x")),
        bad_frames(
            "a frame that is longer than any may be",
            "goaway 6",
            "connection",
            frame(HEADERS, END_HEADERS, 1, &vec![0; 1 << 20]),
        ),
        bad_frames(
            "more room than there is",
            "goaway 3",
            "connection",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        ),
        bad_frames(
            "calls in the wrong order",
            "goaway 1",
            "connection",
            [
                frame(HEADERS, END_HEADERS | END_STREAM, 9, &call("/grpc.health.v1.Health/Check", &[])),
                frame(HEADERS, END_HEADERS | END_STREAM, 3, &call("/grpc.health.v1.Health/Check", &[])),
            ]
            .concat(),
        ),
        attack("headers of 20 KiB", STRANGER, "431", "its headers are of", async |site: Arc<Site>, from| {
            let mut stream = site.tls(from, &Credential::None, &[b"http/1.1"]).await?;
            let head = format!("GET /healthz HTTP/1.1\r\nX-Bomb: {}\r\n", "b".repeat(20 << 10));
            refused(http1(&mut stream, &head, b"").await)
        }),
        attack(
            "headers of 20 KiB by HTTP/2",
            STRANGER,
            "without a message",
            "its headers are of",
            async |site: Arc<Site>, from| {
                let channel = site.channel(from, &Credential::None).await.expect("it connects");
                let mut request = Request::new(());
                for number in 0..5_u8 {
                    let name = tonic::metadata::AsciiMetadataKey::from_bytes(&[b'x', b'0' + number]).expect("a name");
                    request.metadata_mut().insert(name, "b".repeat(4 << 10).parse().expect("plain text"));
                }
                let answer = crate::calls::call(channel, "/grpc.health.v1.Health/Check", request).await;
                answer.map(|()| "an answer".to_owned()).map_err(|status| format!("{status:?} without a message"))
            },
        ),
        attack("headers of 1 MiB", STRANGER, "", "connection", async |site: Arc<Site>, from| {
            let mut stream = site.tls(from, &Credential::None, &[b"http/1.1"]).await?;
            let head = format!("GET /healthz HTTP/1.1\r\nX-Bomb: {}\r\n", "b".repeat(1 << 20));
            refused(http1(&mut stream, &head, b"").await)
        }),
        attack("a thousand headers", STRANGER, "431", "connection", async |site: Arc<Site>, from| {
            let mut stream = site.tls(from, &Credential::None, &[b"http/1.1"]).await?;
            let many = (0..1000).map(|number| format!("X-{number}: a\r\n")).collect::<Vec<_>>().concat();
            refused(http1(&mut stream, &format!("GET /healthz HTTP/1.1\r\n{many}"), b"").await)
        }),
        attack(
            "a call whose message does not come",
            STRANGER,
            "did not end in time",
            "did not end in time",
            async |site: Arc<Site>, from| {
                let channel = site.channel(from, &Credential::None).await.expect("it connects");
                let mut grpc = tonic::client::Grpc::new(channel);
                grpc.ready().await.expect("it is");
                let nothing = Request::new(futures::stream::pending::<()>());
                let answer =
                    grpc.client_streaming(nothing, PathAndQuery::from_static(ENROL), ProstCodec::<(), ()>::default());
                let answer = tokio::time::timeout(LIMIT, answer).await.expect("it ends");
                answer
                    .map(|_: tonic::Response<()>| "an answer".to_owned())
                    .map_err(|status: Status| status.message().to_owned())
            },
        ),
        attack(
            "more connections than one address may have",
            STRANGER,
            "",
            "connections without a certificate from this address",
            async |site: Arc<Site>, from| {
                let mut open = Vec::new();
                for _ in 0..CONNECTIONS {
                    open.push(site.tls(from, &Credential::None, &[b"http/1.1"]).await?);
                }
                hung_up(&mut site.tcp(from).await).await
            },
        ),
        attack(
            "more connections than one certificate may have",
            STRANGER,
            "",
            "connections with this certificate already",
            async |site: Arc<Site>, from| {
                let member = site.join("many").await;
                let mut open = Vec::new();
                // It is said after the handshake: whose certificate it is, that shows.
                for _ in 0..129 {
                    open.push(site.tls(from, &member.credential, &[b"http/1.1"]).await?);
                }
                let mut last = open.pop().expect("is there");
                let answer = refused(http1(&mut last, "GET /healthz HTTP/1.1\r\n", b"").await);
                let first = http1(&mut open[0], "GET /healthz HTTP/1.1\r\n", b"").await;
                assert_eq!(first.expect("it goes on").status, 200, "those within the limit are served");
                answer
            },
        ),
        attack(
            "more calls at once than one connection may have",
            "viewer/ann",
            "256 of 300",
            "HTTP/2 takes no more",
            async |site: Arc<Site>, from| {
                let (_, token) = site.person("viewer", "ann").await;
                let mut stream = site.tls(from, &Credential::None, &[b"h2"]).await?;
                let authorization = format!("Bearer {token}");
                let block = call("/sprint.v1.Events/Tail", &[("authorization", &authorization)]);
                // To follow: field 2, true. So none of them ends.
                let follow = grpc_frame(0, 2, &[0x10, 1]);
                let calls = (0..300_u32).map(|number| 2 * number + 1).flat_map(|stream| {
                    [frame(HEADERS, END_HEADERS, stream, &block), frame(DATA, END_STREAM, stream, &follow)].concat()
                });
                stream.write_all(&[preface(), calls.collect()].concat()).await.expect("is sent");
                stream.flush().await.expect("is sent");
                let count = |read: &[u8], kind: u8, payload: Option<[u8; 4]>| {
                    let is_one =
                        |frame: &&(u8, Vec<u8>)| frame.0 == kind && payload.is_none_or(|payload| frame.1 == payload);
                    frames(read).iter().filter(is_one).count()
                };
                let refused = |read: &[u8]| count(read, RST_STREAM, Some(REFUSED_STREAM));
                let read = read_until(&mut stream, |read| refused(read) + count(read, HEADERS, None) >= 300).await;
                match refused(&read) {
                    44 => Err("256 of 300 are served".to_owned()),
                    other => Ok(format!("{other} of 300 are refused")),
                }
            },
        ),
    ]
}
