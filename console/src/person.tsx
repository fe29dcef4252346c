// One lamp: why it shows what it shows, its last day, who watches it, and setting it by hand.

import { useState } from "preact/hooks";
import { type Source, type Why, get, send } from "./api";
import { Approvals, Rules } from "./approve";
import { lamps, title } from "./lamps";
import { STATES, look } from "./states";
import { Status } from "./status";
import { Choice, type Choices, Glyph, LENGTHS, Page, State, said, span, useLamps, usePolled, useTick } from "./ui";

interface Device {
  device: string;
  state: string;
  source: string;
  for_s: number | null;
}

export function Person({ resource, isAdmin }: { resource: string; isAdmin: boolean }) {
  useLamps();
  const now = useTick(1000);
  const lamp = lamps.all.get(resource);
  // A change of the lamp asks again at once.
  const key = `${lamp?.state}${lamp?.since}`;
  const why = usePolled<Why[]>(() => (isAdmin ? get(`why/${encodeURIComponent(resource)}`) : Promise.resolve([])), 5000, key);
  const found = why.value?.find((row) => row.resource === resource);
  const state = lamp?.state ?? found?.state ?? "";
  // Who is behind it: of a person the name, of an extension the phone's user.
  const name = resource.startsWith("sip:") ? resource.slice(4) : (lamp?.peers[0] ?? "");
  return (
    <Page title={lamp ? lamp.name : resource} error={why.error} tools={<span class="faint">{lamp ? title(lamp) : ""}</span>}>
      <div class={`now ${look(state).tone}`}>
        <Glyph state={state} />
        <strong>{look(state).word}</strong>
        {lamp ? <span>for {span((now - lamp.since) / 1000)}</span> : null}
        {lamp?.peerOf && state !== "Idle" ? <span>with {lamp.peerOf}</span> : null}
        {lamp && lamp.presence !== "not_set" ? (
          <span>
            {lamp.presence} {lamp.note ? `“${lamp.note}”` : ""}
          </span>
        ) : null}
        <span class="faint">{resource}</span>
      </div>
      <Strip resource={resource} state={state} now={now} changed={key} />
      {isAdmin ? <a class="button" href={`#/subscriptions?resource=${encodeURIComponent(resource)}`}>Its subscriptions</a> : null}
      {isAdmin && name !== "" ? <Approvals of={name} changed={why.again} /> : null}
      {name === "" ? null : <Status name={name} changed={why.again} />}
      {lamp && lamp.devices.length > 0 ? <ByHand devices={lamp.devices} changed={why.again} /> : null}
      {found ? <Because why={found} /> : null}
      {found && name !== "" ? <Rules of={name} classes={(why.value ?? []).flatMap((row) => row.classes)} changed={why.again} /> : null}
    </Page>
  );
}

