//! Finding processes by what they mention.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The processes whose command line, environment or working directory mentions a text.
pub fn mentioning(text: &str) -> Vec<i32> {
    let own = std::process::id().cast_signed();
    std::fs::read_dir("/proc")
        .expect("there is a /proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own && mentions(*pid, text))
        .collect()
}

/// The shims that look after the worker of a directory.
pub fn shims(dir: &Path) -> Vec<i32> {
    let is_shim = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1).is_some_and(|word| word == b"exec" || word == b"warm")
    };
    let holds = |pid: &i32| {
        let held = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        held.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|file| file.starts_with(dir))
    };
    mentioning("outpost-agent").into_iter().filter(is_shim).filter(holds).collect()
}

fn mentions(pid: i32, text: &str) -> bool {
    let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    let process = Path::new("/proc").join(pid.to_string());
    std::fs::read(process.join("cmdline")).is_ok_and(|line| holds(&line))
        || std::fs::read(process.join("environ")).is_ok_and(|environment| holds(&environment))
        || std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| holds(cwd.as_os_str().as_encoded_bytes()))
}

/// Kills every process that mentions a text, until there is none.
pub(crate) fn end_all(text: &str) {
    for _ in 0..100 {
        let found = mentioning(text);
        if found.is_empty() {
            return;
        }
        for pid in found {
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    eprintln!("processes of {text} could not be ended: {:?}", mentioning(text));
}

/// The most memory that a process has had, in MiB.
pub fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") >> 10
}
