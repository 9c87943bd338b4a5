use sprint_core::time::Timestamp;
use sprint_core::token::TokenId;

use super::*;

const NOW: i64 = 1_763_700_000_000;

fn layout(width: Option<u16>) -> Layout {
    Layout { width, colour: false, now: Timestamp::from_millis(NOW) }
}

fn view(id: &str, kind: TokenKind) -> TokenView {
    TokenView {
        id: TokenId::new(id).unwrap(),
        kind,
        name: String::new(),
        uses: 0,
        used: 0,
        name_prefix: String::new(),
        created_at: Timestamp::from_millis(NOW - 60_000),
        created_by: "admin/me".to_owned(),
        expires_at: Timestamp::from_millis(NOW + 3_600_000),
        revoked_at: None,
        proof: "secret".to_owned(),
    }
}

#[test]
fn tokens_are_listed_with_what_they_are_good_for() {
    let past = Timestamp::from_millis(NOW - 90_000_000);
    let views = [
        TokenView { uses: 3, used: 1, name_prefix: "gpu-".to_owned(), ..view("1a2b3c4d", TokenKind::Outpost) },
        TokenView { uses: 1, used: 1, ..view("2a2b3c4d", TokenKind::Outpost) },
        TokenView { name: "ann".to_owned(), ..view("3a2b3c4d", TokenKind::Operator) },
        TokenView { name: "bob".to_owned(), expires_at: past, ..view("4a2b3c4d", TokenKind::Viewer) },
        TokenView { name: "eve".to_owned(), revoked_at: Some(past), ..view("5a2b3c4d", TokenKind::Admin) },
    ];
    let shown = views.map(|view| TokenEntry::new(view, &layout(None)));
    insta::assert_snapshot!(list(&shown, &layout(Some(90))));
}

#[test]
fn a_new_token_comes_with_the_line_to_type() {
    let outpost = TokenView { uses: 2, name_prefix: "gpu-".to_owned(), ..view("1a2b3c4d", TokenKind::Outpost) };
    let one = TokenView { uses: 1, ..view("1a2b3c4d", TokenKind::Outpost) };
    let person = view("1a2b3c4d", TokenKind::Viewer);
    let said = [
        hints(&outpost, "build:50051", "sprint1_1a2b3c4d_5e_f1", &layout(None)),
        hints(&one, "127.0.0.1:50051", "TOKEN", &layout(None)),
        hints(&person, "build:50051", "TOKEN", &layout(None)),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
}
