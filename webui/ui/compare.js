// What changed and Compare, in the browser: the drift is asked for when everything else is drawn; two pictures are laid
// over one another by CSS, and their difference is drawn on a canvas. What was chosen stays for the next pair.
(() => {
  "use strict";
  const BEAT = 600; // milliseconds between two pictures that alternate: fewer than three changes a second
  const HEAT = [[0, 0, 0], [91, 33, 182], [220, 38, 38], [251, 146, 60], [254, 240, 138], [255, 255, 255]];
  const chosen = { mode: "slider", divider: 50, factor: 4, alternate: null };
  let shelf = null; // the component that holds the comparison
  let beat = 0;

  const open = () => document.querySelector("#compare .compare");

  // A value that has a place for a drift asks for it, once for each picture.
  function ask(props, trigger, watch) {
    let last = "";
    watch("value", () => {
      const id = /data-ask="(\w+)"/.exec(props.value)?.[1];
      if (!id || id === last) return;
      last = id;
      trigger("measure", { ask: id });
    });
  }

  // ---- opening and closing --------------------------------------------------------------------------------------

  function compare(element, props, watch) {
    shelf = { element, props };
    let before = null;
    watch("value", () => queueMicrotask(() => { // once the value stands on the page
      const section = open();
      if (section) show(section);
      if (section && !element.contains(before)) section.querySelector("[name=compare-mode]:checked").focus();
      before = section;
    }));
    element.addEventListener("input", choose);
    element.addEventListener("click", (event) => {
      if (event.target.closest("[data-close]")) close();
      if (event.target.closest("[data-turn]")) turn(open(), false);
    });
  }

  // Nobody is told of a value that the page itself sets, so what it drew goes here.
  function close() {
    if (!open()) return;
    clearInterval(beat);
    shelf.props.value = "";
    open()?.remove();
    document.querySelector("#stage [data-do=compare]")?.focus();
  }

  // While two pictures are compared, one that is picked takes the place of the left one.
  function compareWith(id, trigger) {
    const section = open();
    if (!section) return false;
    if (id === section.dataset.id) window.reseed.say("This picture is on the right already.");
    else trigger("compare", { id: section.dataset.id, other: id });
    return true;
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#go, #go-new, #go-same, #go-explore, [data-do=follow]")) close();
  });

  // Escape closes before it would stop a picture being made.
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("textarea, select, [contenteditable], input:not([type=radio], [type=range], [type=checkbox])");
    if (event.key === "Escape" && open() && event.target.getAttribute?.("aria-expanded") !== "true") {
      event.stopImmediatePropagation();
      close();
    } else if (event.key === "c" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      if (open()) close();
      else document.querySelector("#stage [data-do=compare]")?.click();
    }
  }, true);

  // ---- the modes ------------------------------------------------------------------------------------------------

  function choose({ target }) {
    if (target.name === "compare-mode") chosen.mode = target.value;
    else if (target.matches(".divider")) chosen.divider = Number(target.value);
    else if (target.matches("[data-factor]")) chosen.factor = Number(target.value);
    else if (target.matches("[data-alternate]")) chosen.alternate = target.checked;
    show(open());
  }

  function show(section) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const find = (selector) => section.querySelector(selector);
    section.dataset.mode = chosen.mode;
    find(`[name=compare-mode][value=${chosen.mode}]`).checked = true;
    find(".divider").value = chosen.divider;
    find(".pair").style.setProperty("--at", `${chosen.divider}%`);
    find("[data-factor]").value = chosen.factor;
    find("[data-times]").value = `×${chosen.factor}`;
    find("[data-alternate]").checked = chosen.alternate ?? !calm;
    clearInterval(beat);
    if (chosen.mode === "flicker" && (chosen.alternate ?? !calm)) beat = setInterval(() => turn(open(), true), BEAT);
    if (chosen.mode === "difference") drawHeat(section);
  }

  function turn(section, goesOn) {
    if (!goesOn) {
      chosen.alternate = false;
      show(section);
    }
    section.toggleAttribute("data-turned");
  }

  // ---- the difference -------------------------------------------------------------------------------------------

  async function drawHeat(section) {
    const [left, right] = section.querySelectorAll("figure img");
    try {
      await Promise.all([left.decode(), right.decode()]);
    } catch {
      section.querySelector("[data-figures]").value = "A picture cannot be shown: its file is damaged or gone.";
      return;
    }
    const [width, height] = [right.naturalWidth, right.naturalHeight];
    const [one, other] = [left, right].map((image) => pixels(image, width, height));
    const drawn = new ImageData(width, height);
    const { largest, total, differing } = heat(one, other, new Uint32Array(drawn.data.buffer), chosen.factor);
    const canvas = section.querySelector("canvas");
    Object.assign(canvas, { width, height }).getContext("2d").putImageData(drawn, 0, 0);
    const share = ((100 * differing) / (width * height)).toPrecision(3);
    const figures = `at most ${largest} of 255, ${(total / (3 * width * height)).toPrecision(3)} on average, in ${Number(share)} % of the pixels`;
    section.querySelector("[data-figures]").value = largest ? figures : "no pixel differs";
  }

  // The pixels of an image fitted into a size, as CSS fits it.
  function pixels(image, width, height) {
    const scale = Math.min(width / image.naturalWidth, height / image.naturalHeight);
    const [wide, high] = [image.naturalWidth * scale, image.naturalHeight * scale];
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, (width - wide) / 2, (height - high) / 2, wide, high);
    return context.getImageData(0, 0, width, height).data;
  }

  // Paint the largest difference among a pixel's channels, times a factor, from black through red to white.
  function heat(one, other, painted, factor) {
    const colours = Uint8Array.from({ length: 256 * 4 }, (_, at) => colour(Math.floor(at / 4) / 255)[at % 4]);
    const palette = new Uint32Array(colours.buffer);
    const found = { largest: 0, total: 0, differing: 0 };
    for (let at = 0; at < one.length; at += 4) {
      let most = 0;
      for (let channel = at; channel < at + 3; channel += 1) {
        const apart = Math.abs(one[channel] - other[channel]);
        found.total += apart;
        if (apart > most) most = apart;
      }
      if (most) found.differing += 1;
      if (most > found.largest) found.largest = most;
      painted[at / 4] = palette[Math.min(255, most * factor)];
    }
    return found;
  }

  function colour(share) {
    const place = share * (HEAT.length - 1);
    const from = Math.min(Math.floor(place), HEAT.length - 2);
    return [0, 1, 2].map((at) => Math.round(HEAT[from][at] + (place - from) * (HEAT[from + 1][at] - HEAT[from][at]))).concat(255);
  }

  Object.assign(window.reseed, { ask, compare, compareWith });
})();
