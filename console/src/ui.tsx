// Small parts that every page uses: shapes, times, and what makes a page follow the lamps or the clock.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Refused } from "./api";
import { type Link, lamps } from "./lamps";
import { look } from "./states";

export function Glyph({ state }: { state: string }) {
  const { tone, shape } = look(state);
  return (
    <svg class={`glyph ${tone}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={shape} fill-rule="evenodd" />
    </svg>
  );
}

export function State({ state }: { state: string }) {
  return (
    <span class="state">
      <Glyph state={state} /> {look(state).word}
    </span>
  );
}

/** A length of time in two places at most. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** Draws again when lamps changed. */
export function useLamps(): void {
  const [, draw] = useState(0);
  useEffect(() => lamps.subscribe(() => draw((n) => n + 1)), []);
}

/** How the stream is; draws again when that changes. */
export function useLink(): Link {
  const [link, set] = useState(lamps.link);
  useEffect(() => lamps.subscribe(() => set(lamps.link)), []);
  return link;
}

/** Draws again every `ms`. */
export function useTick(ms: number): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return now;
}

export interface Polled<T> {
  value: T | null;
  error: string;
  /** Asks at once. */
  again: () => void;
}

/** Asks now and every `ms`. */
export function usePolled<T>(ask: () => Promise<T>, ms: number, key = ""): Polled<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState("");
  const asking = useRef(ask);
  asking.current = ask;
  const [round, setRound] = useState(0);
  useEffect(() => {
    let gone = false;
    const once = () =>
      asking.current().then(
        (found) => {
          if (gone) return;
          setValue(found);
          setError("");
        },
        (failure: Error) => {
          if (!gone) setError(said(failure));
        },
      );
    void once();
    const timer = setInterval(once, ms);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [ms, key, round]);
  return { value, error, again: () => setRound((n) => n + 1) };
}

/** What went wrong, for people. */
export function said(error: Error): string {
  if (error instanceof Refused && error.status === 403) return `Not with this token: ${error.message}.`;
  if (error instanceof Refused) return error.message;
  return "The server cannot be reached.";
}

export function Page(props: { title: string; error?: string; tools?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="page">
      <header class="head">
        <h1 tabIndex={-1}>{props.title}</h1>
        {props.tools}
      </header>
      {props.error ? (
        <p class="problem" role="alert">
          {props.error}
        </p>
      ) : null}
      {props.children}
    </section>
  );
}

/** How long something set by hand may hold, in seconds. */
export const LENGTHS: Choices = [
  ["600", "10 minutes"],
  ["3600", "1 hour"],
  ["28800", "8 hours"],
  ["", "until removed"],
];

/** Values, and the words they are chosen by. */
export type Choices = [value: string, word: string][];

/** One of several, with its label. */
export function Choice(props: { label: string; name?: string; value: string; of: Choices; chosen: (value: string) => void }) {
  return (
    <label>
      {props.label}
      <select name={props.name} value={props.value} onChange={(event) => props.chosen(event.currentTarget.value)}>
        {props.of.map(([value, word]) => (
          <option key={value} value={value}>
            {word}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A button that copies, and says that it did. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone("Copied");
    } catch {
      setDone("Select and copy by hand");
    }
    setTimeout(() => setDone(""), 2500);
  };
  return (
    <button type="button" onClick={copy}>
      <span role="status">{done || `Copy ${what}`}</span>
    </button>
  );
}

/** The part of the address behind `?`. */
export function asked(): URLSearchParams {
  return new URLSearchParams(location.hash.split("?")[1] ?? "");
}

export const personLink = (resource: string): string => `#/person/${encodeURIComponent(resource)}`;
export const bare = (uri: string): string => uri.replace(/^<?sips?:/, "").replace(/>$/, "");
