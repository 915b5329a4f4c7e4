// The face of an explorer: native, labelled controls and one picture, whoever draws it.
//
// A control is a list of texts; the browser knows positions in that list and nothing of the values behind them.
// Only one request is on its way at any time. Whatever the reader does meanwhile is remembered, and the newest
// position goes out when the answer arrives: the last value wins, and no queue of stale pictures builds up.

const PATIENCE = 5000;    // ms without an answer before the reader is told
const QUIET = 700;        // ms without a change before a screen reader is told what the picture shows
const BUSY = "The kernel has not answered yet: it is busy, or cannot be reached. The picture follows the controls once it does.";
const GONE = "The kernel was restarted or has ended: run this cell again. The picture no longer follows the controls.";
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
  input.disabled = Boolean(control.fixed);
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

// A field over the picture's first axes: a press or a drag in it is a pair of positions, those of the values that lie
// nearest. It is for the pointer alone; keyboard and screen reader have the two sliders.
function addPlane({ box: [left, top, width, height], across, up }, parent, pressed) {
  const field = make("div", { className: "explorer-plane" }, parent);
  field.setAttribute("aria-hidden", "true");
  const percent = (share) => `${100 * share}%`;
  Object.assign(field.style, { left: percent(left), top: percent(top), width: percent(width), height: percent(height) });
  const nearest = (places, there) => {
    const away = places.map((place) => Math.abs(place - there));
    return away.indexOf(Math.min(...away));
  };
  const follow = (event) => {
    const seen = field.getBoundingClientRect();
    pressed(nearest(across, (event.clientX - seen.left) / seen.width), nearest(up, (seen.bottom - event.clientY) / seen.height));
  };
  field.addEventListener("pointerdown", (event) => { field.setPointerCapture(event.pointerId); follow(event); });
  field.addEventListener("pointermove", (event) => { if (field.hasPointerCapture(event.pointerId)) follow(event); });
}

// Build the controls inside `el`, and under them the picture, an <img> or a <canvas>.
//   told: { controls, look_for, plane }, plane as helpers/lesson/plane.py makes it
//   ask:  called as ask(at) when the picture for these positions is wanted. It answers, at once or later, by calling
//         answered({ at, show, alt }), where show() changes the picture, or answered({ at, error }); or it throws an
//         Error that says in words for the reader why there can be no answer.
function makeFace(el, { controls, look_for, plane }, picture, ask) {
  const name = `explorer-${Date.now().toString(36)}-${++views}`;
  let at = controls.map((control) => control.start);
  let waiting = false, text = "", patience, quiet;

  const root = make("div", { className: "explorer" }, el);
  const panel = make("div", { className: "explorer-controls" }, root);
  root.setAttribute("role", "group");
  const rows = controls.map((control, i) =>
    addControl(control, `${name}-${control.name}`, panel, (position) => { at[i] = position; moved(); }));
  const foot = make("div", { className: "explorer-foot" }, root);
  make("p", { className: "explorer-look", id: `${name}-look`, textContent: look_for }, foot);
  const reset = make("button", { type: "button", textContent: "Start values" }, foot);
  reset.setAttribute("data-lm-suppress-shortcuts", "true");
  reset.addEventListener("click", () => { at = controls.map((control) => control.start); settle(); moved(); });
  root.setAttribute("aria-describedby", `${name}-look`);
  const frame = make("div", { className: "explorer-frame" }, root);
  frame.append(picture);
  picture.setAttribute("role", "img");
  if (plane.controls) {
    const [i, j] = plane.controls;
    addPlane(plane, frame, (across, up) => {
      if (at[i] === across && at[j] === up) return;
      [at[i], at[j]] = [across, up];
      settle();
      moved();
    });
  }
  const trouble = make("p", { className: "explorer-trouble", hidden: true }, frame);
  trouble.setAttribute("role", "alert");
  const spoken = make("div", { className: "explorer-spoken" }, root);
  spoken.setAttribute("role", "status");

  // Who waits for the picture, a screen reader or a test, is told when it is that of the controls.
  const busy = (yes) => { waiting = yes; root.setAttribute("aria-busy", String(yes)); };
  const settle = () => rows.forEach((row, i) => row.set(at[i]));
  // The reader is told in words, and sees, that the picture may not be that of the controls; "" ends it.
  const tell = (words) => {
    trouble.textContent = words;
    trouble.hidden = !words;
    root.classList.toggle("explorer-stale", Boolean(words));
  };
  const lose = (words) => { clearTimeout(patience); busy(false); tell(words); }; // the next move asks again

  function describe(alt) {
    text = alt;
    picture.setAttribute(picture.tagName === "IMG" ? "alt" : "aria-label", text);
  }

  function moved() {
    clearTimeout(quiet);
    quiet = setTimeout(() => { spoken.textContent = trouble.hidden ? text : ""; }, QUIET);
    if (!waiting) request();
  }

  function request() {
    busy(true);
    clearTimeout(patience);
    patience = setTimeout(() => lose(BUSY), PATIENCE);
    try {
      ask([...at]);
    } catch (error) {
      lose(error.message);
    }
  }

  function answered({ at: positions, show, alt, error = "" }) {
    clearTimeout(patience);
    busy(false);
    if (positions.some((position, i) => position !== at[i])) request(); // the reader has moved on
    tell(error);
    if (error) return;
    show();
    describe(alt);
  }

  settle();
  busy(false);
  return { describe, request, answered, lose, close: () => { clearTimeout(patience); clearTimeout(quiet); } };
}

// Live: the kernel draws, anywidget carries the messages.
function render({ model, el }) {
  const view = `${Date.now().toString(36)}-${++views}`;
  const told = Object.fromEntries(["controls", "look_for", "plane"].map((key) => [key, model.get(key)]));
  const dense = window.devicePixelRatio > 1;
  const [width, height] = model.get("pixels");
  const picture = make("img", { width, height, decoding: "sync" });
  // A new source on the same element: the browser keeps the old picture until the new one is ready, no flicker.
  let url = "";
  const show = (bytes) => {
    URL.revokeObjectURL(url);
    picture.src = url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  };
  let alive = true;
  const face = makeFace(el, told, picture, (at) => {
    try {
      if (alive) return model.send({ view, at, scale: dense ? DENSE : 1 });
    } catch { /* Jupyter's own words are not for the reader */ }
    throw new Error(GONE);
  });
  const answered = (reply, buffers) => {
    if (reply.view !== view) return; // another view of the same explorer asked
    face.answered({ ...reply, show: () => show(buffers[0]) });
  };
  show(model.get("picture"));
  face.describe(model.get("alt"));
  const ended = () => { alive = false; face.lose(GONE); }; // Jupyter connects no model to another kernel
  // JupyterLab leaves a control alone with all its keys; what it is told with Ctrl or ⌘, such as to save, is not for us.
  const forward = (event) => {
    if (!event.isTrusted || !(event.ctrlKey || event.metaKey)) return;
    if (!el.dispatchEvent(new KeyboardEvent("keydown", event))) event.preventDefault();
  };
  model.on("msg:custom", answered);
  model.on("comm_live_update", ended);
  el.addEventListener("keydown", forward);
  if (dense) face.request();
  return () => {
    model.off("msg:custom", answered);
    model.off("comm_live_update", ended);
    el.removeEventListener("keydown", forward);
    face.close();
    URL.revokeObjectURL(url);
  };
}

export default { render };
