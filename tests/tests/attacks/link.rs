//! What an outpost says over its own link, of others.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sprint_identity::connect::Credential;
use sprint_identity::key::Key;
use sprint_proto::v1;
use sprint_proto::v1::link_client::LinkClient;
use sprint_proto::v1::{coordinator_message::Body as Down, outpost_message::Body as Up, report::Body as News};
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::calls::call;
use crate::session::{Session, another, attempt, failed, hello, job_of, report};
use crate::site::{LIMIT, Member, Site, now, with_token};
use crate::table::{Attack, Outcome, STRANGER, attack};

/// Two outposts with a worker each: `a` attacks, `b` is attacked.
pub(crate) struct Pair {
    a: Member,
    b: Member,
    /// Held open, so that it counts as connected.
    b_session: Mutex<Session>,
    of_b: v1::Assignment,
}

impl Pair {
    pub(crate) async fn make(site: &Arc<Site>) -> Arc<Self> {
        site.repo("web").await;
        let (a, b) = (site.join("a").await, site.join("b").await);
        let mut b_session = site.session(&b).await;
        site.item("web", "b").await;
        let of_b = b_session.work().await;
        let running = report(&of_b, 2, News::Started(v1::Started { terminal: Some(v1::Terminal::default()) }));
        b_session.report(running).await.expect("it goes on");
        Arc::new(Self { a, b, b_session: Mutex::new(b_session), of_b })
    }
}

type OfPair = Arc<Pair>;

async fn link(site: &Site, from: IpAddr, member: &Member) -> Result<LinkClient<tonic::transport::Channel>, String> {
    let channel = site.channel(from, &member.credential).await.map_err(|status| status.message().to_owned())?;
    Ok(LinkClient::new(channel))
}

/// Begins a session with a message, and answers why it was not begun.
async fn begin(site: Arc<Site>, from: IpAddr, pair: OfPair, first: Up) -> Outcome {
    let mut session = match Session::begin(link(&site, from, &pair.a).await?, first).await {
        Ok(session) => session,
        Err(status) => return Err(status.message().to_owned()),
    };
    Ok(format!("{:?}", session.next().await))
}

/// Sends a report in a session of `a`, and answers why it was refused.
async fn reported(site: Arc<Site>, from: IpAddr, pair: OfPair, report: v1::Report) -> Outcome {
    let mut session = own_session(&site, from, &pair.a).await?;
    match session.report(report).await {
        Ok(Some(refused)) => Err(refused),
        Ok(None) => Ok("it was taken".to_owned()),
        Err(status) => Err(status.message().to_owned()),
    }
}

/// Sends a message in a session of `a`, and answers how the session ended.
async fn ended_by(site: Arc<Site>, from: IpAddr, pair: OfPair, message: Up) -> Outcome {
    let mut session = own_session(&site, from, &pair.a).await?;
    session.send(message).await;
    Err(session.ended().await.message().to_owned())
}

async fn own_session(site: &Site, from: IpAddr, member: &Member) -> Result<Session, String> {
    let link = link(site, from, member).await?;
    Session::open(link, member.name).await.map_err(|status| status.message().to_owned())
}

/// Sends a chunk of a log, and answers what was acknowledged.
async fn log(site: &Site, from: IpAddr, member: &Member, chunk: v1::LogChunk) -> Result<Option<v1::LogAck>, Status> {
    let (_sender, mut acks) = log_stream(site, from, member, chunk).await?;
    tokio::time::timeout(LIMIT, acks.message()).await.expect("it is answered")
}

async fn log_stream(
    site: &Site,
    from: IpAddr,
    member: &Member,
    first: v1::LogChunk,
) -> Result<(mpsc::Sender<v1::LogChunk>, Streaming<v1::LogAck>), Status> {
    let mut link = link(site, from, member).await.map_err(Status::unavailable)?;
    let (sender, chunks) = mpsc::channel(8);
    sender.send(first).await.expect("there is room");
    Ok((sender, link.logs(ReceiverStream::new(chunks)).await?.into_inner()))
}

/// A worker's log as the coordinator has it.
fn log_of(site: &Site, worker: u64) -> Vec<u8> {
    std::fs::read(site.cluster.coordinator_data().join(format!("logs/{worker}.log"))).unwrap_or_default()
}

