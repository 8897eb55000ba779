// Undo and redo of the form. What changes within a moment is one step: a word that is typed, a recipe that is loaded.
(() => {
  "use strict";
  const MOMENT = 600; // milliseconds between two changes of one step
  const MOST = 200; // steps that are remembered
  const steps = [];
  let at = -1;
  let last = -Infinity;
  let moving = 0; // the timer of an undo whose fields are still arriving

  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

  // Note what the form holds. What undo itself has brought back comes here too, field by field, and is no step.
  function note(values) {
    if (at >= 0 && same(values, steps[at])) return;
    const now = performance.now();
    const goesOn = now - last < MOMENT;
    last = now;
    if (moving) return;
    steps.length = at + 1;
    if (goesOn && at > 0) steps[at] = values;
    else at = steps.push(values) - 1;
    if (steps.length > MOST) at = (steps.shift(), at - 1);
    draw();
  }

  // Go back (−1) or on (+1); return the form's values, as they are when there is nothing there.
  function move(by) {
    if (steps[at + by]) at += by;
    clearTimeout(moving);
    moving = setTimeout(() => (moving = 0), MOMENT);
    last = -Infinity;
    draw();
    return steps[at];
  }

  function draw() {
    for (const [name, by] of [["undo", -1], ["redo", 1]]) {
      const button = document.querySelector(`#formtools [data-do=${name}]`);
      if (button) button.disabled = !steps[at + by];
    }
  }

  Object.assign(window.reseed, { note, move });
})();
