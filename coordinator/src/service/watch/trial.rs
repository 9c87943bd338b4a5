use std::sync::Arc;

use sprint_core::ids::TrialId;
use sprint_core::request::GateRunRequest;
use sprint_core::trial::TrialState;
use sprint_core::view::TrialView;

use super::stream::{EarlyEnd, Reader, Values, stream};
use crate::service::queue::gates;
use crate::service::{Actor, Coordinator, ServiceError};

/// Trials on their way to a slow reader.
const TRIALS: usize = 16;

/// Begins a trial of a commit as it is, and shows it whenever it has changed, until it is over.
///
/// It is cancelled when its reader leaves. It goes on when the coordinator stops: the next start finds it.
///
/// # Errors
/// As [`gates::begin`].
pub async fn gates(
    sprint: &Arc<Coordinator>,
    request: GateRunRequest,
    by: Actor,
) -> Result<Values<TrialView>, ServiceError> {
    let id = gates::begin(sprint, request, by.clone()).await?;
    let record = Arc::clone(sprint);
    Ok(stream(sprint, TRIALS, move |reader| async move {
        let result = send(&record, id, &reader).await;
        if matches!(result, Err(EarlyEnd::ReaderLeft))
            && let Err(error) = gates::cancel(&record, id, by).await
        {
            tracing::error!(trial = %id, %error, "gates whose caller disconnected could not be cancelled");
        }
        result
    }))
}

async fn send(sprint: &Coordinator, id: TrialId, reader: &Reader<TrialView>) -> Result<(), EarlyEnd> {
    let mut newest = sprint.notices().events();
    let mut last = None;
    loop {
        newest.borrow_and_update();
        let trial = gates::get(sprint, id).await?;
        let is_over = !matches!(trial.state, TrialState::Gating);
        let view = TrialView::from(trial);
        if last.as_ref() != Some(&view) {
            reader.send(view.clone()).await?;
            last = Some(view);
        }
        if is_over {
            return Ok(());
        }
        reader.next_commit(&mut newest).await?;
    }
}
