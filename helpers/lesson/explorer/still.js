// Without a kernel: every picture lies in the page, drawn beforehand. Over the first picture, the ground, lie its parts:
// boxes, each with the differences that can stand in it. Which of them does depends on the positions of the part's own
// controls alone. They are laid over each other in a canvas, pixel on pixel, before the page scales the whole.

function differenceOf(part, at, controls) {
  const place = part.controls.reduce((sum, i) => sum * controls[i].texts.length + at[i], 0);
  return part.pictures[part.which[place]];
}

function altOf(alt, at, controls) {
  if (alt.every) return alt.every[at.reduce((sum, position, i) => sum * controls[i].texts.length + position, 0)];
  return alt.pieces.map((piece) => (typeof piece === "string" ? piece : piece.texts[at[piece.control]])).join("");
}

const decoded = (base64) => {
  const picture = new Image();
  picture.src = `data:image/webp;base64,${base64}`;
  return picture.decode().then(() => picture);
};

function bringToLife(still) {
  const told = JSON.parse(still.querySelector("script").textContent);
  const { controls, parts, alt, pixels: [width, height] } = told;
  const ground = still.querySelector("img"), canvas = make("canvas", { width, height });
  const pen = canvas.getContext("2d");
  const differences = (at) => Promise.all(parts.map((part) => decoded(differenceOf(part, at, controls))));
  const paint = (pictures) => {
    pen.drawImage(ground, 0, 0, width, height);
    pictures.forEach((picture, i) => pen.drawImage(picture, ...parts[i].corner));
  };
  const face = makeFace(still, told, canvas, (at) => differences(at)
    .then((pictures) => face.answered({ at, show: () => paint(pictures), alt: altOf(alt, at, controls) })));
  ground.decode().then(() => {
    still.replaceChildren(...still.querySelectorAll(".explorer"));
    paint([]);
  });
  face.describe(altOf(alt, controls.map((control) => control.start), controls));
}

document.querySelectorAll(".explorer-still").forEach(bringToLife);
