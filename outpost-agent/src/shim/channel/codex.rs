//! `codex-json`: JSON lines as `codex exec --json` prints them. It takes no messages.

use serde_json::Value;
use sprint_core::agent::{Usage, UsageOf};

use super::dialect::{Dialect, Heard};
use super::value::{fault, text, tokens};

const TOKENS: [&str; 4] = ["input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens"];

pub(super) struct Codex;

impl Dialect for Codex {
    fn takes_messages(&self) -> bool {
        false
    }

    fn message(&mut self, _: &str, _: &str) -> Vec<u8> {
        vec![]
    }

    fn usage_of(&self) -> UsageOf {
        UsageOf::Session
    }

    fn hear(&mut self, line: &Value) -> Vec<Heard> {
        let item = &line["item"];
        match (text(line, "type"), text(item, "type")) {
            ("thread.started", _) => vec![Heard::Session(text(line, "thread_id").to_owned())],
            ("item.started", "command_execution") => {
                vec![Heard::Tool { name: "run".to_owned(), what: text(item, "command").to_owned() }]
            }
            ("item.completed", "command_execution") => {
                let failed = item["exit_code"].as_i64().is_some_and(|code| code != 0);
                vec![Heard::Turn, Heard::ToolEnded { failed, said: text(item, "aggregated_output").to_owned() }]
            }
            ("item.completed", "file_change") => {
                let changes = item["changes"].as_array().into_iter().flatten();
                let paths: Vec<_> = changes.map(|change| text(change, "path")).collect();
                vec![Heard::Turn, Heard::Tool { name: "edit".to_owned(), what: paths.join(", ") }]
            }
            ("item.completed", "mcp_tool_call") => {
                vec![
                    Heard::Turn,
                    Heard::Tool { name: text(item, "tool").to_owned(), what: text(item, "server").to_owned() },
                ]
            }
            ("item.completed", "agent_message") => vec![Heard::Turn, Heard::Text(text(item, "text").to_owned())],
            ("item.completed", "error") => vec![Heard::Text(text(item, "message").to_owned())],
            ("error", _) => vec![Heard::Retries(fault(None, text(line, "message")))],
            ("turn.failed", _) => vec![Heard::Ended(Some(fault(None, text(&line["error"], "message"))))],
            ("turn.completed", _) => {
                let mut more = tokens(&line["usage"], TOKENS);
                // The cache's are among those that it was given.
                more.input = more.input.saturating_sub(more.cached);
                let usage = Usage { tokens: more, ..Usage::default() };
                vec![Heard::Usage(vec![(String::new(), usage)]), Heard::Ended(None)]
            }
            _ => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use sprint_core::agent::FaultKind;

    use super::*;

    #[test]
    fn what_it_says_is_understood() {
        let hear = |line: &str| Codex.hear(&serde_json::from_str(line).expect("is JSON"));
        assert_eq!(hear(r#"{"type":"thread.started","thread_id":"t"}"#), [Heard::Session("t".to_owned())]);
        assert_eq!(
            hear(r#"{"type":"item.started","item":{"type":"command_execution","command":"ls"}}"#),
            [Heard::Tool { name: "run".to_owned(), what: "ls".to_owned() }]
        );
        let ended =
            hear(r#"{"type":"turn.completed","usage":{"input_tokens":10,"cached_input_tokens":4,"output_tokens":2}}"#);
        let [Heard::Usage(usage), Heard::Ended(None)] = ended.as_slice() else { panic!("{ended:?}") };
        assert_eq!((usage[0].1.tokens.input, usage[0].1.tokens.cached), (6, 4));
        let failed = hear(r#"{"type":"turn.failed","error":{"message":"unexpected status 401 Unauthorized"}}"#);
        assert!(matches!(&failed[..], [Heard::Ended(Some(fault))] if fault.kind == FaultKind::NotLoggedIn));
        assert!(hear("{}").is_empty() && hear("[]").is_empty());
    }
}
