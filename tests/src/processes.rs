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
