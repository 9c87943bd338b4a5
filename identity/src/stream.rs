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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use rustls::AlertDescription;

    use super::*;

    /// Cannot be written to any more; what is left to read comes as scripted, and then the end.
    struct Gone(VecDeque<Poll<io::Result<&'static [u8]>>>);

    impl AsyncRead for Gone {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let next = self.0.pop_front().unwrap_or(Poll::Ready(Ok(b"")));
            next.map_ok(|bytes| buffer.put_slice(bytes))
        }
    }

    impl AsyncWrite for Gone {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// What a write ends with, and how often it had to wait.
    fn write(left: Vec<Poll<io::Result<&'static [u8]>>>) -> (String, usize) {
        let mut stream = Explained::new(Gone(left.into()));
        let mut context = Context::from_waker(Waker::noop());
        let mut waited = 0;
        loop {
            match Pin::new(&mut stream).poll_write(&mut context, b"hello") {
                Poll::Ready(written) => return (written.expect_err("it is gone").to_string(), waited),
                Poll::Pending => waited += 1,
            }
        }
    }

    #[test]
    fn a_failed_write_says_what_the_other_side_said_before_it_went() {
        let alert = rustls::Error::AlertReceived(AlertDescription::UnknownCA);
        let told = Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, alert)));
        let (why, waited) = write(vec![Poll::Ready(Ok(b"ticket")), Poll::Pending, told]);
        assert_eq!((why.as_str(), waited), ("received fatal alert: UnknownCA", 1));
    }

    #[test]
    fn a_side_that_goes_without_a_word_leaves_the_writes_own_error() {
        let silent = io::Error::from(ErrorKind::BrokenPipe).to_string();
        assert_eq!(write(vec![]), (silent.clone(), 0));
        assert_eq!(write(vec![Poll::Ready(Err(ErrorKind::ConnectionReset.into()))]), (silent, 0));
    }
}
