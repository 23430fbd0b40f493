// An answer as people see it: its outputs, or what went wrong; what is known of it; and what they think of it.

/** Shows an answer in `place`, as far as it is there. `request` is the body that was sent. */
function showAnswer(place, answer, request) {
  const isRunning = answer.endedAfter === null;
  place.classList.toggle("running", isRunning);
  place.setAttribute("aria-busy", String(isRunning));
  const parts = [];
  if (answer.value !== undefined) parts.push(...outputsOf(answer, isRunning));
  else if (isRunning) parts.push(el("p", { class: "prose tail" }));
  if (answer.problem) parts.push(problemBox(answer.problem, answer.retryAfter));
  // Nothing can be said of an answer that is not complete.
  if (!isRunning) parts.push(meta(answer, request));
  place.replaceChildren(...parts);
}

function outputsOf(answer, isRunning) {
  const tail = isRunning ? "tail" : "";
  if (!answer.isNamed) return [valueOf(answer.value, tail)];
  const entries = Object.entries(answer.value);
  if (entries.length === 0) return isRunning ? [] : [el("p", { class: "prose none" }, "The flow has no outputs.")];
  // The answer of a chat, or the one value of a flow that has no names for outputs: a name would be noise.
  const main = flow.chat?.output ?? (flow.isNamed ? null : entries[0][0]);
  const others = entries.filter(([name]) => name !== main);
  const last = main === null ? others.at(-1)[0] : main;
  const rows = others.map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, valueOf(value, name === last ? tail : ""))));
  return [
    Object.hasOwn(answer.value, main) ? valueOf(answer.value[main], tail) : null,
    rows.length > 0 ? el("dl", { class: "outputs" }, ...rows) : null,
  ].filter(Boolean);
}

function valueOf(value, tail = "") {
  const source = imageSource(value);
  if (source !== null) return image(source);
  if (typeof value === "string") return el("div", { class: `prose ${tail}` }, value);
  if (value === null) return el("div", { class: "prose none" }, "null");
  if (Array.isArray(value) && value.some((item) => imageSource(item) !== null || isText(item))) return pieces(value);
  if (isText(value)) return valueOf(value.text?.value ?? value.text, tail);
  if (typeof value === "object") return el("pre", {}, JSON.stringify(value, null, 2));
  return el("div", { class: "prose code" }, String(value));
}

/** Whether a value is the text of a message as the format openai-vision writes it. */
function isText(value) {
  return value !== null && typeof value === "object" && value.type === "text" && value.text !== undefined;
}

/** A message of several texts and images. */
function pieces(values) {
  return el("div", { class: "pieces" }, ...values.map((value) => valueOf(value)));
}

/** Images of other hosts are not loaded: nobody there needs to know who looks. */
function image(source) {
  if (source.startsWith("data:image/")) return el("img", { class: "shown-image", src: source, alt: "image" });
  const isWeb = /^https?:\/\//i.test(source);
  return el("div", { class: "prose" }, isWeb ? el("a", { href: source, rel: "noopener noreferrer", target: "_blank" }, source) : source);
}

function problemBox(problem, retryAfter) {
  const whose = { true: "The request has to change.", false: "The service failed, not the request." }[problem.isOurs];
  const hints = [
    problem.node ? `Node: ${problem.node}.` : null,
    whose,
    retryAfter ? `It is worth another try in ${retryAfter} s.` : null,
  ];
  const title = [problem.title, problem.status].filter(Boolean).join(" · ");
  return el("div", { class: "problem", role: "alert" },
    el("h3", {}, title),
    problem.message ? el("p", {}, problem.message) : null,
    hints.some(Boolean) ? el("p", { class: "hint" }, hints.filter(Boolean).join(" ")) : null);
}

