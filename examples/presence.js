// Colours every <span data-lamp="6001"></span> of a page by its lamp: class "Idle", "InUse", "Ringing", "Unavailable", ...
// <script src="http://127.0.0.1:8470/presence.js" data-token="lampyris_..." defer></script>   a token with board:read
const me = document.currentScript, headers = { Authorization: `Bearer ${me.dataset.token}` };
const paint = (name, state) => document.querySelectorAll("[data-lamp]").forEach((dot) =>
  [name, name.replace(/^sip:/, ""), name.replace(/^sip:|@.*$/g, "")].includes(dot.dataset.lamp) && (dot.className = dot.title = state));
const take = (event) => event.presentities?.forEach((row) => paint(row.resource, row.state)) ?? (event.extension && paint(event.extension, event.state));
const listen = async () => { let text = "";
  for await (const part of (await fetch(new URL("/api/v1/events", me.src), { headers })).body.pipeThrough(new TextDecoderStream()))
    for (const data of (text += part).match(/^data: .*\n/gm) ?? []) (take(JSON.parse(data.slice(6))), text = text.slice(text.indexOf(data) + data.length)); };
(async () => { for (;;) { await listen().catch(() => {}); await new Promise((wait) => setTimeout(wait, 2000)); } })();