/// A person's wish to see `b`'s terminal: the number that `b` is told.
async fn wanted_terminal(
    site: &Site,
    pair: &Pair,
) -> (mpsc::Sender<v1::AttachInput>, Streaming<v1::AttachOutput>, u64) {
    let (_, token) = site.person("operator", "ann").await;
    let channel = site.channel(site.fresh_source(), &Credential::None).await.expect("it connects");
    let (typed, keys) = mpsc::channel(8);
    let worker = pair.of_b.worker;
    typed.send(v1::AttachInput { worker, columns: 80, rows: 24, ..v1::AttachInput::default() }).await.expect("room");
    let mut workers = v1::workers_client::WorkersClient::new(channel);
    let shown = workers.attach(with_token(ReceiverStream::new(keys), &token)).await.expect("it may").into_inner();
    let mut session = pair.b_session.lock().await;
    loop {
        if let Some(Down::Attach(open)) = session.next().await.expect("it goes on") {
            return (typed, shown, open.session);
        }
    }
}

/// Takes a terminal by its number.
async fn take_terminal(site: &Site, from: IpAddr, member: &Member, session: u64) -> Outcome {
    let mut link = link(site, from, member).await?;
    let (up, output) = mpsc::channel(8);
    let first = v1::TerminalOutput { session, data: b"$ ".to_vec().into(), ended: None };
    up.send(first).await.expect("there is room");
    let answer = link.terminal(ReceiverStream::new(output)).await;
    answer.map(|_| "the terminal".to_owned()).map_err(|status| status.message().to_owned())
}

pub(crate) fn hellos(pair: &OfPair) -> Vec<Attack> {
    let row = |name, told, first: Up| {
        let pair = Arc::clone(pair);
        attack(name, "outpost/a", told, told, move |site, from| begin(site, from, pair, first))
    };
    let labels = |labels: usize, bytes: usize| {
        let label = |number| (format!("l{number}"), "x".repeat(bytes));
        Up::Hello(v1::Hello { labels: (0..labels).map(label).collect(), ..hello("a") })
    };
    let workers = |count: u64| {
        let entry = |worker| v1::InventoryEntry { worker, job: pair.of_b.job.clone(), finished: true };
        Up::Hello(v1::Hello { workers: (1..=count).map(entry).collect(), ..hello("a") })
    };
    vec![
        row("a hello with more labels than there may be", "has 101 labels, and the limit is 100", labels(101, 1)),
        row("a hello with a label that is too long", "a label has 1025 bytes", labels(1, 1_025)),
        row(
            "a hello with a name of a label that is too long",
            "a label's name has 2000 bytes",
            Up::Hello(v1::Hello { labels: [("x".repeat(2_000), String::new())].into(), ..hello("a") }),
        ),
        row(
            "a hello with a version that is too long",
            "its version has 1048576 bytes",
            Up::Hello(v1::Hello { version: "x".repeat(1 << 20), ..hello("a") }),
        ),
        row("a hello with workers without end", "has 10001 workers on its disk", workers(10_001)),
        row(
            "a hello in another's name",
            "names outpost \"b\", and the certificate belongs to outpost",
            Up::Hello(hello("b")),
        ),
        row("a hello in no name", "is not an outpost name", Up::Hello(hello(""))),
        row("a hello whose name leads elsewhere", "is not an outpost name", Up::Hello(hello("../b"))),
        row("a hello whose name looks like another's", "is not an outpost name", Up::Hello(hello("\u{430}"))),
        row("a hello that offers nothing", "at least one slot", Up::Hello(v1::Hello { max_workers: 0, ..hello("a") })),
        row(
            "a report before the hello",
            "the first message of a session must be a hello",
            Up::Report(report(&pair.of_b, 3, failed())),
        ),
    ]
}

