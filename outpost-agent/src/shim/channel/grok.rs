//! `grok-json`: JSON lines as `grok -p --output-format streaming-json` prints them. It takes no messages.

use serde_json::Value;
use sprint_core::agent::{Usage, UsageOf};

use super::dialect::{Dialect, Heard};
use super::value::{fault, text, tokens};

const TOKENS: [&str; 4] = ["inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens", "outputTokens"];

pub(super) struct Grok;

impl Dialect for Grok {
    fn takes_messages(&self) -> bool {
        false
    }

    fn message(&mut self, _: &str, _: &str) -> Vec<u8> {
        vec![]
    }

    fn usage_of(&self) -> UsageOf {
        UsageOf::Round
    }

    fn hear(&mut self, line: &Value) -> Vec<Heard> {
        match text(line, "type") {
            "text" => vec![Heard::Text(text(line, "data").to_owned())],
            "error" => vec![Heard::Ended(Some(fault(None, text(line, "message"))))],
            "end" => {
                let models: Vec<_> = line["modelUsage"].as_object().into_iter().flatten().collect();
                let usage = models
                    .iter()
                    .map(|(model, of)| ((*model).clone(), Usage { tokens: tokens(of, TOKENS), ..Usage::default() }));
                let mut heard = vec![Heard::Session(text(line, "sessionId").to_owned()), Heard::Usage(usage.collect())];
                heard.extend(models.first().map(|(model, _)| Heard::Model((*model).clone())));
                let turns = line["num_turns"].as_u64().unwrap_or_default().min(10_000);
                heard.extend((0..turns).map(|_| Heard::Turn));
                let reason = text(line, "stopReason");
                let well = matches!(reason, "" | "EndTurn");
                heard.push(Heard::Ended((!well).then(|| fault(None, &format!("its turn ended with {reason}")))));
                heard
            }
            _ => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_understood() {
        let hear = |line: &str| Grok.hear(&serde_json::from_str(line).expect("is JSON"));
        assert_eq!(hear(r#"{"type":"text","data":"hi"}"#), [Heard::Text("hi".to_owned())]);
        let ended = hear(
            r#"{"type":"end","stopReason":"EndTurn","sessionId":"s","num_turns":2,"modelUsage":{"m":{"inputTokens":3}}}"#,
        );
        assert_eq!(ended.last(), Some(&Heard::Ended(None)));
        assert!(ended.contains(&Heard::Model("m".to_owned())) && ended.contains(&Heard::Session("s".to_owned())));
        assert!(matches!(hear(r#"{"type":"error","message":"no"}"#)[..], [Heard::Ended(Some(_))]));
        assert!(hear("7").is_empty());
    }
}