/** What says what, why it counts or not, and until when. */
function Sources({ rows, isLamp }: { rows: Source[]; isLamp: boolean }) {
  return (
    <table tabIndex={0}>
      <thead>
        <tr>
          <th>Source</th>
          <th>Says</th>
          <th>Because</th>
          <th>Since</th>
          <th>Lease</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((source) => (
          <tr key={`${source.kind} ${source.name}`} class={source.won ? "won" : ""}>
            <td>
              {source.name} {source.kind ? <small class="faint">{source.kind}</small> : null}{" "}
              {source.won ? <small class="mark">{isLamp ? "decides" : "counts"}</small> : null}
            </td>
            <td>{isLamp ? <State state={source.state} /> : source.state}</td>
            <td>{source.because}</td>
            <td>{span(source.since_s)}</td>
            <td>{source.expires_s === null ? "no end" : span(source.expires_s)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Because({ why }: { why: Why }) {
  return (
    <>
      <h2>Why</h2>
      <Sources rows={why.sources} isLamp />
      {why.presence && why.presence.sources.length > 0 ? (
        <>
          <h2>
            Presence <small class="faint">composed by the policy {why.presence.policy}</small>
          </h2>
          <Sources rows={why.presence.sources} isLamp={false} />
        </>
      ) : null}
      <h2>Who watches</h2>
      {why.watchers.length === 0 ? <p class="faint">Nobody.</p> : null}
      <table tabIndex={0}>
        <thead>
          <tr>
            <th>Watcher</th>
            <th>Package</th>
            <th>Was told</th>
            <th>Answered</th>
            <th>Ends in</th>
          </tr>
        </thead>
        <tbody>
          {why.watchers.map((row, index) => (
            <tr key={index}>
              <td>
                {row.watcher} <small class="faint">{row.address}</small>
              </td>
              <td>{row.package}</td>
              <td>{row.told === null ? "–" : <State state={row.told} />}</td>
              <td>{row.answer === null ? "not yet" : `${row.answer}, ${span(row.answered_s ?? 0)} ago`}</td>
              <td>{span(row.expires_s)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

const SETTABLE: Choices = [
  ["INUSE", "in use"],
  ["BUSY", "busy"],
  ["RINGING", "ringing"],
  ["ONHOLD", "on hold"],
  ["NOT_INUSE", "idle"],
  ["UNAVAILABLE", "unavailable"],
];
const PRESENCES = ["available", "away", "xa", "dnd", "chat", "unavailable", "not_set"].map(both);

/** A value that is its own word. */
function both(word: string): [string, string] {
  return [word, word];
}

/** Sets a source of the lamp by hand, and shows what was set. */
function ByHand({ devices, changed }: { devices: string[]; changed: () => void }) {
  const [device, setDevice] = useState(devices[0] ?? "");
  const [length, setLength] = useState("600");
  const [note, setNote] = useState("");
  const [answer, setAnswer] = useState("");
  const isPresence = device.startsWith("CustomPresence:");
  const choices = isPresence ? PRESENCES : SETTABLE;
  const [chosen, setChosen] = useState("");
  const state = choices.some(([value]) => value === chosen) ? chosen : (choices[0]?.[0] ?? "");
  const set = usePolled<Device[]>(() => get("sources"), 5000);
  const mine = (set.value ?? []).filter((row) => devices.includes(row.device));

  const act = async (work: Promise<unknown>, done: string) => {
    try {
      await work;
      setAnswer(done);
    } catch (error) {
      setAnswer(said(error as Error));
    }
    changed();
    set.again();
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const body: Record<string, unknown> = { state };
    if (!isPresence && length !== "") body.for_s = Number(length);
    if (isPresence && note !== "") body.note = note;
    void act(send("PUT", `sources/${encodeURIComponent(device)}`, body), "Set.");
  };
  return (
    <>
      <h2>Set by hand</h2>
      <form class="row" onSubmit={submit}>
        <Choice label="What" value={device} of={devices.map(both)} chosen={setDevice} />
        <Choice label="Status" name="status" value={state} of={choices} chosen={setChosen} />
        {isPresence ? (
          <label>
            Note
            <input value={note} onInput={(event) => setNote(event.currentTarget.value)} />
          </label>
        ) : (
          <Choice label="For" value={length} of={LENGTHS} chosen={setLength} />
        )}
        <button type="submit" class="main">
          Set
        </button>
        {mine.map((row) => (
          <button key={row.device} type="button" onClick={() => act(send("DELETE", `sources/${encodeURIComponent(row.device)}`), "Removed.")}>
            Remove {row.device}: <State state={row.state} /> {row.for_s === null ? "" : span(row.for_s)}
          </button>
        ))}
        <span role="status">{answer}</span>
      </form>
    </>
  );
}

const HOUR_MS = 3_600_000;
/** What the strip may reach back to. */
const REACHES: [number, string][] = [
  [HOUR_MS / 30, "2 min"],
  [HOUR_MS / 4, "15 min"],
  [HOUR_MS, "1 h"],
  [24 * HOUR_MS, "24 h"],
];
/** Asked for again at every change of the lamp, and every so often. */
const HISTORY_MS = 30_000;

interface History {
  /** Whatever came before is not known. */
  since_ms: number;
  changes: { at_ms: number; was: string; state: string }[];
}

/** The last 24 hours or less, as far as the server remembers them. */
function Strip({ resource, state, now, changed }: { resource: string; state: string; now: number; changed: string }) {
  const told = usePolled<History>(() => get(`history/${encodeURIComponent(resource)}`), HISTORY_MS, changed).value;
  const [chosen, setChosen] = useState(0);
  const since = told?.since_ms ?? now;
  const changes = told?.changes ?? [];

  // Where little is remembered, a whole day would be an empty strip.
  const fitting = REACHES.find(([reach]) => now - since < reach)?.[0] ?? 24 * HOUR_MS;
  const reachMs = chosen || fitting;
  const begin = now - reachMs;
  const all = [{ at: since, state: changes[0]?.was ?? state }, ...changes.map(({ at_ms, state }) => ({ at: at_ms, state }))];
  const part = (ms: number) => Math.min(100, Math.max(0, (ms / reachMs) * 100));
  const marks = [0, 0.25, 0.5, 0.75, 1];
  const totals = new Map<string, number>();
  const drawn = all.flatMap((piece, index) => {
    const from = Math.max(piece.at, begin);
    const to = all[index + 1]?.at ?? now;
    if (to <= from) return [];
    totals.set(piece.state, (totals.get(piece.state) ?? 0) + to - from);
    return [{ piece, from, to }];
  });
  const words = STATES.filter((name) => (totals.get(name) ?? 0) >= 1000).map((name) => `${look(name).word} ${span((totals.get(name) ?? 0) / 1000)}`);
  return (
    <figure class="strip">
      <svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={`The last ${span(reachMs / 1000)}: ${words.join(", ")}`}>
        {drawn.slice(-2000).map(({ piece, from, to }) => (
          <rect key={from} class={look(piece.state).tone} x={part(from - begin)} width={Math.max(0.05, part(to - from))} y="0" height="10" />
        ))}
      </svg>
      <div class="hours" aria-hidden="true">
        {marks.map((mark) => (
          <span key={mark}>{new Date(begin + mark * reachMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}</span>
        ))}
      </div>
      <figcaption>
        <span role="group" aria-label="How far back">
          {REACHES.map(([reach, word]) => (
            <button key={word} type="button" aria-pressed={reach === reachMs} onClick={() => setChosen(reach)}>
              {word}
            </button>
          ))}
        </span>
        <span>{words.join(" · ")}</span>
        {since > begin ? <span>remembered since {new Date(since).toLocaleTimeString()}</span> : null}
      </figcaption>
    </figure>
  );
}