/// These take `a`'s session from each other, and so come one after another.
pub(crate) fn reports(pair: &OfPair) -> Vec<Attack> {
    let row = |name, told, report: v1::Report| {
        let pair = Arc::clone(pair);
        attack(name, "outpost/a", told, told, move |site, from| reported(site, from, pair, report)).one_by_one()
    };
    let ending = |name, told, message: Up| {
        let pair = Arc::clone(pair);
        attack(name, "outpost/a", told, told, move |site, from| ended_by(site, from, pair, message)).one_by_one()
    };
    let with = |name, told, run: fn(Arc<Site>, IpAddr, OfPair) -> futures::future::BoxFuture<'static, Outcome>| {
        let pair = Arc::clone(pair);
        attack(name, "outpost/a", told, told, move |site, from| run(site, from, pair)).one_by_one()
    };
    let of_b = &pair.of_b;
    let committed = attempt(v1::attempt_outcome::Kind::Committed("a".repeat(40)));
    let judged = v1::Judged { commit: "a".repeat(40), tree: "b".repeat(40), verdicts: vec![] };
    let kind = Some(v1::gate_run_outcome::Kind::Judged(judged));
    let passed = v1::finished::Outcome::Gate(v1::GateRunOutcome { kind });
    let finished = |outcome| News::Finished(v1::Finished { outcome: Some(outcome), ..v1::Finished::default() });
    let bad_commit = attempt(v1::attempt_outcome::Kind::Committed("refs/heads/main".to_owned()));
    vec![
        row("another's worker has failed", "is not one of outpost \"a\"", report(of_b, 3, failed())),
        row("another's worker is done", "is not one of outpost \"a\"", report(of_b, 3, finished(committed))),
        row("another's gates have passed", "is not one of outpost \"a\"", report(of_b, 3, finished(passed))),
        row(
            "a worker that there never was",
            "is not one of outpost \"a\"",
            v1::Report { worker: 999_999, ..report(of_b, 1, failed()) },
        ),
        row(
            "a worker beyond all numbers",
            "is not one of outpost \"a\"",
            v1::Report {
                worker: u64::MAX,
                job: Some(another(of_b, |job| (job.item, job.attempt) = (u64::MAX, u32::MAX))),
                ..report(of_b, u64::MAX, failed())
            },
        ),
        ending("a commit that is none", "is not a commit", Up::Report(report(of_b, 3, finished(bad_commit)))),
        ending(
            "a report without news",
            "the report's body is missing",
            Up::Report(v1::Report { body: None, ..report(of_b, 3, failed()) }),
        ),
        ending("a second hello", "a session has one hello", Up::Hello(hello("a"))),
        ending(
            "a certificate for another's key",
            "for a key that is not its own",
            Up::Renew(v1::Renew { csr: pair.b.key().request().into() }),
        ),
        ending(
            "a certificate for a key that no caller holds",
            "for a key that is not its own",
            Up::Renew(v1::Renew { csr: Key::generate().request().into() }),
        ),
        ending("a certificate for garbage", "makes no sense", Up::Renew(v1::Renew { csr: vec![0x30; 64].into() })),
        with("an earlier attempt", "is on attempt", |site, from, pair| {
            Box::pin(async move {
                let (mut session, work) = own_work(&site, from, &pair).await?;
                let earlier =
                    v1::Report { job: Some(another(&work, |job| job.attempt = 0)), ..report(&work, 2, failed()) };
                let refused = session.report(earlier).await.map_err(|status| status.message().to_owned())?;
                end(&mut session, &work, 2).await;
                refused.map_or(Ok("it was taken".to_owned()), Err)
            })
        }),
        with("another item", "is on attempt", |site, from, pair| {
            Box::pin(async move {
                let (mut session, work) = own_work(&site, from, &pair).await?;
                let item = job_of(&pair.of_b).item;
                let other =
                    v1::Report { job: Some(another(&work, |job| job.item = item)), ..report(&work, 2, failed()) };
                let refused = session.report(other).await.map_err(|status| status.message().to_owned())?;
                end(&mut session, &work, 2).await;
                refused.map_or(Ok("it was taken".to_owned()), Err)
            })
        }),
        with("an attempt that is over", "is over", |site, from, pair| {
            Box::pin(async move {
                let (mut session, work) = own_work(&site, from, &pair).await?;
                end(&mut session, &work, 2).await;
                let refused = session.report(report(&work, 3, failed())).await;
                refused.map_err(|status| status.message().to_owned())?.map_or(Ok("it was taken".to_owned()), Err)
            })
        }),
        with("a second agent under the name", "another agent is connected as outpost \"a\"", |site, from, pair| {
            Box::pin(async move {
                let _session = own_session(&site, from, &pair.a).await?;
                let thief = v1::Hello { instance: "thief".to_owned(), ..hello("a") };
                begin(site, from, pair, Up::Hello(thief)).await
            })
        }),
        with("another's log", "is not one of this outpost's", |site, from, pair| {
            Box::pin(async move {
                let before = log_of(&site, pair.of_b.worker);
                let chunk = v1::LogChunk {
                    worker: pair.of_b.worker,
                    offset: before.len() as u64,
                    data: b"forged".to_vec().into(),
                };
                let ack = log(&site, from, &pair.a, chunk).await;
                // It is acknowledged, so that it is not sent again without end.
                if log_of(&site, pair.of_b.worker) == before {
                    Err(format!("{ack:?}, but worker {} is not one of this outpost's", pair.of_b.worker))
                } else {
                    Ok("it was written".to_owned())
                }
            })
        }),
        with("another's log at the end of all numbers", "is not one of this outpost's", |site, from, pair| {
            Box::pin(async move {
                let chunk =
                    v1::LogChunk { worker: pair.of_b.worker, offset: u64::MAX, data: b"forged".to_vec().into() };
                let ack = log(&site, from, &pair.a, chunk).await.map_err(|status| format!("{status:?}"))?;
                let ack = ack.ok_or("no acknowledgement")?;
                Err(format!("{ack:?}, but worker {} is not one of this outpost's", pair.of_b.worker))
            })
        }),
        with("the log of no worker", "there is no worker", |site, from, pair| {
            Box::pin(async move {
                let chunk = v1::LogChunk { worker: 999_999, offset: 0, data: b"forged".to_vec().into() };
                log(&site, from, &pair.a, chunk).await.map_err(|status| format!("{status:?}"))?;
                let written = log_of(&site, 999_999);
                if written.is_empty() {
                    Err("there is no worker 999999".to_owned())
                } else {
                    Ok("it was written".to_owned())
                }
            })
        }),
        with("another's terminal", "no viewer waits for this terminal", |site, from, pair| {
            Box::pin(async move {
                let (_typed, _shown, number) = wanted_terminal(&site, &pair).await;
                take_terminal(&site, from, &pair.a, number).await
            })
        }),
        with("a terminal that no viewer waits for", "no viewer waits for this terminal", |site, from, pair| {
            Box::pin(async move { take_terminal(&site, from, &pair.a, u64::MAX).await })
        }),
        with("a message that is longer than any may be", "too large", |site, from, pair| {
            Box::pin(async move {
                let endless = v1::Hello { version: "x".repeat(65 << 20), ..hello("a") };
                begin(site, from, pair, Up::Hello(endless)).await
            })
        }),
    ]
}

