//! `stream-json`: JSON lines in both directions, as `claude -p --input-format stream-json` has them. Each message carries an
//! id of ours, and the agent says when it has dealt with it.

use serde_json::{Value, json};
use sprint_core::agent::{Usage, UsageOf};

use super::dialect::{Dialect, Heard};
use super::value::{dollars, fault, limited_until, text, tokens};

/// By which keys a tool's arguments say what it is about, the first that is there.
const ABOUT: [&str; 8] = ["command", "file_path", "notebook_path", "pattern", "url", "query", "description", "prompt"];
const TOKENS: [&str; 4] = ["inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens", "outputTokens"];
/// How it calls its own messages, which no model has made.
const SYNTHETIC: &str = "<synthetic>";

#[derive(Default)]
pub(super) struct Claude {
    /// The last answer of the model: it comes in a line for each of its blocks.
    answer: String,
}

impl Claude {
    fn said(&mut self, message: &Value) -> Vec<Heard> {
        let mut heard = vec![];
        let id = text(message, "id");
        if text(message, "model") != SYNTHETIC && (id.is_empty() || id != self.answer) {
            id.clone_into(&mut self.answer);
            heard.push(Heard::Turn);
        }
        for block in message["content"].as_array().into_iter().flatten() {
            match text(block, "type") {
                "text" => heard.push(Heard::Text(text(block, "text").to_owned())),
                "tool_use" => {
                    let input = &block["input"];
                    let what = ABOUT.iter().find_map(|key| input[*key].as_str()).unwrap_or_default();
                    heard.push(Heard::Tool { name: text(block, "name").to_owned(), what: what.to_owned() });
                }
                _ => {}
            }
        }
        heard
    }
}

impl Dialect for Claude {
    fn takes_messages(&self) -> bool {
        true
    }

    fn message(&mut self, id: &str, text: &str) -> Vec<u8> {
        let content = json!([{ "type": "text", "text": text }]);
        let message = json!({
            "type": "user",
            "uuid": id,
            "parent_tool_use_id": null,
            "message": { "role": "user", "content": content },
        });
        format!("{message}\n").into_bytes()
    }

    fn usage_of(&self) -> UsageOf {
        UsageOf::Session
    }

    fn hear(&mut self, line: &Value) -> Vec<Heard> {
        match (text(line, "type"), text(line, "subtype")) {
            ("system", "init") => {
                let session = Heard::Session(text(line, "session_id").to_owned());
                vec![session, Heard::Model(text(line, "model").to_owned())]
            }
            ("system", "api_retry") => {
                let (status, error) = (line["error_status"].as_u64(), text(line, "error"));
                let why = format!("the model's server refused with {} ({error})", line["error_status"]);
                vec![Heard::Retries(fault(status, &why))]
            }
            ("rate_limit_event", _) if text(&line["rate_limit_info"], "status") == "rejected" => {
                let info = &line["rate_limit_info"];
                let why = format!("its account is limited ({})", text(info, "rateLimitType"));
                vec![Heard::Retries(limited_until(fault(Some(429), &why), info["resetsAt"].as_u64()))]
            }
            ("command_lifecycle", _) if matches!(text(line, "state"), "completed" | "cancelled") => {
                vec![Heard::Settled(text(line, "command_uuid").to_owned())]
            }
            ("assistant", _) => self.said(&line["message"]),
            ("user", _) if line["isReplay"] != true => results(&line["message"]["content"]),
            ("result", _) => ended(line),
            _ => vec![],
        }
    }
}

fn results(content: &Value) -> Vec<Heard> {
    let results = content.as_array().into_iter().flatten().filter(|block| text(block, "type") == "tool_result");
    let one = |block: &Value| {
        let content = &block["content"];
        let said = content.as_str().or_else(|| content[0]["text"].as_str()).unwrap_or_default();
        Heard::ToolEnded { failed: block["is_error"] == true, said: said.to_owned() }
    };
    results.map(one).collect()
}

