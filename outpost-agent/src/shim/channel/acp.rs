//! `acp`: the Agent Client Protocol, version 1, in JSON-RPC lines in both directions. Each message is a request with an id of
//! ours, and its answer says that the turn is over. The crate of the protocol wants an async runtime, which the shim has not.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sprint_core::agent::UsageOf;
use sprint_core::bounds::cut;

use super::dialect::{Dialect, Heard};
use super::value::{fault, text};
use crate::shim::plan::ToolServer;
use crate::worker_ctl;

const VERSION: u32 = 1;
/// The most bytes that are held of a line that is not whole.
const LONGEST: usize = 64 << 10;
/// The ids of our own first requests.
const INITIALIZE: &str = "sprint-initialize";
const SESSION: &str = "sprint-session";
/// Of JSON-RPC: there is no such method here.
const NO_METHOD: i32 = -32601;
const LONGEST_ID: usize = 256;
/// The kinds of answers by which a tool may run, the better one first.
const ALLOW: [&str; 2] = ["allow_always", "allow_once"];
/// By which keys a tool's arguments say what it is about.
const ABOUT: [&str; 4] = ["command", "path", "file_path", "query"];

pub(super) struct Acp {
    workspace: PathBuf,
    /// The servers of its tools, as the protocol names them.
    servers: Value,
    /// The conversation that is to go on.
    resumed: Option<String>,
    /// The conversation, once it is there.
    session: Option<String>,
    has_begun: bool,
    /// Messages that wait for it.
    waiting: Vec<(String, String)>,
    /// Ids of messages that have no answer yet.
    asked: Vec<String>,
    /// What the agent has said since its last line end.
    said: String,
}

impl Acp {
    pub(super) fn new(workspace: &Path, resumed: Option<&str>, tools: Option<&ToolServer>) -> Self {
        let server = |ToolServer { sprintctl, socket }: &ToolServer| {
            let env = json!([{ "name": worker_ctl::SOCKET, "value": socket.to_string_lossy() }]);
            json!({ "name": "sprint", "command": sprintctl.to_string_lossy(), "args": ["mcp"], "env": env })
        };
        Self {
            workspace: workspace.to_owned(),
            servers: tools.map(server).into_iter().collect(),
            resumed: resumed.map(str::to_owned),
            session: None,
            has_begun: false,
            waiting: vec![],
            asked: vec![],
            said: String::new(),
        }
    }

    fn prompt(&mut self, session: &str, id: String, text: &str) -> Vec<u8> {
        let prompt = json!([{ "type": "text", "text": text }]);
        let request = request(&id, "session/prompt", &json!({ "sessionId": session, "prompt": prompt }));
        self.asked.push(id);
        request
    }

    /// The answer to a request of ours.
    fn answered(&mut self, id: &str, line: &Value) -> Vec<Heard> {
        let error = line.get("error").map(|error| fault(None, text(error, "message")));
        match id {
            INITIALIZE | SESSION if error.is_some() => vec![Heard::Ended(error)],
            INITIALIZE => {
                let workspace = self.workspace.to_string_lossy();
                let mut with = json!({ "cwd": workspace, "mcpServers": self.servers });
                let can_load = line["result"]["agentCapabilities"]["loadSession"] == true;
                let method = match &self.resumed {
                    Some(session) if can_load => {
                        with["sessionId"] = json!(session);
                        "session/load"
                    }
                    Some(_) | None => {
                        self.resumed = None;
                        "session/new"
                    }
                };
                vec![Heard::Send(request(SESSION, method, &with))]
            }
            SESSION => {
                let result = &line["result"];
                let new = result["sessionId"].as_str().map(str::to_owned);
                let Some(session) = new.or_else(|| self.resumed.clone()) else {
                    return vec![Heard::Ended(Some(fault(None, "it has begun no conversation")))];
                };
                self.session = Some(session.clone());
                let mut heard = vec![Heard::Session(session.clone())];
                heard.extend(result["models"]["currentModelId"].as_str().map(|model| Heard::Model(model.to_owned())));
                for (id, text) in std::mem::take(&mut self.waiting) {
                    heard.push(Heard::Send(self.prompt(&session, id, &text)));
                }
                heard
            }
            _ if self.asked.iter().any(|asked| asked == id) => {
                self.asked.retain(|asked| asked != id);
                let reason = text(&line["result"], "stopReason");
                let fault = error
                    .or_else(|| (reason != "end_turn").then(|| fault(None, &format!("its turn ended with {reason}"))));
                let mut heard = self.spoken();
                heard.extend([Heard::Turn, Heard::Settled(id.to_owned()), Heard::Ended(fault)]);
                heard
            }
            _ => vec![],
        }
    }

