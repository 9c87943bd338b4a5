//! Connections to a coordinator: TLS 1.3, its authority known beforehand.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, InvalidMessage};
use sprint_core::ids::Fingerprint;
use sprint_core::time::Timestamp;
use sprint_core::token::TokenText;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::key::{Key, KeyError};
use crate::stream::Explained;
use crate::trust::{self, OtherAuthority, Trust, certificates};

/// How long the connection itself and its handshake may take together.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How a caller proves who it is.
#[derive(Debug, Clone, Default)]
pub enum Credential {
    /// Not at all.
    #[default]
    None,
    /// With a certificate (PEM, with its chain) and the key that it is for.
    Certificate { chain_pem: String, key_pem: String },
    /// With a token, shown at each call.
    Token(TokenText),
}

/// Why there is no connection, in words for a person.
#[derive(Debug, Error)]
pub enum ConnectError {
    #[error("no coordinator answers at {address} ({why})")]
    Unreachable { address: String, why: String },
    #[error(
        "the coordinator at {address} is not the one that is trusted here: its certificate authority is another; nothing was sent to it; check the address, or ask this coordinator's overseer for a token of its own"
    )]
    OtherAuthority { address: String },
    #[error(
        "the certificate of the coordinator at {address} does not count at this host's time {now}: it counts {valid}; set the clock (chrony) and try again"
    )]
    Clock { address: String, now: Timestamp, valid: String },
    #[error(
        "the certificate of the coordinator at {address} is for other names ({names}); use one of these, or start the coordinator with --advertise {host}"
    )]
    OtherName { address: String, host: String, names: String },
    #[error("what listens at {address} does not speak TLS; is that the coordinator's gRPC port (50051 by default)?")]
    NoTls { address: String },
    #[error("the coordinator at {address} refused the certificate that was shown: {why}")]
    Refused { address: String, why: String },
    #[error("no secure connection to {address}: {why}")]
    Handshake { address: String, why: String },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("\"{address}\" is not an address; use HOST:PORT")]
    Address { address: String },
}

impl ConnectError {
    /// Whether trying again later, with nothing changed, may help.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Handshake { .. })
    }
}

/// A connection whose calls carry the caller's token, if it has one.
pub type Connection = InterceptedService<Channel, Bearer>;

/// Puts a token on each call.
#[derive(Debug, Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Connects to `address`, a `HOST:PORT`; `tune` sets the endpoint's own options, such as keepalive.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(
    address: &str,
    trust: &Trust,
    credential: &Credential,
    tune: impl FnOnce(Endpoint) -> Endpoint,
) -> Result<Connection, ConnectError> {
    let config = Arc::new(client_config(trust, credential, &[b"h2"])?);
    let no_address = || ConnectError::Address { address: address.to_owned() };
    // TLS is spoken below: the scheme says nothing.
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| no_address())?;
    let dialled = address.to_owned();
    let connector = service_fn(move |_| {
        let (config, address) = (Arc::clone(&config), dialled.clone());
        async move { dial(&address, config).await.map(|stream| TokioIo::new(Explained::new(stream))) }
    });
    let channel = tune(endpoint.tcp_nodelay(true))
        .connect_with_connector(connector)
        .await
        .map_err(|error| from_chain(address, &error))?;
    let bearer = match credential {
        Credential::Token(token) => Some(bearer(token)),
        Credential::None | Credential::Certificate { .. } => None,
    };
    Ok(InterceptedService::new(channel, Bearer(bearer)))
}

/// The certificate, as PEM, of the authority that is known by its fingerprint: the server at `address`
/// presents it, and its own certificate is issued by it.
///
/// # Errors
/// [`ConnectError`].
pub async fn fetch_authority(address: &str, fingerprint: &Fingerprint) -> Result<String, ConnectError> {
    let trust = Trust::Fingerprint(fingerprint.clone());
    let stream = dial(address, Arc::new(client_config(&trust, &Credential::None, &[b"h2"])?)).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let authority = shown.iter().find(|certificate| crate::fingerprint(certificate) == *fingerprint);
    let authority = authority.ok_or_else(|| ConnectError::OtherAuthority { address: address.to_owned() })?;
    Ok(trust::pem(authority))
}

