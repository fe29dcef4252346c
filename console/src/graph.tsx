// Who watches whom: watchers on the left, what they watch on the right, lines between; orphans are marked.

import { useMemo, useState } from "preact/hooks";
import { type Subscription, get } from "./api";
import { Approvals } from "./approve";
import { lamps } from "./lamps";
import { Glyph, Page, bare, personLink, useLamps, usePolled } from "./ui";

/** Rows drawn on each side; the search finds the others. */
const DRAWN_MAX = 120;
const ROW_PX = 30;

interface Graph {
  watchers: Map<string, Map<string, number>>;
  watched: Map<string, Set<string>>;
}

export function Graph() {
  useLamps();
  const { value, error } = usePolled<Subscription[]>(() => get("subscriptions"), 5000);
  const [text, setText] = useState("");
  const [only, setOnly] = useState(false);
  const [held, setHeld] = useState("");
  const graph = useMemo(() => collect(value ?? []), [value]);
  const isOrphan = (resource: string) => lamps.all.size > 0 && !lamps.all.has(resource);
  const wanted = text.toLowerCase();
  const fits = (who: string, whom: string) =>
    (wanted === "" || who.toLowerCase().includes(wanted) || whom.toLowerCase().includes(wanted)) && (!only || isOrphan(whom));

  const right = [...graph.watched.keys()]
    .filter((whom) => [...(graph.watched.get(whom) ?? [])].some((who) => fits(who, whom)))
    .sort((a, b) => Number(isOrphan(b)) - Number(isOrphan(a)) || a.localeCompare(b, undefined, { numeric: true }));
  const shownRight = right.slice(0, DRAWN_MAX);
  const place = new Map(shownRight.map((whom, index) => [whom, index]));
  const left = [...graph.watchers.entries()]
    .map(([who, whoms]) => ({ who, to: [...whoms.keys()].filter((whom) => place.has(whom) && fits(who, whom)) }))
    .filter(({ to }) => to.length > 0)
    // Each near the middle of what it watches, so that few lines cross.
    .map((row) => ({ ...row, middle: row.to.reduce((sum, whom) => sum + (place.get(whom) ?? 0), 0) / row.to.length }))
    .sort((a, b) => a.middle - b.middle || a.who.localeCompare(b.who));
  const shownLeft = left.slice(0, DRAWN_MAX);
  const height = Math.max(shownLeft.length, shownRight.length) * ROW_PX;
  const orphans = [...graph.watched.keys()].filter(isOrphan).length;
  const isLit = (who: string, whom: string) => held === `l${who}` || held === `r${whom}`;
  const hold = (name: string) => ({
    onMouseEnter: () => setHeld(name),
    onMouseLeave: () => setHeld(""),
    onFocus: () => setHeld(name),
    onBlur: () => setHeld(""),
  });
  const y = (index: number) => index * ROW_PX + ROW_PX / 2;

  return (
    <Page
      title="Who watches"
      error={error}
      tools={
        <>
          <input type="search" placeholder="Watcher or watched" aria-label="Watcher or watched" value={text} onInput={(event) => setText(event.currentTarget.value)} />
          <button type="button" aria-pressed={only} onClick={() => setOnly(!only)}>
            Orphans <b>{orphans}</b>
          </button>
          <span class="faint">
            {graph.watchers.size} watch {graph.watched.size}; an orphan is watched, but nothing is called that
          </span>
        </>
      }
    >
      <Approvals />
      {value && shownRight.length === 0 ? <p class="empty">{only ? "No orphans: everything watched exists." : "Nobody watches anything here."}</p> : null}
      <div class="graph">
        <ul aria-label="Watchers">
          {shownLeft.map(({ who, to }) => (
            <li key={who} class={to.some((whom) => isLit(who, whom)) ? "lit" : ""}>
              <a href={`#/subscriptions?watcher=${encodeURIComponent(who)}`} title={who} aria-description={`watches ${to.map(bare).join(", ")}`} {...hold(`l${who}`)}>
                <span>{bare(who)}</span> <small>{to.length}</small>
              </a>
            </li>
          ))}
        </ul>
        <svg viewBox={`0 0 100 ${height}`} height={height} preserveAspectRatio="none" aria-hidden="true">
          {shownLeft.flatMap(({ who, to }, from) =>
            to.map((whom) => {
              const [a, b] = [y(from), y(place.get(whom) ?? 0)];
              const style = isLit(who, whom) ? "lit" : isOrphan(whom) ? "orphan" : "";
              return <path key={`${who} ${whom}`} class={style} d={`M0 ${a}C50 ${a} 50 ${b} 100 ${b}`} vector-effect="non-scaling-stroke" />;
            }),
          )}
        </svg>
        <ul aria-label="Watched">
          {shownRight.map((whom) => {
            const watchers = graph.watched.get(whom) ?? new Set<string>();
            const orphan = isOrphan(whom);
            return (
              <li key={whom} class={`${orphan ? "orphan" : ""} ${[...watchers].some((who) => isLit(who, whom)) ? "lit" : ""}`}>
                <a href={personLink(whom)} title={whom} {...hold(`r${whom}`)}>
                  <Glyph state={orphan ? "?" : (lamps.all.get(whom)?.state ?? "")} />
                  <span>{bare(whom)}</span> <small>{orphan ? "unknown" : watchers.size}</small>
                </a>
              </li>
            );
          })}
        </ul>
      </div>
      {left.length > shownLeft.length || right.length > shownRight.length ? (
        <p class="faint">
          Drawn are {shownLeft.length} of {left.length} watchers and {shownRight.length} of {right.length} watched; the search finds the others.
        </p>
      ) : null}
    </Page>
  );
}

function collect(rows: Subscription[]): Graph {
  const graph: Graph = { watchers: new Map(), watched: new Map() };
  for (const { watcher, resource } of rows) {
    const whoms = graph.watchers.get(watcher) ?? new Map<string, number>();
    whoms.set(resource, (whoms.get(resource) ?? 0) + 1);
    graph.watchers.set(watcher, whoms);
    graph.watched.set(resource, (graph.watched.get(resource) ?? new Set<string>()).add(watcher));
  }
  return graph;
}
