use proptest::prelude::*;
use sprint_core::fuzz::bytes;

use super::*;

const ZERO: &str = "0000000000000000000000000000000000000000";
const ONE: &str = "1111111111111111111111111111111111111111";

fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

fn valid() -> Vec<Vec<u8>> {
    let first = line(&format!("{ZERO} {ONE} refs/sprint/work/1/1\0report-status side-band-64k agent=git/2"));
    let second = line(&format!("{ONE} {ZERO} refs/heads/main\n"));
    let long = line(&format!("{ZERO} {ONE} refs/heads/{}", "x".repeat(4_000)));
    vec![
        format!("{first}{second}0000PACK").into_bytes(),
        format!("{second}0000").into_bytes(),
        format!("{long}0000").into_bytes(),
    ]
}

/// Lines of git's protocol, up to the one that ends them; what follows is not read.
fn lines(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut lines = Vec::new();
    loop {
        let (head, rest) = bytes.split_at_checked(4)?;
        let length = usize::from_str_radix(std::str::from_utf8(head).ok()?, 16).ok()?;
        if length == 0 {
            return rest.is_empty().then_some(lines);
        }
        let (line, rest) = rest.split_at_checked(length.checked_sub(4)?)?;
        lines.push(line);
        bytes = rest;
    }
}

proptest! {
    /// What a push asks for is read whole or refused, the same in however many pieces it comes, and no name in
    /// it is more than one word.
    #[test]
    fn fuzz_a_push_is_read_whole_or_refused(request in bytes(valid()), cut in any::<prop::sample::Index>()) {
        let parsed = parse(&request);
        let begin = &request[..cut.index(request.len() + 1)];
        match (parse(begin), &parsed) {
            (Ok(Parsed::Partial), _) => {}
            // What is decided is not decided otherwise by what comes later.
            (decided, _) => prop_assert_eq!(&decided, &parsed),
        }
        let Ok(Parsed::Whole(commands)) = parsed else { return Ok(()) };
        for update in &commands.updates {
            let is_word = !update.name.is_empty() && !update.name.contains([' ', '\n', '\r', '\t', '\0']);
            prop_assert!(is_word, "{:?}", update.name);
        }
        let answer = refusal(&commands, &"why\n0000 é".repeat(99));
        let report = lines(&answer).expect("is of git's protocol");
        if commands.side_band {
            let inner = report.iter().flat_map(|line| &line[1..]).copied().collect::<Vec<_>>();
            prop_assert!(lines(&inner).is_some_and(|lines| lines.len() == commands.updates.len() + 1));
        } else {
            prop_assert_eq!(report.len(), commands.updates.len() + 1);
        }
    }
}
