//! Log bytes from workers to the coordinator's disk, beside tmux's own pipe-pane.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sprint_tests::load::figures::{Figures, rate};
use sprint_tests::load::site::{Site, run as run_command, until};

use crate::extent::Extent;

pub(crate) async fn run(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    for workers in extent.of([1, 16], [1, 2]) {
        let bytes = extent.of(192 << 20, 1 << 20) / workers;
        let directory = tempfile::tempdir()?;
        let text = directory.path().join("text");
        std::fs::write(&text, "a line of a worker's terminal, as long as such lines are\n".repeat(bytes / 57))?;
        let floor = pipe_pane(directory.path(), &text, workers).await?;
        let ours = streamed(&text, workers).await?;
        figures.add(
            &format!("log bytes to the coordinator's disk, {workers} workers"),
            format!("{ours:.1} MB/s ({:.2} ×)", ours / floor),
            &format!("{floor:.1} MB/s tmux pipe-pane to a file"),
            "≥ 0.8 × the floor",
        );
    }
    Ok(())
}

/// Megabytes per second until `files` files below `directory` hold what their workers print:
/// at least as much as the text, since a terminal adds a carriage return to each line.
async fn filled(files: impl Fn() -> Vec<u64>, workers: usize, each: u64) -> anyhow::Result<f64> {
    let began = until("a first byte", || files().iter().any(|size| *size > 0).then(Instant::now)).await?;
    let total = until("every byte", || {
        let sizes = files();
        (sizes.iter().filter(|size| **size >= each).count() >= workers).then(|| sizes.iter().sum::<u64>())
    })
    .await?;
    Ok(rate(total, began.elapsed().max(Duration::from_millis(1))) / 1e6)
}

fn lines_and_returns(text: &Path) -> anyhow::Result<u64> {
    let size = std::fs::metadata(text)?.len();
    Ok(size + size / 57)
}

async fn pipe_pane(directory: &Path, text: &Path, workers: usize) -> anyhow::Result<f64> {
    let socket = directory.join("tmux.sock");
    let tmux = || {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&socket).args(["-f", "/dev/null"]);
        command
    };
    run_command(tmux().args(["new-session", "-d", "-s", "keep", "sleep 1000"]))?;
    let out = directory.join("out");
    std::fs::create_dir_all(&out)?;
    // The pane stays: tmux may lose the last 64 KiB of one that closes.
    let print = format!("cat {}; sleep 1000", text.display());
    for worker in 0..workers {
        let name = format!("w{worker}");
        let log = format!("exec cat >> {}", out.join(&name).display());
        run_command(
            tmux().args(["new-session", "-d", "-s", &name, "-x", "200", "-y", "50", "--", "sh", "-c", &print]).args([
                ";",
                "pipe-pane",
                "-O",
                "-t",
                &name,
                &log,
            ]),
        )?;
    }
    let each = lines_and_returns(text)?;
    let sizes = || sizes(&out);
    let floor = filled(sizes, workers, each).await;
    run_command(tmux().arg("kill-server"))?;
    floor
}

fn sizes(directory: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let logs = entries.filter(|entry| entry.path().extension().is_none_or(|extension| extension == "log"));
    logs.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).collect()
}

async fn streamed(text: &Path, workers: usize) -> anyhow::Result<f64> {
    let mut site = Site::start().await?;
    // A worker reads no file of another user unless its outpost allows it.
    let read = ["--allow-read".to_owned(), text.display().to_string()];
    site.outpost_with("bench", u32::try_from(workers)?, 2, &read).await?;
    site.add_repo(&site.upstream(10)?).await?;
    site.add_items(workers, &format!("cat {}; exit 1", text.display())).await?;
    let logs = site.path().join("coordinator/logs");
    filled(|| sizes(&logs), workers, lines_and_returns(text)?).await
}
