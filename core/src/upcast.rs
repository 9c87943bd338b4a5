//! What earlier versions wrote, brought to today's form.

use serde_json::{Map, Value, json};

use crate::job::Job;

/// Adds the job to a worker, an assignment or a report that was written before jobs existed: an item and an attempt, or a gate of a trial.
pub fn job(body: &mut Value) {
    let Value::Object(fields) = body else { return };
    if fields.contains_key("job") {
        return;
    }
    let (item, attempt, role) = (fields.remove("item"), fields.remove("attempt"), fields.remove("role"));
    let job = match gate(fields, role.as_ref()) {
        Some((trial, gate)) => json!({ "kind": "gate", "trial": trial, "gate": gate }),
        None => json!({ "kind": "attempt", "item": item, "attempt": attempt, "role": role }),
    };
    fields.insert("job".to_owned(), job);
}

/// Adds its worker's job to a report that was written before jobs existed, and converts its outcome to the present form.
pub fn report(body: &mut Value, of: &Job) {
    let Value::Object(fields) = body else { return };
    if fields.contains_key("job") {
        return;
    }
    fields.remove("item");
    fields.remove("attempt");
    fields.insert("job".to_owned(), json!(of));
    let Some(Value::String(kind)) = fields.remove("outcome") else { return };
    let kind = if kind == "gated" { "judged".to_owned() } else { kind };
    let details = ["head", "commit", "tree", "verdicts", "reason"];
    let details: Map<String, Value> =
        details.iter().filter_map(|name| Some(((*name).to_owned(), fields.remove(*name)?))).collect();
    let arm = match of {
        Job::Attempt(_) => "attempt",
        Job::Gate(_) => "gate",
    };
    fields.insert("outcome".to_owned(), json!({ arm: { kind: details } }));
}

/// The trial and the gate that a worker or an assignment named.
fn gate(fields: &mut Map<String, Value>, role: Option<&Value>) -> Option<(u64, String)> {
    // A worker's row.
    if let Some(Value::Object(gate)) = fields.remove("gate") {
        return Some((gate.get("trial")?.as_u64()?, gate.get("name")?.as_str()?.to_owned()));
    }
    if role.and_then(Value::as_str) != Some("gate") {
        return None;
    }
    // An assignment named its trial in its title alone: `gate "test" of trial 7: change 3`.
    let trial = fields.get("title")?.as_str()?.rsplit_once(" of trial ")?.1.split(':').next()?.parse().ok()?;
    let name = fields.get("gates")?.as_array()?.first()?.get("name")?.as_str()?.to_owned();
    Some((trial, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_workers_and_assignments_get_their_jobs() {
        let mut attempt = json!({ "id": 1, "item": 3, "attempt": 2, "role": "developer", "gate": null });
        job(&mut attempt);
        let wanted = json!({ "kind": "attempt", "item": 3, "attempt": 2, "role": "developer" });
        assert_eq!(attempt, json!({ "id": 1, "job": wanted }));
        let mut gate =
            json!({ "id": 1, "item": 0, "attempt": 0, "role": "gate", "gate": { "trial": 7, "name": "test" } });
        job(&mut gate);
        let wanted = json!({ "kind": "gate", "trial": 7, "gate": "test" });
        assert_eq!(gate, json!({ "id": 1, "job": wanted.clone() }));
        let mut assignment = json!({ "item": 3, "attempt": 1, "role": "gate", "title": "gate \"test\" of trial 7: the tip", "gates": [{ "name": "test" }] });
        job(&mut assignment);
        assert_eq!(assignment["job"], wanted);
        let before = assignment.clone();
        job(&mut assignment);
        assert_eq!(assignment, before, "once is enough");
    }
}
