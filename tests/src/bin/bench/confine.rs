//! What each part of the confinement adds to the start and the end of one command.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use sprint_tests::binary;
use sprint_tests::load::figures::{Figures, Times};
use sprint_tests::load::site::{Site, run as run_command, until};

use crate::extent::Extent;

/// Each with what it lacks of the whole.
const KINDS: [(&str, &[&str]); 4] = [
    ("none", &["view", "landlock", "processes", "filter"]),
    ("files", &["processes", "filter"]),
    ("files and calls", &["processes"]),
    ("files, calls and processes", &[]),
];

/// Runs `true` as the agent's own git runs a person's filter, with more and more of the confinement, in turns.
pub(crate) async fn run(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let mut site = Site::start().await?;
    let data = site.outpost("bench", 1, 0).await?;
    let filters = data.join("filters");
    let plan = until("the agent's own confinement", || std::fs::read(filters.join("exec.json")).ok()).await?;
    std::fs::create_dir_all(filters.join("workspace"))?;
    let directory = tempfile::tempdir()?;
    let mut times = KINDS.map(|_| vec![]);
    for (place, (_, lacks)) in KINDS.iter().enumerate() {
        let mut plan: serde_json::Value = serde_json::from_slice(&plan)?;
        let mechanisms = &mut plan["sandbox"]["mechanisms"];
        for name in *lacks {
            mechanisms[*name] = if mechanisms[*name].is_boolean() { false.into() } else { serde_json::Value::Null };
        }
        let dir = directory.path().join(place.to_string());
        std::fs::create_dir(&dir)?;
        std::fs::write(dir.join("exec.json"), serde_json::to_vec(&plan)?)?;
    }
    let more = tempfile::tempdir()?;
    for _ in 0..extent.of(200, 2) {
        for (place, times) in times.iter_mut().enumerate() {
            let began = Instant::now();
            confined(&directory.path().join(place.to_string()), more.path())?;
            times.push(began.elapsed());
        }
    }
    let mut before = "-".to_owned();
    for ((name, _), times) in KINDS.iter().zip(times) {
        let took = Times::new(times).to_string();
        figures.add(&format!("a command in a confinement of {name}, from start to end"), took.clone(), &before, "-");
        before = took;
    }
    Ok(())
}

fn confined(dir: &Path, more: &Path) -> anyhow::Result<()> {
    run_command(Command::new(binary("outpost-agent")).arg("within").args([dir, more]).arg("/bin/true")).map(drop)
}
