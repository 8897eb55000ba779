// What the server says of an event always arrives.
// All events of a tab speak through one stream, which the server ends when none is left; an event that it takes right
// then is answered before the tab has heard the end, so gradio (6.31) waits for it on a stream that is gone, for ever:
// the picture was made, and the page never shows it. So an answer is passed on only when its event has been named on
// the stream, which then cannot end before the event, or when no stream is left and gradio opens the next one. A stream
// is left when gradio has read its end, which it tells by giving the stream up: until then it takes it for open.
// A page that is being left hears nothing more: gradio has closed its stream, the server drops what it still had to say
// to the tab, and a stream opened for it now would only be answered with an error on the screen. So none is opened, also
// for an event whose answer was passed on just before.
// And a refusal is passed on when the fields that are not right are there to show their sentences.
(() => {
  "use strict";
  const HEARD = 500; // events remembered as named
  const LEAVING = 10_000; // milliseconds after which a page that said it would be left is taken to stay
  const READ = 500; // milliseconds after which gradio, that has not given an ended stream up, is taken to have read it
  const plain = window.fetch;
  const named = new Set();
  const waiting = new Map();
  const held = []; // streams that are asked for while the page is being left
  let streams = 0;
  let left = false;

  window.fetch = async (...asked) => {
    const path = new URL(asked[0].url ?? asked[0], location.href).pathname;
    if (path.endsWith("/queue/data")) return listen(asked);
    const answer = await plain(...asked);
    if (!path.endsWith("/queue/join")) return answer;
    if (answer.status === 422) await window.reseed.makeRoom((await answer.clone().json()).detail);
    if (answer.ok && (streams || left)) await heard((await answer.clone().json()).event_id);
    return answer;
  };

  window.addEventListener("beforeunload", () => {
    left = true;
    setTimeout(() => {
      left = false;
      held.splice(0).forEach((open) => open());
      release();
    }, LEAVING);
  });

  function heard(event) {
    if (named.has(event)) return null;
    return new Promise((pass) => waiting.set(event, pass));
  }

  async function listen(asked) {
    if (left) await new Promise((open) => held.push(open));
    const end = opened(asked[0].signal);
    let answer;
    try {
      answer = await plain(...asked);
    } catch (error) {
      end();
      throw error;
    }
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    async function pull(out) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          end();
          out.close();
          return;
        }
        const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
        rest = lines.pop();
        lines.forEach(note);
        out.enqueue(value);
      } catch (error) {
        end();
        out.error(error);
      }
    }
    function cancel(why) {
      end();
      return reader.cancel(why);
    }
    return new Response(new ReadableStream({ pull, cancel }), answer);
  }

  function note(line) {
    const event = /"event_id":"(\w+)"/.exec(line)?.[1];
    if (!event || named.has(event)) return;
    named.add(event);
    if (named.size > HEARD) named.delete(named.values().next().value);
    waiting.get(event)?.();
    waiting.delete(event);
  }

  // Count a stream; it is counted off, once, when gradio gives it up, or a while after what is returned was called.
  function opened(signal) {
    streams += 1;
    let open = true;
    const off = () => {
      if (!open) return;
      open = false;
      streams -= 1;
      release();
    };
    signal?.addEventListener("abort", off);
    return () => setTimeout(off, READ);
  }

  function release() {
    if (streams || left) return;
    for (const pass of waiting.values()) pass();
    waiting.clear();
  }
})();
