// Who may watch whom: who waits is let in or kept out, and what each class of watchers is shown.

import { useState } from "preact/hooks";
import { type Waiting, type WatcherClass, get, send } from "./api";
import { Choice, type Choices, bare, said, span, usePolled } from "./ui";

/** As the server calls them, and as people do. */
const HANDLINGS: Choices = [
  ["allow", "Allow"],
  ["block", "Block"],
  ["polite-block", "Block politely"],
  ["confirm", "Let wait"],
];

const path = (user: string, watcher: string) => `people/${encodeURIComponent(user)}/watchers/${encodeURIComponent(bare(watcher))}`;

/** Does something and says how it went. */
function useAct(changed: () => void): [string, (work: Promise<unknown>, done: string) => void] {
  const [answer, setAnswer] = useState("");
  const act = (work: Promise<unknown>, done: string) =>
    void work.then(
      () => (setAnswer(done), changed()),
      (error: Error) => setAnswer(said(error)),
    );
  return [answer, act];
}

/** Who waits for a decision: of one person, or of everybody. */
export function Approvals({ of, changed = () => {} }: { of?: string; changed?: () => void }) {
  const waiting = usePolled<Waiting[]>(
    () => (of === undefined ? get("pending") : get<{ pending: Waiting[] }>(`people/${encodeURIComponent(of)}/watchers`).then((found) => found.pending)),
    3000,
    of ?? "",
  );
  const [answer, act] = useAct(() => (waiting.again(), changed()));
  const rows = waiting.value ?? [];
  if (rows.length === 0) return <p role="status">{answer}</p>;
  return (
    <>
      <h2>Waiting for approval</h2>
      <table>
        <thead>
          <tr>
            <th>Wants to watch</th>
            <th>Whom</th>
            <th>Package</th>
            <th>Since</th>
            <th>
              <span class="hidden">Decide</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.user} ${row.watcher} ${row.package}`}>
              <td>{bare(row.watcher)}</td>
              <td>{row.user}</td>
              <td>{row.package}</td>
              <td>{span(row.since_s)}</td>
              <td class="do">
                {HANDLINGS.slice(0, 3).map(([handling, word]) => (
                  <button
                    key={handling}
                    type="button"
                    class={handling === "allow" ? "main" : ""}
                    onClick={() => act(send("PUT", path(row.user, row.watcher), { handling }), `${bare(row.watcher)}: ${word.toLowerCase()}.`)}
                  >
                    {word}
                  </button>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p role="status">{answer}</p>
    </>
  );
}

/** What each class of watchers is shown and why; and a rule for one of them. */
export function Rules({ of, classes, changed }: { of: string; classes: WatcherClass[]; changed: () => void }) {
  const [watcher, setWatcher] = useState("");
  const [handling, setHandling] = useState("allow");
  const [answer, act] = useAct(changed);
  const known = [...new Set(classes.flatMap((row) => row.watchers.map(bare)))];
  return (
    <>
      <h2>Who may see what</h2>
      {classes.length > 0 ? (
        <table>
          <thead>
            <tr>
              <th>Watchers</th>
              <th>Package</th>
              <th>Rule</th>
              <th>Shown</th>
              <th>Because</th>
            </tr>
          </thead>
          <tbody>
            {classes.map((row, index) => (
              <tr key={index}>
                <td>{row.watchers.map(bare).join(", ")}</td>
                <td>{row.package}</td>
                <td>{row.handling}</td>
                <td>{row.sees}</td>
                <td>{row.because}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          act(send("PUT", path(of, watcher), { handling }), `${watcher}: ${handling}.`);
        }}
      >
        <label>
          Watcher
          <input list="watchers" value={watcher} required placeholder="bob" onInput={(event) => setWatcher(event.currentTarget.value)} />
          <datalist id="watchers">
            {known.map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </label>
        <Choice label="Gets" name="handling" value={handling} of={HANDLINGS} chosen={setHandling} />
        <button type="submit">Apply</button>
        <button type="button" disabled={watcher === ""} onClick={() => act(send("DELETE", path(of, watcher)), `Nothing is said of ${watcher}.`)}>
          Forget
        </button>
        <span role="status">{answer}</span>
      </form>
    </>
  );
}
