// Example images that the page draws, so that there is something to try without a photograph.
import { picture } from "./pictures.js";

export const EXAMPLE_LABELS = ["a chessboard", "a rainbow", "a smiley face", "a traffic light", "a target", "a flower"];

const SIDE = 320;

function disc(pen, x, y, radius, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
}

function box(pen, x, y, width, height, colour) {
  pen.fillStyle = colour;
  pen.fillRect(x, y, width, height);
}

const DRAWN = {
  chessboard(pen) {
    box(pen, 0, 0, SIDE, SIDE, "#6b4a2b");
    for (let at = 0; at < 64; at += 1) {
      const x = at % 8, y = Math.floor(at / 8);
      box(pen, 16 + 36 * x, 16 + 36 * y, 36, 36, (x + y) % 2 ? "#2b2b2b" : "#f2e6cf");
    }
  },
  rainbow(pen) {
    box(pen, 0, 0, SIDE, SIDE, "#8ecbf2");
    ["#e3342f", "#f6993f", "#ffed4a", "#38c172", "#3490dc", "#6f42c1"].forEach((colour, place) => disc(pen, 160, 270, 150 - 15 * place, colour));
    disc(pen, 160, 270, 60, "#8ecbf2");
    box(pen, 0, 250, SIDE, 70, "#4f9a45");
  },
  smiley(pen) {
    box(pen, 0, 0, SIDE, SIDE, "#ffffff");
    disc(pen, 160, 160, 130, "#ffd93b");
    disc(pen, 115, 125, 16, "#222222");
    disc(pen, 205, 125, 16, "#222222");
    pen.strokeStyle = "#222222";
    pen.lineWidth = 12;
    pen.lineCap = "round";
    pen.beginPath();
    pen.arc(160, 165, 78, 0.15 * Math.PI, 0.85 * Math.PI);
    pen.stroke();
  },
  "traffic-light"(pen) {
    box(pen, 0, 0, SIDE, SIDE, "#b9d7ea");
    box(pen, 150, 250, 20, 70, "#444444");
    box(pen, 105, 20, 110, 240, "#1d1d1d");
    disc(pen, 160, 65, 32, "#ff2d20");
    disc(pen, 160, 140, 32, "#5a4a00");
    disc(pen, 160, 215, 32, "#0b4d1c");
  },
};

async function drawn(name, draw) {
  const canvas = document.createElement("canvas");
  canvas.width = SIDE;
  canvas.height = SIDE;
  draw(canvas.getContext("2d"));
  const blob = await new Promise((done) => { canvas.toBlob(done, "image/png"); });
  return picture(new File([blob], `${name}.png`, { type: "image/png" }), `${name}.png`);
}

export const examples = () => Promise.all(Object.entries(DRAWN).map(([name, draw]) => drawn(name, draw)));
