//! Before anything is asked: handshakes, certificates, and connections that only take room.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use sprint_core::time::Timestamp;
use sprint_identity::authority::Authority;
use sprint_identity::connect::Credential;
use sprint_identity::key::Key;
use sprint_identity::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use sprint_identity::rustls::client::ResolvesClientCert;
use sprint_identity::rustls::sign::CertifiedKey;
use sprint_identity::rustls::{ClientConfig, SignatureScheme, crypto::ring, version::TLS13};
use sprint_identity::trust::{Trust, certificates};
use sprint_proto::v1::WhoAmIRequest;
use sprint_proto::v1::identity_client::IdentityClient;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsConnector;

use crate::site::{Site, issued_by, now};
use crate::table::{Attack, Outcome, STRANGER, attack};
use crate::wire::{http1, hung_up, preface, refused, tls12_hello, trickle};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// So many days from now.
fn later(days: i64) -> Timestamp {
    Timestamp::from_millis(now().as_millis() + days * 86_400_000)
}

/// Bytes in the place of a handshake.
async fn instead_of_tls(site: Arc<Site>, from: IpAddr, bytes: Vec<u8>) -> Outcome {
    let mut stream = site.tcp(from).await;
    stream.write_all(&bytes).await.expect("is sent");
    hung_up(&mut stream).await
}

/// A call with a certificate that must not count.
async fn with_certificate(site: Arc<Site>, from: IpAddr, credential: Credential) -> Outcome {
    let channel = site.channel(from, &credential).await.map_err(|status| status.message().to_owned())?;
    let answer = IdentityClient::new(channel).who_am_i(WhoAmIRequest {}).await;
    answer.map(|answer| format!("{answer:?}")).map_err(|status| format!("{status:?}"))
}

fn credential(chain_pem: String, key: &KeyPair) -> Credential {
    Credential::Certificate { chain_pem, key_pem: key.serialize_pem() }
}

fn for_clients() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// A certificate that vouches for itself.
fn self_signed() -> Credential {
    let key = KeyPair::generate().expect("a key");
    let certificate = for_clients().self_signed(&key).expect("is signed");
    credential(certificate.pem(), &key)
}

/// One from an authority that calls itself what the coordinator's does.
fn from_namesake(ours: &Authority) -> Credential {
    let (authority_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let (_, known) = x509_parser::parse_x509_certificate(ours.certificate()).expect("a certificate");
    let name = known.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).expect("a name");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "sprint");
    params.distinguished_name.push(DnType::CommonName, name);
    let namesake = params.self_signed(&authority_key).expect("is signed");
    let leaf = for_clients().signed_by(&key, &Issuer::from_params(&params, &authority_key)).expect("is signed");
    credential(leaf.pem() + &namesake.pem(), &key)
}

/// Shows one's certificate with another's key, as a thief of certificates would.
#[derive(Debug)]
struct Stolen(Arc<CertifiedKey>);

impl ResolvesClientCert for Stolen {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

async fn stolen_certificate(site: Arc<Site>, from: IpAddr) -> Outcome {
    let victim = site.join("victim").await;
    let Credential::Certificate { chain_pem, .. } = victim.credential else { unreachable!("it has one") };
    let own: PrivateKeyDer<'_> = PrivatePkcs8KeyDer::from(KeyPair::generate().expect("a key").serialize_der()).into();
    let key = ring::sign::any_ecdsa_type(&own).expect("a key");
    let shown = CertifiedKey::new(certificates(&chain_pem).expect("a chain"), key);
    let Trust::Authorities(pem) = &site.trust else { unreachable!("contexts keep authorities") };
    let mut roots = sprint_identity::rustls::RootCertStore::empty();
    roots.add_parsable_certificates(certificates(pem).expect("authorities"));
    let mut config = ClientConfig::builder_with_protocol_versions(&[&TLS13])
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(Stolen(Arc::new(shown))));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::from(site.address().ip());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, site.tcp(from).await).await;
    let mut stream = stream.map_err(|error| error.to_string())?;
    refused(http1(&mut stream, "GET /healthz HTTP/1.1\r\n", b"").await)
}

/// A connection with TLS over which comes what is no request.
async fn over_tls(site: Arc<Site>, from: IpAddr, alpn: &'static [u8], bytes: &'static [u8]) -> Outcome {
    let mut stream = site.tls(from, &Credential::None, &[alpn]).await?;
    stream.write_all(bytes).await.expect("is sent");
    stream.flush().await.expect("is sent");
    hung_up(&mut stream).await
}