    /// The text that has come in pieces.
    fn spoken(&mut self) -> Vec<Heard> {
        let said = std::mem::take(&mut self.said);
        if said.trim().is_empty() { vec![] } else { vec![Heard::Text(said)] }
    }

    fn updated(&mut self, update: &Value) -> Vec<Heard> {
        // What is told of an earlier round was shown then.
        if self.session.is_none() {
            return vec![];
        }
        match text(update, "sessionUpdate") {
            "agent_message_chunk" => {
                self.said.push_str(text(&update["content"], "text"));
                if self.said.len() > LONGEST {
                    return self.spoken();
                }
                // Whole lines only: the rest follows.
                let Some(end) = self.said.rfind('\n') else { return vec![] };
                let rest = self.said.split_off(end + 1);
                let lines = std::mem::replace(&mut self.said, rest);
                vec![Heard::Text(lines)]
            }
            "tool_call" => {
                let input = &update["rawInput"];
                let what = ABOUT.iter().find_map(|key| input[*key].as_str()).unwrap_or_default();
                let mut heard = self.spoken();
                let name = text(update, "title").to_owned();
                heard.extend([Heard::Turn, Heard::Tool { name, what: what.to_owned() }]);
                heard
            }
            "tool_call_update" if matches!(text(update, "status"), "completed" | "failed") => {
                let said = update["content"][0]["content"]["text"].as_str().unwrap_or_default();
                vec![Heard::ToolEnded { failed: text(update, "status") == "failed", said: said.to_owned() }]
            }
            _ => vec![],
        }
    }
}

