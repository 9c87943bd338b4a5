//! TLS for the servers that tests write.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sprint_core::time::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;

use crate::authority::{Authority, Issued, Requested};
use crate::connect::Credential;
use crate::key::Key;
use crate::trust::Trust;

/// An authority with a server's certificate for loopback.
#[derive(Debug)]
pub struct TestAuthority {
    pub authority: Authority,
    config: Arc<ServerConfig>,
}

impl TestAuthority {
    pub fn make() -> Self {
        crate::init();
        let authority = Authority::make(now()).expect("an authority");
        let (key, names) = (Key::generate(), ["localhost", "127.0.0.1", "::1"].map(ToOwned::to_owned));
        let Issued { chain, .. } =
            authority.issue_server(&key, &names, now(), Duration::from_hours(1)).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).expect("an authority");
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build().expect("sound");
        let mut config = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key.der())
            .expect("sound");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { authority, config: Arc::new(config) }
    }

    pub fn trust(&self) -> Trust {
        Trust::Authorities(self.authority.pem().to_owned())
    }

    /// A certificate for a caller, with its key.
    pub fn client(&self, subject: &str) -> Credential {
        let key = Key::generate();
        let requested = Requested::read(&key.request()).expect("a request");
        let issued =
            self.authority.issue_client(&requested, subject, now(), Duration::from_hours(1)).expect("a certificate");
        Credential::Certificate { chain_pem: issued.chain_pem, key_pem: key.to_pem() }
    }

    /// The connections of a listener, with TLS; those whose handshake fails are passed over.
    /// For `tonic`'s `serve_with_incoming`.
    pub fn incoming(&self, listener: TcpListener) -> impl Stream<Item = io::Result<TestStream>> + use<> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let (sender, receiver) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    // The server is gone, and the port with it.
                    () = sender.closed() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, _)) = accepted else { continue };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    stream.set_nodelay(true).ok();
                    if let Ok(stream) = acceptor.accept(stream).await {
                        sender.send(Ok(TestStream(stream))).await.ok();
                    }
                });
            }
        });
        tokio_stream::wrappers::ReceiverStream::new(receiver)
    }
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// One connection of a test's server.
#[derive(Debug)]
pub struct TestStream(TlsStream<TcpStream>);

impl TestStream {
    /// The certificate that the caller has shown.
    pub fn peer(&self) -> Option<CertificateDer<'static>> {
        self.0.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned())
    }
}

impl tonic::transport::server::Connected for TestStream {
    type ConnectInfo = Option<CertificateDer<'static>>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.peer()
    }
}

impl AsyncRead for TestStream {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for TestStream {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(context)
    }
}