/// A session of `a` with work of its own.
async fn own_work(site: &Site, from: IpAddr, pair: &Pair) -> Result<(Session, v1::Assignment), String> {
    let mut session = own_session(site, from, &pair.a).await?;
    site.item("web", "a").await;
    let work = session.work().await;
    Ok((session, work))
}

/// Ends a worker in good order.
async fn end(session: &mut Session, work: &v1::Assignment, seq: u64) {
    let refused = session.report(report(work, seq, failed())).await.expect("it goes on");
    assert_eq!(refused, None, "the end of its own worker is accepted");
}

/// What an outpost has left once it was removed, or its certificate has expired; each on its own outpost.
pub(crate) fn put_out() -> Vec<Attack> {
    let row = |name: &'static str,
               told: &'static str,
               outpost: &'static str,
               run: fn(Arc<Site>, IpAddr, Member) -> futures::future::BoxFuture<'static, Outcome>| {
        let who: &'static str = format!("outpost/{outpost}").leak();
        attack(name, who, told, told, move |site: Arc<Site>, from| async move {
            let member = site.join(outpost).await;
            run(site, from, member).await
        })
    };
    let stranger = |attack: Attack| attack.by(STRANGER);
    vec![
        row("a session after its outpost was removed", "was removed", "session", |site, from, member| {
            Box::pin(async move {
                let mut session = own_session(&site, from, &member).await?;
                site.remove(member.name).await;
                Err(session.ended().await.message().to_owned())
            })
        }),
        row("a stream of logs after its outpost was removed", "was removed", "logs", |site, from, member| {
            Box::pin(async move {
                let (_chunks, mut acks) = log_stream(&site, from, &member, v1::LogChunk::default())
                    .await
                    .map_err(|status| status.to_string())?;
                acks.message().await.map_err(|status| status.to_string())?;
                site.remove(member.name).await;
                let end = tokio::time::timeout(LIMIT, acks.message()).await.map_err(|_| "it goes on".to_owned());
                match end {
                    Ok(Err(status)) => Err(status.message().to_owned()),
                    other => Ok(format!("{other:?}")),
                }
            })
        }),
        stranger(row(
            "a call over an open connection after its outpost was removed",
            "the outpost was removed",
            "open",
            |site, from, member| {
                Box::pin(async move {
                    let channel = site.channel(from, &member.credential).await.expect("it connects");
                    let who = |channel| call(channel, "/sprint.v1.Identity/WhoAmI", tonic::Request::new(()));
                    who(channel.clone()).await.expect("it is known");
                    site.remove(member.name).await;
                    who(channel).await.map(|()| "an answer".to_owned()).map_err(|status| status.message().to_owned())
                })
            },
        )),
        stranger(row(
            "a new connection after its outpost was removed",
            "the outpost was removed",
            "new",
            |site, from, member| {
                Box::pin(async move {
                    site.remove(member.name).await;
                    own_session(&site, from, &member).await.map(|_| "a session".to_owned())
                })
            },
        )),
        row("a session beyond its certificate", "the certificate has expired", "short", |site, from, member| {
            Box::pin(async move {
                let credential = site.issued(&member.key(), now(), Duration::from_secs(5));
                let short = Member { credential, ..member };
                let mut session = own_session(&site, from, &short).await?;
                Err(session.ended().await.message().to_owned())
            })
        }),
        row("logs beyond their certificate", "the certificate has expired", "short-logs", |site, from, member| {
            Box::pin(async move {
                let credential = site.issued(&member.key(), now(), Duration::from_secs(5));
                let short = Member { credential, ..member };
                let (_chunks, mut acks) = log_stream(&site, from, &short, v1::LogChunk::default())
                    .await
                    .map_err(|status| status.to_string())?;
                acks.message().await.map_err(|status| status.to_string())?;
                let end = tokio::time::timeout(LIMIT, acks.message()).await.map_err(|_| "it goes on".to_owned());
                match end {
                    Ok(Err(status)) => Err(status.message().to_owned()),
                    other => Ok(format!("{other:?}")),
                }
            })
        }),
        stranger(row(
            "a call beyond its certificate",
            "the certificate has expired",
            "short-call",
            |site, from, member| {
                Box::pin(async move {
                    let credential = site.issued(&member.key(), now(), Duration::from_secs(5));
                    let channel = site.channel(from, &credential).await.expect("it connects");
                    let who = |channel| call(channel, "/sprint.v1.Identity/WhoAmI", tonic::Request::new(()));
                    who(channel.clone()).await.expect("it is known");
                    for _ in 0..100 {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        if let Err(status) = who(channel.clone()).await {
                            return Err(status.message().to_owned());
                        }
                    }
                    Ok("it is valid without end".to_owned())
                })
            },
        )),
    ]
}

