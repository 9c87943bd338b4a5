//! A span for each call, whichever face it comes to.

use std::fmt::Debug;

use sprint_core::access::Caller;
use tracing::Span;
use tracing::field::Empty;

/// A call of a method, or of a path as it is declared.
pub(super) fn of_call(method: &str) -> Span {
    tracing::info_span!(
        parent: None,
        "call",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        method,
        caller = Empty,
        from = Empty,
        code = Empty,
    )
}

/// Says in the span that is current who calls.
pub(super) fn called_by(caller: &Caller) {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("caller", tracing::field::display(caller)).record("from", caller.from.as_str());
    }
}

/// Says what became of a call.
pub(super) fn answered(span: &Span, code: impl Debug, failed: bool) {
    span.record("code", tracing::field::debug(code));
    if failed {
        span.record("otel.status_code", "error");
    }
}
