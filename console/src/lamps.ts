// Every lamp there is, kept true by the stream of events, and told to the page once per frame at most.

import { type Call, type Presentity, Refused, get, listen } from "./api";

/** A lamp as the board keeps it. */
export interface Lamp {
  resource: string;
  name: string;
  group: string;
  display: string;
  state: string;
  presence: string;
  /** In the person's own words. */
  note: string;
  /** When it changed, by this browser's clock, in ms. */
  since: number;
  devices: string[];
  peers: string[];
  watchers: number;
  isPerson: boolean;
  /** What a search looks in, in lower case. */
  haystack: string;
  sortKey: string;
  /** Who it talks with, where that may be seen. */
  peerOf: string;
}

export type Link = "connecting" | "live" | "lost" | "refused";

/** How much of a snapshot is read before the browser gets its turn. */
const SLICE_CHARS = 200_000;

class Lamps {
  all = new Map<string, Lamp>();
  /** In the order of the board: by group, then by name. */
  order: Lamp[] = [];
  counts = new Map<string, number>();
  /** Changes of states, counted. */
  changes = 0;
  /** Rises when lamps come or go, not when they change. */
  generation = 0;
  link: Link = "connecting";
  lastId = "";
  isAdmin = false;
  private readers = new Set<() => void>();
  private pending = false;
  private callsDue = 0;
  private byPeer = new Map<string, Lamp[]>();
  private withNow = new Set<Lamp>();

  /** Calls `reader` once per frame in which something changed. */
  subscribe(reader: () => void): () => void {
    this.readers.add(reader);
    return () => this.readers.delete(reader);
  }

