use crate::conflict::Conflict;
use crate::fixtures;
use crate::hand_off::{HandOffId, HandOffText};
use crate::ids::{ChangeId, WorkerId};
use crate::time::Timestamp;

use super::*;

fn render(own: Option<&str>, briefing: &Briefing<'_>) -> Result<String, InvalidPrompt> {
    let form = Form::new(own.map(str::to_owned), briefing)?;
    // As it comes to the process that fills it in.
    let form = serde_json::to_vec(&form).expect("is written");
    serde_json::from_slice::<Form>(&form).expect("is read").fill()
}

fn told<'a>(item: &'a Item, tip: &'a CommitId) -> Briefing<'a> {
    Briefing {
        item,
        role: Role::Developer,
        attempt: item.attempt.next(),
        branch: "main",
        tip,
        method: MergeMethod::Merge,
        parents: &[],
        others: &[],
        files: &[],
        hand_off: None,
        earlier: None,
    }
}

fn greet() -> Item {
    Item {
        title: "Greet".to_owned(),
        description: "Politely.\n\n".to_owned(),
        acceptance: vec!["it greets".to_owned()],
        ..fixtures::item(1, 0)
    }
}

#[test]
fn a_resolvers_prompt_names_the_conflicting_items_and_the_merge() {
    let item = Item {
        title: "Greet in French".to_owned(),
        description: "The greeting is French.\n".to_owned(),
        acceptance: vec!["a test covers it".to_owned()],
        conflict: Some(fixtures::conflict(ChangeId::new(2))),
        ..fixtures::item(3, 1)
    };
    let other =
        Item { title: "Greet everybody".to_owned(), description: "Not only us.".to_owned(), ..fixtures::item(9, 1) };
    let long = Item { description: "é".repeat(3 * TOLD), ..fixtures::item(7, 1) };
    let tip = fixtures::commit("b");
    let resolver = Briefing { role: Role::Resolver, ..told(&item, &tip) };
    let one = [other];
    insta::assert_snapshot!(render(None, &Briefing { others: &one, ..resolver }).expect("is rendered"));
    let long = [long];
    let text =
        render(None, &Briefing { others: &long, role: Role::Resolver, ..told(&item, &tip) }).expect("is rendered");
    assert_eq!(text.matches('é').count(), TOLD);
    let rebase = Briefing { method: MergeMethod::Rebase, role: Role::Resolver, ..told(&item, &tip) };
    let rebased = render(None, &rebase).expect("is rendered");
    assert!(rebased.contains(&format!("git rebase {tip}")) && !rebased.contains("conflicting items"), "{rebased}");
    let conflict = item.conflict.clone().map(|conflict| Conflict { paths: vec![], ..conflict });
    let item = Item { conflict, ..item };
    let text = render(None, &Briefing { role: Role::Resolver, ..told(&item, &tip) }).expect("is rendered");
    assert!(text.contains("does not merge with main.\n\nMerge the tip"), "{text}");
}

#[test]
fn a_developers_prompt_has_the_texts_of_the_item_and_what_it_belongs_to() {
    let (item, tip) = (greet(), fixtures::commit("b"));
    let text = render(None, &told(&item, &tip)).expect("is rendered");
    let start = "# Greet\n\nPolitely.\n\n## Done when\n- it greets\n\nCommit your work";
    assert!(text.starts_with(start), "{text}");
    let parent = Item { title: "Manners".to_owned(), description: "All of them.".to_owned(), ..fixtures::item(8, 0) };
    let earlier = EarlierWork {
        attempt: Attempt::new(1),
        commit: tip.clone(),
        uncommitted: Some(tip.clone()),
        from_ref: "refs/sprint/wip/1/1".to_owned(),
    };
    let hand_off = HandOff {
        id: HandOffId::of(item.id, Attempt::new(1)),
        item: item.id,
        attempt: Attempt::new(1),
        worker: WorkerId::new(4),
        written_at: Timestamp::default(),
        text: HandOffText { open_issues: vec!["the wave".to_owned()], ..HandOffText::default() },
    };
    let (parents, files) = ([parent], ["specs/001-manners/spec.md".to_owned()]);
    let all = Briefing {
        parents: &parents,
        files: &files,
        hand_off: Some(&hand_off),
        earlier: Some(&earlier),
        ..told(&item, &tip)
    };
    insta::assert_snapshot!(render(None, &all).expect("is rendered"));
}

#[test]
fn a_repositorys_own_template_may_use_what_ships_and_says_where_it_is_wrong() {
    let (item, tip) = (greet(), fixtures::commit("b"));
    let own = "Be brief, {{ role }}.\n# {{ item.title }}\n{% include \"sprint/task.md\" %}\n<b> & 'c'";
    let text = render(Some(own), &told(&item, &tip)).expect("is rendered");
    assert_eq!(text, "Be brief, developer.\n# Greet\n\nPolitely.\n\n## Done when\n- it greets\n<b> & 'c'");
    for (own, said) in [
        ("a\n{{ itm.title }}", "developer.md:2"),
        ("{% if %}", "syntax error"),
        ("{% include \"/etc/passwd\" %}", "/etc/passwd"),
        ("{% for a in range(90000) %}{% for b in range(90000) %}x{% endfor %}{% endfor %}", "fuel"),
        ("{% for a in range(9000) %}{{ 'x' * 10000 }}{% endfor %}", "more than"),
    ] {
        let refused = render(Some(own), &told(&item, &tip)).expect_err(own).to_string();
        assert!(refused.starts_with("sprint/prompts/developer.md cannot be filled in: "), "{refused}");
        assert!(refused.contains(said), "{own}: {refused}");
    }
    // What an item says is text, and no template.
    let item = Item { title: "{{ tip }}".to_owned(), ..item };
    assert!(render(None, &told(&item, &tip)).expect("is rendered").starts_with("# {{ tip }}\n"));
}

#[test]
fn the_files_of_a_feature_are_named_where_they_are() {
    let there =
        ["specs/001-login/spec.md", "specs/001-login/contracts", "specs/002-out/plan.md", "memory/constitution.md"];
    let is_there = |path: &str| there.contains(&path);
    let item = Item { labels: ["001-login".to_owned()].into(), ..greet() };
    assert_eq!(
        files(&item, &[], is_there),
        ["memory/constitution.md", "specs/001-login/spec.md", "specs/001-login/contracts"]
    );
    let parent = Item { description: "See specs/002-out/, and specs/001-login/spec.md.".to_owned(), ..greet() };
    let both = files(&item, &[parent], is_there);
    assert_eq!(both.len(), 4, "{both:?}");
    assert_eq!(both.last().map(String::as_str), Some("specs/002-out/plan.md"));
    assert!(files(&greet(), &[], |_| false).is_empty());
}
