//! A coordinator under attack: its two outposts and its people are played by the tests themselves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use sprint_core::event::{Event, EventKind};
use sprint_core::time::Timestamp;
use sprint_identity::authority::{Authority, Requested};
use sprint_identity::connect::{Credential, client_config};
use sprint_identity::context::Context;
use sprint_identity::key::Key;
use sprint_identity::pki_types::ServerName;
use sprint_identity::trust::Trust;
use sprint_proto::v1;
use sprint_proto::v1::events_client::EventsClient;
use sprint_proto::v1::identity_client::IdentityClient;
use sprint_proto::v1::items_client::ItemsClient;
use sprint_proto::v1::link_client::LinkClient;
use sprint_tests::Cluster;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::session::Session;

/// More than any answer takes, on a loaded machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Where the legitimate ones call from; attackers have addresses of their own.
const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The coordinator, and what attacks are made of.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    /// The coordinator's own, as if its data directory were stolen: to make what is almost right.
    pub(crate) authority: Authority,
    pub(crate) trust: Trust,
    pub(crate) admin: Credential,
    subnets: AtomicU8,
}

/// An outpost that has joined.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) key_pem: String,
    pub(crate) credential: Credential,
}

impl Member {
    pub(crate) fn key(&self) -> Key {
        Key::from_pem(&self.key_pem).expect("a key")
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

impl Site {
    pub(crate) fn start(options: &[&str]) -> Arc<Self> {
        sprint_identity::init();
        let cluster = Cluster::start_with(0, options);
        let data = cluster.coordinator_data();
        let context = Context::read(&data.join("admin.toml")).expect("the coordinator wrote it");
        let authority = Authority::load_or_make(&data.join("identity"), now()).expect("is there");
        let (trust, admin) = (context.trusted(), context.credential().expect("the local admin has one"));
        Arc::new(Self { cluster, authority, trust, admin, subnets: AtomicU8::new(1) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.cluster.address().parse().expect("an address")
    }

    /// An address that no other part of this test calls from.
    pub(crate) fn fresh_source(&self) -> IpAddr {
        Ipv4Addr::new(127, 9, 0, self.subnets.fetch_add(1, Ordering::Relaxed)).into()
    }

    pub(crate) fn identity_dir(&self) -> PathBuf {
        self.cluster.coordinator_data().join("identity")
    }

    /// A bare connection.
    pub(crate) async fn tcp(&self, from: IpAddr) -> TcpStream {
        tcp(from, self.address()).await
    }

    /// A connection to the port for plain HTTP.
    pub(crate) async fn plain(&self, from: IpAddr) -> TcpStream {
        tcp(from, self.cluster.http().parse().expect("an address")).await
    }

    /// A connection with TLS as `credential`'s holder makes it.
    ///
    /// # Errors
    /// Why the coordinator did not want it, if it says so at once.
    pub(crate) async fn tls(
        &self,
        from: IpAddr,
        credential: &Credential,
        alpn: &[&[u8]],
    ) -> Result<TlsStream<TcpStream>, String> {
        let config = client_config(&self.trust, credential, alpn).map_err(|error| error.to_string())?;
        let name = ServerName::from(self.address().ip());
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, self.tcp(from).await).await.map_err(|error| error.to_string())
    }

    /// A connection for gRPC, without a token.
    ///
    /// # Errors
    /// Why the coordinator did not want it.
    pub(crate) async fn channel(&self, from: IpAddr, credential: &Credential) -> Result<Channel, Status> {
        let config = client_config(&self.trust, credential, &[b"h2"]).expect("sound");
        let (connector, address) = (TlsConnector::from(Arc::new(config)), self.address());
        let dial = tower::service_fn(move |_| {
            let connector = connector.clone();
            async move {
                let stream = connector.connect(ServerName::from(address.ip()), tcp(from, address).await).await?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address").tcp_nodelay(true);
        endpoint.connect_with_connector(dial).await.map_err(|error| Status::from_error(error.into()))
    }

    /// The local admin's connection.
    pub(crate) async fn home(&self) -> Channel {
        self.channel(HOME.into(), &self.admin).await.expect("the admin gets in")
    }

    pub(crate) async fn token(&self, request: v1::CreateTokenRequest) -> (v1::Token, String) {
        let answer = IdentityClient::new(self.home().await).create_token(request).await.expect("is made").into_inner();
        (answer.token.expect("is there"), answer.text)
    }

    /// A token for outposts.
    pub(crate) async fn join_token(&self, uses: u32, name_prefix: &str) -> (v1::Token, String) {
        let (kind, name_prefix) = ("outpost".to_owned(), name_prefix.to_owned());
        self.token(v1::CreateTokenRequest { kind, uses, name_prefix, ..v1::CreateTokenRequest::default() }).await
    }

    /// A token of a person with a role.
    pub(crate) async fn person(&self, role: &str, name: &str) -> (v1::Token, String) {
        let (kind, name) = (role.to_owned(), name.to_owned());
        self.token(v1::CreateTokenRequest { kind, name, ..v1::CreateTokenRequest::default() }).await
    }

    pub(crate) async fn revoke(&self, token: &v1::Token) {
        let request = v1::RevokeTokenRequest { id: token.id.clone() };
        IdentityClient::new(self.home().await).revoke_token(request).await.expect("is revoked");
    }

    /// Joins as an outpost, as its agent would.
    pub(crate) async fn join(&self, name: &'static str) -> Member {
        let key = Key::generate();
        let (_, token) = self.join_token(1, "").await;
        let certificate = self.enrol(HOME.into(), &token, name, &key.request(), now()).await.expect("it joins");
        let key_pem = key.to_pem();
        let credential = Credential::Certificate { chain_pem: certificate.chain_pem, key_pem: key_pem.clone() };
        Member { name, key_pem, credential }
    }

    /// Asks for a certificate with a token.
    pub(crate) async fn enrol(
        &self,
        from: IpAddr,
        token: &str,
        name: &str,
        csr: &[u8],
        clock: Timestamp,
    ) -> Result<v1::Certificate, Status> {
        let request = v1::EnrolRequest {
            token: token.to_owned(),
            outpost: name.to_owned(),
            csr: csr.to_vec().into(),
            now_ms: clock.as_millis(),
        };
        let mut identity = IdentityClient::new(self.channel(from, &Credential::None).await?);
        Ok(identity.enrol(request).await?.into_inner())
    }

    /// A certificate for `key` that the coordinator's own authority issues at `at`, for so long.
    pub(crate) fn issued(&self, key: &Key, at: Timestamp, ttl: Duration) -> Credential {
        issued_by(&self.authority, key, at, ttl)
    }

    /// Opens an outpost's session, which takes work that asks for the label `host=NAME`.
    pub(crate) async fn session(&self, member: &Member) -> Session {
        let channel = self.channel(HOME.into(), &member.credential).await.expect("it gets in");
        Session::open(LinkClient::new(channel), member.name).await.expect("its session begins")
    }

    /// Takes a repository under management; its name is its own.
    pub(crate) async fn repo(self: &Arc<Self>, name: &'static str) {
        let site = Arc::clone(self);
        tokio::task::spawn_blocking(move || site.cluster.repo(name, &[], &[])).await.expect("is added");
    }

    /// Adds an item that only an outpost of this name can be given; answers its number.
    pub(crate) async fn item(&self, repo: &str, outpost: &str) -> u64 {
        let item = v1::NewItem {
            repo: repo.to_owned(),
            kind: "task".to_owned(),
            title: format!("For {outpost}"),
            priority: "medium".to_owned(),
            stage: "ready".to_owned(),
            run: Some("true".to_owned()),
            requires: [("host".to_owned(), outpost.to_owned())].into(),
            ..v1::NewItem::default()
        };
        let request = v1::AddItemsRequest { items: vec![item] };
        let added = ItemsClient::new(self.home().await).add(request).await.expect("is added").into_inner();
        added.items[0].id
    }

    pub(crate) async fn remove(&self, outpost: &str) {
        let request = v1::RemoveOutpostRequest { name: outpost.to_owned(), force: true };
        let mut outposts = v1::outposts_client::OutpostsClient::new(self.home().await);
        outposts.remove(request).await.expect("is removed");
    }

    /// The audit after an event.
    pub(crate) async fn audit(&self, since: u64) -> Vec<Event> {
        let request = v1::TailRequest { since: Some(since), audit: true, ..v1::TailRequest::default() };
        let mut tail = EventsClient::new(self.home().await).tail(request).await.expect("is read").into_inner();
        let mut events = Vec::new();
        while let Some(batch) = tail.message().await.expect("is read") {
            events.extend(batch.events.into_iter().map(|event| Event::try_from(event).expect("an event")));
        }
        events
    }

    /// What was refused after an event.
    pub(crate) async fn refusals(&self, since: u64) -> Vec<Event> {
        let mut events = self.audit(since).await;
        events.retain(|event| [EventKind::ACCESS_REFUSED, EventKind::REPORT_REFUSED].contains(&event.kind));
        events
    }

    /// The number of the newest event.
    pub(crate) async fn last_seq(&self) -> u64 {
        let mut system = v1::system_client::SystemClient::new(self.home().await);
        system.status(v1::StatusRequest {}).await.expect("answers").into_inner().last_seq
    }
}

/// A certificate from an authority.
pub(crate) fn issued_by(authority: &Authority, key: &Key, at: Timestamp, ttl: Duration) -> Credential {
    let requested = Requested::read(&key.request()).expect("a request");
    let issued = authority.issue_client(&requested, "outpost a", at, ttl).expect("is issued");
    Credential::Certificate { chain_pem: issued.chain_pem, key_pem: key.to_pem() }
}

async fn tcp(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(from, 0)).expect("the whole of 127/8 is loopback");
    let stream = socket.connect(to).await.expect("it listens");
    stream.set_nodelay(true).expect("is set");
    stream
}

/// A call that shows a token.
pub(crate) fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("plain text");
    request.metadata_mut().insert("authorization", value);
    request
}