  private touch(): void {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      for (const reader of this.readers) reader();
    });
  }

  private setLink(link: Link): void {
    this.link = link;
    this.touch();
  }

  /** Follows the server for as long as the page lives; ends when the token is refused. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await listen("events", this.lastId, signal, (event) => this.take(event.name, event.id, event.data), () =>
          this.setLink("live"),
        );
      } catch (error) {
        if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
          this.setLink("refused");
          return;
        }
      }
      if (signal.aborted) return;
      this.setLink("lost");
      await new Promise((wait) => setTimeout(wait, 2000));
    }
  }

  private take(name: string, id: string, data: string): void {
    if (id !== "") this.lastId = id;
    if (name === "extension") {
      const event = JSON.parse(data) as { extension: string; state: string; at_ms: number };
      this.change(event.extension, event.state, event.at_ms);
    } else if (name === "snapshot") {
      void this.takeSnapshot(data);
    } else if (name === "publication" || name === "status" || name === "feature") {
      // Why: whoever says something of themselves looks whether it is there.
      this.refreshSoon(name === "publication" ? 3000 : 100);
    }
  }

  private snapshots = 0;
  private changesHeld: [string, string, number][] | null = null;

  private change(resource: string, state: string, at: number): void {
    if (this.changesHeld) {
      this.changesHeld.push([resource, state, at]);
      return;
    }
    const lamp = this.all.get(resource);
    if (!lamp) {
      this.refreshSoon();
      return;
    }
    this.count(lamp.state, -1);
    lamp.state = state;
    lamp.since = at;
    this.count(state, 1);
    this.changes += 1;
    this.callsSoon();
    this.touch();
  }

  private count(state: string, by: number): void {
    this.counts.set(state, (this.counts.get(state) ?? 0) + by);
  }

  /** Reads a snapshot in slices, so that ten thousand lamps do not stop the page; what changes meanwhile waits. */
  private async takeSnapshot(data: string): Promise<void> {
    // A newer snapshot holds what an older one and the changes between them said.
    const mine = (this.snapshots += 1);
    this.changesHeld = [];
    // Quotes within strings are escaped, so this stands only where a row begins.
    const mark = '{"resource":';
    const begin = data.indexOf(mark);
    const end = data.lastIndexOf("]");
    const at = Number(/"at_ms":(\d+)/.exec(data.slice(0, begin < 0 ? undefined : begin))?.[1] ?? Date.now());
    const lamps: Lamp[] = [];
    for (let from = begin; from >= 0 && from < end; ) {
      let next = data.indexOf(mark, from + SLICE_CHARS);
      if (next < 0) next = end + 1;
      for (const row of JSON.parse(`[${data.slice(from, next - 1)}]`) as Presentity[]) lamps.push(lampOf(row, at));
      from = next;
      await new Promise((turn) => setTimeout(turn));
      if (mine !== this.snapshots) return;
    }
    this.replace(lamps);
  }

  /** Shows these and no others. */
  private replace(order: Lamp[]): void {
    const all = new Map<string, Lamp>();
    for (const lamp of order) all.set(lamp.resource, lamp);
    order.sort(before);
    this.all = all;
    this.order = order;
    this.counts.clear();
    this.byPeer.clear();
    this.withNow.clear();
    for (const lamp of order) {
      this.count(lamp.state, 1);
      for (const peer of lamp.peers) {
        const known = this.byPeer.get(peer);
        if (known) known.push(lamp);
        else this.byPeer.set(peer, [lamp]);
      }
    }
    this.generation += 1;
    const held = this.changesHeld ?? [];
    this.changesHeld = null;
    for (const [resource, state, when] of held) this.change(resource, state, when);
    this.callsSoon();
    this.touch();
  }

  private refreshDue = 0;

  /** What events do not say (a presence, a new person) is asked for, seldom. */
  private refreshSoon(within = 3000): void {
    if (this.refreshDue !== 0) {
      if (within >= 3000) return;
      clearTimeout(this.refreshDue);
    }
    this.refreshDue = window.setTimeout(async () => {
      this.refreshDue = 0;
      const rows = await Promise.all([get<Presentity[]>("extensions"), get<Presentity[]>("people")]).catch(() => []);
      let isNew = false;
      for (const row of rows.flat()) {
        const lamp = this.all.get(row.resource);
        if (!lamp) isNew = true;
        else Object.assign(lamp, { presence: row.presence, note: row.note, display: row.display, watchers: row.watchers });
      }
      if (isNew) this.replace(rows.flat().map((row) => lampOf(row, Date.now())));
      this.touch();
    }, within);
  }

  /** Who talks with whom is asked for after changes, at most twice a second. */
  private callsSoon(): void {
    if (!this.isAdmin || this.callsDue !== 0) return;
    this.callsDue = window.setTimeout(async () => {
      this.callsDue = 0;
      const calls = await get<Call[]>("calls").catch(() => []);
      for (const lamp of this.withNow) lamp.peerOf = "";
      this.withNow.clear();
      for (const call of calls) {
        if (call.state === "terminated") continue;
        this.talks(call.caller, call.callee);
        this.talks(call.callee, call.caller);
      }
      this.touch();
    }, 500);
  }

  private talks(who: string, other: string): void {
    for (const lamp of this.byPeer.get(who) ?? []) {
      lamp.peerOf = other.replace(/^sips?:/, "");
      this.withNow.add(lamp);
    }
  }
}

function lampOf(row: Presentity, at: number): Lamp {
  const { resource, name, group, display, state, presence, note, devices, peers, watchers } = row;
  const haystack = `${name} ${display} ${group} ${peers.join(" ")}`.toLowerCase();
  const since = at - row.since_s * 1000;
  const isPerson = resource.startsWith("sip:");
  const told = { resource, name, group, display, state, presence, note, devices, peers, watchers };
  return { ...told, since, isPerson, haystack, sortKey: sortKey(name), peerOf: "" };
}

/** Extensions before people, by group; numbers by their size, names by their letters. */
function before(a: Lamp, b: Lamp): number {
  if (a.isPerson !== b.isPerson) return a.isPerson ? 1 : -1;
  if (a.group !== b.group) return a.group < b.group ? -1 : 1;
  const [left, right] = [a.sortKey, b.sortKey];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** A number gets its length in front, so that 99 stands before 100. */
function sortKey(name: string): string {
  return /^\d+$/.test(name) ? `0${String(name.length).padStart(3, "0")}${name}` : `1${name.toLowerCase()}`;
}

export const lamps = new Lamps();

/** What a person calls it. */
export const title = (lamp: Lamp): string => lamp.display || (lamp.isPerson ? lamp.name : lamp.peers.join(", "));
