//! A model that follows a script, for real agents: no model, no network, no state. It speaks as much of Anthropic's Messages
//! and of `OpenAI`'s Responses and Chat Completions as `claude`, `codex` and `grok` need.
//!
//! The prompt is the script. In the last message of a person that has lines with `@@`, the n-th of them is what the n-th
//! request after it is answered with:
//!
//! - `@@run COMMAND`: run a command with the agent's own tool
//! - `@@tool NAME JSON`: call a tool of Sprint's own server with these arguments
//! - `@@say TEXT`: end the turn
//! - `@@status CODE TEXT`: refuse this request, and each one after it

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};

/// How agents call the tool that runs a command.
const RUN: [&str; 6] = ["bash", "exec_command", "shell_command", "shell", "run_terminal_command", "run_terminal_cmd"];
/// What every answer is said to have taken.
const INPUT: u64 = 1_000;
const CACHED: u64 = 200;
const OUTPUT: u64 = 50;

/// The running server; it goes with the test's process.
#[derive(Debug, Clone)]
pub struct Model {
    port: u16,
    /// When each request came, and what people have said in it since the model's last answer.
    asked: Arc<Mutex<Vec<(SystemTime, String)>>>,
    /// The script of prompts that have none.
    otherwise: Arc<str>,
}

/// A request, whichever its language.
#[derive(Default)]
struct Turn {
    /// Who said what: "user", "assistant" or "result".
    said: Vec<(&'static str, String)>,
    tools: Vec<Tool>,
}

/// A tool that the agent offers.
struct Tool {
    name: String,
    schema: Value,
    /// The server that it is of, where the language has a word for it.
    space: Option<String>,
}

impl Tool {
    fn new(name: String, schema: Value) -> Self {
        Self { name, schema, space: None }
    }

    fn is_of_sprint(&self, name: &str) -> bool {
        match &self.space {
            Some(space) => space.ends_with("sprint") && self.name == name,
            None => self.name == format!("mcp__sprint__{name}"),
        }
    }

    fn call(&self, arguments: Value) -> Call {
        Call { name: self.name.clone(), arguments, space: self.space.clone() }
    }
}

/// A call of a tool.
struct Call {
    name: String,
    arguments: Value,
    space: Option<String>,
}

/// Writes an answer, with a call of a tool or with a text, as the events of a stream.
type Write = fn(&Value, Option<Call>, &str) -> Vec<Value>;

enum Step {
    Run(String),
    Tool(String, Value),
    Say(String),
    Refuse(u16, String),
}

impl Model {
    /// # Panics
    /// There is no free port.
    pub fn start() -> Self {
        Self::at(0, "@@say ok")
    }