/// The header value that shows a token.
fn bearer(token: &TokenText) -> MetadataValue<Ascii> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.reveal()).parse().expect("a token is plain text");
    value.set_sensitive(true);
    value
}

/// What TLS needs to know on the client's side.
///
/// # Errors
/// [`KeyError`] when a certificate or a key makes no sense.
pub fn client_config(trust: &Trust, credential: &Credential, alpn: &[&[u8]]) -> Result<ClientConfig, KeyError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| KeyError::malformed("TLS 1.3", error))?
        .dangerous()
        .with_custom_certificate_verifier(trust.verifier()?);
    let mut config = match credential {
        Credential::None | Credential::Token(_) => builder.with_no_client_auth(),
        Credential::Certificate { chain_pem, key_pem } => builder
            .with_client_auth_cert(certificates(chain_pem)?, Key::from_pem(key_pem)?.der())
            .map_err(|error| KeyError::malformed("the certificate", error))?,
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// Connects and shakes hands.
///
/// # Errors
/// [`ConnectError`].
pub async fn dial(address: &str, config: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, ConnectError> {
    let no_address = || ConnectError::Address { address: address.to_owned() };
    let (host, _) = address.rsplit_once(':').ok_or_else(no_address)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|_| no_address())?;
    let unreachable = |why: String| ConnectError::Unreachable { address: address.to_owned(), why };
    let connecting = async {
        let stream = TcpStream::connect(address).await.map_err(|error| unreachable(plain(&error)))?;
        stream.set_nodelay(true).map_err(|error| unreachable(plain(&error)))?;
        TlsConnector::from(config).connect(name, stream).await.map_err(|error| of_handshake(address, host, &error))
    };
    match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(unreachable("timed out".to_owned())),
    }
}

fn plain(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let known = [
        (ErrorKind::ConnectionRefused, "connection refused"),
        (ErrorKind::ConnectionReset, "connection reset"),
        (ErrorKind::UnexpectedEof, "it closed the connection"),
        (ErrorKind::TimedOut, "timed out"),
    ];
    let words = known.iter().find(|(kind, _)| *kind == error.kind()).map(|(_, words)| (*words).to_owned());
    words.unwrap_or_else(|| error.to_string())
}

fn of_handshake(address: &str, host: &str, error: &std::io::Error) -> ConnectError {
    let address = address.to_owned();
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return ConnectError::Unreachable { address, why: plain(error) };
    };
    if let rustls::Error::InvalidCertificate(why) = tls {
        return of_certificate(address, host, why);
    }
    if let rustls::Error::AlertReceived(alert) = tls {
        return ConnectError::Refused { address, why: of_alert(*alert) };
    }
    if let rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) =
        tls
    {
        return ConnectError::NoTls { address };
    }
    ConnectError::Handshake { address, why: tls.to_string() }
}

/// What is wrong with the server's certificate.
fn of_certificate(address: String, host: &str, why: &CertificateError) -> ConnectError {
    let date = |time: &UnixTime| Timestamp::from_millis(i64::try_from(time.as_secs()).unwrap_or(0) * 1000);
    let now = Timestamp::from(SystemTime::now());
    let is_other = matches!(why, CertificateError::Other(other) if other.0.is::<OtherAuthority>());
    if is_other || matches!(why, CertificateError::UnknownIssuer | CertificateError::BadSignature) {
        return ConnectError::OtherAuthority { address };
    }
    if let CertificateError::ExpiredContext { time: _, not_after } = why {
        return ConnectError::Clock { address, now, valid: format!("until {}", date(not_after)) };
    }
    if let CertificateError::NotValidYetContext { time: _, not_before } = why {
        return ConnectError::Clock { address, now, valid: format!("from {}", date(not_before)) };
    }
    if let CertificateError::NotValidForNameContext { expected: _, presented } = why {
        let names = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect::<Vec<_>>();
        return ConnectError::OtherName { address, host: host.to_owned(), names: names.join(", ") };
    }
    ConnectError::Handshake { address, why: why.to_string() }
}

