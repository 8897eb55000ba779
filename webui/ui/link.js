// Links: a recipe's parameters behind the address of this page, which may stand below any path.
(() => {
  "use strict";
  const OURS = ["v", "z", "seed", "prompt"];

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-link]");
    if (button) copyLink(button.dataset.link);
  });

  function copyLink(parameters) {
    if (!parameters) return;
    const address = `${location.origin}${location.pathname}?${parameters}`;
    window.reseed.copy(address).then((done) => {
      window.reseed.say(done ? "Link copied: it opens this form with the recipe." : "The browser refused to copy.");
    });
  }

  // Return the page's address when it is a link to a recipe, else nothing.
  function arrived() {
    const { search, hash } = location;
    return [search, hash].some((part) => OURS.some((name) => new URLSearchParams(part.slice(1)).has(name))) ? search + hash : "";
  }

  // Take the recipe out of the address: a reload shows the form as it is then. What is the page's own stays.
  function clean() {
    if (!arrived()) return;
    const own = [...new URLSearchParams(location.search)].filter(([name]) => name.startsWith("__"));
    const rest = new URLSearchParams(own).toString();
    history.replaceState(history.state, "", location.pathname + (rest && `?${rest}`));
  }

  Object.assign(window.reseed, { copyLink, arrived, clean });
})();
