use proptest::prelude::*;

use super::*;
use crate::fixtures;
use crate::ids::TrialId;

fn repo(name: &str) -> RepoName {
    RepoName::new(name).expect("a name")
}

fn request(id: u64, priority: Priority, since_min: i64) -> Request {
    Request {
        work: Work::Item(ItemId::new(id)),
        repo: repo("demo"),
        role: Role::Developer,
        priority,
        since: Timestamp::from_millis(since_min * 60_000),
        requires: BTreeMap::new(),
        needs: vec![],
        avoid: vec![],
    }
}

fn outpost(name: &str, max: u32, active: u32) -> Capacity {
    let mut in_use = SlotsInUse::default();
    for _ in 0..active {
        in_use.occupy(&repo("elsewhere"), Role::Developer);
    }
    let outpost = Outpost { name: OutpostName::new(name).expect("a name"), max_workers: max, ..fixtures::outpost() };
    Capacity { outpost: Arc::new(outpost), in_use: Arc::new(in_use) }
}

fn label(capacity: &mut Capacity, labels: BTreeMap<String, String>) {
    Arc::make_mut(&mut capacity.outpost).labels = labels;
}

/// The placements on these outposts, where nothing is limited.
fn assigned<const N: usize>(ready: &[Request], mut outposts: [Capacity; N]) -> Vec<Placement> {
    assign(ready, &mut outposts, &mut Limits::default())
}

fn order(placements: &[Placement]) -> Vec<Work> {
    placements.iter().map(|placement| placement.work.clone()).collect()
}

fn item(id: u64) -> Work {
    Work::Item(ItemId::new(id))
}

#[test]
fn priority_goes_first_then_age() {
    let ready = [
        request(1, Priority::Low, 0),
        request(2, Priority::Urgent, 20),
        request(3, Priority::Urgent, 10),
        request(4, Priority::Medium, 5),
    ];
    let placements = assigned(&ready, [outpost("a", 8, 0)]);
    assert_eq!(order(&placements), [item(3), item(2), item(4), item(1)]);
}

#[test]
fn old_work_passes_urgent_newcomers() {
    let old = request(1, Priority::Low, 0);
    let newcomer = request(2, Priority::Urgent, 91);
    let placements = assigned(&[newcomer, old], [outpost("a", 1, 0)]);
    assert_eq!(order(&placements), [item(1)], "three levels are worth three times half an hour");
}

#[test]
fn gates_go_before_items() {
    let mut gate = request(9, Priority::Low, 500);
    gate.work = Work::Gate(GateJob { trial: TrialId::new(9), gate: "test".to_owned() });
    let placements = assigned(&[request(1, Priority::Urgent, 0), gate], [outpost("a", 1, 0)]);
    assert_eq!(order(&placements), [Work::Gate(GateJob { trial: TrialId::new(9), gate: "test".to_owned() })]);
}

#[test]
fn work_spreads_to_the_least_loaded_outpost() {
    let ready = (1..=6).map(|id| request(id, Priority::Medium, 0)).collect::<Vec<_>>();
    let placements = assigned(&ready, [outpost("a", 4, 2), outpost("b", 4, 0), outpost("c", 2, 0)]);
    let count = |name: &str| placements.iter().filter(|placement| placement.outpost.as_str() == name).count();
    assert_eq!((count("a"), count("b"), count("c")), (1, 3, 2));
}

#[test]
fn labels_are_required_and_reasons_are_told() {
    let mut gpu = request(1, Priority::Medium, 0);
    gpu.requires = BTreeMap::from([("gpu".to_owned(), "yes".to_owned())]);
    let plain = outpost("a", 1, 0);
    let mut fitted = outpost("b", 1, 0);
    label(&mut fitted, gpu.requires.clone());
    let limits = Limits::default();
    assert_eq!(place(&gpu, &[], &limits), Err(Unplaced::NoOutpost));
    assert_eq!(place(&gpu, std::slice::from_ref(&plain), &limits), Err(Unplaced::NoMatchingLabels));
    assert_eq!(place(&gpu, &[plain.clone(), fitted.clone()], &limits), Ok(1));
    Arc::make_mut(&mut fitted.in_use).occupy(&gpu.repo, gpu.role);
    assert_eq!(place(&gpu, &[plain, fitted], &limits), Err(Unplaced::NoFreeSlot));
}

#[test]
fn a_roles_limit_holds_over_all_outposts() {
    let mut limits = Limits { max: BTreeMap::from([((repo("demo"), Role::Developer), 3)]), ..Limits::default() };
    limits.in_use.occupy(&repo("demo"), Role::Developer);
    let ready = (1..=6).map(|id| request(id, Priority::Medium, 0)).collect::<Vec<_>>();
    let placements = assign(&ready, &mut [outpost("a", 4, 0), outpost("b", 4, 0)], &mut limits);
    assert_eq!(order(&placements), [item(1), item(2)]);
    assert_eq!(place(&ready[0], &[outpost("a", 1, 0)], &limits), Err(Unplaced::RoleLimit { max: 3 }));
}

