//! How many connections there are, and from whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use sprint_core::ids::KeyId;

use crate::config::LimitsConfig;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Bucket {
    Address(IpAddr),
    Key(KeyId),
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by: HashMap<Bucket, usize>,
}

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Connections {
    limits: LimitsConfig,
    counts: Mutex<Counts>,
}

/// One open connection; it is counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Counted {
    connections: Arc<Connections>,
    bucket: Bucket,
}

impl Connections {
    pub(super) fn new(limits: LimitsConfig) -> Arc<Self> {
        Arc::new(Self { limits, counts: Mutex::default() })
    }

    /// Counts a connection from an address; the reason when there are too many.
    pub(super) fn open(self: &Arc<Self>, address: IpAddr) -> Result<Counted, String> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.limits.max_connections {
            return Err(format!("there are {} connections already", counts.all));
        }
        let bucket = Bucket::Address(address);
        let count = counts.by.entry(bucket.clone()).or_default();
        if *count >= self.limits.max_connections_per_address {
            return Err(format!("there are {count} connections without a certificate from this address already"));
        }
        *count += 1;
        counts.all += 1;
        Ok(Counted { connections: Arc::clone(self), bucket })
    }
}

impl Counted {
    /// Counts it among those of a certificate from now on; the reason when there are too many.
    pub(super) fn certified(&mut self, key: &KeyId) -> Result<(), String> {
        let mut counts = self.connections.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = Bucket::Key(key.clone());
        let count = counts.by.entry(bucket.clone()).or_default();
        if *count >= self.connections.limits.max_connections_per_certificate {
            return Err(format!("there are {count} connections with this certificate already"));
        }
        *count += 1;
        counts.leave(&self.bucket);
        self.bucket = bucket;
        Ok(())
    }
}

impl Counts {
    fn leave(&mut self, bucket: &Bucket) {
        if let Some(count) = self.by.get_mut(bucket) {
            *count -= 1;
            if *count == 0 {
                self.by.remove(bucket);
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        counts.leave(&self.bucket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_counted_from_its_beginning_to_its_end() {
        let limits = LimitsConfig {
            max_connections: 3,
            max_connections_per_address: 2,
            max_connections_per_certificate: 1,
            max_calls_per_connection: 1,
        };
        let connections = Connections::new(limits);
        let (one, two) = ("10.0.0.1".parse().expect("an address"), "10.0.0.2".parse().expect("an address"));
        let key = KeyId::new("0".repeat(64)).expect("a key");
        let mut first = connections.open(one).expect("has room");
        let second = connections.open(one).expect("has room");
        assert!(connections.open(one).expect_err("is full").contains("from this address"));
        first.certified(&key).expect("has room");
        let mut third = connections.open(one).expect("the certified one does not count here any more");
        assert!(third.certified(&key).expect_err("is full").contains("certificate"));
        assert!(connections.open(two).expect_err("is full").contains("3 connections"));
        drop((first, second, third));
        assert!(connections.counts.lock().expect("not poisoned").by.is_empty());
        connections.open(two).expect("has room again");
    }
}
