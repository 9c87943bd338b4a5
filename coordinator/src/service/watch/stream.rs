//! The one rule for readers of a stream.
//!
//! A task of the coordinator is the source, and a bounded channel leads to the reader. A reader that is slow holds
//! its own source back and no other. Sources read the record, or a file, from where the reader is; so a reader
//! that lags misses nothing. The source ends when the reader is gone and when the coordinator stops.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use sprint_core::event::Seq;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::service::{Coordinator, ServiceError};

/// Values as they come. An error is the last one; without it, the stream is whole.
pub type Values<T> = BoxStream<'static, Result<T, ServiceError>>;

/// Why a source ends before it is through.
#[derive(Debug)]
pub enum EarlyEnd {
    ReaderLeft,
    Stopping,
    Failed(ServiceError),
}

impl<E: Into<ServiceError>> From<E> for EarlyEnd {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The reader of a stream, as its source sees it.
#[derive(Debug)]
pub struct Reader<T> {
    values: mpsc::Sender<T>,
    stop: CancellationToken,
}

impl<T> Reader<T> {
    /// Hands a value over as soon as there is room for it.
    ///
    /// # Errors
    /// [`EarlyEnd`] when it will not be read, or the coordinator stops.
    pub async fn send(&self, value: T) -> Result<(), EarlyEnd> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(EarlyEnd::Stopping),
            sent = self.values.send(value) => sent.map_err(|_| EarlyEnd::ReaderLeft),
        }
    }

    /// Waits for a future for as long as the reader stays.
    ///
    /// # Errors
    /// As [`Reader::send`].
    pub async fn wait<F: Future>(&self, event: F) -> Result<F::Output, EarlyEnd> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(EarlyEnd::Stopping),
            () = self.values.closed() => Err(EarlyEnd::ReaderLeft),
            output = event => Ok(output),
        }
    }

    /// Waits for the next commit.
    ///
    /// # Errors
    /// As [`Reader::send`].
    pub async fn next_commit(&self, newest: &mut watch::Receiver<Seq>) -> Result<(), EarlyEnd> {
        // The record is closed last of all.
        self.wait(newest.changed()).await?.map_err(|_| EarlyEnd::Stopping)
    }
}

/// Starts `source` for one reader; `ahead` values may wait for them.
pub fn stream<T, F>(sprint: &Arc<Coordinator>, ahead: usize, source: impl FnOnce(Reader<T>) -> F) -> Values<T>
where
    T: Send + 'static,
    F: Future<Output = Result<(), EarlyEnd>> + Send + 'static,
{
    start(&sprint.stop, &sprint.tasks, ahead, source)
}

fn start<T, F>(
    stop: &CancellationToken,
    tasks: &TaskTracker,
    ahead: usize,
    source: impl FnOnce(Reader<T>) -> F,
) -> Values<T>
where
    T: Send + 'static,
    F: Future<Output = Result<(), EarlyEnd>> + Send + 'static,
{
    let (values, receiver) = mpsc::channel(ahead);
    let (end, ended) = oneshot::channel();
    let source = source(Reader { values, stop: stop.clone() });
    tasks.spawn(async move {
        // The send fails when the reader is gone, which is no error.
        let _ = end.send(source.await);
    });
    // How it ended comes beside the values, so that a full channel cannot hide it.
    let last = ended.into_stream().filter_map(|ended| {
        std::future::ready(match ended {
            Ok(Ok(()) | Err(EarlyEnd::ReaderLeft)) => None,
            Ok(Err(EarlyEnd::Stopping)) => Some(Err(ServiceError::stopping())),
            Ok(Err(EarlyEnd::Failed(error))) => Some(Err(error)),
            Err(_) => Some(Err(std::io::Error::other("the source of the stream ended badly").into())),
        })
    });
    ReceiverStream::new(receiver).map(Ok).chain(last).boxed()
}

#[cfg(test)]
mod tests {
    use sprint_core::refusal::Code;

    use super::*;

    /// Counts without end, for one reader of whom `ahead` numbers may wait.
    fn numbers(stop: &CancellationToken, tasks: &TaskTracker, ahead: usize) -> Values<u64> {
        start(stop, tasks, ahead, |reader| async move {
            for number in 0.. {
                reader.send(number).await?;
            }
            Ok(())
        })
    }

    #[tokio::test]
    async fn a_slow_reader_misses_nothing_and_gets_the_stop_after_the_values_before_it() {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut numbers = numbers(&stop, &tasks, 2);
        assert_eq!(numbers.next().await.unwrap().unwrap(), 0);
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        let rest = numbers.collect::<Vec<_>>().await;
        let (last, values) = rest.split_last().expect("the end is told");
        assert!(values.len() <= 2, "{values:?}");
        assert!(values.iter().zip(1..).all(|(value, next)| matches!(value, Ok(value) if *value == next)), "{values:?}");
        assert_eq!(last.as_ref().unwrap_err().code(), Code::CoordinatorStopping);
    }

    #[tokio::test]
    async fn a_source_ends_when_its_reader_leaves() {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let waiting =
            start::<u64, _>(&stop, &tasks, 1, |reader| async move { reader.wait(std::future::pending()).await });
        drop((waiting, numbers(&stop, &tasks, 1)));
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn an_error_of_the_source_is_the_last_value_of_its_reader() {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let failing = start(&stop, &tasks, 1, |reader| async move {
            reader.send(7).await?;
            Err(ServiceError::invalid("no").into())
        });
        let all = failing.map(|value| value.map_err(|error| error.code())).collect::<Vec<_>>().await;
        assert_eq!(all, [Ok(7), Err(Code::RequestInvalid)]);
        let panicking = start::<u64, _>(&stop, &tasks, 1, |_| async { panic!("on purpose") });
        let all = panicking.map(|value| value.map_err(|error| error.code())).collect::<Vec<_>>().await;
        assert_eq!(all, [Err(Code::IoFailed)], "a stream that breaks off is never taken for a whole one");
    }
}
