// Keys: Ctrl+Enter makes a picture, Escape stops, Ctrl+Up and Ctrl+Down change the weight of words in a prompt.
(() => {
  "use strict";
  const STEP = 0.1;
  const GROUP = /^\((.*?)(?::\s*(\d*\.?\d+))?\)$/s;

  document.addEventListener("keydown", onKey, true);

  function onKey(event) {
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key === "Enter") {
      event.preventDefault();
      event.stopPropagation();
      document.querySelector("#go")?.click();
    } else if (event.key === "Escape") {
      stop(event);
    } else if (command && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      const box = event.target;
      if (!box.matches?.("#prompt textarea, #negative_prompt textarea")) return;
      event.preventDefault();
      change(box, event.key === "ArrowUp" ? STEP : -STEP);
    }
  }

  // Escape belongs to an open list first; and it stops only what runs.
  function stop(event) {
    const open = event.target.getAttribute?.("aria-expanded") === "true";
    const button = document.querySelector("#stop");
    if (!open && button && !button.disabled) button.click();
  }

  function change(box, by) {
    const made = weigh(box.value, box.selectionStart, box.selectionEnd, by);
    if (!made) return;
    box.focus();
    box.setSelectionRange(made.from, made.to);
    // insertText keeps the browser's undo; setRangeText is for browsers without it.
    if (!document.execCommand("insertText", false, made.text)) {
      box.setRangeText(made.text);
      box.dispatchEvent(new Event("input", { bubbles: true }));
    }
    box.setSelectionRange(made.from + made.start, made.from + made.end);
  }

  // Say what replaces text[from:to], and which part of it is selected afterwards.
  function weigh(text, start, end, by) {
    const [from, to] = span(text, start, end);
    if (from === to) return null;
    const match = text.slice(from, to).match(GROUP);
    const words = match ? match[1] : text.slice(from, to);
    const before = match ? Number(match[2] ?? 1.1) : 1;
    const weight = Math.max(0, Math.round((before + by) * 100) / 100);
    const plain = weight === 1;
    const made = plain ? words : `(${words}:${weight})`;
    return { from, to, text: made, start: plain ? 0 : 1, end: plain ? words.length : 1 + words.length };
  }

  // Find what is meant: a selection, the weighted group around the caret or the selection, or the word at the caret.
  function span(text, start, end) {
    while (start < end && /\s/.test(text[start])) start += 1;
    while (end > start && /\s/.test(text[end - 1])) end -= 1;
    const group = around(text, start, end);
    if (group) return group;
    if (start !== end) return [start, end];
    while (start > 0 && /[^\s,()<>[\]:]/.test(text[start - 1])) start -= 1;
    while (end < text.length && /[^\s,()<>[\]:]/.test(text[end])) end += 1;
    return [start, end];
  }

  // The innermost (…) around a caret; around a selection only when it selects the group or all its words.
  function around(text, start, end) {
    if (start !== end && text[start] === "(" && text[end - 1] === ")") return [start, end];
    let open = start - 1;
    for (let depth = 0; open >= 0; open -= 1) {
      if (text[open - 1] === "\\") continue;
      if (text[open] === ")") depth += 1;
      if (text[open] === "(" && depth-- === 0) break;
    }
    if (open < 0) return null;
    let close = end;
    for (let depth = 0; close < text.length; close += 1) {
      if (text[close - 1] === "\\") continue;
      if (text[close] === "(") depth += 1;
      if (text[close] === ")" && depth-- === 0) break;
    }
    if (close >= text.length) return null;
    const words = text.slice(open, close + 1).match(GROUP)?.[1];
    const all = start === end || (start === open + 1 && text.slice(start, end) === words);
    return all ? [open, close + 1] : null;
  }

  window.reseed.weigh = weigh;
})();