#[test]
fn an_outpost_to_be_avoided_is_asked_only_when_there_is_no_other() {
    let mut wary = request(1, Priority::Medium, 0);
    wary.avoid = vec![OutpostName::new("a").expect("a name")];
    let limits = Limits::default();
    let place = |outposts: &[Capacity]| place(&wary, outposts, &limits);
    assert_eq!(place(&[outpost("a", 2, 0), outpost("b", 2, 1)]), Ok(1));
    assert_eq!(place(&[outpost("a", 2, 0), outpost("b", 2, 2)]), Err(Unplaced::NoFreeSlot), "b is waited for");
    assert_eq!(place(&[outpost("a", 2, 0)]), Ok(0));
}

#[test]
fn pauses_double_up_to_a_minute() {
    let pauses = [0, 1, 2, 7, 40].map(|losses| pause_after(losses).as_millis());
    assert_eq!(pauses, [0, 500, 1_000, 32_000, 60_000]);
}

fn any_request() -> impl Strategy<Value = Request> {
    (1..40_u64, 0..4_usize, 0..300_i64, 0..2_u8, any::<bool>(), any::<bool>()).prop_map(
        |(id, priority, since, which, gpu, gate)| {
            let mut request = request(id, Priority::ALL[priority], since);
            request.repo = repo(if which == 0 { "demo" } else { "other" });
            if gpu {
                request.requires.insert("gpu".to_owned(), "yes".to_owned());
            }
            if gate {
                request.work = Work::Gate(GateJob { trial: TrialId::new(id), gate: "test".to_owned() });
                request.role = Role::Gate;
            }
            request
        },
    )
}

fn any_outpost() -> impl Strategy<Value = (u32, u32, bool)> {
    (1..5_u32, 0..6_u32, any::<bool>())
}

proptest! {
    /// Every placement fits, nothing is placed twice, nothing that fits is left while a slot
    /// stays free, and nothing goes before something of a better rank that wanted the same slot.
    #[test]
    fn placements_fit_and_leave_no_slot_idle(
        mut ready in proptest::collection::vec(any_request(), 0..30),
        hosts in proptest::collection::vec(any_outpost(), 0..5),
        max in 0..6_u32,
    ) {
        ready.sort_by_key(|request| request.work.clone());
        ready.dedup_by_key(|request| request.work.clone());
        let outposts = hosts.iter().enumerate().map(|(index, (slots, active, gpu))| {
            let mut outpost = outpost(&format!("o{index}"), *slots, *active);
            if *gpu {
                label(&mut outpost, BTreeMap::from([("gpu".to_owned(), "yes".to_owned())]));
            }
            outpost
        }).collect::<Vec<_>>();
        let limits = Limits { max: BTreeMap::from([((repo("demo"), Role::Developer), max)]), ..Limits::default() };
        let (mut counted, mut counted_limits) = (outposts.clone(), limits.clone());
        let placements = assign(&ready, &mut counted, &mut counted_limits);

        let mut left = outposts.clone();
        let mut after = limits.clone();
        let mut placed = std::collections::BTreeSet::new();
        for placement in &placements {
            prop_assert!(placed.insert(placement.work.clone()), "placed twice");
            let request = ready.iter().find(|request| request.work == placement.work).expect("it was asked for");
            let chosen = left.iter_mut().find(|chosen| chosen.outpost.name == placement.outpost).expect("it exists");
            prop_assert!(chosen.free() > 0, "a slot was given twice");
            prop_assert!(carries(&chosen.outpost.labels, &request.requires));
            Arc::make_mut(&mut chosen.in_use).occupy(&request.repo, request.role);
            after.in_use.occupy(&request.repo, request.role);
            if let Some(max) = after.max.get(&(request.repo.clone(), request.role)) {
                prop_assert!(after.in_use.of_role(&request.repo, request.role) <= *max);
            }
        }
        prop_assert_eq!((&left, &after), (&counted, &counted_limits), "every slot that is given out is counted");
        for request in ready.iter().filter(|request| !placed.contains(&request.work)) {
            prop_assert!(place(request, &left, &after).is_err(), "a slot stayed idle");
            for placement in &placements {
                let other = ready.iter().find(|other| other.work == placement.work).expect("it was asked for");
                let same = other.repo == request.repo && other.role == request.role && other.requires == request.requires;
                prop_assert!(!same || rank(other) <= rank(request), "a worse one went first");
            }
        }
        let again = assign(&ready, &mut outposts.clone(), &mut limits.clone());
        prop_assert_eq!(again, placements, "the same input, the same answer");
    }
}
