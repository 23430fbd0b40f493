use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::*;
use crate::flow::tests::flow;

const FLOW: &str = "inputs: {n: {type: int}}\nnodes: []\n";

fn data(text: &str) -> Data {
    Data::new(Path::new("data.jsonl"), text.into())
}

fn numbers(count: usize) -> Data {
    data(&(0..count).map(|n| format!("{{\"n\": {n}}}\n")).collect::<String>())
}

fn mapping(flow: &Flow, entries: &[&str]) -> Mapping {
    Mapping::parse(&entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>(), flow).unwrap()
}

/// A completed line of an earlier run.
fn row(line_number: usize, inputs: &str) -> Row {
    let inputs = Json::parse(inputs).unwrap().members().unwrap();
    let aggregation = Some(Json::from(serde_json::Value::from(line_number)));
    Row { line_number, inputs, end: Ok(Answered { outputs: Json::object([]), aggregation }) }
}

/// Answers with its input, which aggregation will want; fails for odd ones.
fn echo(inputs: &Inputs) -> Result<Answered, LineError> {
    let n = inputs.get("n").unwrap();
    if n.as_str().parse::<u32>().unwrap() % 2 == 1 {
        return Err(LineError::new("Odd", format!("{n} is odd")));
    }
    Ok(Answered { outputs: Json::object([("even", n)]), aggregation: Some(n.clone()) })
}

/// A place for results, and what was written there.
fn results() -> (Results, Arc<Mutex<Vec<u8>>>) {
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let written = Arc::default();
    (Results::to(Shared(Arc::clone(&written))), written)
}

