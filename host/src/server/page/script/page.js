// What the flow is, by its document; and the page for it: a form, or a chat.

/** The flow of this page, once its document is read. */
let flow = null;

function flowOf(document) {
  const score = document.paths["/score"].post;
  const { schema, example } = score.requestBody.content["application/json"];
  const info = document.info;
  const inputs = schema.properties ?? {};
  const history = info["x-chat-history"] ?? (Object.hasOwn(inputs, "chat_history") ? "chat_history" : null);
  return {
    name: info["x-flow-name"] ?? info.title,
    about: info.description,
    inputs,
    example: example ?? {},
    deployments: deploymentsOf(document.paths["/score"].parameters ?? []),
    format: info["x-message-format"],
    /** Whether outputs have names. */
    isNamed: score.responses["200"].content["application/json"].schema.properties !== undefined,
    chat: info["x-flow-type"] === "chat" && Object.hasOwn(inputs, info["x-chat-input"])
      ? { input: info["x-chat-input"], history, output: info["x-chat-output"] }
      : null,
  };
}

function deploymentsOf(parameters) {
  return parameters.find(({ name }) => name === "azureml-model-deployment")?.schema.enum ?? [];
}

/** Lets a person choose one of several deployments. */
function offerDeployments() {
  const select = byId("deployment");
  select.hidden = flow.deployments.length < 2;
  select.replaceChildren(el("option", { value: "" }, "by traffic"), ...flow.deployments.map((name) => el("option", { value: name }, name)));
  select.value = deployment;
  select.onchange = () => { deployment = select.value; start(); };
}

function fieldsOf(names) {
  return names.map((name) => {
    const schema = flow.inputs[name];
    const start = Object.hasOwn(flow.example, name) ? flow.example[name] : schema.default;
    return field(name, schema, start, flow.format);
  });
}

function formPage() {
  const fields = fieldsOf(Object.keys(flow.inputs));
  const answers = el("div", { "aria-live": "polite" });
  const run = el("button", { type: "submit", class: "main" }, "Run");
  const stop = el("button", { type: "button", class: "halt", hidden: true }, "Stop");
  let running = null;
  const submit = async (event) => {
    event.preventDefault();
    if (running) return;
    let body;
    try { body = bodyOf(fields); } catch { return; }
    running = new AbortController();
    run.hidden = true;
    stop.hidden = false;
    stop.focus();
    stop.onclick = () => running.abort();
    const show = painter((answer) => showAnswer(answers, answer, body));
    show(new Answer());
    answers.scrollIntoView({ block: "nearest" });
    await ask(body, running.signal, show);
    running = null;
    const hadFocus = document.activeElement === stop;
    run.hidden = false;
    stop.hidden = true;
    if (hadFocus) run.focus();
  };
  const sendsByKey = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.requestSubmit();
  };
  answers.append(el("div", { class: "empty" }, el("p", {}, "Nothing has run yet."), el("p", {}, "Run the flow, and its answer appears here.")));
  byId("main").replaceChildren(el("div", { class: "form" },
    el("form", { class: "card", "aria-label": "Inputs", onsubmit: submit, onkeydown: sendsByKey, novalidate: true },
      el("h2", {}, "Inputs"),
      el("div", { class: "fields" }, ...(fields.length > 0 ? fields.map((field) => field.element) : [el("p", { class: "hint" }, "This flow needs none.")]),
        el("div", { class: "row" }, run, stop))),
    el("section", { class: "card answer", "aria-label": "Answer" }, el("h2", {}, "Answer"), answers)));
}

/** Paints at most once per frame of the screen, however fast parts arrive; the last one is never left out. */
function painter(paint) {
  let next = null;
  return (answer) => {
    if (next === null) requestAnimationFrame(() => { const painted = next; next = null; paint(painted); });
    next = answer;
  };
}

