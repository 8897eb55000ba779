// The contact sheet in the browser: which drafts are chosen. A choice shows at once and is kept through a reload; the
// server hears of it when the chosen ones are to be finished.
(() => {
  "use strict";
  const CHOSEN = "reseed-chosen";
  const { stored, store } = window.reseed;

  function sheet(element, watch) {
    const section = () => element.querySelector(".sheet");
    watch("value", () => queueMicrotask(() => section() && mark(section()))); // once the value stands on the page
    element.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-choose], [data-mark]");
      if (!button) return;
      const wanted = chosen(section());
      const { choose, mark: every } = button.dataset;
      if (every) wanted.clear();
      if (every === "all") for (const draft of drafts(section())) wanted.add(draft.dataset.choose);
      else if (choose && !wanted.delete(choose)) wanted.add(choose);
      store(CHOSEN, { sheet: section().dataset.sheet, drafts: [...wanted] });
      mark(section());
    });
    const go = document.getElementById("go-explore");
    if (go) go.title = "12 seeds as drafts, for half the work: finish those you like";
  }

  const drafts = (section) => [...section.querySelectorAll("[data-choose]")];

  function chosen(section) {
    const kept = stored(CHOSEN);
    return new Set(kept.sheet === section.dataset.sheet && Array.isArray(kept.drafts) ? kept.drafts : []);
  }

  // Show what is chosen among the drafts that are there. Its button may go while it has the focus, which stays near:
  // a redraw leaves it enabled, because one that is disabled for a frame has lost the focus.
  function mark(section) {
    const wanted = chosen(section);
    const here = drafts(section).filter((draft) => wanted.has(draft.dataset.choose));
    for (const draft of drafts(section)) draft.setAttribute("aria-pressed", here.includes(draft));
    const finish = section.querySelector("[data-do=finish]");
    const focused = document.activeElement === finish;
    finish.disabled = !here.length;
    finish.dataset.chosen = here.map((draft) => draft.dataset.choose).join();
    finish.textContent = `Finish ${here.length} chosen`;
    if (focused && finish.disabled) section.querySelector("button.pick")?.focus({ preventScroll: true });
  }

  Object.assign(window.reseed, { sheet });
})();
