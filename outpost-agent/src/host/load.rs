//! The load of the host.

use std::fs;
use std::path::Path;

use sprint_core::outpost::Load;

use super::disk;

/// Reads the load; what cannot be read counts as zero.
pub(crate) fn read(data: &Path) -> Load {
    let load1 = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Load {
        load1: load1.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default(),
        free_disk_bytes: disk::free_bytes(data).unwrap_or_default(),
        free_memory_bytes: available(&memory).unwrap_or_default(),
    }
}

/// `MemAvailable` in the text of `/proc/meminfo`, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
    }
}
