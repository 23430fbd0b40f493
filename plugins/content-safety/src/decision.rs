//! From what the service found to accept or reject, as prompt flow decides.

use serde_json::Value;
use weir_sdk::{NodeError, data};

use crate::{INPUT_VALUE_ERROR, SYSTEM_ERROR};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Hate,
    SelfHarm,
    Sexual,
    Violence,
}

/// The lowest severity that is rejected; none: nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Threshold(Option<i64>);

#[data]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Accept,
    Reject,
}

/// What to do with a text.
#[data]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    suggested_action: Action,
    action_by_category: ActionByCategory,
}

#[data]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
struct ActionByCategory {
    hate: Action,
    self_harm: Action,
    sexual: Action,
    violence: Action,
}

impl Threshold {
    /// The threshold of a sensitivity; without one, that of a medium one. `input` is where it is from.
    pub(crate) fn of(input: &str, sensitivity: Option<&str>) -> Result<Self, NodeError> {
        match sensitivity {
            Some("disable") => Ok(Self(None)),
            Some("low_sensitivity") => Ok(Self(Some(6))),
            None | Some("" | "medium_sensitivity") => Ok(Self(Some(4))),
            Some("high_sensitivity") => Ok(Self(Some(2))),
            Some(other) => Err(NodeError::user(
                INPUT_VALUE_ERROR,
                format!(
                    "{input}: expected disable, low_sensitivity, medium_sensitivity or high_sensitivity, found {other:?}"
                ),
            )),
        }
    }

    fn action(self, severity: i64) -> Action {
        if self.0.is_some_and(|threshold| severity >= threshold) { Action::Reject } else { Action::Accept }
    }
}

/// Decides about a text by what the service found in it.
///
/// The original takes the shape of the reply from the version that was asked for, and so fails with versions later than
/// 2023-10-01. Here the reply itself says which shape it has.
pub(crate) fn decide(found: &Value, thresholds: &[(Category, Threshold); 4]) -> Result<Decision, NodeError> {
    let mut actions = [Action::Accept; 4];
    for (action, (category, threshold)) in actions.iter_mut().zip(thresholds) {
        *action = threshold.action(category.severity(found)?);
    }
    let listed = ["blocklistsMatch", "blocklistsMatchResults"];
    let on_a_list = listed.iter().any(|key| found[*key].as_array().is_some_and(|matches| !matches.is_empty()));
    let reject = on_a_list || actions.contains(&Action::Reject);
    let [hate, self_harm, sexual, violence] = actions;
    Ok(Decision {
        suggested_action: if reject { Action::Reject } else { Action::Accept },
        action_by_category: ActionByCategory { hate, self_harm, sexual, violence },
    })
}

impl Category {
    fn severity(self, found: &Value) -> Result<i64, NodeError> {
        let result = match found.get("categoriesAnalysis").and_then(Value::as_array) {
            Some(results) => Some(self.among(results)?),
            None => found.get(self.key()),
        };
        let severity = result.and_then(|result| result.get("severity")?.as_i64());
        severity.ok_or_else(|| {
            NodeError::system(SYSTEM_ERROR, format!("Can not find detection result for Category.{self:?}"))
        })
    }

    fn among(self, results: &[Value]) -> Result<&Value, NodeError> {
        let name = format!("{self:?}");
        let result = results.iter().find(|result| result["category"] == name.as_str());
        result.ok_or_else(|| NodeError::user(INPUT_VALUE_ERROR, format!("Invalid Category Category.{name}")))
    }

    /// Where replies of versions before 2023-10-01 have it.
    fn key(self) -> &'static str {
        match self {
            Self::Hate => "hateResult",
            Self::SelfHarm => "selfHarmResult",
            Self::Sexual => "sexualResult",
            Self::Violence => "violenceResult",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MEDIUM: &str = "medium_sensitivity";

    /// Sensitivities and severities in the order of [`Category`].
    #[track_caller]
    fn check(found: &Value, sensitivities: [&str; 4], expected: &Result<Value, NodeError>) {
        let categories = [Category::Hate, Category::SelfHarm, Category::Sexual, Category::Violence];
        let threshold = |at: usize| Threshold::of("input", Some(sensitivities[at])).expect("a sensitivity");
        let thresholds = [0, 1, 2, 3].map(|at| (categories[at], threshold(at)));
        let decided = decide(found, &thresholds);
        assert_eq!(&decided.map(|decision| serde_json::to_value(decision).expect("a value")), expected);
    }

    /// A reply of the version 2023-10-01.
    fn reply([hate, self_harm, sexual, violence]: [i64; 4]) -> Value {
        json!({"blocklistsMatch": [], "categoriesAnalysis": [
            {"category": "Hate", "severity": hate}, {"category": "SelfHarm", "severity": self_harm},
            {"category": "Sexual", "severity": sexual}, {"category": "Violence", "severity": violence},
        ]})
    }

    fn actions(suggested: &str, [hate, self_harm, sexual, violence]: [&str; 4]) -> Result<Value, NodeError> {
        let by_category = json!({"Hate": hate, "SelfHarm": self_harm, "Sexual": sexual, "Violence": violence});
        Ok(json!({"suggested_action": suggested, "action_by_category": by_category}))
    }

    #[test]
    fn a_severity_at_its_threshold_is_rejected() {
        let sensitivities = ["low_sensitivity", MEDIUM, "high_sensitivity", "disable"];
        check(&reply([5, 3, 1, 7]), sensitivities, &actions("Accept", ["Accept"; 4]));
        check(&reply([6, 4, 2, 7]), sensitivities, &actions("Reject", ["Reject", "Reject", "Reject", "Accept"]));
        check(&reply([0, 0, 2, 0]), sensitivities, &actions("Reject", ["Accept", "Accept", "Reject", "Accept"]));
    }

    #[test]
    fn a_text_on_a_block_list_is_rejected() {
        let mut found = reply([0; 4]);
        found["blocklistsMatch"] = json!([{"blocklistName": "words"}]);
        check(&found, [MEDIUM; 4], &actions("Reject", ["Accept"; 4]));
    }

    #[test]
    fn replies_of_earlier_versions_are_understood() {
        let mut found = json!({
            "hateResult": {"category": "Hate", "severity": 4}, "selfHarmResult": {"severity": 0},
            "sexualResult": {"severity": 0}, "violenceResult": {"severity": 0}, "blocklistsMatchResults": [],
        });
        check(&found, [MEDIUM; 4], &actions("Reject", ["Reject", "Accept", "Accept", "Accept"]));
        found["hateResult"]["severity"] = json!(0);
        found["blocklistsMatchResults"] = json!([{}]);
        check(&found, [MEDIUM; 4], &actions("Reject", ["Accept"; 4]));
    }

    #[test]
    fn a_reply_that_lacks_a_category_is_an_error_in_the_originals_words() {
        let mut found = reply([0; 4]);
        found["categoriesAnalysis"].as_array_mut().expect("a list").remove(1);
        check(&found, [MEDIUM; 4], &Err(NodeError::user(INPUT_VALUE_ERROR, "Invalid Category Category.SelfHarm")));
        let missing = NodeError::system(SYSTEM_ERROR, "Can not find detection result for Category.Hate");
        check(&json!({}), [MEDIUM; 4], &Err(missing.clone()));
        check(&json!({"categoriesAnalysis": [{"category": "Hate"}]}), [MEDIUM; 4], &Err(missing));
    }
}