fn lines(written: &Mutex<Vec<u8>>) -> Vec<String> {
    String::from_utf8(written.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_line_has_a_result_and_a_bad_one_stops_no_other() {
    let flow = flow(FLOW);
    let data = data("{\"n\": 4}\nno JSON\n{\"m\": 1}\n{\"n\": \"seven\"}\n{\"n\": 5}\n{\"n\": \"6\"}\n");
    let batch = Batch::new(&flow, &data, Shard::WHOLE, mapping(&flow, &[]), &[]).unwrap();
    let (mut out, written) = results();
    let mut seen = Vec::new();
    let run_line = |inputs: Inputs| ready(echo(&inputs));
    let summary = batch.run(1, run_line, &mut out, pending(), |tally| seen.push(tally)).await.unwrap();

    let missing = "no value for n; the line has m; name a column by --column-mapping 'NAME=${data.COLUMN}'";
    let wrong = InputError::Type { input: "n".into(), expected: crate::flow::types::Type::Int }.to_string();
    let expected = [
        r#"{"line_number":0,"inputs":{"n":4},"outputs":{"even":4},"aggregation":4}"#.to_owned(),
        r#"{"line_number":1,"inputs":{},"error":{"code":"InvalidDataLine","message":"not JSON: expected ident at line 1 column 2"}}"#
            .to_owned(),
        format!(r#"{{"line_number":2,"inputs":{{}},"error":{{"code":"MissingRequiredFlowInput","message":"{missing}"}}}}"#),
        format!(r#"{{"line_number":3,"inputs":{{"n":"seven"}},"error":{{"code":"InputTypeError","message":"{wrong}"}}}}"#),
        r#"{"line_number":4,"inputs":{"n":5},"error":{"code":"Odd","message":"5 is odd"}}"#.to_owned(),
        r#"{"line_number":5,"inputs":{"n":"6"},"outputs":{"even":6},"aggregation":6}"#.to_owned(),
    ];
    assert_eq!(lines(&written), expected);
    assert_eq!(summary.tally, Tally { lines: 6, earlier: 0, completed: 2, failed: 4 });
    assert_eq!(summary.failures.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(summary.collected.iter().map(Json::as_str).collect::<Vec<_>>(), ["4", "6"]);
    assert_eq!((seen.len(), seen.last()), (6, Some(&summary.tally)));
}

#[tokio::test]
async fn lines_that_are_completed_are_not_run_again_but_aggregated() {
    let flow = flow(FLOW);
    let data = numbers(6);
    let earlier = [row(4, r#"{"n":4}"#), row(0, r#"{"n":0}"#)];
    let batch = Batch::new(&flow, &data, Shard::WHOLE, mapping(&flow, &[]), &earlier).unwrap();
    let (mut out, _) = results();
    let ran = RefCell::new(Vec::new());
    let run_line = |inputs: Inputs| {
        ran.borrow_mut().push(inputs.get("n").unwrap().to_string());
        ready(echo(&inputs))
    };
    let summary = batch.run(3, run_line, &mut out, pending(), |_| ()).await.unwrap();
    assert_eq!(*ran.borrow(), ["1", "2", "3", "5"]);
    assert_eq!(summary.tally, Tally { lines: 6, earlier: 2, completed: 1, failed: 3 });
    assert_eq!(summary.collected.iter().map(Json::as_str).collect::<Vec<_>>(), ["0", "2", "4"]);
}

#[tokio::test]
async fn only_so_many_lines_run_at_the_same_time() {
    let flow = flow(FLOW);
    let data = numbers(20);
    let batch = Batch::new(&flow, &data, Shard::WHOLE, mapping(&flow, &[]), &[]).unwrap();
    let (mut out, _) = results();
    let (running, most) = (Cell::new(0), Cell::new(0));
    let run_line = async |inputs: Inputs| {
        running.set(running.get() + 1);
        most.set(most.get().max(running.get()));
        tokio::task::yield_now().await;
        running.set(running.get() - 1);
        echo(&inputs)
    };
    let summary = batch.run(3, run_line, &mut out, pending(), |_| ()).await.unwrap();
    assert_eq!((summary.tally.left(), most.get()), (0, 3));
}

#[tokio::test]
async fn after_a_stop_running_lines_end_and_no_others_begin() {
    let flow = flow(FLOW);
    let data = numbers(9);
    let batch = Batch::new(&flow, &data, Shard::WHOLE, mapping(&flow, &[]), &[]).unwrap();
    let (mut out, written) = results();
    let (ask, asked) = oneshot::channel::<()>();
    let ask = Cell::new(Some(ask));
    let run_line = async |inputs: Inputs| {
        // The first line asks for the stop, and all go on for a while.
        drop(ask.take());
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        echo(&inputs)
    };
    let stop = async { drop(asked.await) };
    let summary = batch.run(2, run_line, &mut out, stop, |_| ()).await.unwrap();
    assert_eq!((summary.tally.completed, summary.tally.failed, summary.tally.left()), (1, 1, 7));
    assert_eq!(lines(&written).len(), 2);
}

#[tokio::test]
async fn the_shards_of_a_data_set_run_each_line_once() {
    let flow = flow(FLOW);
    let data = data("{\"n\": 0}\n\n{\"n\": 2}\n{\"n\": 4}\n{\"n\": 6}\n");
    let run = async |shard: &str, earlier: &[Row]| {
        let batch = Batch::new(&flow, &data, shard.parse().unwrap(), mapping(&flow, &[]), earlier)?;
        let (mut out, written) = results();
        let summary = batch.run(4, |inputs| ready(echo(&inputs)), &mut out, pending(), |_| ()).await.unwrap();
        assert_eq!(summary.tally.left(), 0);
        Ok::<_, Unfit>((summary.tally.lines, lines(&written)))
    };
    let done = |line: usize, n: u32| {
        format!(r#"{{"line_number":{line},"inputs":{{"n":{n}}},"outputs":{{"even":{n}}},"aggregation":{n}}}"#)
    };
    // Of the lines that are not blank, so that no shard is left with none of them.
    assert_eq!(run("0/3", &[]).await, Ok((2, vec![done(0, 0), done(4, 6)])));
    assert_eq!(run("1/3", &[]).await, Ok((1, vec![done(2, 2)])));
    assert_eq!(run("2/3", &[]).await, Ok((1, vec![done(3, 4)])));
    assert_eq!(run("4/5", &[]).await, Ok((0, vec![])), "more shards than lines");

    assert_eq!(run("2/3", &[row(3, r#"{"n":4}"#)]).await, Ok((1, vec![])));
    let others = run("1/3", &[row(3, r#"{"n":4}"#)]).await.unwrap_err();
    assert_eq!(
        others.to_string(),
        "--output has the result of line_number 3, which is not of --shard 1/3; give each part its own file"
    );
}

#[test]
fn data_that_has_changed_is_refused() {
    let flow = flow(FLOW);
    let changed = |line| Unfit::Changed { data: "data.jsonl".into(), line };
    let unfit = |data: &Data, entries: &[&str], earlier: Row| {
        Batch::new(&flow, data, Shard::WHOLE, mapping(&flow, entries), &[earlier]).err()
    };
    let data = data("{\"n\": 4, \"m\": 5}\n\n{\"n\": 4.0}\n");
    assert_eq!(unfit(&data, &[], row(0, r#"{"n":4}"#)), None);
    assert_eq!(unfit(&data, &["n=${data.m}"], row(0, r#"{"n":5}"#)), None);
    assert_eq!(unfit(&data, &["n=${data.m}"], row(0, r#"{"n":4}"#)), Some(changed(0)), "another mapping");
    assert_eq!(unfit(&data, &[], row(2, r#"{"n":4}"#)), Some(changed(2)), "another value");
    assert_eq!(unfit(&data, &[], row(1, r#"{"n":4}"#)), Some(changed(1)), "a line that is blank now");
    assert_eq!(unfit(&data, &[], row(3, r#"{"n":4}"#)), Some(changed(3)), "a line that is gone");
    let earlier = [row(3, "{}"), row(2, "{}"), row(0, r#"{"n":4}"#)];
    assert_eq!(
        Batch::new(&flow, &data, Shard::WHOLE, mapping(&flow, &[]), &earlier).err(),
        Some(changed(2)),
        "the first of many"
    );
}

#[test]
fn a_column_that_no_line_has_is_refused_before_anything_runs() {
    let flow = flow(FLOW);
    let data = data("{\"a\": 1}\nnot JSON\n{\"b\": 1}\n");
    let unfit = Batch::new(&flow, &data, Shard::WHOLE, mapping(&flow, &["n=${data.x}"]), &[]).unwrap_err();
    assert_eq!(unfit.to_string(), r#"--column-mapping: no line of data.jsonl has a column "x"; it has a, b"#);
    assert!(Batch::new(&flow, &data, Shard::WHOLE, mapping(&flow, &["n=${data.b}"]), &[]).is_ok());
}

#[test]
fn names_in_errors_are_bounded() {
    let names: Vec<_> = (0..30).map(|n| format!("c{n}")).collect();
    assert!(list(names.iter()).ends_with("c18, c19, …"));
    assert_eq!((list(names[..2].iter()), list(names[..0].iter())), ("c0, c1".to_owned(), "none".to_owned()));
}
