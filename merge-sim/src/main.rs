//! `merge-sim [--seeds N] [--changes N] [--every N] [--threads N] [--verbose]` prints the sweep as a Markdown table;
//! `merge-sim --plan` prints how long one plan over a thousand pending changes takes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use merge_sim::report;
use merge_sim::sweep::{Compared, compare, points};
use merge_sim::world::{Point, World};
use sprint_core::merge_queue::model::Model;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--plan") {
        return time_a_plan();
    }
    let option = |name: &str, default: usize| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let seeds = option("--seeds", 20) as u64;
    let points = points(option("--changes", 300), option("--every", 1));
    let verbose = arguments.iter().any(|argument| argument == "--verbose");
    let threads = option("--threads", std::thread::available_parallelism().map_or(1, usize::from));
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel::<(usize, Compared)>();
    let mut all = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, points) = (sender.clone(), &next, &points);
            scope.spawn(move || {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    let at = next.load(Ordering::Relaxed);
                    let place = points.iter().position(|other| *other == point).unwrap_or(at);
                    let start = Instant::now();
                    let compared = compare(point, 0..seeds);
                    if verbose {
                        eprint!("{:6.1} s {}", start.elapsed().as_secs_f64(), report::line(&compared));
                    }
                    let _ = sender.send((place, compared));
                }
            });
        }
        drop(sender);
        receiver.iter().collect::<Vec<_>>()
    });
    all.sort_by_key(|(at, _)| *at);
    let all: Vec<Compared> = all.into_iter().map(|(_, compared)| compared).collect();
    println!("{}", report::summary(&all));
    print!("{}", report::HEAD);
    for compared in &all {
        print!("{}", report::line(compared));
    }
}

/// Plans over a thousand changes of which two in five overlap, before anything was gated.
fn time_a_plan() {
    let point = Point { changes: 1000, ..points(1000, 1)[6] };
    let world = World::new(point, 1);
    for slots in [4, 200] {
        let mut model = Model::new(slots);
        for change in 0..point.changes {
            model.arrive(&world, world.id(change, 0), 0.95, Vec::new());
        }
        let start = Instant::now();
        let rounds = 20;
        let steps: usize = (0..rounds).map(|_| model.plan().steps.len()).sum();
        let each = start.elapsed() / rounds;
        println!(
            "1000 changes, {:.0} % overlap, {slots} slots: {} steps in {each:.2?}",
            point.overlap * 100.0,
            steps / rounds as usize
        );
    }
}
