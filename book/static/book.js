// What scrolls sideways can be reached by keyboard, and only that: wide tables, long formulas, pictures on a telephone.
// Its edge fades where there is more.
const READABLE = 640; // pixels of the page: a narrower picture cannot be read, so it scrolls instead
const wide = "article pre, article .table-wrapper, article div.math, .explorer-window";

function look(box) {
  const more = box.scrollWidth - box.clientWidth;
  if (more > 0) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
  box.classList.toggle("more-left", box.scrollLeft > 1);
  box.classList.toggle("more-right", box.scrollLeft < more - 1);
}

const lookAtAll = () => document.querySelectorAll(wide).forEach(look);

// The frame keeps its size and what lies over the picture; a window around it scrolls.
for (const frame of document.querySelectorAll(".explorer-frame")) {
  const around = document.createElement("div");
  around.className = "explorer-window";
  frame.replaceWith(around);
  around.append(frame);
  frame.style.minWidth = `${Math.min(READABLE, frame.querySelector("canvas").width)}px`;
}

// Whatever makes a box wider or narrower: the window, the telephone turned, a letter that came late.
const watcher = new ResizeObserver((seen) => seen.forEach(({ target }) => look(target)));
document.querySelectorAll(wide).forEach((box) => watcher.observe(box));
addEventListener("load", lookAtAll);
document.addEventListener("toggle", lookAtAll, true); // what was folded has a width now
document.addEventListener("scroll", ({ target }) => { if (target.matches?.(wide)) look(target); }, true);
