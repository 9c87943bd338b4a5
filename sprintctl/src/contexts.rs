//! The contexts that this host keeps, read with the warnings that they deserve.

use sprint_core::ids::ContextName;
use sprint_identity::context::{Context, ContextError, Contexts};

use crate::output::note;

/// Reads a context, and warns when others can read it too.
///
/// # Errors
/// [`ContextError`].
pub(crate) fn read(contexts: &Contexts, name: &ContextName) -> Result<Context, ContextError> {
    let context = contexts.get(name)?;
    if contexts.is_exposed(name)? {
        let path = contexts.path(name);
        note(&format!(
            "warning: other users of this host can read the credentials in {path}; protect them with: chmod 600 {path}",
            path = path.display()
        ));
    }
    Ok(context)
}

/// All contexts that can be read, by name; says which cannot.
pub(crate) fn readable(contexts: &Contexts) -> Result<Vec<(ContextName, Context)>, ContextError> {
    let mut found = Vec::new();
    for name in contexts.names()? {
        match read(contexts, &name) {
            Ok(context) => found.push((name, context)),
            Err(error) => note(&format!("warning: the context \"{name}\" is skipped: {error}")),
        }
    }
    Ok(found)
}