pub(crate) fn table() -> Vec<Attack> {
    let slow = Duration::from_millis(400);
    vec![
        attack("plain HTTP on the port for TLS", STRANGER, "", "no TLS", |site, from| {
            instead_of_tls(site, from, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec())
        }),
        attack("plain HTTP/2 on the port for TLS", STRANGER, "", "no TLS", |site, from| {
            instead_of_tls(site, from, preface())
        }),
        attack("garbage in the place of a handshake", STRANGER, "", "no TLS", |site, from| {
            instead_of_tls(site, from, vec![0xff; 4096])
        }),
        attack("a handshake that is cut short", STRANGER, "", "no TLS", async |site: Arc<Site>, from| {
            let mut stream = site.tcp(from).await;
            stream.write_all(&tls12_hello()[..20]).await.expect("is sent");
            stream.shutdown().await.expect("is ended");
            hung_up(&mut stream).await
        }),
        // An alert (21), fatal (2): protocol_version (70).
        attack("TLS 1.2", STRANGER, "\\u{15}\\u{3}\\u{3}\\0\\u{2}\\u{2}F", "no TLS", |site, from| {
            instead_of_tls(site, from, tls12_hello())
        }),
        attack("another protocol within TLS", STRANGER, "", "no TLS", async |site: Arc<Site>, from| {
            site.tls(from, &Credential::None, &[b"smtp"]).await.map(|_| "a connection".to_owned())
        }),
        attack(
            "a connection without a word",
            STRANGER,
            "",
            "handshake took too long",
            async |site: Arc<Site>, from| hung_up(&mut site.tcp(from).await).await,
        ),
        attack(
            "a handshake byte by byte",
            STRANGER,
            "",
            "handshake took too long",
            async move |site: Arc<Site>, from| {
                let mut stream = site.tcp(from).await;
                trickle(&mut stream, &tls12_hello()[..30], slow).await;
                hung_up(&mut stream).await
            },
        ),
        attack("TLS, and then nothing", STRANGER, "", "no authenticated request", |site, from| {
            over_tls(site, from, b"http/1.1", b"")
        }),
        attack("half a request's headers", STRANGER, "", "no authenticated request", |site, from| {
            over_tls(site, from, b"http/1.1", b"GET /healthz HTTP/1.1\r\nHost: ")
        }),
        attack("HTTP/2, and then nothing", STRANGER, "", "no authenticated request", async |site: Arc<Site>, from| {
            let mut stream = site.tls(from, &Credential::None, &[b"h2"]).await?;
            stream.write_all(&preface()).await.expect("is sent");
            hung_up(&mut stream).await
        }),
        attack("headers byte by byte", STRANGER, "", "no authenticated request", async move |site: Arc<Site>, from| {
            let mut stream = site.tls(from, &Credential::None, &[b"http/1.1"]).await?;
            trickle(&mut stream, b"GET /healthz HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", slow).await;
            hung_up(&mut stream).await
        }),
        attack("garbage within TLS", STRANGER, "400", "connection", |site, from| {
            over_tls(site, from, b"http/1.1", b"\xff\xfe\xfd\x00\x01\x02 nonsense\r\n\r\n")
        }),
        attack("HTTP/2 frames that make no sense", STRANGER, "", "connection", |site, from| {
            over_tls(site, from, b"h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff")
        }),
        attack("two lengths for one body", STRANGER, "400", "connection", |site, from| {
            over_tls(
                site,
                from,
                b"http/1.1",
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 9\r\n\r\nx",
            )
        }),
        attack("a certificate of another authority", STRANGER, "", "UnknownIssuer", async |site: Arc<Site>, from| {
            let other = Authority::make(now()).expect("is made");
            with_certificate(site, from, issued_by(&other, &Key::generate(), now(), HOUR)).await
        }),
        attack(
            "a certificate of an authority of the same name",
            STRANGER,
            "",
            "invalid peer certificate",
            async |site: Arc<Site>, from| {
                let forged = from_namesake(&site.authority);
                with_certificate(site, from, forged).await
            },
        ),
        attack("a certificate that vouches for itself", STRANGER, "", "UnknownIssuer", |site, from| {
            with_certificate(site, from, self_signed())
        }),
        attack("a certificate that has expired", STRANGER, "", "expired", async |site: Arc<Site>, from| {
            let member = site.join("old").await;
            let expired = site.issued(&member.key(), later(-10), DAY);
            with_certificate(site, from, expired).await
        }),
        attack(
            "a certificate that does not count yet",
            STRANGER,
            "",
            "not valid yet",
            async |site: Arc<Site>, from| {
                let member = site.join("early").await;
                let early = site.issued(&member.key(), later(3), DAY);
                with_certificate(site, from, early).await
            },
        ),
        attack(
            "the coordinator's own certificate",
            STRANGER,
            "",
            "invalid peer certificate",
            async |site: Arc<Site>, from| {
                let read = |name| std::fs::read_to_string(site.identity_dir().join(name)).expect("is there");
                let server = Credential::Certificate { chain_pem: read("server.pem"), key_pem: read("server.key") };
                with_certificate(Arc::clone(&site), from, server).await
            },
        ),
        attack(
            "the authority's own certificate",
            STRANGER,
            "",
            "invalid peer certificate",
            async |site: Arc<Site>, from| {
                let read = |name| std::fs::read_to_string(site.identity_dir().join(name)).expect("is there");
                let authority = Credential::Certificate { chain_pem: read("ca.pem"), key_pem: read("ca.key") };
                with_certificate(Arc::clone(&site), from, authority).await
            },
        ),
        attack(
            "a certificate for a key that never joined",
            STRANGER,
            "belongs to no outpost or person on record",
            "belongs to no outpost or person on record",
            async |site: Arc<Site>, from| {
                let unheard = site.issued(&Key::generate(), now(), HOUR);
                with_certificate(site, from, unheard).await
            },
        ),
        attack("another's certificate without its key", STRANGER, "", "no TLS", stolen_certificate),
    ]
}
