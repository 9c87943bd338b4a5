//! What stands between an outpost and its coordinator: it can cut every connection, or go silent with all open.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    Silent,
}

/// A relay for one outpost.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    line: watch::Sender<Line>,
    cuts: watch::Sender<u64>,
}

impl Proxy {
    /// Relays what comes to a free port of `host` to `target`.
    pub(super) fn start(runtime: &Handle, host: &str, target: &str) -> Self {
        let listener = runtime.block_on(TcpListener::bind((host, 0))).expect("a free port");
        let address = listener.local_addr().expect("is bound");
        let (line, cuts) = (watch::Sender::new(Line::Open), watch::Sender::new(0));
        let (heard, cut, target) = (line.subscribe(), cuts.subscribe(), target.to_owned());
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(relay(near, target.clone(), heard.clone(), cut.clone()));
            }
        });
        Self { address, line, cuts }
    }

    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(super) fn silence(&self) {
        self.line.send_replace(Line::Silent);
    }

    pub(super) fn open(&self) {
        self.line.send_replace(Line::Open);
    }
}

async fn relay(near: TcpStream, target: String, line: watch::Receiver<Line>, mut cut: watch::Receiver<u64>) {
    cut.mark_unchanged();
    let Ok(far) = TcpStream::connect(&target).await else { return };
    near.set_nodelay(true).ok();
    far.set_nodelay(true).ok();
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        ((), ()) = async { tokio::join!(pump(near_in, far_out, line.clone()), pump(far_in, near_out, line.clone())) } => {}
        _ = cut.changed() => {}
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if line.wait_for(|line| *line == Line::Open).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // Not before it is open again: a silent line tells no end either.
    line.wait_for(|line| *line == Line::Open).await.ok();
}
