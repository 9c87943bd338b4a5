//! Ports: connections are counted, secured, served and ended here.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use sprint_identity::key::{expiry_of, key_of};
use sprint_identity::rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use super::Face;
use super::caller::Peer;
use super::calls::Calls;
use super::connections::{Connections, Counted};
use crate::config::LimitsConfig;
use crate::service::admission::audit;

/// A silent peer is asked after this, and given up after as much again and a little:
/// a frozen one is noticed within 8 s.
const KEEPALIVE: Duration = Duration::from_secs(3);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a handshake may take; an honest one takes milliseconds.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);

/// The longest time for which a connection may stay open without an authenticated call.
const STRANGER_LIMIT: Duration = Duration::from_secs(10);

/// How long the headers of a request may take.
const HEADERS_LIMIT: Duration = Duration::from_secs(10);

/// HTTP/2 hands over no headers that are longer than this; [`Calls`] says no, and why, much earlier.
const HEADERS_CEILING: u32 = 128 << 10;

/// How long accepting waits when the process has no file left for another connection.
const NO_FILES_PAUSE: Duration = Duration::from_millis(100);

/// One port.
pub struct Port {
    face: Face,
    /// None: plain, which is for loopback.
    tls: Option<TlsAcceptor>,
    router: Router,
    connections: Arc<Connections>,
    streams: u32,
}

impl Port {
    pub fn new(face: &Face, tls: Option<ServerConfig>, router: Router, limits: LimitsConfig) -> Arc<Self> {
        Arc::new(Self {
            face: face.clone(),
            tls: tls.map(|config| TlsAcceptor::from(Arc::new(config))),
            router,
            connections: Connections::new(limits),
            streams: limits.max_calls_per_connection,
        })
    }

    /// Accepts until the face stops; each connection has a task of its own.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.face.sprint.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    let port = Arc::clone(&self);
                    self.face.sprint.tasks.spawn(async move {
                        if let Err(why) = port.connection(stream, address).await {
                            let caller = Peer::new(address, None, None).stranger();
                            audit::refused(&port.face.sprint, caller, "connection", &why).await;
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(NO_FILES_PAUSE).await;
                }
            }
        }
    }

    /// Serves one connection; an error says why it was refused.
    async fn connection(&self, stream: TcpStream, address: SocketAddr) -> Result<(), String> {
        let mut counted = self.connections.open(address.ip())?;
        // Answers are small and must not wait for more to come.
        stream.set_nodelay(true).ok();
        let Some(tls) = &self.tls else {
            return self.requests(stream, Peer::new(address, None, None), counted).await;
        };
        let stream = match tokio::time::timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(format!("no TLS: {error}")),
            Err(_) => return Err("no TLS: the handshake took too long".to_owned()),
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let peer = Peer::new(address, shown.and_then(key_of), shown.and_then(expiry_of));
        if let Some(key) = &peer.key {
            counted.certified(key)?;
        }
        self.requests(stream, peer, counted).await
    }

    async fn requests<S>(&self, stream: S, peer: Peer, _counted: Counted) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_LIMIT).max_buf_size(64 << 10);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .max_concurrent_streams(self.streams)
            .max_header_list_size(HEADERS_CEILING);
        let standing = Arc::clone(&peer.standing);
        let calls = Calls::new(self.face.clone(), peer.clone(), self.streams);
        let router = self.router.clone();
        let all = Arc::clone(&calls);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let (calls, mut router) = (Arc::clone(&calls), router.clone());
            async move {
                let call = match calls.begin(request.headers(), request.uri()).await {
                    Ok(call) => call,
                    Err(refusal) => return Ok(refusal),
                };
                let response = router.call(request).await?;
                // It lasts until its answer is out.
                Ok::<_, Infallible>(response.map(|body| Body::new(body.map_frame(move |frame| (&call, frame).1))))
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let no_call = tokio::time::sleep(STRANGER_LIMIT);
        tokio::pin!(no_call);
        let mut waiting_for_call = true;
        let stop = self.face.sprint.stop.clone();
        let mut stopping = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => return match ended.map_err(|error| of_connection(error.as_ref())) {
                    Ok(()) | Err(Ended::ByItself) => Ok(()),
                    Err(Ended::InSilence) => {
                        let is_due = standing.is_known() || (standing.is_used() && all.are_over());
                        is_due.then_some(()).ok_or_else(no_caller)
                    }
                    Err(Ended::ForWhatItDid(why)) => Err(why),
                },
                () = &mut no_call, if waiting_for_call => {
                    waiting_for_call = false;
                    if standing.is_known() {
                        continue;
                    }
                    return (standing.is_used() && all.are_over()).then_some(()).ok_or_else(no_caller);
                }
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

fn no_caller() -> String {
    "no authenticated request arrived over it in time".to_owned()
}

/// Why a connection ended with an error.
enum Ended {
    /// As connections do.
    ByItself,
    /// Its other side said nothing for too long.
    InSilence,
    ForWhatItDid(String),
}

fn of_connection(error: &(dyn StdError + 'static)) -> Ended {
    let (mut texts, mut next) = (Vec::new(), Some(error));
    while let Some(error) = next {
        if error.is::<std::io::Error>() {
            return Ended::ByItself;
        }
        texts.push(error.to_string());
        next = error.source();
    }
    let says = |words: &[&str]| texts.iter().any(|text| words.iter().any(|words| text.contains(words)));
    if says(&["keep-alive timed out", "operation timed out", "read header from client timeout"]) {
        Ended::InSilence
    } else if says(&["connection closed before message completed", "operation was canceled"]) {
        Ended::ByItself
    } else {
        Ended::ForWhatItDid(texts.pop().unwrap_or_default())
    }
}
