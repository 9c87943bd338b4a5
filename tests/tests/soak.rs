//! A short soak; `make soak` runs the long one.

use std::time::Duration;

use sprint_tests::soak::{self, SoakOptions};

#[test]
fn half_a_minute_of_faults_loses_nothing() {
    soak::run(SoakOptions { time: Duration::from_secs(30), seed: fastrand::u64(..) });
}