fn request(id: &str, method: &str, params: &Value) -> Vec<u8> {
    line(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}

fn line(message: &Value) -> Vec<u8> {
    format!("{message}\n").into_bytes()
}

/// What a request of the agent is answered with: its tools may run, since the worker is confined.
fn answer(method: &str, line: &Value) -> Value {
    if method != "session/request_permission" {
        let message = format!("there is no method {} here", cut(method, LONGEST_ID));
        return json!({ "jsonrpc": "2.0", "id": line["id"], "error": { "code": NO_METHOD, "message": message } });
    }
    let options = line["params"]["options"].as_array().into_iter().flatten();
    let options: Vec<_> = options.collect();
    let allow = ALLOW.iter().find_map(|kind| options.iter().find(|option| text(option, "kind") == *kind));
    let outcome = match allow {
        Some(option) => json!({ "outcome": "selected", "optionId": option["optionId"] }),
        None => json!({ "outcome": "cancelled" }),
    };
    json!({ "jsonrpc": "2.0", "id": line["id"], "result": { "outcome": outcome } })
}

impl Dialect for Acp {
    fn takes_messages(&self) -> bool {
        true
    }

    fn message(&mut self, id: &str, text: &str) -> Vec<u8> {
        if let Some(session) = self.session.clone() {
            return self.prompt(&session, id.to_owned(), text);
        }
        self.waiting.push((id.to_owned(), text.to_owned()));
        if std::mem::replace(&mut self.has_begun, true) {
            return vec![];
        }
        let files = json!({ "readTextFile": false, "writeTextFile": false });
        let capabilities = json!({ "fs": files, "terminal": false });
        request(INITIALIZE, "initialize", &json!({ "protocolVersion": VERSION, "clientCapabilities": capabilities }))
    }

    fn usage_of(&self) -> UsageOf {
        UsageOf::Round
    }

    fn hear(&mut self, said: &Value) -> Vec<Heard> {
        match (said["method"].as_str(), said.get("id")) {
            // Whatever it is called by is sent back: a name as long as a book is none.
            (Some(_), Some(id)) if id.to_string().len() > LONGEST_ID => vec![],
            (Some(method), Some(_)) => vec![Heard::Send(line(&answer(method, said)))],
            (Some("session/update"), None) => self.updated(&said["params"]["update"]),
            (Some(_), None) => vec![],
            (None, Some(id)) => self.answered(id.as_str().unwrap_or_default(), said),
            (None, None) => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use sprint_core::agent::FaultKind;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "tests write their lines in place")]
    fn hear(acp: &mut Acp, line: Value) -> Vec<Heard> {
        acp.hear(&line)
    }

    fn sent(heard: &[Heard]) -> Vec<Value> {
        let sent = heard.iter().filter_map(|heard| {
            let Heard::Send(bytes) = heard else { return None };
            serde_json::from_slice(bytes).ok()
        });
        sent.collect()
    }

    /// One whose conversation has begun, with a message under way.
    fn begun(resumed: Option<&str>) -> Acp {
        let mut acp = Acp::new(Path::new("/w"), resumed, None);
        let first: Value = serde_json::from_slice(&acp.message("m1", "do it")).expect("is JSON");
        assert_eq!(
            (first["method"].as_str(), first["params"]["protocolVersion"].as_u64()),
            (Some("initialize"), Some(1))
        );
        let answer = json!({ "id": INITIALIZE, "result": { "agentCapabilities": { "loadSession": true } } });
        let second = sent(&hear(&mut acp, answer));
        let method = if resumed.is_some() { "session/load" } else { "session/new" };
        assert_eq!((second[0]["method"].as_str(), second[0]["params"]["cwd"].as_str()), (Some(method), Some("/w")));
        // What was said before is not shown again.
        let old = json!({ "method": "session/update", "params": { "update": { "sessionUpdate": "agent_message_chunk", "content": { "text": "old\n" } } } });
        assert!(hear(&mut acp, old).is_empty());
        let result = if resumed.is_some() { json!({}) } else { json!({ "sessionId": "s" }) };
        let heard = hear(&mut acp, json!({ "id": SESSION, "result": result }));
        assert_eq!(heard[0], Heard::Session(resumed.unwrap_or("s").to_owned()));
        let prompt = sent(&heard);
        assert_eq!((prompt[0]["id"].as_str(), prompt[0]["method"].as_str()), (Some("m1"), Some("session/prompt")));
        acp
    }

    #[test]
    fn a_conversation_begins_or_goes_on_and_its_turn_comes_to_an_end() {
        for resumed in [None, Some("old")] {
            let mut acp = begun(resumed);
            let update = |update: Value| json!({ "method": "session/update", "params": { "update": update } });
            let chunk =
                |text: &str| update(json!({ "sessionUpdate": "agent_message_chunk", "content": { "text": text } }));
            assert!(hear(&mut acp, chunk("I am ")).is_empty());
            assert_eq!(hear(&mut acp, chunk("here.\nAnd")), [Heard::Text("I am here.\n".to_owned())]);
            let tool = json!({ "sessionUpdate": "tool_call", "title": "run", "rawInput": { "command": "ls" } });
            let tool = hear(&mut acp, update(tool));
            let ran = Heard::Tool { name: "run".to_owned(), what: "ls".to_owned() };
            assert_eq!(tool, [Heard::Text("And".to_owned()), Heard::Turn, ran]);
            let end = hear(&mut acp, json!({ "id": "m1", "result": { "stopReason": "end_turn" } }));
            assert_eq!(end, [Heard::Turn, Heard::Settled("m1".to_owned()), Heard::Ended(None)]);
        }
    }

    #[test]
    fn tools_may_run_and_what_is_not_here_is_said_to_be_not_here() {
        let mut acp = begun(None);
        let options = json!([
            { "optionId": "no", "kind": "reject_once" },
            { "optionId": "once", "kind": "allow_once" },
            { "optionId": "always", "kind": "allow_always" },
        ]);
        let asked = json!({ "id": 7, "method": "session/request_permission", "params": { "options": options } });
        let answer = sent(&hear(&mut acp, asked));
        assert_eq!(
            (answer[0]["id"].as_u64(), &answer[0]["result"]["outcome"]["optionId"]),
            (Some(7), &json!("always"))
        );
        let none = json!({ "id": 8, "method": "session/request_permission", "params": {} });
        assert_eq!(sent(&hear(&mut acp, none))[0]["result"]["outcome"]["outcome"], "cancelled");
        let read = json!({ "id": 9, "method": "fs/read_text_file", "params": {} });
        assert_eq!(sent(&hear(&mut acp, read))[0]["error"]["code"], NO_METHOD);
    }

    #[test]
    fn what_goes_wrong_is_the_agents_fault_with_its_words() {
        let mut acp = begun(None);
        let error = json!({ "id": "m1", "error": { "code": 1, "message": "401 Unauthorized" } });
        let heard = hear(&mut acp, error);
        assert!(
            matches!(heard.last(), Some(Heard::Ended(Some(fault))) if fault.kind == FaultKind::NotLoggedIn),
            "{heard:?}"
        );
        let mut acp = begun(None);
        let heard = hear(&mut acp, json!({ "id": "m1", "result": { "stopReason": "max_tokens" } }));
        assert!(matches!(heard.last(), Some(Heard::Ended(Some(_)))), "{heard:?}");
        for odd in [json!({}), json!([]), json!(7), json!({ "id": "unknown", "result": {} }), json!({ "method": "x" })]
        {
            assert!(hear(&mut acp, odd).is_empty());
        }
    }
}
