// Subscriptions: how long each still lives, what its phone answered last, and a push or an end for it.

import { useState } from "preact/hooks";
import { type Subscription, get, send } from "./api";
import { Page, State, asked, bare, said, span, usePolled, useTick } from "./ui";

const DRAWN_MAX = 300;
/** Part of the granted time below which one is about to end. */
const SOON = 0.1;

export function Subscriptions() {
  useTick(1000);
  const [read, setRead] = useState(Date.now());
  const { value, error, again } = usePolled<Subscription[]>(
    () => get<Subscription[]>("subscriptions").then((rows) => (setRead(Date.now()), rows)),
    5000,
  );
  const [text, setText] = useState(asked().get("resource") ?? asked().get("watcher") ?? "");
  const [soon, setSoon] = useState(false);
  const [failing, setFailing] = useState(false);
  const [answer, setAnswer] = useState("");
  const age = (Date.now() - read) / 1000;
  const left = (row: Subscription) => Math.max(0, row.expires_s - age);
  const isSoon = (row: Subscription) => row.granted_s > 0 && left(row) / row.granted_s < SOON;
  const isFailing = (row: Subscription) => row.last_answer !== null && row.last_answer >= 300;
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = (value ?? [])
    .filter((row) => {
      const hay = `${row.watcher} ${row.resource} ${row.package} ${row.user_agent} ${row.transport} ${row.peer} ${row.call_id}`.toLowerCase();
      return words.every((word) => hay.includes(word)) && (!soon || isSoon(row)) && (!failing || isFailing(row));
    })
    .sort((a, b) => left(a) - left(b));
  const act = async (what: "nudge" | "drop", row: Subscription) => {
    try {
      const done = await send<{ count: number }>("POST", `subscriptions/${what}`, { call_id: row.call_id });
      setAnswer(`${what === "nudge" ? "Sent again" : "Ended"}: ${done.count}.`);
    } catch (failure) {
      setAnswer(said(failure as Error));
    }
    again();
  };
  return (
    <Page
      title="Subscriptions"
      error={error}
      tools={
        <>
          <input type="search" class="broad" placeholder="Watcher, resource, phone, Call-ID" aria-label="Watcher, resource, phone or Call-ID" value={text} onInput={(event) => setText(event.currentTarget.value)} />
          <button type="button" aria-pressed={soon} onClick={() => setSoon(!soon)}>
            Ending soon <b>{(value ?? []).filter(isSoon).length}</b>
          </button>
          <button type="button" aria-pressed={failing} onClick={() => setFailing(!failing)}>
            Refused <b>{(value ?? []).filter(isFailing).length}</b>
          </button>
          <span class="faint">
            {rows.length} of {value?.length ?? 0}
            {rows.length > DRAWN_MAX ? `, the first ${DRAWN_MAX} shown` : ""}
          </span>
          <span role="status">{answer}</span>
        </>
      }
    >
      <table class="wide-table">
        <thead>
          <tr>
            <th>Watcher</th>
            <th>Watches</th>
            <th>Package</th>
            <th>Shown</th>
            <th>Life</th>
            <th>Answer</th>
            <th>Phone</th>
            <th>
              <span class="hidden">Do</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, DRAWN_MAX).map((row) => (
            <tr key={`${row.call_id} ${row.resource}`}>
              <td>
                {bare(row.watcher)} <small class="faint">{row.transport}</small>
              </td>
              <td>{bare(row.resource)}</td>
              <td>{row.package}</td>
              <td>{row.last_state === null ? "–" : <State state={row.last_state} />}</td>
              <td class="life">
                <meter class={isSoon(row) ? "soon" : ""} min={0} max={row.granted_s || 1} value={left(row)} aria-label="Life left" /> {span(left(row))}
              </td>
              <td class={isFailing(row) ? "bad" : ""}>{row.last_answer ?? "not yet"}</td>
              <td title={row.format}>
                {row.user_agent || "–"} <small class="faint">{row.profile}</small>
              </td>
              <td class="do">
                <a class="button" href={`#/ladder?call_id=${encodeURIComponent(row.call_id)}`}>
                  Ladder
                </a>
                <button type="button" onClick={() => act("nudge", row)}>
                  Nudge
                </button>
                <button type="button" onClick={() => confirm(`End the subscription of ${bare(row.watcher)} to ${bare(row.resource)}?`) && act("drop", row)}>
                  Drop
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {value && rows.length === 0 ? <p class="empty">No subscription fits.</p> : null}
    </Page>
  );
}
