// The face of an explorer: native, labelled controls and one picture that the kernel draws.
//
// A control is a list of texts; the browser knows positions in that list and nothing of the values behind them.
// Only one request is on its way at any time. Whatever the reader does meanwhile is remembered, and the newest
// position goes out when the answer arrives: the last value wins, and no queue of stale pictures builds up.

const PATIENCE = 5000;    // ms without an answer before the reader is told
const QUIET = 700;        // ms without a change before a screen reader is told what the picture shows
const DENSE = 1.5;        // pixels of the picture per pixel of the page on a dense screen: crisp, and still fast
let views = 0;

function make(tag, properties = {}, parent = null) {
  const node = Object.assign(document.createElement(tag), properties);
  parent?.append(node);
  return node;
}

// One row: label, native control, and for a slider its value. `changed(position)` is called at every move.
function addControl(control, id, parent, changed) {
  make("label", { htmlFor: id, textContent: control.label }, parent);
  let input, output, read;
  if (control.kind === "choice") {
    input = make("select", { id }, parent);
    for (const text of control.texts) make("option", { textContent: text }, input);
    read = () => input.selectedIndex;
  } else if (control.kind === "toggle") {
    input = make("input", { id, type: "checkbox" }, parent);
    read = () => Number(input.checked);
  } else {
    input = make("input", { id, type: "range", min: 0, max: control.texts.length - 1, step: 1 }, parent);
    output = make("output", {}, parent);
    output.setAttribute("for", id);
    output.setAttribute("aria-live", "off"); // the slider itself speaks its value
    output.style.minWidth = `${Math.max(...control.texts.map((text) => text.length))}ch`;
    read = () => Number(input.value);
  }
  input.dataset.name = control.name;
  input.setAttribute("data-lm-suppress-shortcuts", "true"); // or JupyterLab takes the arrow keys
  const say = (position) => {
    if (!output) return;
    output.value = control.texts[position];
    input.setAttribute("aria-valuetext", control.texts[position]);
  };
  input.addEventListener("input", () => { say(read()); changed(read()); });
  return {
    set(position) {
      if (control.kind === "choice") input.selectedIndex = position;
      else if (control.kind === "toggle") input.checked = Boolean(position);
      else input.value = position;
      say(position);
    },
  };
}

function render({ model, el }) {
  const controls = model.get("controls"), [width, height] = model.get("pixels");
  const view = `explorer-${Date.now().toString(36)}-${++views}`;
  let at = controls.map((control) => control.start);
  let sent = null, url = "", patience, quiet;

  const root = make("div", { className: "explorer" }, el);
  const panel = make("div", { className: "explorer-controls" }, root);
  root.setAttribute("role", "group");
  const rows = controls.map((control, i) =>
    addControl(control, `${view}-${control.name}`, panel, (position) => { at[i] = position; moved(); }));
  const foot = make("div", { className: "explorer-foot" }, root);
  make("p", { className: "explorer-look", id: `${view}-look`, textContent: model.get("look_for") }, foot);
  const reset = make("button", { type: "button", textContent: "Start values" }, foot);
  reset.setAttribute("data-lm-suppress-shortcuts", "true");
  reset.addEventListener("click", () => { at = controls.map((control) => control.start); settle(); moved(); });
  root.setAttribute("aria-describedby", `${view}-look`);
  const frame = make("div", { className: "explorer-frame" }, root);
  const picture = make("img", { width, height, decoding: "sync" }, frame);
  const trouble = make("p", { className: "explorer-trouble", hidden: true }, frame);
  trouble.setAttribute("role", "alert");
  const spoken = make("div", { className: "explorer-spoken" }, root);
  spoken.setAttribute("role", "status");

  // Who waits for the picture, a screen reader or a test, is told when it is that of the controls.
  const busy = (yes) => root.setAttribute("aria-busy", String(yes));
  const settle = () => rows.forEach((row, i) => row.set(at[i]));
  const tell = (text) => { trouble.textContent = text; trouble.hidden = !text; };

  // A new source on the same element: the browser keeps the old picture until the new one is ready, no flicker.
  function show(bytes, alt) {
    URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    picture.src = url;
    picture.alt = alt;
  }

  function moved() {
    clearTimeout(quiet);
    quiet = setTimeout(() => { spoken.textContent = picture.alt; }, QUIET);
    if (sent === null) ask();
  }

  function ask() {
    sent = [...at];
    busy(true);
    const scale = window.devicePixelRatio > 1 ? DENSE : 1;
    model.send({ view, at: sent, scale });
    clearTimeout(patience);
    patience = setTimeout(() => {
      sent = null; // the next move asks again
      busy(false);
      tell("The kernel has not answered yet: it is busy, or it was restarted and the cell must be run again.");
    }, PATIENCE);
  }

  function answered(reply, buffers) {
    if (reply.view !== view) return; // another view of the same explorer asked
    clearTimeout(patience);
    sent = null;
    busy(false);
    if (reply.at.some((position, i) => position !== at[i])) ask(); // the reader has moved on
    tell(reply.error ?? "");
    if (!reply.error) show(buffers[0], reply.alt);
  }

  settle();
  busy(false);
  show(model.get("picture"), model.get("alt"));
  model.on("msg:custom", answered);
  if (window.devicePixelRatio > 1) ask();
  return () => {
    model.off("msg:custom", answered);
    clearTimeout(patience);
    clearTimeout(quiet);
    URL.revokeObjectURL(url);
  };
}

export default { render };
