//! How long the parts on the way of a request take, each beside the least that does the same in plain Rust: read the ratios
//! within one run, not the times. `make bench-parts` runs all, `make bench-parts ONLY=redaction` some.
//!
//! Spans go to nobody, so what sending them costs is not in here; nor is HTTP.

mod rig;
mod work;

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use serde_json::{Value, json};
use weir::flow::value::Json;

use rig::{On, Rig};
use work::{Batch, Echo, Masked};

fn main() {
    divan::main();
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// `{"text": …}` of about a kibibyte, as nodes are given it.
fn inputs() -> Json {
    Json::from(json!({"text": "x".repeat(KIB)}))
}

/// The body of a request becomes the inputs of its flow.
mod body {
    use super::*;

    #[divan::bench(args = [KIB, 100 * KIB, MIB])]
    fn weir(bencher: Bencher, bytes: usize) {
        let echo = Echo::of(bytes);
        bencher.counter(BytesCount::of_str(&echo.body)).bench(|| echo.decode());
    }

    #[divan::bench(args = [KIB, 100 * KIB, MIB])]
    fn serde_json_value(bencher: Bencher, bytes: usize) {
        let Echo { body, .. } = Echo::of(bytes);
        bencher.counter(BytesCount::of_str(&body)).bench(|| serde_json::from_str::<Value>(&body));
    }
}

/// The outputs of its flow become the reply.
mod reply {
    use super::*;

    #[divan::bench(args = [KIB, 100 * KIB, MIB])]
    fn weir(bencher: Bencher, bytes: usize) {
        let echo = Echo::of(bytes);
        bencher.with_inputs(|| echo.decode()).bench_values(|inputs| echo.reply(inputs));
    }

    #[divan::bench(args = [KIB, 100 * KIB, MIB])]
    fn serde_json_value(bencher: Bencher, bytes: usize) {
        let value: Value = serde_json::from_str(&Echo::of(bytes).body).expect("it is JSON");
        bencher.bench(|| value.to_string());
    }
}

/// What ten nodes are given, each with four inputs, of which one is a part of a value.
mod references {
    use super::*;
    use work::Chain;

    #[divan::bench]
    fn weir(bencher: Bencher) {
        let chain = Chain::new();
        bencher.counter(ItemsCount::new(Chain::NODES)).bench(|| chain.resolve());
    }

    #[divan::bench]
    fn plain(bencher: Bencher) {
        let (question, output) =
            (json!("And who reads that?"), json!({"answer": {"text": "…", "citations": [1, 2, 3]}}));
        let node = || {
            let part = &output["answer"]["citations"][1];
            json!({"whole": output, "part": part, "question": question, "k": 3}).to_string()
        };
        bencher.counter(ItemsCount::new(Chain::NODES)).bench(|| (0..Chain::NODES).for_each(|_| _ = black_box(node())));
    }
}

/// A prompt of a template and the ten turns of a chat.
mod template {
    use weir_template::{Lists, render};

    use super::*;

    const TEMPLATE: &str = "# system:\nYou answer.\n{% for turn in history %}\n# user:\n{{ turn.q }}\n\
                            # assistant:\n{{ turn.a }}\n{% endfor %}\n# user:\n{{ question }}\n";

    fn variables() -> Value {
        let turn = json!({"q": "Which limits does a node have?", "a": "Those of its flow, within the operator's."});
        json!({"question": "And who reads that?", "history": vec![turn; 10]})
    }

    /// The renderer of the plugin, as a part of this process.
    #[divan::bench]
    fn weir_native(bencher: Bencher) {
        let Value::Object(variables) = variables() else { unreachable!("it is an object") };
        bencher.bench(|| render(TEMPLATE, &variables, Lists::Python));
    }

    /// The plugin in its sandbox, as a prompt node runs.
    #[divan::bench]
    fn weir_in_sandbox(bencher: Bencher) {
        let rig = Rig::of_template(TEMPLATE);
        let mut inputs = variables();
        inputs["template"] = TEMPLATE.into();
        let inputs = Json::from(inputs);
        bencher.bench(|| rig.node(&inputs));
    }

    #[divan::bench]
    fn plain(bencher: Bencher) {
        let variables = variables();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        bencher.bench(|| {
            let mut out = String::from("# system:\nYou answer.\n");
            for turn in variables["history"].as_array().into_iter().flatten() {
                out += &format!("\n# user:\n{}\n# assistant:\n{}\n", text(&turn["q"]), text(&turn["a"]));
            }
            out + "\n# user:\n" + &text(&variables["question"])
        });
    }
}

/// The span of a node that is given and gives a kibibyte, and its metrics.
mod node_span {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
    use opentelemetry::{Context, KeyValue};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
    use std::time::Duration;

    use super::*;
    use work::{Spans, TO_NOBODY, WITHOUT_SPANS};

    /// Spans without what went in and out.
    const WITHOUT_CONTENT: [(&str, &str); 2] = [TO_NOBODY[0], ("WEIR_TRACE_CONTENT", "none")];

    #[divan::bench]
    fn weir_metrics_alone(bencher: Bencher) {
        let spans = Spans::of(&WITHOUT_SPANS, KIB);
        bencher.bench(|| spans.node());
    }

    #[divan::bench]
    fn weir_without_content(bencher: Bencher) {
        let spans = Spans::of(&WITHOUT_CONTENT, KIB);
        bencher.bench(|| spans.node());
    }

    #[divan::bench]
    fn weir_with_content(bencher: Bencher) {
        let spans = Spans::of(&TO_NOBODY, KIB);
        bencher.bench(|| spans.node());
    }

    /// Takes spans and drops them.
    #[derive(Debug)]
    struct Nobody;

    impl SpanProcessor for Nobody {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            drop(black_box(span));
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    /// A span with as many attributes, a histogram and a counter, by the library alone.
    #[divan::bench]
    fn opentelemetry_alone(bencher: Bencher) {
        let tracers = SdkTracerProvider::builder().with_span_processor(Nobody).build();
        let tracer = tracers.tracer("plain");
        let meter = SdkMeterProvider::builder().build().meter("plain");
        let (counter, histogram) = (meter.u64_counter("runs").build(), meter.f64_histogram("took").build());
        let attributes = || ["a", "b", "c", "d", "e", "f", "g", "h"].map(|key| KeyValue::new(key, "some text"));
        bencher.bench(|| {
            let mut span = tracer.span_builder("node").with_attributes(attributes()).start(&tracer);
            span.end();
            let labels = ["flow", "node", "status"].map(|key| KeyValue::new(key, "some text"));
            counter.add(1, &labels);
            histogram.record(0.5, &labels);
        });
    }
}

/// A batch of ended spans on its way out, each with a kibibyte in and out; times are of the whole batch.
mod export {
    use opentelemetry::KeyValue;

    use super::*;

    #[divan::bench]
    fn masked(bencher: Bencher) {
        let mut batch = Batch::of(KIB);
        bencher.counter(ItemsCount::new(Batch::SPANS)).bench_local(|| batch.mask());
    }

    #[divan::bench]
    fn encoded(bencher: Bencher) {
        let batch = Batch::of(KIB);
        bencher.counter(ItemsCount::new(Batch::SPANS)).bench(|| batch.encode());
    }

    /// Its keys and texts, copied one after the other.
    #[divan::bench]
    fn copied(bencher: Bencher) {
        let Batch { spans, .. } = Batch::of(KIB);
        let copy = |copied: &mut Vec<u8>, attributes: &[KeyValue]| {
            for attribute in attributes {
                copied.extend_from_slice(attribute.key.as_str().as_bytes());
                copied.extend_from_slice(attribute.value.as_str().as_bytes());
            }
        };
        bencher.counter(ItemsCount::new(Batch::SPANS)).bench(|| {
            let mut copied = Vec::new();
            for span in &spans {
                copy(&mut copied, &span.attributes);
                span.events.iter().for_each(|event| copy(&mut copied, &event.attributes));
            }
            copied
        });
    }
}

/// Ten secrets are looked for in a text that has one of them.
mod redaction {
    use super::*;

    #[divan::bench(args = [8 * KIB, MIB])]
    fn weir(bencher: Bencher, bytes: usize) {
        let masked = Masked::of(bytes);
        bencher.counter(BytesCount::of_str(&masked.text)).bench(|| masked.mask());
    }

    #[divan::bench(args = [8 * KIB, MIB])]
    fn plain(bencher: Bencher, bytes: usize) {
        let (Masked { text, .. }, secrets) = (Masked::of(bytes), work::secrets());
        let mask = || secrets.iter().fold(text.clone(), |text, secret| text.replace(secret, "***"));
        bencher.counter(BytesCount::of_str(&text)).bench(mask);
    }
}

/// A fresh instance and one call with a kibibyte, spans off.
mod node {
    use super::*;

    /// WebAssembly text that gives back what it is given.
    #[divan::bench]
    fn tiny(bencher: Bencher) {
        let (rig, inputs) = (Rig::of_node("tiny", ""), inputs());
        bencher.bench(|| rig.node(&inputs));
    }

    #[divan::bench]
    fn tiny_plain(bencher: Bencher) {
        let inputs = inputs();
        bencher.bench(|| Json::parse(black_box(inputs.as_str().to_owned()).as_str()));
    }

    /// Rust with the SDK: one text to another.
    #[divan::bench]
    fn rust_text(bencher: Bencher) {
        let (rig, inputs) = (Rig::of_node("text_step", ""), inputs());
        bencher.bench(|| rig.node(&inputs));
    }

    /// Rust with the SDK: an object as `serde_json` has it.
    #[divan::bench]
    fn rust_object(bencher: Bencher) {
        let (rig, inputs) = (Rig::of_node("run_returns", ""), inputs());
        bencher.bench(|| rig.node(&inputs));
    }

    #[divan::bench]
    fn rust_object_plain(bencher: Bencher) {
        let inputs = inputs();
        bencher.bench(|| serde_json::from_str::<Value>(black_box(inputs.as_str())).map(|value| value.to_string()));
    }
}

/// A whole flow by its runner, from the body to the reply; how much its nodes cost is in `node`.
mod chain {
    use super::*;

    fn measure(bencher: Bencher, guest: &str, nodes: usize, on: On) {
        let (rig, body) = (Rig::of_chain(guest, nodes, on), inputs());
        bencher.counter(ItemsCount::new(nodes)).bench(|| rig.flow(body.as_str().as_bytes()));
    }

    #[divan::bench(args = [1, 10])]
    fn tiny_on_one_thread(bencher: Bencher, nodes: usize) {
        measure(bencher, "tiny", nodes, On::This);
    }

    /// With guests on threads of their own, as in a host.
    #[divan::bench(args = [1, 10])]
    fn tiny(bencher: Bencher, nodes: usize) {
        measure(bencher, "tiny", nodes, On::Others);
    }

    #[divan::bench(args = [1, 10])]
    fn rust_text(bencher: Bencher, nodes: usize) {
        measure(bencher, "text_step", nodes, On::Others);
    }
}

/// Chunks on their way out of a guest, to somebody who reads them as they come.
mod chunks {
    use tokio::runtime::Builder;
    use tokio::sync::mpsc;

    use super::*;

    #[divan::bench(args = [1, 1000])]
    fn weir(bencher: Bencher, count: usize) {
        let rig = Rig::of_node("run_streams", "limits: {chunk_rate: 1000000}");
        let inputs = Json::from(json!({"count": count}));
        bencher.counter(ItemsCount::new(count)).bench(|| assert_eq!(rig.stream(&inputs), count));
    }

    /// The same texts through a channel.
    #[divan::bench(args = [1, 1000])]
    fn channel(bencher: Bencher, count: usize) {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        bencher.counter(ItemsCount::new(count)).bench(|| {
            let (sender, mut chunks) = mpsc::channel(8);
            let send = async move {
                for number in 0..count {
                    _ = sender.send(Json::string(&format!("chunk {number} "))).await;
                }
            };
            let read = async {
                while let Some(chunk) = chunks.recv().await {
                    drop(black_box(chunk));
                }
            };
            runtime.block_on(async { tokio::join!(send, read) })
        });
    }
}

/// One event of a model's stream is read.
mod event {
    use weir::capability::llm::sse::Events;

    use super::*;

    #[divan::bench]
    fn weir(bencher: Bencher) {
        let mut events = Events::new(MIB);
        bencher.bench_local(|| work::event(&mut events));
    }

    #[divan::bench]
    fn serde_json_value(bencher: Bencher) {
        let data = work::EVENT.strip_prefix("data: ").expect("it is one").trim_end();
        bencher.bench(|| serde_json::from_str::<Value>(black_box(data)));
    }
}
