//! Whatever the order in which nodes complete, and however many run at once: random flows against an interpreter that
//! runs one node after the other and knows no plan.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use super::*;

/// A random node. Numbers of others mean an earlier node, modulo what there is; for the first node, the flow's input.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    takes: Vec<(usize, Part)>,
    activate: Option<(When, u8)>,
    fails: bool,
    /// How an output shows it.
    shown: Part,
    evaluation_only: bool,
}

/// Which part of an output is referred to. Every node answers `{"k": NUMBER}`.
#[derive(Clone, Copy, Debug)]
enum Part {
    Whole,
    Key,
    /// One that no output has.
    Gone,
}

#[derive(Clone, Copy, Debug)]
enum When {
    Literal(u8),
    Input,
    Node(usize, Part),
}

/// Why a flow fails.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Node(String),
    Property { node: String, property: String },
}

impl Shape {
    /// Of a node that takes nothing and does not fail.
    pub(crate) fn alone() -> Self {
        Self { takes: Vec::new(), activate: None, fails: false, shown: Part::Whole, evaluation_only: false }
    }
}

impl Part {
    fn path(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Key => ".k",
            Self::Gone => ".gone",
        }
    }

    fn property(self) -> &'static str {
        self.path().trim_start_matches('.')
    }
}

impl From<InvalidReferenceProperty> for Fault {
    fn from(error: InvalidReferenceProperty) -> Self {
        Self::Property { node: error.node, property: error.property }
    }
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![40 => Just(Part::Whole), 40 => Just(Part::Key), 1 => Just(Part::Gone)]
}

pub(crate) fn shape() -> impl Strategy<Value = Shape> {
    let when = prop_oneof![
        1 => (0..3_u8).prop_map(When::Literal),
        1 => Just(When::Input),
        6 => (0..9_usize, prop_oneof![30 => Just(Part::Key), 1 => Just(Part::Gone)]).prop_map(|(node, part)| When::Node(node, part)),
    ];
    let activate = prop::option::of((when, 0..3_u8));
    let takes = prop::collection::vec((0..9_usize, part()), 0..4);
    let shown = prop_oneof![8 => Just(Part::Whole), 1 => Just(Part::Key)];
    (takes, activate, prop::bool::weighted(0.05), shown, prop::bool::weighted(0.2)).prop_map(
        |(takes, activate, fails, shown, evaluation_only)| Shape { takes, activate, fails, shown, evaluation_only },
    )
}

fn name(node: usize) -> String {
    format!("n{node}")
}

fn reference(node: usize, other: usize, part: Part) -> String {
    if node == 0 { "${inputs.n}".to_owned() } else { format!("${{n{}.output{}}}", other % node, part.path()) }
}

/// The flow file; `position` says where in it each node stands.
fn manifest(shapes: &[Shape], position: &[usize]) -> String {
    let mut text = "inputs: {n: {type: int, default: 1}}\noutputs:\n".to_owned();
    let mut nodes = Vec::new();
    for (node, shape) in shapes.iter().enumerate() {
        let (name, path, hidden) = (name(node), shape.shown.path(), shape.evaluation_only);
        text +=
            &format!("  {name}: {{type: object, reference: '${{{name}.output{path}}}', evaluation_only: {hidden}}}\n");
        let takes = shape.takes.iter().enumerate();
        let inputs: Vec<_> =
            takes.map(|(at, (other, part))| format!("x{at}: '{}'", reference(node, *other, *part))).collect();
        let activate = shape.activate.map(|(when, is)| {
            let when = match when {
                When::Literal(value) => value.to_string(),
                When::Input => "'${inputs.n}'".to_owned(),
                When::Node(other, part) => format!("'{}'", reference(node, other, part)),
            };
            format!(", activate: {{when: {when}, is: {is}}}")
        });
        let (inputs, activate) = (inputs.join(", "), activate.unwrap_or_default());
        let node =
            format!("- {{name: {name}, type: wasm, source: {{path: echo.wasm}}, inputs: {{{inputs}}}{activate}}}\n");
        nodes.push((position[nodes.len()], node));
    }
    nodes.sort();
    text + "nodes:\n" + &nodes.into_iter().map(|(_, node)| node).collect::<String>()
}

/// What a node answers: a number that depends on its name and on all it was given.
fn answer(name: &str, inputs: &Value) -> Value {
    let sum: usize = name.bytes().chain(inputs.to_string().bytes()).map(usize::from).sum();
    json!({"k": sum % 3})
}

/// What becomes of a node when all that can run has run.
#[derive(Clone, Debug)]
enum Fate {
    Ran {
        given: Value,
        output: Value,
    },
    Bypassed,
    Failed(Fault),
    /// It waits for a node that failed, so it never starts.
    Cut,
}

/// The rules once more, one node after the other.
struct Interpreter<'a> {
    shapes: &'a [Shape],
    fates: Vec<Fate>,
}

