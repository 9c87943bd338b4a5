//! A network namespace of a test's own: a second machine, as far as addresses go.

use std::process::Command;

/// What a pair of interfaces does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Up,
    Down,
}

/// A namespace that reaches us, and we it, over a pair of interfaces; it goes with this value.
#[derive(Debug)]
pub struct Namespace {
    pub name: String,
    /// Our address, as the namespace sees us.
    pub ours: String,
    outside: String,
}

impl Namespace {
    /// Makes one.
    ///
    /// # Errors
    /// This process may not, or iproute2 is missing.
    pub fn make() -> Result<Self, String> {
        // Unlikely to be in use, and no two tests of one run have the same.
        let number = std::process::id() % 16_384;
        let (name, outside) = (format!("sprint-{number}"), format!("sprv{number}"));
        let subnet = format!("10.213.{}", number / 64);
        let host = number % 64 * 4;
        let (ours, theirs) = (format!("{subnet}.{}", host + 1), format!("{subnet}.{}", host + 2));
        ip(&["netns", "add", &name])?;
        let namespace = Self { name: name.clone(), ours: ours.clone(), outside: outside.clone() };
        let inside = format!("spri{number}");
        ip(&["link", "add", &outside, "type", "veth", "peer", "name", &inside, "netns", &name])?;
        ip(&["addr", "add", &format!("{ours}/30"), "dev", &outside])?;
        ip(&["link", "set", &outside, "up"])?;
        ip(&["-n", &name, "addr", "add", &format!("{theirs}/30"), "dev", &inside])?;
        ip(&["-n", &name, "link", "set", &inside, "up"])?;
        ip(&["-n", &name, "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Takes the link between us down, or up again.
    pub fn link(&self, link: Link) {
        let state = match link {
            Link::Up => "up",
            Link::Down => "down",
        };
        ip(&["link", "set", &self.outside, state]).ok();
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| format!("ip cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(())
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The pair of interfaces goes with it.
        ip(&["netns", "del", &self.name]).ok();
    }
}
