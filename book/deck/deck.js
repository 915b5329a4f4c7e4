// A deck: the formulas are set first, while all slides can be measured, then reveal.js shows one slide after the other.

window.MathJax = {
  options: { enableMenu: false }, // it would make every formula a stop of the Tab key
  startup: { pageReady: () => MathJax.startup.defaultPageReady().then(begin) },
};

const TURNS = ["PageDown", "PageUp"]; // what a presenter's remote control sends

// Keys pressed in an explorer are its own: arrows move its slider, not the deck. Escape leaves it, and so does turning
// the page by a remote control.
function isForTheDeck(event) {
  const control = document.activeElement?.closest(".explorer") && document.activeElement;
  if (!control) return true;
  if (event.key === "Escape" || TURNS.includes(event.key)) control.blur();
  return TURNS.includes(event.key);
}

// The notes are copied into a window that has no style for the formulas' spoken form, and would show it beside them.
const UNSEEN = "position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)";

function begin() {
  for (const spoken of document.querySelectorAll(".notes mjx-assistive-mml")) spoken.style.cssText = UNSEEN;
  Reveal.initialize({
    width: 1280, height: 720, margin: 0, maxScale: 4, center: false,
    navigationMode: "linear", // the arrow to the right leads through all slides, also those that belong together
    hash: true, controlsTutorial: false, transition: "none", backgroundTransition: "none",
    keyboardCondition: isForTheDeck,
    plugins: [RevealNotes],
  });
  Reveal.on("slidechanged", () => document.activeElement?.closest(".explorer") && document.activeElement.blur());
}
