//! A stream whose end is explained: under TLS 1.3 a server refuses a client's certificate after the
//! client's handshake is over, so that the first write may fail before the refusal was read.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads why the other side went before it says that a write failed.
#[derive(Debug)]
pub(crate) struct Explained<S> {
    stream: S,
    /// Why a write failed, while what the other side sent before it went is read.
    broken: Option<io::Error>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Explained<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, broken: None }
    }

    /// Reads to the end of a stream that is broken; what it ends with is the reason.
    fn poll_reason(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let mut scratch = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            let told = read.err().filter(is_of_tls);
            if told.is_some() || buffer.filled().is_empty() {
                let broken = self.broken.take().unwrap_or_else(|| ErrorKind::BrokenPipe.into());
                return Poll::Ready(told.unwrap_or(broken));
            }
        }
    }

    /// Writes, unless the stream is broken already.
    fn poll_writing<T>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.broken.is_none() {
            match ready!(write(Pin::new(&mut self.stream), context)) {
                Err(error)
                    if [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted]
                        .contains(&error.kind()) =>
                {
                    self.broken = Some(error);
                }
                written => return Poll::Ready(written),
            }
        }
        self.poll_reason(context).map(Err)
    }
}

fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Explained<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Explained<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_writing(context, |stream, context| stream.poll_write(context, buffer))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_writing(context, |stream, context| stream.poll_write_vectored(context, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_writing(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