    /// At a port of its own, with a script for prompts that have none.
    ///
    /// # Panics
    /// The port is in use.
    pub fn at(port: u16, otherwise: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port");
        let port = listener.local_addr().expect("has an address").port();
        let model = Self { port, asked: Arc::default(), otherwise: otherwise.into() };
        let server = model.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(&stream));
            }
        });
        model
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What people have said in the requests so far, each since the model's answer before it.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(_, asked)| asked.clone()).collect()
    }

    /// When the requests so far came.
    pub fn times(&self) -> Vec<SystemTime> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(at, _)| *at).collect()
    }

    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut from = BufReader::new(stream);
        loop {
            let (path, body) = request(&mut from)?;
            let (status, kind, answer) = self.answer(&path, &body);
            let mut to = stream;
            write!(
                to,
                "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nretry-after: 1\r\n\r\n{answer}",
                answer.len()
            )
            .ok()?;
        }
    }

    fn answer(&self, path: &str, body: &Value) -> (u16, &'static str, String) {
        const JSON: &str = "application/json";
        let (turn, write): (Turn, Write) = match path {
            path if path.ends_with("/messages") => (read_messages(body), write_messages),
            path if path.ends_with("/responses") => (read_responses(body), write_responses),
            path if path.ends_with("/chat/completions") => (read_chat(body), write_chat),
            path if path.ends_with("/models") => {
                let models = json!({ "object": "list", "data": [{ "id": "fake-1", "object": "model" }] });
                return (200, JSON, models.to_string());
            }
            _ => return (404, JSON, json!({ "error": { "message": "no such path" } }).to_string()),
        };
        // An agent may add words of its own behind a person's: all since the model's last answer count.
        let answered = turn.said.iter().rposition(|(who, text)| *who == "assistant" && !text.is_empty());
        let since = &turn.said[answered.map_or(0, |at| at + 1)..];
        let asked: Vec<&str> = since.iter().filter(|(who, _)| *who == "user").map(|(_, text)| text.as_str()).collect();
        let asked = (SystemTime::now(), asked.join("\n"));
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        let (call, text) = match turn.step(&self.otherwise) {
            Step::Refuse(status, why) => {
                let kind = if status == 429 { "rate_limit_error" } else { "authentication_error" };
                let error = json!({ "type": "error", "error": { "type": kind, "message": why } });
                return (status, JSON, error.to_string());
            }
            Step::Run(command) => (turn.run(&command), format!("there is no tool for {command}")),
            Step::Tool(name, arguments) => (turn.tool(&name, arguments), format!("there is no tool {name}")),
            Step::Say(text) => (None, text),
        };
        let events = write(body, call, &text);
        if body["stream"] == true {
            // Each event of one language is named by its type as well.
            let line = |event: &Value| {
                let name = event["type"].as_str().map(|name| format!("event: {name}\n")).unwrap_or_default();
                format!("{name}data: {event}\n\n")
            };
            let end = if path.ends_with("completions") { "data: [DONE]\n\n" } else { "" };
            return (200, "text/event-stream", events.iter().map(line).collect::<String>() + end);
        }
        (200, JSON, whole(path, body, &events).to_string())
    }
}

/// The path and the body of the next request; none when there is no more.
fn request(from: &mut BufReader<&TcpStream>) -> Option<(String, Value)> {
    let line = |from: &mut BufReader<&TcpStream>| {
        let mut line = String::new();
        (from.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    };
    let first = line(from)?;
    let path = first.split(' ').nth(1)?.split('?').next()?.to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = line(from)?.to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
    }
    let mut body = vec![];
    let mut take = |from: &mut BufReader<&TcpStream>, length: usize| {
        let start = body.len();
        body.resize(start + length, 0);
        from.read_exact(&mut body[start..]).ok()
    };
    if chunked {
        loop {
            let size = usize::from_str_radix(&line(from)?, 16).ok()?;
            take(from, size)?;
            line(from)?;
            if size == 0 {
                break;
            }
        }
    } else {
        take(from, length)?;
    }
    Some((path, serde_json::from_slice(&body).unwrap_or_default()))
}

impl Turn {
    fn step(&self, otherwise: &str) -> Step {
        let lines = |text: &str| {
            text.lines().filter_map(|line| line.trim().strip_prefix("@@").map(str::to_owned)).collect::<Vec<_>>()
        };
        let is_script = |(who, text): &(&str, String)| *who == "user" && !lines(text).is_empty();
        let found = self.said.iter().rposition(is_script);
        let script = found.map_or_else(|| lines(otherwise), |at| lines(&self.said[at].1));
        // A call of a tool is known by its result.
        let answered = |(who, text): &&(&str, String)| *who == "result" || (*who == "assistant" && !text.is_empty());
        let mut left = self.said[found.unwrap_or_default()..].iter().filter(answered).count();
        for line in script {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                "status" if left == 0 => {
                    let (code, why) = rest.split_once(' ').unwrap_or((rest, "refused"));
                    return Step::Refuse(code.parse().expect("a status"), why.to_owned());
                }
                _ if left > 0 => left -= 1,
                "run" => return Step::Run(rest.to_owned()),
                "tool" => {
                    let (name, arguments) = rest.split_once(' ').unwrap_or((rest, "{}"));
                    let arguments = serde_json::from_str(arguments).expect("arguments are JSON");
                    return Step::Tool(name.to_owned(), arguments);
                }
                _ => return Step::Say(rest.to_owned()),
            }
        }
        Step::Say("done".to_owned())
    }

    /// A call of a tool of Sprint's: by its own name, or by that of the tool that calls all of them.
    fn tool(&self, name: &str, arguments: Value) -> Option<Call> {
        if let Some(tool) = self.tools.iter().find(|tool| tool.is_of_sprint(name)) {
            return Some(tool.call(arguments));
        }
        let by_name = self.tools.iter().find(|tool| tool.name == "use_tool")?;
        Some(by_name.call(json!({ "tool_name": format!("sprint__{name}"), "tool_input": arguments })))
    }

    /// A call of the tool that runs commands.
    fn run(&self, command: &str) -> Option<Call> {
        let find = |name: &str| self.tools.iter().find(|tool| tool.name.to_lowercase() == name);
        let tool = RUN.iter().find_map(|name| find(name))?;
        let schema = &tool.schema;
        let properties = &schema["properties"];
        let key = ["command", "cmd"].into_iter().find(|key| properties[*key].is_object()).unwrap_or("command");
        let mut arguments = json!({});
        for needed in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            arguments[needed] = match properties[needed]["type"].as_str() {
                Some("boolean") => json!(false),
                Some("integer" | "number") => json!(1),
                _ => json!("scripted"),
            };
        }
        arguments[key] =
            if properties[key]["type"] == "array" { json!(["bash", "-lc", command]) } else { json!(command) };
        Some(tool.call(arguments))
    }
}

