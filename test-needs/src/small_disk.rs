//! A small file system in memory.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs of a given size, unmounted when it is dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts a tmpfs at `path`; `size` is as for mount(8), such as `16m`.
    ///
    /// # Errors
    /// The output of mount(8), such as a lack of permission.
    pub fn mount(path: impl Into<PathBuf>, size: &str) -> Result<Self, String> {
        let path = path.into();
        std::fs::create_dir_all(&path).map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
        let options = format!("size={size},mode=700");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(&path).output();
        let mount = mount.map_err(|error| format!("mount cannot be run: {error}"))?;
        if !mount.status.success() {
            return Err(String::from_utf8_lossy(&mount.stderr).trim().to_owned());
        }
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file until no space is left.
    pub fn fill(&self) {
        let file = self.filler();
        Command::new("dd").args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", file.display())).output().ok();
    }

    /// Removes the file of [`SmallDisk::fill`].
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).ok();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).output().ok();
    }
}
