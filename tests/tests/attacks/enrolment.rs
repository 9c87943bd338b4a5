//! Joining with what does not let one in.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
};
use sprint_core::time::Timestamp;
use sprint_identity::connect::Credential;
use sprint_identity::key::Key;
use sprint_identity::trust::certificates;
use sprint_proto::v1;
use tokio::task::JoinSet;

use crate::site::{Site, now};
use crate::table::{Attack, Outcome, STRANGER, attack};

/// What an outpost joins with; a row changes one of them.
struct Joining {
    token: String,
    name: String,
    csr: Vec<u8>,
    clock: Timestamp,
}

/// Joins with one thing changed.
async fn join_but(site: Arc<Site>, from: IpAddr, change: impl FnOnce(&mut Joining)) -> Outcome {
    let (_, token) = site.join_token(1, "").await;
    // Its name tells it from those of other rows.
    let name = format!("new-{}", from.to_string().replace('.', "-"));
    let mut joining = Joining { token, name, csr: Key::generate().request(), clock: now() };
    change(&mut joining);
    joined(&site, from, &joining).await
}

async fn joined(site: &Site, from: IpAddr, joining: &Joining) -> Outcome {
    let Joining { token, name, csr, clock } = joining;
    let answer = site.enrol(from, token, name, csr, *clock).await;
    answer.map(|got| got.chain_pem).map_err(|status| format!("{:?}: {}", status.code(), status.message()))
}

fn clock(minutes: i64) -> Timestamp {
    Timestamp::from_millis(now().as_millis() + minutes * 60_000)
}

fn name(what: &'static str, name: &'static str) -> Attack {
    attack(what, STRANGER, "InvalidArgument", "is not an outpost name", move |site, from| {
        join_but(site, from, |joining| name.clone_into(&mut joining.name))
    })
}

pub(crate) fn table() -> Vec<Attack> {
    vec![
        attack("joining without a token", STRANGER, "not a token", "not a token", |site, from| {
            join_but(site, from, |joining| joining.token.clear())
        }),
        attack("joining with a token that is cut off", STRANGER, "incomplete", "incomplete", |site, from| {
            join_but(site, from, |joining| joining.token.truncate(60))
        }),
        attack(
            "joining with a token of another coordinator",
            STRANGER,
            "another coordinator",
            "another coordinator",
            |site, from| {
                join_but(site, from, |joining| {
                    let [id, secret, authority] = [4, 20, 32].map(sprint_identity::random);
                    joining.token = format!("sprint1_{id}_{secret}_{authority}");
                })
            },
        ),
        attack(
            "joining with a guessed secret",
            STRANGER,
            "another coordinator",
            "another coordinator",
            |site, from| {
                join_but(site, from, |joining| {
                    let secret = joining.token.split('_').nth(2).expect("a secret").to_owned();
                    joining.token = joining.token.replace(&secret, &"0".repeat(40));
                })
            },
        ),
        attack(
            "joining with a token that is used up",
            STRANGER,
            "is used up: 1 joined",
            "is used up",
            async |site: Arc<Site>, from| {
                let (_, token) = site.join_token(1, "").await;
                site.enrol(site.fresh_source(), &token, "first", &Key::generate().request(), now())
                    .await
                    .expect("it joins");
                join_but(site, from, |joining| joining.token = token).await
            },
        ),
        attack(
            "joining with a token that has expired",
            STRANGER,
            "expired at",
            "expired at",
            async |site: Arc<Site>, from| {
                let request = v1::CreateTokenRequest {
                    kind: "outpost".to_owned(),
                    ttl_ms: 1,
                    ..v1::CreateTokenRequest::default()
                };
                let (_, token) = site.token(request).await;
                join_but(site, from, |joining| joining.token = token).await
            },
        ),
        attack(
            "joining with a token that was revoked",
            STRANGER,
            "was revoked",
            "was revoked",
            async |site: Arc<Site>, from| {
                let (known, token) = site.join_token(1, "").await;
                site.revoke(&known).await;
                join_but(site, from, |joining| joining.token = token).await
            },
        ),
        attack(
            "joining with a person's token",
            STRANGER,
            "of kind admin",
            "of kind admin",
            async |site: Arc<Site>, from| {
                let (_, token) = site.person("admin", "ann").await;
                join_but(site, from, |joining| joining.token = token).await
            },
        ),
        attack(
            "asking again with a person's token",
            STRANGER,
            "of kind viewer",
            "of kind viewer",
            async |site: Arc<Site>, from| {
                let member = site.join("again").await;
                let (_, token) = site.person("viewer", "ann").await;
                join_but(site, from, |joining| {
                    (joining.token, joining.name, joining.csr) = (token, "again".to_owned(), member.key().request());
                })
                .await
            },
        ),
        attack(
            "joining under a name that the token is not for",
            STRANGER,
            "begin with \"gpu-\"",
            "begin with",
            async |site: Arc<Site>, from| {
                let (_, token) = site.join_token(1, "gpu-").await;
                join_but(site, from, |joining| joining.token = token).await
            },
        ),
        attack(
            "joining under another's name",
            STRANGER,
            "AlreadyExists",
            "with another key exists already",
            async |site: Arc<Site>, from| {
                site.join("taken").await;
                join_but(site, from, |joining| "taken".clone_into(&mut joining.name)).await
            },
        ),
        attack(
            "joining with another's key",
            STRANGER,
            "this key belongs to outpost \"owner\"",
            "this key belongs to outpost",
            async |site: Arc<Site>, from| {
                let owner = site.join("owner").await;
                join_but(site, from, |joining| joining.csr = owner.key().request()).await
            },
        ),
        attack("joining by a clock that is behind", STRANGER, "7m behind", "behind the coordinator's", |site, from| {
            join_but(site, from, |joining| joining.clock = clock(-7))
        }),
        attack("joining by a clock that is ahead", STRANGER, "ahead of the coordinator's", "ahead of", |site, from| {
            join_but(site, from, |joining| joining.clock = clock(60))
        }),
        attack("joining at the end of time", STRANGER, "ahead of the coordinator's", "ahead of", |site, from| {
            join_but(site, from, |joining| joining.clock = Timestamp::from_millis(i64::MAX))
        }),
        attack("joining before the beginning of time", STRANGER, "behind the coordinator's", "behind", |site, from| {
            join_but(site, from, |joining| joining.clock = Timestamp::from_millis(i64::MIN))
        }),
        attack(
            "a request for a certificate that is garbage",
            STRANGER,
            "makes no sense",
            "makes no sense",
            |site, from| join_but(site, from, |joining| joining.csr = vec![0x30; 200]),
        ),
        attack(
            "a request for a certificate that is empty",
            STRANGER,
            "makes no sense",
            "makes no sense",
            |site, from| join_but(site, from, |joining| joining.csr.clear()),
        ),
        attack(
            "a request for a certificate that is too long",
            STRANGER,
            "it is too long",
            "it is too long",
            |site, from| join_but(site, from, |joining| joining.csr.resize(9 << 10, 0)),
        ),
        attack(
            "a request for a certificate that was changed",
            STRANGER,
            "makes no sense",
            "makes no sense",
            |site, from| {
                join_but(site, from, |joining| {
                    let last = joining.csr.len() - 1;
                    joining.csr[last] ^= 1;
                })
            },
        ),
        attack(
            "a request for a certificate for another's key",
            STRANGER,
            "makes no sense",
            "makes no sense",
            |site, from| {
                // The key is another's; the signature is by the sender's own key.
                join_but(site, from, |joining| {
                    let other = Key::generate().request();
                    let end = other.len().min(joining.csr.len()) - 80;
                    joining.csr[..end].copy_from_slice(&other[..end]);
                })
            },
        ),
        attack("a request that is longer than any may be", STRANGER, "OutOfRange", "too large", |site, from| {
            join_but(site, from, |joining| joining.name = "a".repeat(100 << 10))
        }),
        name("a name that leads out of its directory", "../../etc"),
        name("a name that is a directory's own", ".."),
        name("a name with a slash", "a/b"),
        name("a name that is an option", "-rf"),
        name("a name with a NUL", "a\0b"),
        name("a name with a line's end", "a\nb"),
        name("a name that looks like another's", "g\u{440}u-1"),
        name("a name of wide dots", "\u{ff0e}\u{ff0e}"),
        name("a name in capitals", "GPU-1"),
        name("a name that git takes for its own", "a.lock"),
        name("no name", ""),
        attack(
            "a flood of tries",
            STRANGER,
            "too many failed tries",
            "too many failed tries",
            async |site: Arc<Site>, from| {
                let (_, good) = site.join_token(1, "").await;
                let bad = good.replace("sprint1_", "sprint1_0");
                let csr = Key::generate().request();
                for _ in 0..30 {
                    site.enrol(from, &bad, "flood", &csr, now()).await.expect_err("is refused");
                }
                // From there not even a good one helps now; from elsewhere it does.
                let joining = Joining { token: good, name: "flood".to_owned(), csr, clock: now() };
                let refused = joined(&site, from, &joining).await;
                joined(&site, site.fresh_source(), &joining).await.expect("others are not held to it");
                refused
            },
        ),
    ]
}