impl<'a> Interpreter<'a> {
    fn run(shapes: &'a [Shape]) -> Self {
        let mut run = Self { shapes, fates: Vec::new() };
        for node in 0..shapes.len() {
            let fate = run.fate(node).unwrap_or_else(Fate::Failed);
            run.fates.push(fate);
        }
        run
    }

    fn fate(&self, node: usize) -> Result<Fate, Fault> {
        let shape = &self.shapes[node];
        let takes: Vec<_> = shape.takes.iter().filter(|_| node > 0).map(|(other, _)| other % node).collect();
        let asked = match shape.activate {
            Some((When::Node(other, _), _)) if node > 0 => Some(other % node),
            _ => None,
        };
        let is_cut = |other: &usize| matches!(self.fates[*other], Fate::Failed(_) | Fate::Cut);
        if takes.iter().chain(&asked).any(is_cut) {
            return Ok(Fate::Cut);
        }
        let is_bypassed = |other: &usize| matches!(self.fates[*other], Fate::Bypassed);
        let runs = match shape.activate {
            Some((When::Literal(value), is)) => value == is,
            Some((When::Node(other, part), is)) if node > 0 => self.value(other % node, part)? == Some(json!(is)),
            Some((When::Input | When::Node(..), is)) => is == 1,
            None => takes.is_empty() || !takes.iter().all(is_bypassed),
        };
        if !runs {
            return Ok(Fate::Bypassed);
        }
        let mut given = Map::new();
        for (at, (other, part)) in shape.takes.iter().enumerate() {
            let value = if node == 0 { Some(json!(1)) } else { self.value(other % node, *part)? };
            given.extend(value.map(|value| (format!("x{at}"), value)));
        }
        if shape.fails {
            return Err(Fault::Node(name(node)));
        }
        let given = Value::from(given);
        Ok(Fate::Ran { output: answer(&name(node), &given), given })
    }

    /// None: bypassed, whatever part is meant.
    fn value(&self, node: usize, part: Part) -> Result<Option<Value>, Fault> {
        let Fate::Ran { output, .. } = &self.fates[node] else { return Ok(None) };
        let value = match part {
            Part::Whole => Some(output),
            Part::Key | Part::Gone => output.get(part.property()),
        };
        let fault = || Fault::Property { node: name(node), property: part.property().to_owned() };
        value.cloned().map(Some).ok_or_else(fault)
    }

    fn faults(&self) -> BTreeSet<Fault> {
        let fault = |fate: &Fate| if let Fate::Failed(fault) = fate { Some(fault.clone()) } else { None };
        self.fates.iter().filter_map(fault).collect()
    }

    /// In the order of the file.
    fn outputs(&self) -> Result<Vec<(String, Value)>, Fault> {
        let shown = self.shapes.iter().enumerate().filter(|(_, shape)| !shape.evaluation_only);
        let output = |(node, shape): (usize, &Shape)| {
            let value = match (&self.fates[node], shape.shown) {
                (Fate::Bypassed, Part::Key | Part::Gone) => {
                    return Err(Fault::Property { node: name(node), property: shape.shown.property().to_owned() });
                }
                (_, part) => self.value(node, part)?,
            };
            Ok((name(node), value.unwrap_or_default()))
        };
        shown.map(output).collect()
    }
}

/// A random flow for others to run, and what must come of it.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) flow: Arc<Flow>,
    shapes: Vec<Shape>,
    fates: Vec<Fate>,
    faults: BTreeSet<Fault>,
    outputs: Result<Vec<(String, Value)>, Fault>,
}

impl Expected {
    pub(crate) fn of(shapes: Vec<Shape>) -> Self {
        let in_order: Vec<usize> = (0..shapes.len()).collect();
        let flow = Arc::new(flow(&manifest(&shapes, &in_order)));
        let run = Interpreter::run(&shapes);
        let (faults, outputs) = (run.faults(), run.outputs());
        let fates = run.fates;
        Self { flow, shapes, fates, faults, outputs }
    }

    /// One of at most so many nodes, which comes of the seed.
    pub(crate) fn random(seed: u64, most: usize) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
        let shapes = prop::collection::vec(shape(), 1..=most).new_tree(&mut runner).expect("nothing is filtered");
        Self::of(shapes.current())
    }

    /// What this node answers to what it is given; none: it fails.
    ///
    /// # Errors
    /// It is not its turn, or it is given something else than it must be.
    pub(crate) fn answer(&self, node: &str, given: &Json) -> Result<Option<Json>, String> {
        let number: usize = node[1..].parse().expect("a number");
        let given: Value = serde_json::from_str(given.as_str()).expect("JSON");
        match &self.fates[number] {
            Fate::Ran { given: expected, output } if *expected == given => Ok(Some(Json::from(output.clone()))),
            Fate::Failed(Fault::Node(_)) if self.shapes[number].fails => Ok(None),
            fate => Err(format!("{node} runs with {given} instead of {fate:?}")),
        }
    }

    /// Whether a run that nothing disturbed may end so.
    ///
    /// # Errors
    /// How it should have ended.
    pub(crate) fn check(
        &self,
        end: &Result<Vec<(String, Json)>, crate::scheduler::outcome::Failure>,
    ) -> Result<(), String> {
        use crate::scheduler::outcome::Failure;
        let same = match end {
            Ok(outputs) => {
                let value = |json: &Json| serde_json::from_str(json.as_str()).expect("JSON");
                let outputs: Vec<(String, Value)> =
                    outputs.iter().map(|(name, json)| (name.clone(), value(json))).collect();
                self.faults.is_empty() && self.outputs.as_ref() == Ok(&outputs)
            }
            Err(Failure::Node { node, .. }) => self.faults.contains(&Fault::Node(node.as_str().to_owned())),
            Err(Failure::Reference(error)) => {
                let fault = Fault::from(error.clone());
                self.faults.contains(&fault) || self.faults.is_empty() && self.outputs.as_ref() == Err(&fault)
            }
            Err(Failure::ManyStreams | Failure::Timeout | Failure::Stuck) => false,
        };
        let Self { faults, outputs, .. } = self;
        if same { Ok(()) } else { Err(format!("it ended with {end:?} instead of {faults:?}, or else {outputs:?}")) }
    }
}

