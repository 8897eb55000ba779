// The page in the browser: clicks on data-do buttons become events, the form is remembered, pictures can be dropped.
// Seeds are text here, always: a number in a browser loses digits above 2^53.
window.reseed = (() => {
  "use strict";
  const FORM = "reseed-form";
  const AXES = "reseed-axes";
  const THEME = "reseed-theme";
  let restored = false;
  let restoredAxes = false;

  const stage = () => document.querySelector("#stage .stage");
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  // ---- clicks ---------------------------------------------------------------------------------------------------

  // Turn clicks on <button data-do="name" data-…> inside a component into that component's event `name`.
  function wire(element, trigger, names) {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]");
      if (!button || !names.includes(button.dataset.do)) return;
      const { do: name, ...data } = button.dataset;
      if (name === "pick" || name === "follow") showStage();
      if (name === "pick" && window.reseed.compareWith(data.id, trigger)) return;
      trigger(name, { id: stage()?.dataset.id ?? "", ...data });
    });
  }

  // Draw a component's HTML by keeping what has the same data-key: a thumbnail never shows the picture that stood in
  // its place before, a new one at the front moves none of the others, and the focus stays where it is.
  function keep(element, props, watch) {
    const box = element.querySelector(".kept");
    const draw = () => {
      const made = document.createElement("template");
      made.innerHTML = props.value ?? "";
      merge(box, made.content);
    };
    draw();
    watch("value", draw);
  }

  function merge(old, fresh) {
    const kept = new Map([...old.children].filter((one) => one.dataset.key).map((one) => [one.dataset.key, one]));
    let at = old.firstChild;
    for (const node of [...fresh.childNodes]) {
      const key = node.dataset?.key;
      const same = key ? kept.get(key) : at && !at.dataset?.key && at.nodeName === node.nodeName ? at : null;
      if (!same) {
        old.insertBefore(node, at);
        continue;
      }
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      sync(same, node);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  function sync(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    merge(old, fresh);
  }

  // The picture on screen, finished or being made, and its seed, as ID@SEED; empty when there is none.
  function shown() {
    const { seed, from } = stage()?.dataset ?? {};
    return seed ? `${from}@${seed}` : "";
  }

  function showStage() {
    const box = document.querySelector("#result")?.getBoundingClientRect();
    if (!box || (box.top >= -40 && box.top < innerHeight * 0.45)) return;
    document.querySelector("#result").scrollIntoView({ block: "start", behavior: calm() ? "auto" : "smooth" });
  }

  function toStage(jobs) {
    showStage();
    return [jobs];
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button.dataset.copy).then((done) => say(done ? button.dataset.said : "The browser refused to copy."));
  });

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Without https or a click the clipboard is closed: the old way still works.
      const box = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(box);
      box.select();
      const done = document.execCommand("copy");
      box.remove();
      return done;
    }
  }

  // Say a short sentence at the foot of the page; screen readers read it.
  function say(sentence) {
    let box = document.getElementById("said");
    if (!box) {
      box = Object.assign(document.createElement("div"), { id: "said" });
      box.setAttribute("role", "status");
      document.body.append(box);
    }
    box.textContent = sentence;
    box.classList.add("on");
    clearTimeout(box.timer);
    box.timer = setTimeout(() => box.classList.remove("on"), 2500);
  }

  // ---- the form is remembered -----------------------------------------------------------------------------------

  function stored(key) {
    try {
      return JSON.parse(localStorage.getItem(key)) ?? {};
    } catch {
      return {};
    }
  }

  function store(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch {
      // A browser that stores nothing still makes pictures.
    }
  }

  // Give back what the form held before a reload, but never over what was typed meanwhile.
  function restore(values) {
    const saved = stored(FORM);
    restored = true;
    const given = window.reseedFields.map(({ name, first, choices }, at) => {
      const old = saved[name];
      const fits = Array.isArray(old) === Array.isArray(first) && typeof old === typeof first;
      const offered = !choices.length || choices.includes(old);
      return JSON.stringify(values[at]) === JSON.stringify(first) && fits && offered ? old : values[at];
    });
    window.reseed.note(given);
    return given;
  }

  function remember(values) {
    if (!restored) return [];
    window.reseed.note(values);
    store(FORM, Object.fromEntries(window.reseedFields.map(({ name }, at) => [name, values[at]])));
    return [];
  }

  // The axes of a sweep come back like the form; a choice that is gone leaves them as they are.
  function restoreAxes(values) {
    const old = stored(AXES);
    const labels = window.reseedLabels;
    const fits = Array.isArray(old) && old.length === values.length && old.every((text) => typeof text === "string");
    restoredAxes = true;
    return fits && old.every((text, at) => at % 2 || labels.includes(text)) ? old : values;
  }

  function rememberAxes(values) {
    if (restoredAxes) store(AXES, values.map((text) => text ?? ""));
    return [];
  }

  // ---- a sentence at a field is seen ----------------------------------------------------------------------------

  // Open the accordions that hold fields which are not right, before the sentences come: a field that is drawn
  // afterwards does not show its own. Then go to the first of these fields on the page.
  async function makeRoom(verdicts) {
    const fields = window.reseedFields;
    const wrong = fields.filter((_, at) => verdicts[verdicts.length - fields.length + at]?.is_valid === false);
    if (!wrong.length) return;
    const folds = new Set(wrong.map((field) => field.fold).filter(Boolean));
    for (const fold of folds) document.querySelector(`#${fold} > button:not(.open)`)?.click();
    const missing = () => wrong.some(({ name }) => !document.querySelector(`#${name} :is(input, textarea)`));
    for (let tries = 100; tries && missing(); tries -= 1) await new Promise(requestAnimationFrame);
    whenThere(wrong.map(({ name }) => `#${name}:has(.validation-error)`).join(), goTo, (field) => field.checkVisibility());
  }

  function goTo(field) {
    field.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
    field.querySelector("input, textarea")?.focus({ preventScroll: true });
  }

  // ---- looks ----------------------------------------------------------------------------------------------------

  function header(element) {
    const wanted = stored(THEME).dark;
    if (typeof wanted === "boolean") document.body.classList.toggle("dark", wanted);
    element.querySelector("#theme").addEventListener("click", () => {
      store(THEME, { dark: document.body.classList.toggle("dark") });
    });
    for (const { name, help } of window.reseedFields) {
      const field = document.getElementById(name);
      if (field && help) field.title = help;
    }
    const seed = document.querySelector("#seed input, #seed textarea");
    if (seed) Object.assign(seed, { autocomplete: "off", spellcheck: false });
  }

  // Show the progress in the tab's title too.
  function title(element) {
    const percent = element.querySelector("[data-percent]")?.dataset.percent;
    document.title = percent === undefined ? "Reseed" : `${percent} % · Reseed`;
  }

  // ---- a picture dropped anywhere -------------------------------------------------------------------------------

  const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let inside = 0;

  function veil(on) {
    document.body.classList.toggle("dropping", on);
    if (!on) inside = 0;
  }

  document.addEventListener("dragenter", (event) => {
    if (!holdsFiles(event)) return;
    inside += 1;
    veil(true);
  });
  document.addEventListener("dragleave", () => {
    inside -= 1;
    if (inside <= 0) veil(false);
  });
  document.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  document.addEventListener("drop", onDrop, true);

  function onDrop(event) {
    veil(false);
    if (!holdsFiles(event) || !event.dataTransfer.files.length) return;
    event.preventDefault();
    event.stopPropagation();
    const files = new DataTransfer();
    files.items.add(event.dataTransfer.files[0]);
    const table = /\.csv$/i.test(files.files[0].name);
    if (table) document.querySelector("#presets > button:not(.open)")?.click();
    whenThere(`${table ? "#import" : "#drop"} input[type=file]`, (input) => {
      input.files = files.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }

  // The file field is gone while it holds the file before; wait until it is back.
  function whenThere(selector, use, ready = () => true, tries = 300) {
    const found = document.querySelector(selector);
    if (found && ready(found)) use(found);
    else if (tries) requestAnimationFrame(() => whenThere(selector, use, ready, tries - 1));
  }

  // Add a word that the model knows to the end of the prompt, as if it were typed.
  function addWord(element) {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do=word]");
      const box = document.querySelector("#prompt textarea");
      if (!button || !box) return;
      const before = box.value.replace(/[\s,]+$/, "");
      const text = button.dataset.text;
      box.value = before ? before + (text.startsWith("<") ? " " : ", ") + text : text; // a network is no word
      box.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }

  return { wire, addWord, copy, keep, makeRoom, shown, toStage, restore, remember, restoreAxes,
    rememberAxes, stored, store, header, title, say };
})();