function chatPage() {
  const others = fieldsOf(Object.keys(flow.inputs).filter((name) => name !== flow.chat.input && name !== flow.chat.history));
  const takesImages = flow.inputs[flow.chat.input].type === "array";
  const example = flow.example[flow.chat.input];
  let history = [];
  let images = [];
  let running = null;

  const turns = el("div", { class: "turns" });
  const log = el("div", { class: "log", role: "log", tabindex: "0", "aria-label": "Conversation" }, turns);
  const input = area("question", "", { placeholder: "Write a message", "aria-label": "Message" });
  const send = el("button", { type: "submit", class: "main round", "aria-label": "Send", title: "Send (Enter)" }, icon("send"));
  const stop = el("button", { type: "button", class: "halt round", "aria-label": "Stop", title: "Stop", hidden: true }, icon("stop"));
  const attached = el("div", { class: "attached", hidden: true });
  const file = el("input", { type: "file", accept: "image/*", multiple: true, hidden: true, onchange: () => attach(file.files) });
  const add = takesImages ? iconButton("image", "Add an image", () => file.click(), { class: "icon round" }) : null;

  const attach = async (files) => {
    for (const image of Array.from(files)) images.push(await readFile(image));
    file.value = "";
    showAttached();
  };
  const showAttached = () => {
    attached.hidden = images.length === 0;
    attached.replaceChildren(...images.map((source, at) => el("span", {}, el("img", { src: source, alt: `image ${at + 1}` }),
      iconButton("close", "Remove the image", () => { images.splice(at, 1); showAttached(); }))));
  };
  /** What was written as the chat input has it: text, or a list of texts and images. */
  const question = () => {
    const text = input.value.trim();
    if (!takesImages) return text === "" ? null : text;
    const texts = text === "" ? [] : [flow.format === "openai-vision" ? { type: "text", text } : text];
    const value = [...texts, ...images.map((source) => imageValue(source, flow.format))];
    return value.length === 0 ? null : value;
  };

  const follow = () => { log.scrollTop = log.scrollHeight; };
  const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;

  const welcome = () => {
    const tried = typeof example === "string" && example !== ""
      ? el("button", { type: "button", class: "suggestion", onclick: () => { input.value = example; composer.requestSubmit(); } }, example)
      : null;
    turns.replaceChildren(el("div", { class: "welcome" }, document.querySelector(".mark").cloneNode(true),
      el("h2", {}, `Ask ${flow.name}`), el("p", {}, flow.about ?? "The conversation is kept in this tab only."), tried));
  };

  const submit = async (event) => {
    event.preventDefault();
    const asked = question();
    if (running || asked === null) return;
    let body;
    const chat = [[flow.chat.input, JSON.stringify(asked)]];
    if (flow.chat.history) chat.push([flow.chat.history, JSON.stringify(history)]);
    try { body = bodyOf(others, chat); } catch { details.open = true; return; }
    running = new AbortController();
    if (turns.querySelector(".welcome")) turns.replaceChildren();
    byId("again").hidden = false;
    input.value = "";
    grow(input);
    images = [];
    showAttached();
    const theirs = el("article", { class: "theirs", "aria-label": "Answer" });
    turns.append(el("article", { class: "mine", "aria-label": "You" }, takesImages ? pieces(asked) : valueOf(asked)), theirs);
    send.hidden = true;
    stop.hidden = false;
    stop.onclick = () => running.abort();
    const show = painter((answer) => {
      const stays = isAtEnd();
      showAnswer(theirs, answer, body);
      if (stays) follow();
    });
    show(new Answer());
    requestAnimationFrame(follow);
    const mine = running;
    const answer = await ask(body, running.signal, show);
    if (running !== mine) return;
    running = null;
    if (!answer.problem && !answer.wasStopped) history.push({ inputs: { [flow.chat.input]: asked }, outputs: answer.outputs });
    // What was not answered can be sent again.
    else if (!answer.wasStopped && input.value === "" && typeof asked === "string") input.value = asked;
    send.hidden = false;
    stop.hidden = true;
    input.focus();
  };
  const startAgain = () => {
    running?.abort();
    running = null;
    history = [];
    send.hidden = false;
    stop.hidden = true;
    byId("again").hidden = true;
    welcome();
    input.focus();
  };
  const sendsByKey = (event) => {
    // While an input method composes, Enter takes what it offers.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    composer.requestSubmit();
  };

  input.addEventListener("keydown", sendsByKey);
  const details = el("details", { class: "others", hidden: others.length === 0 }, el("summary", {}, "Other inputs"),
    el("div", { class: "fields" }, ...others.map((field) => field.element)));
  const composer = el("form", { class: "composer", onsubmit: submit, novalidate: true }, details, attached,
    el("div", { class: "box" }, add, input, file, send, stop));
  byId("again").onclick = startAgain;
  byId("main").classList.add("chat");
  document.body.classList.add("chatting");
  byId("main").replaceChildren(log, composer);
  welcome();
  if (matchMedia("(hover: hover)").matches) input.focus();
}

async function start() {
  byId("document").href = `${BASE}swagger.json`;
  byId("key").onclick = () => askForKey();
  byId("again").hidden = true;
  byId("main").classList.remove("chat");
  document.body.classList.remove("chatting");
  let problem;
  try {
    const response = await call("swagger.json");
    if (response.ok) {
      flow = flowOf(await response.json());
      byId("name").textContent = flow.name;
      document.title = `${flow.name} · weir`;
      byId("about").textContent = flow.about ?? "";
      byId("about").hidden = !flow.about;
      offerDeployments();
      if (flow.chat) chatPage();
      else formPage();
      return;
    }
    problem = problemOf(await response.text(), response);
  } catch (error) {
    problem = { status: "", title: "The flow's description could not be read", message: error.message, isOurs: null };
  }
  const again = el("button", { type: "button", class: "main", onclick: () => location.reload() }, "Try again");
  byId("main").replaceChildren(el("div", { class: "notice fields" }, problemBox(problem), el("div", { class: "row" }, again)));
}

await start();