/// `subtype` says success of refused requests as well.
fn ended(line: &Value) -> Vec<Heard> {
    let models = line["modelUsage"].as_object().into_iter().flatten();
    let usage = models.map(|(model, of)| {
        let is_guess = text(of, "costBasis") == "unknown";
        (
            model.clone(),
            Usage { tokens: tokens(of, TOKENS), cost_micros: dollars(of, "costUSD"), is_guess, by_table: false },
        )
    });
    let usage = Heard::Usage(usage.collect());
    let (is_error, reason) = (line["is_error"] == true, text(line, "terminal_reason"));
    let fault = (is_error || !matches!(reason, "" | "completed")).then(|| {
        let said = text(line, "result");
        let why = if said.is_empty() { format!("its turn ended with {reason}") } else { said.to_owned() };
        // Other ends come with the model's own words.
        let is_of_server = is_error && matches!(reason, "" | "api_error");
        let status = line["api_error_status"].as_u64().or(if is_of_server { None } else { Some(0) });
        fault(status, &why)
    });
    vec![usage, Heard::Ended(fault)]
}

#[cfg(test)]
mod tests {
    use sprint_core::agent::{FaultKind, Tokens};
    use sprint_core::time::Timestamp;

    use super::*;

    fn hear(line: &str) -> Vec<Heard> {
        Claude::default().hear(&serde_json::from_str(line).expect("is JSON"))
    }

    #[test]
    fn what_it_says_is_understood() {
        assert_eq!(
            hear(r#"{"type":"system","subtype":"init","session_id":"s","model":"m"}"#),
            [Heard::Session("s".to_owned()), Heard::Model("m".to_owned())]
        );
        let lines = hear(
            r#"{"type":"assistant","message":{"model":"m","content":[{"type":"text","text":"hi"},{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}"#,
        );
        assert_eq!(
            lines,
            [Heard::Turn, Heard::Text("hi".to_owned()), Heard::Tool { name: "Bash".to_owned(), what: "ls".to_owned() }]
        );
        assert_eq!(
            hear(r#"{"type":"command_lifecycle","command_uuid":"u","state":"completed"}"#),
            [Heard::Settled("u".to_owned())]
        );
        for odd in ["{}", "[]", "3", r#"{"type":"assistant"}"#, r#"{"type":"user","message":7}"#] {
            assert!(hear(odd).iter().all(|heard| *heard == Heard::Turn), "{odd}");
        }
    }

    #[test]
    fn an_answer_of_several_blocks_is_one() {
        let mut claude = Claude::default();
        let mut turns = |id: &str| {
            let line = json!({ "type": "assistant", "message": { "id": id, "model": "m", "content": [] } });
            claude.hear(&line).iter().filter(|heard| **heard == Heard::Turn).count()
        };
        assert_eq!([turns("a"), turns("a"), turns("b"), turns("a")], [1, 0, 1, 1]);
    }

    #[test]
    fn the_end_of_a_turn_is_judged_by_its_flag_and_not_by_its_subtype() {
        let usage = r#""modelUsage":{"m":{"inputTokens":3,"outputTokens":2,"cacheReadInputTokens":1,"costUSD":0.0151,"costBasis":"unknown"}}"#;
        let well = hear(&format!(
            r#"{{"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed",{usage}}}"#
        ));
        let tokens = Tokens { input: 3, cached: 1, cache_written: 0, output: 2 };
        let usage =
            vec![("m".to_owned(), Usage { tokens, cost_micros: Some(15_100), is_guess: true, by_table: false })];
        assert_eq!(well, [Heard::Usage(usage), Heard::Ended(None)]);
        for (line, kind) in [
            (
                r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"slow"}"#,
                FaultKind::Limited,
            ),
            (r#"{"type":"result","is_error":false,"terminal_reason":"max_turns"}"#, FaultKind::Other),
            (
                r#"{"type":"result","is_error":false,"terminal_reason":"max_turns","result":"I fixed the 401"}"#,
                FaultKind::Other,
            ),
            (r#"{"type":"result","is_error":true,"result":"Not logged in"}"#, FaultKind::NotLoggedIn),
        ] {
            let heard = hear(line);
            assert!(matches!(heard.last(), Some(Heard::Ended(Some(fault))) if fault.kind == kind), "{heard:?}");
        }
    }

    #[test]
    fn a_limit_is_known_with_its_end() {
        let heard = hear(
            r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1800000000,"rateLimitType":"five_hour"}}"#,
        );
        let [Heard::Retries(fault)] = heard.as_slice() else { panic!("{heard:?}") };
        assert_eq!(fault.until.map(Timestamp::as_millis), Some(1_800_000_000_000));
        assert!(hear(r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed"}}"#).is_empty());
    }
}
