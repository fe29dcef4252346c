// Lamps by group, side by side. Only the rows in sight exist as nodes, however many lamps there are.

import { Component } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Lamp, title } from "./lamps";
import { look } from "./states";
import { Glyph, personLink, span } from "./ui";

/** A row of the list: a group's head, or lamps side by side. */
type Row = { top: number; height: number; group: string; count: number } | { top: number; height: number; from: number; to: number };

interface Sizes {
  cell: number;
  height: number;
  head: number;
  gap: number;
}

export const DESK: Sizes = { cell: 218, height: 58, head: 38, gap: 6 };
export const WALL: Sizes = { cell: 300, height: 92, head: 50, gap: 10 };
/** Rows beyond the edges, so that a quick scroll shows no holes. */
const MARGIN_PX = 240;

export function Grid({ shown, now, sizes }: { shown: Lamp[]; now: number; sizes: Sizes }) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800, width: 1000 });
  const [active, setActive] = useState("");
  const focusing = useRef(false);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight, width: element.clientWidth });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, []);

  const inner = view.width - 24;
  const columns = Math.max(inner < 480 ? 2 : 1, Math.floor((inner + sizes.gap) / (sizes.cell + sizes.gap)));
  const width = Math.floor((inner - (columns - 1) * sizes.gap) / columns);
  const { rows, height } = useMemo(() => layout(shown, columns, sizes), [shown, columns, sizes]);
  const first = rowAt(rows, view.top - MARGIN_PX);
  const last = rowAt(rows, view.top + view.height + MARGIN_PX);

  const activeIndex = Math.max(0, active === "" ? 0 : shown.findIndex((lamp) => lamp.resource === active));
  useEffect(() => {
    if (!focusing.current) return;
    focusing.current = false;
    box.current?.querySelector<HTMLElement>('a[tabindex="0"]')?.focus({ preventScroll: true });
  });

  const onKey = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    let to = activeIndex + (steps[event.key] ?? 0);
    if (event.key === "Home") to = 0;
    else if (event.key === "End") to = shown.length - 1;
    else if (!(event.key in steps)) return;
    event.preventDefault();
    to = Math.min(shown.length - 1, Math.max(0, to));
    const row = rows.find((row) => "from" in row && to >= row.from && to < row.to);
    const element = box.current;
    if (row && element) {
      if (row.top < element.scrollTop + sizes.head) element.scrollTop = row.top - sizes.head;
      else if (row.top + row.height > element.scrollTop + element.clientHeight)
        element.scrollTop = row.top + row.height - element.clientHeight + sizes.gap;
    }
    focusing.current = true;
    setActive(shown[to]?.resource ?? "");
  };

  return (
    <div class="scroll" ref={box} onKeyDown={onKey}>
      <div class="sheet" role="list" aria-label="Lamps" style={{ height: `${height}px` }}>
        {rows.slice(first, last + 1).map((row) =>
          "group" in row ? (
            <h2 key={`g${row.group}`} role="presentation" style={{ top: `${row.top}px`, height: `${row.height}px` }}>
              {row.group} <small>{row.count}</small>
            </h2>
          ) : (
            shown.slice(row.from, row.to).map((lamp, column) => (
              <Cell
                key={lamp.resource}
                lamp={lamp}
                state={lamp.state}
                presence={lamp.presence}
                note={lamp.note}
                peerOf={lamp.peerOf}
                left={column * (width + sizes.gap)}
                top={row.top}
                width={width}
                height={sizes.height}
                place={row.from + column}
                total={shown.length}
                active={row.from + column === activeIndex}
                seconds={Math.floor((now - lamp.since) / 1000)}
              />
            ))
          ),
        )}
      </div>
    </div>
  );
}

interface CellProps {
  lamp: Lamp;
  state: string;
  presence: string;
  note: string;
  peerOf: string;
  left: number;
  top: number;
  width: number;
  height: number;
  place: number;
  total: number;
  active: boolean;
  seconds: number;
}

/** Drawn again only where what it shows changed: most lamps did not in most frames. */
class Cell extends Component<CellProps> {
  override shouldComponentUpdate(next: CellProps): boolean {
    return (Object.keys(next) as (keyof CellProps)[]).some((name) => next[name] !== this.props[name]);
  }

  render() {
    const { lamp, state, note, peerOf, left, top, width, height, place, total, active, seconds } = this.props;
    const { tone, word } = look(state);
    const presence = this.props.presence === "not_set" ? "" : this.props.presence;
    return (
      <div
        role="listitem"
        aria-posinset={place + 1}
        aria-setsize={total}
        style={{ transform: `translate(${left}px,${top}px)`, width: `${width}px`, height: `${height}px` }}
      >
        <a class={`lamp ${tone}`} href={personLink(lamp.resource)} tabIndex={active ? 0 : -1} data-lamp={lamp.resource} data-state={state}>
          <Glyph state={state} />
          <span class="name">
            <b>{lamp.name}</b> <span>{title(lamp) === lamp.name ? "" : title(lamp)}</span>
          </span>
          <span class="what">
            <span class="word">{word}</span>
            {presence ? (
              <span class="presence" title={note}>
                {note ? `${presence}: ${note}` : presence}
              </span>
            ) : null}
            {peerOf && state !== "Idle" ? <span class="with">{`with ${peerOf}`}</span> : null}
            <span class="timer">{span(seconds)}</span>
          </span>
        </a>
      </div>
    );
  }
}

/** Where each row is; groups begin a new one. */
function layout(shown: Lamp[], columns: number, sizes: Sizes): { rows: Row[]; height: number } {
  const rows: Row[] = [];
  let top = 0;
  for (let from = 0; from < shown.length; ) {
    const begin = shown[from] as Lamp;
    let end = from;
    while (end < shown.length && shown[end]?.group === begin.group && shown[end]?.isPerson === begin.isPerson) end += 1;
    const group = begin.isPerson ? `People at ${begin.group}` : begin.group;
    rows.push({ top, height: sizes.head, group, count: end - from });
    top += sizes.head;
    for (; from < end; from += columns) {
      const to = Math.min(end, from + columns);
      rows.push({ top, height: sizes.height, from, to });
      top += sizes.height + sizes.gap;
    }
    from = end;
  }
  return { rows, height: top };
}

/** The last row that begins at or before `y`. */
function rowAt(rows: Row[], y: number): number {
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((rows[middle]?.top ?? 0) <= y) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low);
}
