//! Spans: what arrives at a collector, and what a collector that is away does to the daemons.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use sprint_tests::{Cluster, OutpostOptions, commit};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A span as it arrived.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    name: String,
    id: Vec<u8>,
    parent: Vec<u8>,
    links: Vec<Vec<u8>>,
    fields: BTreeMap<String, String>,
}

impl Span {
    fn has(&self, fields: &[(&str, &str)]) -> bool {
        fields.iter().all(|(key, value)| self.fields.get(*key).is_some_and(|found| found == value))
    }
}

fn fields(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.into_iter().map(|KeyValue { key, value, .. }| (key, text(value))).collect()
}

#[derive(Clone, Default)]
struct Arrived(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Arrived {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_service in request.into_inner().resource_spans {
            let about = fields(of_service.resource.map(|resource| resource.attributes).unwrap_or_default());
            for span in of_service.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.0.lock().expect("no panic").push(Span {
                    service: about["service.name"].clone(),
                    name: span.name,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    links: span.links.into_iter().map(|link| link.span_id).collect(),
                    fields: fields(span.attributes),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector on a port of its own.
struct Collector {
    url: String,
    arrived: Arrived,
    _runtime: Runtime,
}

impl Collector {
    fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = runtime.block_on(tokio::net::TcpListener::bind(any)).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let arrived = Arrived::default();
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(arrived.clone()));
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { url, arrived, _runtime: runtime }
    }

    fn spans(&self) -> Vec<Span> {
        self.arrived.0.lock().expect("no panic").clone()
    }
}

#[test]
fn calls_transactions_passes_and_sessions_arrive_as_spans_with_their_ids() {
    let collector = Collector::start();
    let mut cluster = Cluster::start_with(0, &["--otlp", &collector.url]);
    let more = vec!["--otlp".to_owned(), collector.url.clone()];
    cluster.add_outpost("north", OutpostOptions { more, ..OutpostOptions::default() });
    cluster.online("north");
    let repo = cluster.repo("web", &[], &[]);
    let id = cluster.add(&repo, "Traced", &commit("a.txt", "a"));
    cluster.landed(&repo, id);
    let worker = cluster.workers(id)[0]["id"].to_string();
    cluster.sprintctl(&["item", "show", "999"]).refused(&["no item 999"]);
    assert!(cluster.terminate_outpost("north").0.success());
    assert!(cluster.terminate_coordinator().0.success());

    let spans = collector.spans();
    let find = |service: &str, name: &str, fields: &[(&str, &str)]| {
        let found = spans.iter().find(|span| span.service == service && span.name == name && span.has(fields));
        found.unwrap_or_else(|| {
            let names = spans.iter().map(|span| (&span.service, &span.name)).collect::<BTreeSet<_>>();
            let alike = spans.iter().filter(|span| span.name == name).map(|span| &span.fields).collect::<Vec<_>>();
            panic!("no span {name} of {service} with {fields:?}; there are {names:?}, and of this name {alike:?}")
        })
    };
    let added = find("coordinator", "Items/Add", &[("method", "Items/Add"), ("caller", "admin/local"), ("code", "Ok")]);
    assert!(added.fields["from"].starts_with("127.0.0.1:"), "{added:?}");
    find("coordinator", "Items/Get", &[("code", "NotFound")]);
    find("coordinator", "Link/Session", &[("caller", "outpost/north")]);
    find("coordinator", "POST /git/{*path}", &[("code", "200")]);
    let transaction = spans.iter().find(|span| span.name == "transaction" && span.parent == added.id);
    assert!(transaction.is_some(), "the transaction of a call is part of it");
    find("coordinator", "commit", &[("transactions", "1"), ("result", "committed")]);
    find("coordinator", "pass", &[("loop", "scheduler"), ("reason", "notified")]);
    find("coordinator", "pass", &[("loop", "merger/web")]);
    let session = find("coordinator", "session", &[("outpost", "north")]);
    let number = session.fields["session"].as_str();
    let reports = find("coordinator", "reports", &[("outpost", "north"), ("session", number)]);
    assert_eq!(reports.links, std::slice::from_ref(&session.id), "what a session brings is linked to it");
    find("outpost-agent", "session", &[("outpost", "north"), ("coordinator", cluster.address())]);
    for step in ["accept", "prepare", "start", "finish", "remove"] {
        find("outpost-agent", "step", &[("step", step), ("worker", &worker)]);
    }
    let of_libraries = spans.iter().find(|span| span.fields.keys().any(|key| key.starts_with("http2")));
    assert!(of_libraries.is_none(), "{of_libraries:?}");
}

#[test]
fn a_collector_that_is_away_hinders_neither_start_nor_work_nor_stop() {
    // One port refuses; the other takes the connection, and never says a word.
    let [refusing, silent] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let addresses = [&refusing, &silent].map(|listener| listener.local_addr().expect("an address"));
    drop(refusing);
    for address in addresses {
        let url = format!("http://{address}");
        let mut cluster = Cluster::start_with(0, &["--otlp", &url]);
        let more = vec!["--otlp".to_owned(), url];
        cluster.add_outpost("north", OutpostOptions { more, ..OutpostOptions::default() });
        let repo = cluster.repo("web", &[], &[]);
        let id = cluster.add(&repo, "Not traced", &commit("a.txt", "a"));
        cluster.landed(&repo, id);
        let (agent, agent_took) = cluster.terminate_outpost("north");
        let (coordinator, took) = cluster.terminate_coordinator();
        assert!(agent.success() && coordinator.success(), "{}", cluster.coordinator_log());
        let limit = Duration::from_secs(8);
        assert!(agent_took < limit && took < limit, "{address}: {agent_took:?}, {took:?}");
        for log in [cluster.coordinator_log(), cluster.outpost_log("north")] {
            let told = log.lines().filter(|line| line.contains("the collector takes no spans")).count();
            assert!(told <= 1 && log.contains("spans"), "{address}: {log}");
        }
    }
}
