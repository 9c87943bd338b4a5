use clap::Parser;

use super::*;

#[test]
fn a_flag_that_does_not_belong_to_the_kind_is_refused_with_the_reason() {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TokenCreateArgs,
    }
    let checked = |line: &str| Line::try_parse_from(line.split(' ')).unwrap().args.check();
    for good in ["x --kind outpost --uses 3 --name-prefix a --ttl 1h", "x --kind viewer --name ann --ttl 30d"] {
        assert!(checked(good).is_ok(), "{good}");
    }
    let refused = [
        "x --kind outpost --name ann",
        "x --kind admin --uses 2",
        "x --kind viewer --name-prefix a",
        "x --kind operator --ttl 0s",
    ];
    let refused = refused.map(|line| checked(line).expect_err(line));
    assert!(refused.iter().all(|failure| failure.exit_code() == 2));
    insta::assert_snapshot!(crate::render::lines(refused));
}

#[test]
fn a_token_can_be_named_by_its_id_or_itself_and_nothing_else_is_repeated() {
    let whole = format!("sprint1_1a2b3c4d_{}_{}", "5e".repeat(20), "f1".repeat(32));
    let id = |text: &str| token_id(&Hidden(text.to_owned()));
    assert_eq!(id("1a2b3c4d").unwrap(), id(&whole).unwrap());
    let failure = id(&whole[..60]).unwrap_err();
    assert!(failure.exit_code() == 2 && !failure.to_string().contains("5e5e"), "{failure}");
}
