//! What is served: one deployment, or several that share the traffic of an endpoint. Which of them gets a request.
//!
//! An endpoint never changes: a host that is told of new files makes another and swaps it in. Requests that are running
//! keep the deployment that they were given, which ends with the last of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderMap;

use crate::images::Images;
use crate::scheduler::Runner;
use crate::server::admission::Admission;
use crate::server::problem::Problem;
use crate::server::swagger;

/// The deployment that a request names, and that a reply comes from: Azure ML's header.
pub const HEADER: &str = "azureml-model-deployment";

/// A flow that is served, perhaps under a name.
#[derive(Debug)]
pub struct Deployment {
    /// None: a flow folder that nobody has named.
    pub name: Option<String>,
    pub runner: Runner,
    pub images: Images,
    pub admission: Admission,
    /// What `/swagger.json` answers.
    pub document: swagger::Document,
}

/// All that a host serves.
#[derive(Debug)]
pub struct Endpoint {
    pub name: Option<String>,
    /// At least one; the first is the one that stands for the endpoint where no other is meant.
    deployments: Vec<Arc<Deployment>>,
    /// Whose turn it is, as indices of `deployments`, over and over. Empty: nobody gets a request that names none.
    turns: Vec<usize>,
    next: AtomicUsize,
}

impl Endpoint {
    /// Deployments with their shares of the traffic. None if there are none.
    pub fn weighted(name: Option<String>, deployments: Vec<(Deployment, u32)>) -> Option<Self> {
        let (deployments, weights): (Vec<_>, Vec<_>) =
            deployments.into_iter().map(|(deployment, weight)| (Arc::new(deployment), weight)).unzip();
        let turns = turns(&weights);
        (!deployments.is_empty()).then(|| Self { name, deployments, turns, next: AtomicUsize::new(0) })
    }

    /// The deployment that is to answer a request: the one that it names, else the one whose turn it is.
    ///
    /// # Errors
    /// If there is none of that name, or none that gets any traffic.
    pub fn pick(&self, headers: &HeaderMap) -> Result<Arc<Deployment>, Problem> {
        let found = match self.asked(headers) {
            Some(asked) => self.find(asked),
            None => self.turn().map(|index| &self.deployments[index]),
        };
        found.cloned().ok_or_else(|| Problem::no_such_deployment(self.asked(headers)))
    }

    /// The deployment that a request names, else the one that stands for the endpoint.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn named(&self, headers: &HeaderMap) -> Result<Arc<Deployment>, Problem> {
        let Some(asked) = self.asked(headers) else { return Ok(self.first().clone()) };
        self.find(asked).cloned().ok_or_else(|| Problem::no_such_deployment(Some(asked)))
    }

    /// The name that a request gives. Before a host that serves a folder without a name there may be somebody else who
    /// knows deployments, so there it means nothing.
    fn asked<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let named = self.deployments.iter().any(|deployment| deployment.name.is_some());
        headers.get(HEADER).filter(|_| named).map(|name| name.to_str().unwrap_or_default())
    }

    fn find(&self, name: &str) -> Option<&Arc<Deployment>> {
        self.deployments.iter().find(|deployment| deployment.name.as_deref() == Some(name))
    }

    /// All of them, in the order of their files.
    pub fn deployments(&self) -> &[Arc<Deployment>] {
        &self.deployments
    }

    /// The deployment that stands for the endpoint.
    pub fn first(&self) -> &Arc<Deployment> {
        &self.deployments[0]
    }

    fn turn(&self) -> Option<usize> {
        if self.turns.len() < 2 {
            return self.turns.first().copied();
        }
        Some(self.turns[self.next.fetch_add(1, Ordering::Relaxed) % self.turns.len()])
    }
}

/// Whose turn it is, so that every weight is kept exactly and evenly: of 90 and 10, each tenth. Smooth weighted round
/// robin, as nginx has it, worked out once.
fn turns(weights: &[u32]) -> Vec<usize> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let weights: Vec<i64> = weights.iter().map(|weight| i64::from(weight / divisor)).collect();
    let sum: i64 = weights.iter().sum();
    let mut current = vec![0; weights.len()];
    let mut turns = Vec::new();
    for _ in 0..sum {
        for (current, weight) in current.iter_mut().zip(&weights) {
            *current += weight;
        }
        let most = current.iter().enumerate().rev().max_by_key(|(_, current)| **current).map_or(0, |(index, _)| index);
        current[most] -= sum;
        turns.push(most);
    }
    turns
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_exactly_and_evenly() {
        assert_eq!(turns(&[1]), [0]);
        assert_eq!(turns(&[50, 50]), [0, 1]);
        assert_eq!(turns(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        let tenth = turns(&[90, 10]);
        assert_eq!((tenth.len(), tenth.iter().filter(|index| **index == 1).count()), (10, 1));
        assert_eq!(turns(&[100, 0]), [0]);
        assert_eq!(turns(&[0, 0]), Vec::<usize>::new());
        let odd = turns(&[33, 67]);
        assert_eq!((odd.len(), odd.iter().filter(|index| **index == 0).count()), (100, 33));
    }
}
