//! Workers' terminal logs: one append-only file for each, written at the offset it has.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sprint_core::ids::WorkerId;
use sprint_core::time::Timestamp;
use tokio::sync::watch;

use crate::metrics::METRICS;

/// Bytes that one read answers at most.
const READ_BYTES: u64 = 256 * 1024;

/// A piece of a worker's log.
#[derive(Debug, Clone)]
pub struct LogChunk {
    pub worker: WorkerId,
    /// Where it begins in the log.
    pub offset: u64,
    pub data: Bytes,
}

/// The log files.
pub struct Logs {
    root: PathBuf,
    /// Those that are open to be appended to, by whatever stream.
    appending: Arc<AtomicUsize>,
    /// Word of growth, for those who follow; kept while a log is open or followed.
    sizes: Mutex<HashMap<WorkerId, watch::Sender<u64>>>,
}

/// An open log, held by the stream that appends to it.
pub struct OpenLog {
    worker: WorkerId,
    file: File,
    index: File,
    len: u64,
    durable: u64,
    size: watch::Sender<u64>,
    appending: Arc<AtomicUsize>,
}

impl Drop for OpenLog {
    fn drop(&mut self) {
        self.appending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Logs {
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(root: PathBuf) -> io::Result<Arc<Self>> {
        std::fs::create_dir_all(&root)?;
        Ok(Arc::new(Self { root, appending: Arc::default(), sizes: Mutex::default() }))
    }

    fn path(&self, worker: WorkerId) -> PathBuf {
        self.root.join(format!("{worker}.log"))
    }

    /// The index: pairs of (epoch milliseconds, offset), eight bytes each, little-endian.
    fn index_path(&self, worker: WorkerId) -> PathBuf {
        self.root.join(format!("{worker}.times"))
    }

    fn size_of(&self, worker: WorkerId) -> watch::Sender<u64> {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.len() > 4096 {
            sizes.retain(|_, size| size.receiver_count() > 0 || size.sender_count() > 1);
        }
        sizes.entry(worker).or_default().clone()
    }

    /// Opens a worker's log to append to it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn append(&self, worker: WorkerId) -> io::Result<OpenLog> {
        let file = File::options().create(true).append(true).open(self.path(worker))?;
        let index = File::options().create(true).append(true).open(self.index_path(worker))?;
        let len = file.metadata()?.len();
        // What an earlier run wrote may not have reached the disk yet.
        file.sync_data()?;
        self.appending.fetch_add(1, Ordering::Relaxed);
        let (size, appending) = (self.size_of(worker), Arc::clone(&self.appending));
        Ok(OpenLog { worker, file, index, len, durable: len, size, appending })
    }

    /// How many logs are open to be appended to.
    pub fn appending(&self) -> usize {
        self.appending.load(Ordering::Relaxed)
    }

    /// The size of a worker's log.
    ///
    /// # Errors
    /// What the file system says, other than that there is no log yet.
    pub fn len(&self, worker: WorkerId) -> io::Result<u64> {
        match std::fs::metadata(self.path(worker)) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Up to 256 KiB from `offset` on; empty at the end.
    ///
    /// # Errors
    /// What the file system says, other than that there is no log yet.
    pub fn read(&self, worker: WorkerId, offset: u64) -> io::Result<Vec<u8>> {
        let mut file = match File::open(self.path(worker)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(offset))?;
        let mut data = Vec::new();
        file.take(READ_BYTES).read_to_end(&mut data)?;
        Ok(data)
    }

    /// Where the log stood at a time: the offset of the first byte that arrived after it, to a second.
    ///
    /// # Errors
    /// What the file system says.
    pub fn offset_at(&self, worker: WorkerId, time: Timestamp) -> io::Result<u64> {
        let index = match std::fs::read(self.index_path(worker)) {
            Ok(index) => index,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let (entries, _) = index.as_chunks::<16>();
        let found = entries.iter().find_map(|entry| {
            let (millis, offset) = entry.split_at(8);
            let millis = i64::from_le_bytes(millis.try_into().ok()?);
            let offset = u64::from_le_bytes(offset.try_into().ok()?);
            (Timestamp::from_millis(millis) >= time).then_some(offset)
        });
        found.map_or_else(|| self.len(worker), Ok)
    }

    /// Word of a log's growth.
    pub fn follow(&self, worker: WorkerId) -> watch::Receiver<u64> {
        self.size_of(worker).subscribe()
    }
}

impl OpenLog {
    pub const fn worker(&self) -> WorkerId {
        self.worker
    }

    /// Everything before this byte is on the disk.
    pub const fn durable(&self) -> u64 {
        self.durable
    }

    pub const fn unsynced(&self) -> u64 {
        self.len - self.durable
    }

    /// Appends what is new in a chunk; bytes that the log has already are passed over,
    /// and a chunk that leaves a gap is not taken.
    ///
    /// # Errors
    /// What the file system says; the log is cut back to what was written whole.
    pub fn write(&mut self, offset: u64, data: &[u8], now: Timestamp) -> io::Result<()> {
        let Some(known) = self.len.checked_sub(offset) else { return Ok(()) };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let Some(fresh) = data.get(known..).filter(|fresh| !fresh.is_empty()) else { return Ok(()) };
        if let Err(error) = self.file.write_all(fresh) {
            // A torn write must not shift what comes after it.
            self.file.set_len(self.len)?;
            return Err(error);
        }
        let mut entry = [0; 16];
        entry[..8].copy_from_slice(&now.as_millis().to_le_bytes());
        entry[8..].copy_from_slice(&self.len.to_le_bytes());
        self.index.write_all(&entry)?;
        self.len += fresh.len() as u64;
        METRICS.log_bytes.only().inc_by(fresh.len() as u64);
        self.size.send_replace(self.len);
        Ok(())
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// What the file system says.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.durable < self.len {
            self.file.sync_data()?;
            self.durable = self.len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_and_overlapping_chunks_leave_no_gap_and_no_repeat() {
        let directory = tempfile::tempdir().unwrap();
        let logs = Logs::open(directory.path().to_owned()).unwrap();
        let worker = WorkerId::new(1);
        let mut log = logs.append(worker).unwrap();
        for (offset, data) in [(0, "abc"), (0, "abc"), (1, "bcde"), (9, "gap"), (5, ""), (5, "f"), (2, "x")] {
            log.write(offset, data.as_bytes(), Timestamp::from_millis(1)).unwrap();
        }
        assert_eq!((log.durable(), log.unsynced()), (0, 6));
        log.sync().unwrap();
        assert_eq!(log.durable(), 6);
        drop(log);
        assert_eq!(logs.append(worker).unwrap().durable(), 6, "a reopened log goes on where it was");
        assert_eq!(logs.read(worker, 0).unwrap(), b"abcdef");
        assert_eq!(logs.read(worker, 4).unwrap(), b"ef");
        assert_eq!(logs.read(WorkerId::new(2), 0).unwrap(), b"");
    }

    #[test]
    fn a_time_leads_to_what_arrived_since() {
        let directory = tempfile::tempdir().unwrap();
        let logs = Logs::open(directory.path().to_owned()).unwrap();
        let worker = WorkerId::new(1);
        let mut log = logs.append(worker).unwrap();
        log.write(0, b"old", Timestamp::from_millis(1_000)).unwrap();
        log.write(3, b"new", Timestamp::from_millis(9_000)).unwrap();
        assert_eq!(logs.offset_at(worker, Timestamp::from_millis(500)).unwrap(), 0);
        assert_eq!(logs.offset_at(worker, Timestamp::from_millis(5_000)).unwrap(), 3);
        assert_eq!(logs.offset_at(worker, Timestamp::from_millis(10_000)).unwrap(), 6);
    }
}
