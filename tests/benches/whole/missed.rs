//! Why a target is missed, for those who read RESULTS.md. What was tried is in NOTES.md.

/// How the name of a measure begins, and why it is more, or less, than was hoped.
const REASONS: [(&str, &str); 9] = [
    (
        "CPU added per node of a chain",
        "wasmtime has some 6 µs of it, to make an instance, call it and take back what it touched; a span with the inputs and the \
         output, searched for secrets, some 3, and as many again on its way to the collector. The rest are a deadline, a meter, \
         the bounds of the boundary and the values themselves. That is with eight connections, which leave the processors no \
         rest; with two, as below in how it grows, a tiny node takes less than the target.",
    ),
    (
        "1-node `/score` ÷ bare echo",
        "a node at its own target, with all else of a request for nothing, would come to 0.67 (tiny) and 0.49 (SDK) beside this \
         echo, of which a request takes 14 µs and the load as much again. And a request has three spans that are told, eight \
         metrics, a token for feedback and checks of its head. The prototype came to 0.6 with an echo that its load held back to \
         22,000 to 27,000 requests a second.",
    ),
    (
        "10-node chain ÷ bare echo",
        "follows from the two above: ten nodes at their own targets, with all else for nothing, would come to 0.17 (tiny) and 0.09 \
         (SDK) beside this echo.",
    ),
    (
        "tracing, metrics and OTLP export on ÷ off",
        "the difference is some 3 µs a node, with content and the search for secrets; what is left without it has become small.",
    ),
    (
        "the original's CPU ÷ ours",
        "250 would be 60 µs for three nodes and 164 for ten: 16 µs for a node of the SDK with its share of the request, where the \
         target of such a node is 30.",
    ),
    (
        "1000 streams behind a 2 s model, asked for within half a second: first event",
        "a thousand requests are a second of CPU, half of it before the model is asked and half when the answers begin, within half a \
         second each time, on two cores with the load and the model.",
    ),
    (
        "1000 streams behind a 2 s model",
        "two connections are opened and closed for each, which is a third of it; the guest of `llm` nodes renders its template (0.15 ms); \
         each of twenty words is a read and a write.",
    ),
    (
        "added latency per streamed token",
        "two processes are woken for each word, each in some 40 µs where both processors have other work; the host's own share is \
         some 10.",
    ),
    (
        "9500 requests waiting on a model",
        "hyper has four buffers of 8 KiB for its two connections and 9 KiB for its client, of sizes that nobody may set; of the \
         rest most is what the client keeps of the request. The host's own futures are 10 KiB and its four spans 6; no instance \
         waits.",
    ),
];

/// The reason of a measure.
pub(crate) fn why(measure: &str) -> &'static str {
    let found = REASONS.iter().find(|(name, _)| measure.starts_with(name));
    found.map_or("not known yet", |(_, why)| why)
}
