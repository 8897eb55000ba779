// As much of axios as the guides' programs use, over node's own fetch.
async function request(config) {
  const { url, method, headers, data } = config;
  const answer = await fetch(url, { method, headers, body: data });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`Request failed with status code ${answer.status}: ${text}`);
  return { status: answer.status, data: JSON.parse(text) };
}
module.exports = { request };