const seconds = (milliseconds) => (milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(2)} s`);

function stateOf(answer) {
  if (answer.wasStopped) return ["", "stopped"];
  if (answer.problem) return ["bad", answer.status && answer.status !== 200 ? `status ${answer.status}` : "failed"];
  return ["good", `status ${answer.status}`];
}

function meta(answer, request) {
  const [look, words] = stateOf(answer);
  const first = answer.isStream && answer.firstAfter !== null ? `, first words after ${seconds(answer.firstAfter)}` : "";
  const row = el("div", { class: "meta" },
    el("span", { class: `state ${look}` }, words),
    el("span", {}, seconds(answer.endedAfter) + first));
  if (answer.deployment) row.append(el("span", {}, `by ${answer.deployment}`));
  if (answer.traceId) {
    row.append(el("span", { class: "trace" }, "trace ", el("code", { title: answer.traceId }, answer.traceId),
      copyButton("Copy the trace id", () => answer.traceId, "copy")));
  }
  row.append(copyButton("Copy as curl", () => curl(request)));
  // There is something to be said of what was answered, and of a failure that left a trace.
  const canBeRated = answer.traceId || answer.feedbackToken || (!answer.problem && !answer.wasStopped);
  if (canBeRated) row.append(el("span", { class: "thumbs" }, ...thumbs(answer, row)));
  return row;
}

/** The request as a command line. The key is not in it. */
function curl(request) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const key = keys.get() ? ` -H "authorization: Bearer $WEIR_KEY"` : "";
  const chosen = deployment ? ` -H ${quoted(`azureml-model-deployment: ${deployment}`)}` : "";
  const url = quoted(new URL(`${BASE}score`, location.href).href);
  return `curl -sS ${url} -H 'content-type: application/json'${key}${chosen} -d ${quoted(request)}`;
}

function thumbs(answer, row) {
  let panel = null;
  const close = () => {
    panel?.remove();
    panel = null;
    both.forEach((button) => button.setAttribute("aria-pressed", "false"));
  };
  const choose = (isGood, button) => {
    const wasChosen = button.getAttribute("aria-pressed") === "true";
    close();
    if (wasChosen) return;
    button.setAttribute("aria-pressed", "true");
    panel = ratingPanel(answer, isGood, () => { close(); button.focus(); }, () => {
      both.forEach((other) => { other.disabled = true; });
      button.setAttribute("aria-pressed", "true");
    });
    row.after(panel);
    panel.querySelector("textarea").focus();
    panel.scrollIntoView({ block: "nearest" });
  };
  const up = iconButton("up", "Good answer", () => choose(true, up), { "aria-pressed": "false" });
  const down = iconButton("down", "Bad answer", () => choose(false, down), { "aria-pressed": "false" });
  const both = [up, down];
  return both;
}

function ratingPanel(answer, isGood, close, taken) {
  const id = `comment-${fieldCount++}`;
  const comment = area(id, "", { maxlength: 4000 });
  const fault = el("p", { class: "fault", role: "alert" });
  const send = el("button", { type: "submit", class: "main" }, "Send feedback");
  const submit = async (event) => {
    event.preventDefault();
    send.disabled = true;
    fault.textContent = "";
    const problem = await rate(answer, isGood, comment.value.trim())
      .catch((error) => ({ title: "Not sent", message: error.message }));
    send.disabled = false;
    if (problem) {
      fault.textContent = `${problem.title}: ${problem.message}`;
      return;
    }
    taken();
    const isTraced = answer.feedbackToken || answer.traceId;
    const thanks = isTraced ? "Thank you. Your feedback is on the trace of this answer." : "Thank you for your feedback.";
    panel.replaceWith(el("p", { class: "hint thanks" }, thanks));
    say("Feedback sent");
  };
  const panel = el("form", { class: "rate", onsubmit: submit, onkeydown: (event) => { if (event.key === "Escape") close(); } },
    el("div", { class: "field" },
      el("label", { for: id }, isGood ? "What was good?" : "What was wrong?", el("span", { class: "kind" }, "optional")), comment),
    fault,
    el("div", { class: "row" }, send, el("button", { type: "button", class: "quiet", onclick: close }, "Cancel")));
  return panel;
}
