use std::path::{Component, Path};

use proptest::prelude::*;

use super::*;
use crate::fuzz::texts;
use crate::token::{SecretHash, TokenId};

proptest! {
    /// A name that is taken stays in its directory, and is one word for git, shells, addresses and people.
    #[test]
    fn fuzz_no_name_leaves_its_place(text in texts(&["web", "my.repo", "web-1_a"])) {
        let Ok(name) = RepoName::new(text.as_str()) else { return Ok(()) };
        prop_assert_eq!(name.as_str(), &text);
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)));
        prop_assert!(!text.starts_with(['-', '.']) && !text.contains("..") && text.len() <= 63);
        let path = Path::new("root").join(&text);
        let parts = path.components().collect::<Vec<_>>();
        prop_assert!(matches!(parts[..], [Component::Normal(_), Component::Normal(_)]));
        let json = serde_json::to_string(&name).expect("is written");
        prop_assert_eq!(serde_json::from_str::<RepoName>(&json).expect("is read"), name);
    }

    /// Names of every kind follow the same rule, and a text that is refused is shown cut.
    #[test]
    fn fuzz_all_kinds_of_names_agree(text in texts(&["web", "my.repo", "web-1_a"])) {
        let taken = RepoName::new(text.as_str()).is_ok();
        prop_assert_eq!(OutpostName::new(text.as_str()).is_ok(), taken);
        prop_assert_eq!(PersonName::new(text.as_str()).is_ok(), taken);
        prop_assert_eq!(ContextName::new(text.as_str()).is_ok(), taken);
        if let Err(error) = OutpostName::new(text.as_str()) {
            prop_assert!(error.given.chars().count() <= 80);
        }
    }

    /// Hexadecimal names have one spelling only.
    #[test]
    fn fuzz_hexadecimal_names_are_of_their_length_and_lower_case(
        text in texts(&["0a1b2c3d", &"ab".repeat(20), &"ab".repeat(32)])
    ) {
        let lengths = [
            (CommitId::new(text.as_str()).is_ok(), vec![40, 64]),
            (TreeId::new(text.as_str()).is_ok(), vec![40, 64]),
            (KeyId::new(text.as_str()).is_ok(), vec![64]),
            (Fingerprint::new(text.as_str()).is_ok(), vec![64]),
            (SecretHash::new(text.as_str()).is_ok(), vec![64]),
            (TokenId::new(text.as_str()).is_ok(), vec![8]),
        ];
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        for (taken, lengths) in lengths {
            prop_assert_eq!(taken, plain && lengths.contains(&text.len()));
        }
    }

    /// A number that is read is written as the same number.
    #[test]
    fn fuzz_numbers_survive_being_written(text in texts(&["12", "#12", "9223372036854775807"])) {
        if let Ok(id) = text.parse::<ItemId>() {
            prop_assert!(id.get() > 0 && i64::try_from(id.get()).is_ok());
            prop_assert_eq!(id.to_string().parse::<ItemId>(), Ok(id));
        }
    }
}
