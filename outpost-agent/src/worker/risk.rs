//! What an agent may die of: a worker's directory at which several starts have failed is set aside, so that the next one
//! goes on with the others.

use std::fs;
use std::path::{Path, PathBuf};

/// How often an agent may have ended in the middle of one thing: once as it came to it, and at two starts after that.
const ENDS: u32 = 3;

/// Something under way that touches what a worker has left; noted on the disk for as long as this is held.
#[derive(Debug)]
pub(super) struct Risk {
    note: PathBuf,
}

impl Risk {
    /// Notes that it begins.
    ///
    /// # Errors
    /// How often agents have ended in the middle of it: it is better left alone.
    pub(super) fn take(note: &Path) -> Result<Self, u32> {
        let ends = fs::read_to_string(note).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        if ends >= ENDS {
            return Err(ends);
        }
        // On a full disk it goes without.
        fs::write(note, (ends + 1).to_string()).ok();
        Ok(Self { note: note.to_owned() })
    }
}

impl Drop for Risk {
    fn drop(&mut self) {
        fs::remove_file(&self.note).ok();
    }
}

/// Why something is left alone.
pub(super) fn in_words(ends: u32) -> String {
    format!("the agent has ended {ends} times while it looked at what this worker has left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_agents_end_in_is_left_alone_and_what_comes_to_its_end_is_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let note = dir.path().join("risk");
        for _ in 0..10 {
            Risk::take(&note).expect("it came to its end each time");
        }
        for _ in 0..ENDS {
            // As a process does that is killed.
            std::mem::forget(Risk::take(&note).expect("is tried"));
        }
        assert_eq!(Risk::take(&note).expect_err("is left alone"), ENDS);
        fs::write(&note, "nonsense").expect("is written");
        Risk::take(&note).expect("is tried");
        assert!(!note.exists());
    }
}