/// A terminal that is open when its outpost is removed: nothing of it passes any more, either way.
pub(crate) async fn terminal_of_removed(site: &Arc<Site>) {
    let pair = Pair::make(site).await;
    let (typed, mut shown, number) = wanted_terminal(site, &pair).await;
    let mut link = link(site, site.fresh_source(), &pair.b).await.expect("it connects");
    let (up, output) = mpsc::channel(8);
    let first = v1::TerminalOutput { session: number, data: b"$ ".to_vec().into(), ended: None };
    up.send(first).await.expect("there is room");
    let mut keys = link.terminal(ReceiverStream::new(output)).await.expect("it was asked").into_inner();
    let seen = tokio::time::timeout(LIMIT, shown.message()).await.expect("it is shown").expect("goes on");
    assert_eq!(seen.expect("something").data.as_ref(), b"$ ");
    site.remove("b").await;
    typed.send(v1::AttachInput { data: b"password\n".to_vec().into(), ..v1::AttachInput::default() }).await.ok();
    let leak = v1::TerminalOutput { session: 0, data: b"forged".to_vec().into(), ended: None };
    up.send(leak).await.ok();
    let key = tokio::time::timeout(LIMIT, keys.message()).await.expect("it ends");
    assert!(matches!(key, Ok(None) | Err(_)), "nothing is typed into it: {key:?}");
    let screen = tokio::time::timeout(LIMIT, shown.message()).await.expect("it ends");
    assert!(matches!(screen, Ok(None) | Err(_)), "nothing of it is shown: {screen:?}");
}
