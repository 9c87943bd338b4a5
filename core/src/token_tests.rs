use proptest::prelude::*;

use super::*;
use crate::fuzz::texts;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn token(grant: Grant) -> Token {
    Token {
        id: TokenId::new("0a1b2c3d").expect("an id"),
        proof: Proof::Secret(SecretHash::new("0".repeat(64)).expect("a hash")),
        grant,
        expires_at: at(1_000),
        created_at: at(0),
        created_by: "admin/local".to_owned(),
        revoked_at: None,
    }
}

fn join(uses: u32) -> Token {
    token(Grant::Join { uses, used: 0, name_prefix: "gpu-".to_owned() })
}

fn access() -> Token {
    token(Grant::Access { role: PersonRole::Viewer, name: PersonName::new("ann").expect("a name") })
}

fn outpost(name: &str) -> OutpostName {
    OutpostName::new(name).expect("a name")
}

#[test]
fn a_token_is_spent_as_often_as_it_says_and_no_more() {
    let mut token = join(2);
    assert_eq!(token.spend(&outpost("gpu-1"), at(1)), Ok(()));
    assert_eq!(token.spend(&outpost("gpu-2"), at(1)), Ok(()));
    let refused = token.spend(&outpost("gpu-3"), at(1));
    assert!(matches!(refused, Err(TokenRefused::UsedUp { uses: 2, .. })), "{refused:?}");
}

#[test]
fn each_reason_to_refuse_a_token_differs() {
    let gpu = outpost("gpu-1");
    assert!(matches!(join(1).spend(&gpu, at(1_000)), Err(TokenRefused::Expired { .. })));
    let mut revoked = join(1);
    revoked.revoked_at = Some(at(5));
    assert!(matches!(revoked.spend(&gpu, at(10)), Err(TokenRefused::Revoked { .. })));
    assert!(matches!(join(1).spend(&outpost("cpu-1"), at(1)), Err(TokenRefused::WrongName { .. })));
    assert!(matches!(access().spend(&gpu, at(1)), Err(TokenRefused::ForPeople { .. })));
    assert!(matches!(join(1).person(at(1)), Err(TokenRefused::ForOutposts { .. })));
    assert!(matches!(access().person(at(1_000)), Err(TokenRefused::Expired { .. })));
}

#[test]
fn a_refused_use_is_not_counted() {
    let mut token = join(1);
    assert!(token.spend(&outpost("cpu-1"), at(1)).is_err());
    assert_eq!(token.spend(&outpost("gpu-1"), at(1)), Ok(()));
}

fn text() -> TokenText {
    let fingerprint = Fingerprint::new("ab".repeat(32)).expect("a fingerprint");
    TokenText::new(TokenId::new("0a1b2c3d").expect("an id"), "5".repeat(SECRET_DIGITS), fingerprint).expect("a token")
}

#[test]
fn a_token_survives_being_written_down() {
    assert_eq!(text().reveal().parse(), Ok(text()));
    assert_eq!(format!(" {}\n", text().reveal()).parse(), Ok(text()));
}

#[test]
fn a_token_does_not_show_its_secret_by_accident() {
    assert!(!format!("{:?}", text()).contains("5555"));
}

#[test]
fn a_token_that_was_cut_differs_from_another_text() {
    let whole = text().reveal();
    assert_eq!(whole[..60].parse::<TokenText>(), Err(InvalidToken::Damaged));
    assert_eq!("hunter2".parse::<TokenText>(), Err(InvalidToken::NoToken));
}

proptest! {
    /// What is read as a token is written as the same text, and shows nothing of its secret otherwise.
    #[test]
    fn fuzz_no_text_is_read_as_a_token_that_it_is_not(text in texts(&[&text().reveal()])) {
        match text.parse::<TokenText>() {
            Ok(token) => {
                prop_assert_eq!(token.reveal(), text.trim());
                let shown = format!("{token:?}");
                prop_assert!(!shown.contains(token.secret()));
            }
            // What is wrong is said without the text, which may be most of a secret.
            Err(error) => prop_assert!(!error.to_string().contains("5555")),
        }
    }
}