fn of_alert(alert: AlertDescription) -> String {
    let again = "log in or join again with a new token";
    if alert == AlertDescription::CertificateExpired {
        return format!("it has expired (or the coordinator's clock is off); {again}");
    }
    let unknown = [AlertDescription::UnknownCA, AlertDescription::DecryptError, AlertDescription::BadCertificate];
    if unknown.contains(&alert) {
        return format!("it is not from this coordinator; {again}");
    }
    format!("{alert:?}")
}

/// Why a server refused the certificate that it was shown: under TLS 1.3 that is learnt at the first
/// read, from somewhere below the error of a call.
pub fn refused_certificate(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = error
            .downcast_ref::<rustls::Error>()
            .or_else(|| inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()));
        if let Some(rustls::Error::AlertReceived(alert)) = tls {
            return Some(of_alert(*alert));
        }
        if let Some(alert) = alert_in(&error.to_string()) {
            return Some(of_alert(alert));
        }
        // What an I/O error carries is not among its sources.
        next = inner.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source());
    }
    None
}

/// The alert that a text names: HTTP/2 keeps of an I/O error no more than its words.
fn alert_in(text: &str) -> Option<AlertDescription> {
    use AlertDescription as Alert;
    let of_certificates = [
        Alert::BadCertificate,
        Alert::UnsupportedCertificate,
        Alert::CertificateRevoked,
        Alert::CertificateExpired,
        Alert::CertificateUnknown,
        Alert::UnknownCA,
        Alert::AccessDenied,
        Alert::DecryptError,
        Alert::CertificateRequired,
    ];
    let named = |alert: &Alert| text.ends_with(&rustls::Error::AlertReceived(*alert).to_string());
    of_certificates.into_iter().find(named)
}

/// Finds our own error below those that the transport puts around it, as at a call that connects again.
pub fn underlying(error: &(dyn StdError + 'static)) -> Option<ConnectError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(ours) = error.downcast_ref::<ConnectError>() {
            return Some(ours.again());
        }
        next = error.source();
    }
    None
}

fn from_chain(address: &str, error: &tonic::transport::Error) -> ConnectError {
    let address = address.to_owned();
    if let Some(ours) = underlying(error) {
        return ours;
    }
    if let Some(why) = refused_certificate(error) {
        return ConnectError::Refused { address, why };
    }
    let mut deepest: &dyn StdError = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    ConnectError::Unreachable { address, why: deepest.to_string() }
}

impl ConnectError {
    /// The same once more: the transport keeps the original to itself.
    fn again(&self) -> Self {
        match self {
            Self::Unreachable { address, why } => Self::Unreachable { address: address.clone(), why: why.clone() },
            Self::OtherAuthority { address } => Self::OtherAuthority { address: address.clone() },
            Self::Clock { address, now, valid } => {
                Self::Clock { address: address.clone(), now: *now, valid: valid.clone() }
            }
            Self::OtherName { address, host, names } => {
                Self::OtherName { address: address.clone(), host: host.clone(), names: names.clone() }
            }
            Self::NoTls { address } => Self::NoTls { address: address.clone() },
            Self::Refused { address, why } => Self::Refused { address: address.clone(), why: why.clone() },
            Self::Handshake { address, why } => Self::Handshake { address: address.clone(), why: why.clone() },
            Self::Key(error) => Self::Handshake { address: String::new(), why: error.to_string() },
            Self::Address { address } => Self::Address { address: address.clone() },
        }
    }
}