/// Fifty connections that join with one token at the same moment; answers how many got in, and why others did not.
pub(crate) async fn race(site: &Arc<Site>, uses: u32, name: impl Fn(u32) -> String) -> (usize, Vec<String>) {
    let (_, token) = site.join_token(uses, "").await;
    let start = Arc::new(tokio::sync::Barrier::new(50));
    let mut running = JoinSet::new();
    for number in 0..50 {
        let (site, start, token, name) = (Arc::clone(site), Arc::clone(&start), token.clone(), name(number));
        running.spawn(async move {
            let (from, csr) = (site.fresh_source(), Key::generate().request());
            let channel = site.channel(from, &Credential::None).await.expect("it connects");
            let request = v1::EnrolRequest { token, outpost: name, csr: csr.into(), now_ms: now().as_millis() };
            start.wait().await;
            v1::identity_client::IdentityClient::new(channel).enrol(request).await
        });
    }
    let answers = running.join_all().await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    (won.len(), lost.into_iter().map(|lost| lost.expect_err("it lost").message().to_owned()).collect())
}

/// What a certificate lets its holder do, whose request asked for more.
pub(crate) async fn ambitious(site: &Arc<Site>) -> Result<(), String> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("sound");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "admin local");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let request = params.serialize_request(&key).expect("a request");
    let (_, token) = site.join_token(1, "").await;
    let issued = site.enrol(site.fresh_source(), &token, "ambitious", request.der(), now()).await;
    let Ok(issued) = issued else { return Ok(()) };
    let leaf = certificates(&issued.chain_pem).expect("a chain").remove(0);
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).expect("a certificate");
    let usage = leaf.extended_key_usage().ok().flatten().expect("it says for what");
    let names = leaf.subject_alternative_name().ok().flatten();
    let subject = leaf.subject().to_string();
    if leaf.is_ca() || usage.value.server_auth || !usage.value.client_auth || names.is_some() {
        return Err(format!("it got what it asked for: {leaf:?}"));
    }
    if subject.contains("admin") { Err(subject) } else { Ok(()) }
}