fn text_of(content: &Value) -> String {
    let blocks = content.as_array().into_iter().flatten();
    let texts: Vec<_> = blocks.filter_map(|block| block["text"].as_str()).collect();
    content.as_str().map_or_else(|| texts.join("\n"), str::to_owned)
}

fn each<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn name(tool: &Value) -> String {
    tool["name"].as_str().unwrap_or_default().to_owned()
}

fn read_messages(body: &Value) -> Turn {
    let tools = each(body, "tools").map(|tool| Tool::new(name(tool), tool["input_schema"].clone())).collect();
    let mut turn = Turn { tools, ..Turn::default() };
    for message in each(body, "messages") {
        let content = &message["content"];
        if message["role"] == "assistant" {
            turn.said.push(("assistant", text_of(content)));
            continue;
        }
        for _ in content.as_array().into_iter().flatten().filter(|block| block["type"] == "tool_result") {
            turn.said.push(("result", String::new()));
        }
        let text = text_of(content);
        if !text.trim().is_empty() {
            turn.said.push(("user", text));
        }
    }
    turn
}

fn write_messages(body: &Value, call: Option<Call>, text: &str) -> Vec<Value> {
    let usage = json!({ "input_tokens": INPUT, "output_tokens": OUTPUT, "cache_read_input_tokens": CACHED, "cache_creation_input_tokens": 0 });
    let message = json!({
        "id": id("msg"), "type": "message", "role": "assistant", "model": body["model"], "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage,
    });
    let (stop, block, delta) = match call {
        Some(Call { name, arguments: input, .. }) => (
            "tool_use",
            json!({ "type": "tool_use", "id": id("toolu"), "name": name, "input": {} }),
            json!({ "type": "input_json_delta", "partial_json": input.to_string() }),
        ),
        None => ("end_turn", json!({ "type": "text", "text": "" }), json!({ "type": "text_delta", "text": text })),
    };
    vec![
        json!({ "type": "message_start", "message": message }),
        json!({ "type": "content_block_start", "index": 0, "content_block": block }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": stop, "stop_sequence": null }, "usage": usage }),
        json!({ "type": "message_stop" }),
    ]
}

fn read_responses(body: &Value) -> Turn {
    let tool =
        |tool: &Value, space: Option<String>| Tool { space, ..Tool::new(name(tool), tool["parameters"].clone()) };
    let within = |of: &Value| each(of, "tools").map(|inner| tool(inner, Some(name(of)))).collect::<Vec<_>>();
    let tools = each(body, "tools").flat_map(|of| within(of).into_iter().chain([tool(of, None)])).collect();
    let mut turn = Turn { tools, ..Turn::default() };
    for entry in each(body, "input") {
        let kind = entry["type"].as_str().unwrap_or("message");
        if kind.ends_with("_output") {
            turn.said.push(("result", String::new()));
        } else if kind == "message" {
            let who = match entry["role"].as_str() {
                Some("user") => "user",
                Some("assistant") => "assistant",
                _ => continue,
            };
            turn.said.push((who, text_of(&entry["content"])));
        }
    }
    turn
}

fn write_responses(body: &Value, call: Option<Call>, text: &str) -> Vec<Value> {
    let item = match call {
        Some(Call { name, arguments, space }) => {
            let mut call = json!({
                "type": "function_call", "id": id("fc"), "call_id": id("call"), "name": name,
                "arguments": arguments.to_string(), "status": "completed",
            });
            if let Some(space) = space {
                call["namespace"] = json!(space);
            }
            call
        }
        None => json!({
            "type": "message", "id": id("msg"), "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "text": text, "annotations": [] }],
        }),
    };
    let usage = json!({
        "input_tokens": INPUT, "input_tokens_details": { "cached_tokens": CACHED }, "output_tokens": OUTPUT,
        "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": INPUT + OUTPUT,
    });
    let done = json!({
        "id": id("resp"), "object": "response", "created_at": 0, "status": "completed", "model": body["model"],
        "output": [item], "usage": usage,
    });
    let begun = json!({ "id": done["id"], "object": "response", "status": "in_progress", "output": [] });
    vec![
        json!({ "type": "response.created", "response": begun }),
        json!({ "type": "response.output_item.added", "output_index": 0, "item": item }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": item }),
        json!({ "type": "response.completed", "response": done }),
    ]
}

fn read_chat(body: &Value) -> Turn {
    let tool = |tool: &Value| Tool::new(name(&tool["function"]), tool["function"]["parameters"].clone());
    let tools = each(body, "tools").map(tool).collect();
    let mut turn = Turn { tools, ..Turn::default() };
    for message in each(body, "messages") {
        let who = match message["role"].as_str() {
            Some("user") => "user",
            Some("assistant") => "assistant",
            Some("tool") => "result",
            _ => continue,
        };
        turn.said.push((who, text_of(&message["content"])));
    }
    turn
}

fn write_chat(body: &Value, call: Option<Call>, text: &str) -> Vec<Value> {
    let (stop, delta) = match call {
        Some(Call { name, arguments: input, .. }) => {
            let function = json!({ "name": name, "arguments": input.to_string() });
            let call = json!({ "index": 0, "id": id("call"), "type": "function", "function": function });
            ("tool_calls", json!({ "role": "assistant", "content": null, "tool_calls": [call] }))
        }
        None => ("stop", json!({ "role": "assistant", "content": text })),
    };
    let usage = json!({ "prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT });
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": "c1", "object": "chat.completion.chunk", "created": 0, "model": body["model"], "choices": choices,
            "usage": usage,
        })
    };
    vec![
        chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null }]), Value::Null),
        chunk(json!([{ "index": 0, "delta": {}, "finish_reason": stop }]), Value::Null),
        chunk(json!([]), usage),
    ]
}

/// The same answer in one piece.
fn whole(path: &str, body: &Value, events: &[Value]) -> Value {
    if path.ends_with("/messages") {
        let mut message = events[0]["message"].clone();
        let mut block = events[1]["content_block"].clone();
        let delta = &events[2]["delta"];
        match delta["partial_json"].as_str() {
            Some(input) => block["input"] = serde_json::from_str(input).unwrap_or_default(),
            None => block["text"] = delta["text"].clone(),
        }
        message["content"] = json!([block]);
        message["stop_reason"] = events[4]["delta"]["stop_reason"].clone();
        return message;
    }
    if path.ends_with("/responses") {
        return events[3]["response"].clone();
    }
    let choice = json!({
        "index": 0, "message": events[0]["choices"][0]["delta"], "finish_reason": events[1]["choices"][0]["finish_reason"],
    });
    json!({
        "id": "c1", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice],
        "usage": events[2]["usage"],
    })
}

fn id(kind: &str) -> String {
    format!("{kind}_{:016x}", fastrand::u64(..))
}
