// The board: every lamp, by group, as far as searched and filtered.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { DESK, Grid, WALL } from "./grid";
import { lamps } from "./lamps";
import { STATES, look } from "./states";
import { Glyph, useLamps, useTick } from "./ui";

/** Where a filter by state is on, how often it is applied again. */
const REFILTER_MS = 500;

export function Board({ kiosk, leave }: { kiosk: boolean; leave: () => void }) {
  useLamps();
  const now = useTick(1000);
  const [text, setText] = useState("");
  const [state, setState] = useState("");
  const [kind, setKind] = useState<"" | "extensions" | "people">("");
  const search = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        search.current?.focus();
      } else if (event.key === "Escape" && kiosk) leave();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [kiosk, leave]);

  const round = state === "" ? 0 : Math.floor(now / REFILTER_MS);
  const shown = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return lamps.order.filter(
      (lamp) =>
        (kind === "" || lamp.isPerson === (kind === "people")) &&
        (state === "" || lamp.state === state) &&
        words.every((word) => lamp.haystack.includes(word)),
    );
  }, [text, state, kind, round, lamps.generation]);

  const present = STATES.filter((name) => (lamps.counts.get(name) ?? 0) > 0 || name === state);
  return (
    <section class={kiosk ? "board wall" : "board"}>
      <header class="head">
        <h1 tabIndex={-1}>Board</h1>
        {kiosk ? (
          <time class="clock">{new Date(now).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}</time>
        ) : (
          <>
            <input
              ref={search}
              type="search"
              placeholder="Search (Ctrl K)"
              aria-label="Search names, extensions and phones"
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
            <select
              aria-label="Which lamps"
              value={kind}
              onChange={(event) => setKind(event.currentTarget.value as typeof kind)}
            >
              <option value="">Everything</option>
              <option value="extensions">Extensions</option>
              <option value="people">People</option>
            </select>
          </>
        )}
        <div class="chips" role="group" aria-label="Only those that are">
          {present.map((name) => (
            <button
              key={name}
              type="button"
              class="chip"
              aria-pressed={state === name}
              onClick={() => setState(state === name ? "" : name)}
            >
              <Glyph state={name} /> {look(name).word} <b>{lamps.counts.get(name) ?? 0}</b>
            </button>
          ))}
        </div>
        {kiosk ? (
          <button type="button" class="quiet" onClick={leave}>
            Leave wall (Esc)
          </button>
        ) : (
          <a class="button wide" href="#/wall">
            Wall screen
          </a>
        )}
      </header>
      {shown.length === 0 ? (
        <p class="empty">{lamps.order.length === 0 ? "No lamps yet: nothing is configured that could be watched." : "Nothing matches."}</p>
      ) : (
        <Grid shown={shown} now={now} sizes={kiosk ? WALL : DESK} />
      )}
    </section>
  );
}
