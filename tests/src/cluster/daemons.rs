//! A cluster's daemons: ended, and started again.

use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;
use sprint_failpoint::Point;

use super::Cluster;
use crate::eventually;

/// What a daemon reads to die at a place of its own.
const FAILPOINT: &str = "SPRINT_FAILPOINT";

impl Cluster {
    /// Starts the coordinator, and waits until it serves.
    #[track_caller]
    pub fn start_coordinator(&mut self) {
        self.coordinator.start();
        let file = self.coordinator_data().join("endpoints.json");
        let Self { coordinator, grpc, http, .. } = self;
        eventually("the coordinator serves", || {
            assert_eq!(coordinator.ended(), None, "the coordinator ended: {}", coordinator.log());
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let Ok(endpoints) = serde_json::from_str::<Value>(&text) else { return false };
            if endpoints["pid"] != coordinator.pid() {
                return false;
            }
            endpoints["grpc"].as_str().expect("an address").clone_into(grpc);
            endpoints["http"].as_str().expect("an address").clone_into(http);
            true
        });
    }

    pub fn kill_coordinator(&mut self) {
        self.coordinator.kill_9();
    }

    /// Ends the coordinator in good order; answers how, and after how long.
    pub fn terminate_coordinator(&mut self) -> (ExitStatus, Duration) {
        self.coordinator.terminate()
    }

    pub fn kill_outpost(&mut self, name: &str) {
        self.outpost(name).kill_9();
    }

    pub fn start_outpost(&mut self, name: &str) {
        self.outpost(name).start();
    }

    pub fn outpost_runs(&mut self, name: &str) -> bool {
        self.outpost(name).ended().is_none()
    }

    /// Ends an outpost's agent in good order; answers how, and after how long.
    pub fn terminate_outpost(&mut self, name: &str) -> (ExitStatus, Duration) {
        self.outpost(name).terminate()
    }

    /// Starts the coordinator, which dies when it comes to a place for the `time`th time. It may never serve.
    pub fn start_coordinator_to_die(&mut self, point: Point, time: u32) {
        self.coordinator.env(FAILPOINT, &format!("{}:{time}", point.name()));
        self.coordinator.start();
        self.coordinator.unset(FAILPOINT);
    }

    /// The same of an outpost.
    pub fn start_outpost_to_die(&mut self, name: &str, point: Point, time: u32) {
        let outpost = self.outpost(name);
        outpost.env(FAILPOINT, &format!("{}:{time}", point.name()));
        outpost.start();
        outpost.unset(FAILPOINT);
    }

    /// Sets a variable of the coordinator's from its next start on.
    pub fn coordinator_variable(&mut self, key: &str, value: &str) {
        self.coordinator.env(key, value);
    }

    /// Starts every daemon again that has ended by itself, as a service manager does; says so.
    pub fn start_what_ended(&mut self) {
        for (name, outpost) in &mut self.outposts {
            if let Some(status) = outpost.ended() {
                eprintln!("{name} has ended by itself: {status}");
                outpost.kill_9();
                outpost.start();
            }
        }
        if let Some(status) = self.coordinator.ended() {
            eprintln!("the coordinator has ended by itself: {status}");
            self.coordinator.kill_9();
            self.start_coordinator();
        }
    }

    pub fn outpost_pid(&self, name: &str) -> u32 {
        self.outposts[name].pid()
    }

    pub fn coordinator_runs(&mut self) -> bool {
        self.coordinator.ended().is_none()
    }
}
