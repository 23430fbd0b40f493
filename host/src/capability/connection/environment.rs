//! The variables that a flow declares: `environment_variables` with the values of connections in their place. Pure.

use indexmap::IndexMap;

use super::kind::API_KEY;
use super::{Connections, Env, Field, Kind, Problem};

/// The variables with their values: the process's own comes before the flow's, and a value that is `${NAME.KEY}` and
/// nothing else is that key of that connection, a secret if the key is.
///
/// # Errors
///
/// Every value that names a connection or a key that is not there. Loading with what is [`wanted`] tells of missing
/// connections first.
pub fn environment(
    declared: &IndexMap<String, String>,
    process: Env<'_>,
    connections: &Connections,
) -> Result<IndexMap<String, Field>, Vec<Problem>> {
    let (mut values, mut problems) = (IndexMap::new(), Vec::new());
    for (variable, written) in declared {
        let value = process(variable).unwrap_or_else(|| written.clone());
        let field = match reference(&value) {
            None => Ok(Field::Plain(value)),
            Some((name, key)) => referred(name, key, connections)
                .map_err(|what| Problem::new(format!("environment_variables.{variable}"), what).of(name)),
        };
        match field {
            Ok(field) => _ = values.insert(variable.clone(), field),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

/// The variables that hold the key of a connection, each with the connection's name. Not of those of free keys: which of
/// them is for what, nobody but the flow knows.
pub fn keys(
    declared: &IndexMap<String, String>,
    process: Env<'_>,
    connections: &Connections,
) -> IndexMap<String, String> {
    let holds_key = |(variable, written): (&String, &String)| {
        let value = process(variable).unwrap_or_else(|| written.clone());
        let (name, key) = reference(&value)?;
        let connection = connections.get(name).ok()?;
        (connection.kind != Kind::Custom && key == API_KEY).then(|| (variable.clone(), name.to_owned()))
    };
    declared.iter().filter_map(holds_key).collect()
}

/// The connections that the variables need, each once. One that the process sets to something else needs none.
pub fn wanted(declared: &IndexMap<String, String>, process: Env<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for (variable, written) in declared {
        let value = process(variable).unwrap_or_else(|| written.clone());
        if let Some((name, _)) = reference(&value)
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// The connection and the key that a value names, if it is `${NAME.KEY}` and nothing else.
///
/// `${env:NAME}` is none: no name has a colon.
pub fn reference(value: &str) -> Option<(&str, &str)> {
    let inner = value.strip_prefix("${")?.strip_suffix('}')?;
    let (name, key) = inner.rsplit_once('.')?;
    let is_name = |text: &str| !text.is_empty() && !text.contains(['{', '}', '$', ':']);
    (is_name(name) && is_name(key)).then_some((name, key))
}

fn referred(name: &str, key: &str, connections: &Connections) -> Result<Field, String> {
    let connection = connections.get(name).map_err(|unknown| unknown.to_string())?;
    connection.field(key).cloned().map_err(|unknown| unknown.to_string())
}