/// What a run by a plan came to.
#[derive(Debug)]
struct Run {
    end: Result<Vec<(String, Value)>, Fault>,
    /// The nodes that were started, with what they were given.
    started: Vec<(usize, Value)>,
}

/// Runs `limit` nodes at once; `choices` say which of those that run ends next.
fn interleaved(shapes: &[Shape], manifest: &str, limit: usize, choices: &[usize]) -> Result<Run, TestCaseError> {
    let mut plan = plan(manifest, "{}");
    let (mut waiting, mut running) = (VecDeque::new(), Vec::new());
    let mut started: Vec<(usize, Value)> = Vec::new();
    let mut choices = choices.iter().chain(std::iter::repeat(&0));
    let fault = loop {
        match plan.ready() {
            Err(error) => break Some(error.into()),
            Ok(steps) => waiting.extend(steps.into_iter().filter_map(|step| match step {
                Step::Run { node, inputs } => Some((node, inputs)),
                Step::Bypass { .. } => None,
            })),
        }
        while running.len() < limit
            && let Some((node, inputs)) = waiting.pop_front()
        {
            let number = plan.name(node)[1..].parse().expect("a number");
            started.push((number, serde_json::from_str(inputs.as_str()).expect("JSON")));
            running.push((node, started.len() - 1));
        }
        if running.is_empty() {
            prop_assert!(plan.is_done(), "nothing runs, but the plan is not done");
            break None;
        }
        prop_assert!(!plan.is_done(), "done while nodes are running");
        let (node, at) = running.swap_remove(choices.next().unwrap_or(&0) % running.len());
        let (number, given) = &started[at];
        if shapes[*number].fails {
            plan.failed(node);
            break Some(Fault::Node(name(*number)));
        }
        plan.completed(node, Json::from(answer(&name(*number), given)));
    };
    if let Some(fault) = fault {
        // What still runs may end; nothing starts any more.
        for (node, at) in running {
            plan.completed(node, Json::from(answer(&name(started[at].0), &started[at].1)));
        }
        prop_assert_eq!((plan.ready(), plan.is_done()), (Ok(Vec::new()), true));
        return Ok(Run { end: Err(fault), started });
    }
    let outputs = plan.outputs();
    let end = match outputs {
        Ok(outputs) => Ok(outputs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), serde_json::from_str(value.as_str()).expect("JSON")))
            .collect()),
        Err(OutputsError::Property(error)) => Err(error.into()),
        Err(error @ OutputsError::Unfinished { .. }) => return Err(TestCaseError::fail(error.to_string())),
    };
    Ok(Run { end, started })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_gives_what_a_sequential_run_gives(
        shapes in prop::collection::vec(shape(), 1..10),
        position in Just((0..10).collect::<Vec<usize>>()).prop_shuffle(),
        limit in 1..6_usize,
        choices in prop::collection::vec(0..100_usize, 10),
    ) {
        let expected = Interpreter::run(&shapes);
        let run = interleaved(&shapes, &manifest(&shapes, &position), limit, &choices)?;
        let mut once = BTreeSet::new();
        for (node, given) in &run.started {
            prop_assert!(once.insert(*node), "node {} was handed out twice", node);
            match &expected.fates[*node] {
                Fate::Ran { given: expected, .. } => prop_assert_eq!(given, expected),
                Fate::Failed(Fault::Node(failing)) => prop_assert_eq!(failing, &name(*node)),
                fate => prop_assert!(false, "node {} has run instead of {:?}", node, fate),
            }
        }
        let faults = expected.faults();
        if faults.is_empty() {
            prop_assert_eq!(run.end, expected.outputs());
            let ran = expected.fates.iter().filter(|fate| matches!(fate, Fate::Ran { .. })).count();
            prop_assert_eq!(once.len(), ran);
        } else {
            let fault = run.end.expect_err("a node failed, and the flow did not");
            prop_assert!(faults.contains(&fault), "{:?} is none of {:?}", fault, faults);
        }
    }
}
