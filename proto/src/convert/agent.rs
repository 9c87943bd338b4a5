use sprint_core::agent::{AgentFault, AgentSaid, AgentState, Tokens, Usage};
use sprint_core::time::Timestamp;

use super::{Malformed, time, time_ms};
use crate::v1;

impl From<AgentSaid> for v1::AgentSaid {
    fn from(said: AgentSaid) -> Self {
        let AgentSaid { runtime, session, model, turns, usage, fault, state } = said;
        let usage = usage.into_iter().map(|(model, usage)| (model, usage.into())).collect();
        Self { runtime, session, model, turns, usage, fault: fault.map(Into::into), state: state.map(Into::into) }
    }
}

impl TryFrom<v1::AgentSaid> for AgentSaid {
    type Error = Malformed;

    fn try_from(said: v1::AgentSaid) -> Result<Self, Malformed> {
        let v1::AgentSaid { runtime, session, model, turns, usage, fault, state } = said;
        let usage = usage.into_iter().map(|(model, usage)| (model, usage.into())).collect();
        let fault = fault.map(TryInto::try_into).transpose()?;
        let state = state.map(TryInto::try_into).transpose()?;
        Ok(Self { runtime, session, model, turns, usage, fault, state })
    }
}

impl From<Usage> for v1::Usage {
    fn from(usage: Usage) -> Self {
        let Usage { tokens: Tokens { input, cached, cache_written, output }, cost_micros, is_guess, by_table } = usage;
        Self { input, cached, cache_written, output, cost_micros, is_guess, by_table }
    }
}

impl From<v1::Usage> for Usage {
    fn from(usage: v1::Usage) -> Self {
        let v1::Usage { input, cached, cache_written, output, cost_micros, is_guess, by_table } = usage;
        Self { tokens: Tokens { input, cached, cache_written, output }, cost_micros, is_guess, by_table }
    }
}

impl From<AgentFault> for v1::AgentFault {
    fn from(fault: AgentFault) -> Self {
        let AgentFault { kind, why, until } = fault;
        Self { kind: kind.to_string(), why, until_ms: time_ms(until) }
    }
}

impl TryFrom<v1::AgentFault> for AgentFault {
    type Error = Malformed;

    fn try_from(fault: v1::AgentFault) -> Result<Self, Malformed> {
        let v1::AgentFault { kind, why, until_ms } = fault;
        Ok(Self { kind: kind.parse()?, why, until: time(until_ms) })
    }
}

impl From<AgentState> for v1::AgentState {
    fn from(state: AgentState) -> Self {
        let AgentState { doing, tool, at } = state;
        Self { doing: doing.to_string(), tool, at_ms: at.as_millis() }
    }
}

impl TryFrom<v1::AgentState> for AgentState {
    type Error = Malformed;

    fn try_from(state: v1::AgentState) -> Result<Self, Malformed> {
        let v1::AgentState { doing, tool, at_ms } = state;
        Ok(Self { doing: doing.parse()?, tool, at: Timestamp::from_millis(at_ms) })
    }
}
