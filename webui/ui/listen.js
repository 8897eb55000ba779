// What the server says of an event always arrives.
// All events of a tab speak through one stream, which the server ends when none is left. gradio (6.31) opens the next one
// for a later event, but only when it has read that the last one ended: an event taken in between is waited for on a
// stream that is gone, for ever: the picture was made, and the page never shows it. So gradio is given one stream that
// does not end. Behind it are the server's, the next opened whenever an event goes on and none is open; what the server
// says meanwhile waits there.
// A page that is being left opens none: the server drops what it still had to say to the tab, and would answer with an
// error on the screen.
// And a refusal is passed on when the fields that are not right are there to show their sentences.
(() => {
  "use strict";
  const REMEMBERED = 500; // events that ended before the answer to their question came
  const LEAVING = 10_000; // milliseconds after which a page that said it would be left is taken to stay
  const plain = window.fetch;
  const going = new Set(); // events that the server has taken and not ended
  const ended = new Set();
  let stream = null; // the one that gradio reads
  let open = false; // whether one of the server's is
  let left = false;

  window.fetch = async (...asked) => {
    const path = new URL(asked[0].url ?? asked[0], location.href).pathname;
    if (path.endsWith("/queue/data")) return give(asked[0]);
    const answer = await plain(...asked);
    if (!path.endsWith("/queue/join")) return answer;
    if (answer.status === 422) await window.reseed.makeRoom((await answer.clone().json()).detail);
    if (answer.ok) taken((await answer.clone().json()).event_id);
    return answer;
  };

  window.addEventListener("beforeunload", () => {
    left = true;
    setTimeout(() => {
      left = false;
      listen();
    }, LEAVING);
  });

  function taken(event) {
    if (ended.delete(event)) return;
    going.add(event);
    listen();
  }

  function give(request) {
    const start = (out) => {
      stream = { request, out };
      listen();
    };
    return new Response(new ReadableStream({ start }), { headers: { "content-type": "text/event-stream" } });
  }

  async function listen() {
    if (!stream || open || left || !going.size) return;
    const { request, out } = stream;
    open = true;
    try {
      const answer = await plain(request.clone());
      if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
      await pass(answer.body, out);
    } catch (error) {
      if (!left) {
        if (stream?.out === out) stream = null;
        if (!request.signal.aborted) out.error(error);
      }
    }
    open = false;
    listen();
  }

  async function pass(body, out) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    const encoder = new TextEncoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      lines.forEach(note);
      const told = lines.filter((line) => !line.startsWith('data: {"msg":"close_stream"'));
      if (told.length) out.enqueue(encoder.encode(`${told.join("\n")}\n`));
    }
  }

  function note(line) {
    if (line.startsWith('data: {"msg":"unexpected_error"')) going.clear(); // gradio gives up
    const event = /^data: \{"msg":"process_completed","event_id":"(\w+)"/.exec(line)?.[1];
    if (!event || going.delete(event)) return;
    ended.add(event);
    if (ended.size > REMEMBERED) ended.delete(ended.values().next().value);
  }
})();
