//! What a worker may ask, as tools over the Model Context Protocol, on standard input and output.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler, ServiceExt as _};
use serde_json::{Map, Value, json};

use super::ask::answer;

/// What an agent is told of these tools.
const INSTRUCTIONS: &str = "Sprint has given you one item of work. get_item shows it, list_feedback what was said of \
earlier attempts. report_progress tells the people who watch how far you are. Work that you find and that is not part \
of your item belongs into file_item, not into your commits. If nothing needs to be done, say why with resolve_item. \
If you cannot finish, leave what the next attempt should know with write_handoff. Only commits count as work.";

/// A tool: its name, what it is for, what it asks of the outpost, and its arguments.
struct ToolSpec {
    name: &'static str,
    description: &'static str,
    op: &'static str,
    properties: fn() -> Value,
    required: &'static [&'static str],
}

fn lines(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": description })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

const TOOLS: [ToolSpec; 6] = [
    ToolSpec {
        name: "get_item",
        description: "Show your item of work: its number, its attempt, its title and the whole task.",
        op: "show",
        properties: || json!({}),
        required: &[],
    },
    ToolSpec {
        name: "list_feedback",
        description: "Show what was said of earlier attempts at your item, and of this one.",
        op: "feedback",
        properties: || json!({}),
        required: &[],
    },
    ToolSpec {
        name: "report_progress",
        description: "Tell the people who watch how far you are, in a line or two.",
        op: "progress",
        properties: || json!({ "text": text("How far you are.") }),
        required: &["text"],
    },
    ToolSpec {
        name: "file_item",
        description: "File work that you have found and that is not part of your item. It is kept for a person to look at, or given to another worker.",
        op: "file",
        properties: || {
            json!({
                "title": text("What is to be done, in a line."),
                "description": text("All that somebody needs to know who does it."),
                "kind": { "type": "string", "enum": ["feature", "convoy", "task", "bug", "chore"] },
                "priority": { "type": "string", "enum": ["low", "medium", "high", "urgent"] },
                "acceptance": lines("What must hold when it is done."),
                "needs": { "type": "array", "items": { "type": "integer" }, "description": "Numbers of items that must be done before it." },
                "parent": { "type": "integer", "description": "The number of the feature that it is a part of." },
            })
        },
        required: &["title"],
    },
    ToolSpec {
        name: "resolve_item",
        description: "Say that nothing needs to be done for your item, and why. It counts when you end without a commit and without a change.",
        op: "resolve",
        properties: || json!({ "reason": text("Why there is nothing to do.") }),
        required: &["reason"],
    },
    ToolSpec {
        name: "write_handoff",
        description: "Write down what the next attempt at your item should know. The newest takes the place of the one before.",
        op: "hand_off",
        properties: || {
            json!({
                "completed": lines("What is done."),
                "files_changed": lines("The files that you changed, and what for."),
                "decisions": lines("What you decided, and why."),
                "open_issues": lines("What is left to do, or in doubt."),
                "test_status": text("Which tests pass, and which do not."),
            })
        },
        required: &[],
    },
];

impl ToolSpec {
    fn tool(&self) -> Tool {
        let schema = [
            ("type", "object".into()),
            ("properties", (self.properties)()),
            ("required", self.required.into()),
            ("additionalProperties", false.into()),
        ];
        let schema: Map<String, Value> = schema.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
        Tool::new(self.name, self.description, Arc::new(schema))
    }

    /// The request of a call with these arguments.
    fn request(&self, arguments: Option<Map<String, Value>>) -> Value {
        let mut request = arguments.unwrap_or_default();
        if self.op == "resolve" {
            request.insert("resolution".to_owned(), "nothing_to_do".into());
        }
        // Last: no argument names another operation.
        request.insert("op".to_owned(), self.op.into());
        request.into()
    }
}

#[derive(Debug, Clone, Copy)]
struct Server;

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("sprint", env!("CARGO_PKG_VERSION"));
        info.instructions = Some(INSTRUCTIONS.to_owned());
        info
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(TOOLS.iter().map(ToolSpec::tool).collect()))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(spec) = TOOLS.iter().find(|spec| spec.name == call.name) else {
            let names = TOOLS.map(|spec| spec.name).join(", ");
            return Err(ErrorData::invalid_params(
                format!("there is no tool {:?}; call one of {names}", call.name),
                None,
            ));
        };
        let request = spec.request(call.arguments);
        // The answer of a tool, also where it is a refusal, is for the model.
        let answered = tokio::task::spawn_blocking(move || answer(&request)).await;
        let result = match answered {
            Ok(Ok(answer)) => CallToolResult::success(vec![ContentBlock::text(format!("{answer:#}"))]),
            Ok(Err(why)) => CallToolResult::error(vec![ContentBlock::text(why)]),
            Err(error) => return Err(ErrorData::internal_error(error.to_string(), None)),
        };
        Ok(result.into())
    }
}

/// Answers until standard input ends.
///
/// # Errors
/// What the protocol's peer did wrong, in words.
pub(super) fn serve() -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let served = runtime.block_on(async {
        let server = Server.serve(rmcp::transport::stdio()).await.map_err(|error| error.to_string())?;
        server.waiting().await.map(|_| ()).map_err(|error| error.to_string())
    });
    // Standard input may still be read by a thread that nothing ends.
    runtime.shutdown_background();
    served.map_err(|why| format!("the client of this MCP server does not speak its protocol: {why}"))
}
