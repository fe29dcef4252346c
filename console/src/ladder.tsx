// The SIP ladder: messages as they go by, by Call-ID, peer or method; detail, comparison, and a capture file.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, listen } from "./api";
import { pcap } from "./pcap";
import { type Message, compared, read } from "./sip";
import { Page, asked, said, usePolled } from "./ui";

/** Messages kept in the browser, and rows drawn of them. */
const KEPT_MAX = 5000;
const DRAWN_MAX = 200;
/** How often it is asked who is at which address. */
const NAMES_EVERY_MS = 5000;

export function Ladder() {
  const [text, setText] = useState(asked().get("call_id") ?? asked().get("peer") ?? "");
  const [quiet, setQuiet] = useState(true);
  const [paused, setPaused] = useState(false);
  const [problem, setProblem] = useState("");
  const [picked, setPicked] = useState<Message[]>([]);
  const [, draw] = useState(0);
  const kept = useRef<Message[]>([]);
  const isPaused = useRef(false);
  const own = useRef("127.0.0.1:5060");
  const names = useNames();
  const who = (remote: string) => names.get(remote) ?? "";
  isPaused.current = paused;

  useEffect(() => {
    const stop = new AbortController();
    let key = 0;
    let due = 0;
    const take = (name: string, data: string) => {
      if (name !== "message" || data === "" || isPaused.current) return;
      kept.current.push(read(JSON.parse(data) as Message, (key += 1)));
      if (kept.current.length > KEPT_MAX) kept.current.splice(0, kept.current.length - KEPT_MAX + 500);
      due ||= window.setTimeout(() => {
        due = 0;
        draw((n) => n + 1);
      }, 120);
    };
    const follow = async () => {
      while (!stop.signal.aborted) {
        await listen("messages", "", stop.signal, (event) => take(event.name, event.data), () => setProblem("")).catch(
          (error: Error) => !stop.signal.aborted && setProblem(said(error)),
        );
        await new Promise((wait) => setTimeout(wait, 2000));
      }
    };
    void follow();
    get<{ listeners: string[] }>("server").then(
      ({ listeners }) => {
        own.current = listeners[0]?.replace(/^\w+:/, "") ?? own.current;
      },
      () => {},
    );
    return () => stop.abort();
  }, []);

  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (message: Message) => {
    if (quiet && words.length === 0 && /^(OPTIONS)$/.test(message.what)) return false;
    const hay = `${message.callId} ${message.remote} ${who(message.remote)} ${message.what} ${message.cseq} ${message.about}`.toLowerCase();
    return words.every((word) => hay.includes(word));
  };
  const matching = kept.current.filter(fits);
  const shown = matching.slice(-DRAWN_MAX);
  const remotes = useMemo(() => [...new Set(shown.map((message) => message.remote))], [shown.length, shown.at(-1)?.key]);

  const pick = (message: Message) =>
    setPicked((now) => (now.includes(message) ? now.filter((other) => other !== message) : [...now.slice(-1), message]));
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(pcap(matching, own.current));
    link.download = "lampyris.pcap";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  return (
    <Page
      title="SIP ladder"
      error={problem}
      tools={
        <>
          <input type="search" class="broad" placeholder="Call-ID, peer, method, extension" aria-label="Call-ID, peer, method or extension" value={text} onInput={(event) => setText(event.currentTarget.value)} />
          <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
            Pause
          </button>
          <button type="button" aria-pressed={!quiet} onClick={() => setQuiet(!quiet)}>
            OPTIONS too
          </button>
          <button type="button" onClick={() => ((kept.current = []), setPicked([]))}>
            Clear
          </button>
          <button type="button" onClick={save} disabled={matching.length === 0}>
            Download pcap
          </button>
          <span class="faint">
            {matching.length} of {kept.current.length} messages, {remotes.length} peers; pick two to compare
          </span>
        </>
      }
    >
      <div class={picked.length > 0 ? "ladder open" : "ladder"}>
        {shown.length === 0 ? <p class="empty">{paused ? "Paused." : "Nothing has gone by yet that fits."}</p> : null}
        <ol aria-label="Messages, newest first" hidden={shown.length === 0}>
          {shown
            .slice()
            .reverse()
            .map((message) => (
              <li key={message.key}>
                <button type="button" aria-pressed={picked.includes(message)} onClick={() => pick(message)}>
                  <time>{clock(message.at_ms)}</time>
                  <span class="peer" title={message.remote}>
                    {who(message.remote) || message.remote}
                  </span>
                  <Arrow message={message} />
                  <span class="about">
                    {message.about || message.cseq}
                  </span>
                  <span class="id mono">{message.callId}</span>
                </button>
              </li>
            ))}
        </ol>
        {picked.length > 0 ? <Detail picked={picked} who={who} only={(callId) => setText(callId)} close={() => setPicked([])} /> : null}
      </div>
    </Page>
  );
}

const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 23);

function Arrow({ message }: { message: Message }) {
  const code = Number(message.what.slice(0, 3));
  // A challenge is on the way to an answer, not a failure.
  const isEarly = code < 200 || code === 401 || code === 407;
  const tone = Number.isNaN(code) ? "request" : isEarly ? "early" : code < 300 ? "good" : "bad";
  const inward = message.direction === "received";
  return (
    <span class={`arrow ${tone} ${inward ? "in" : "out"}`}>
      <span class="hidden">{inward ? "received" : "sent"}</span>
      <b>{message.what}</b>
      <small>{message.transport.toLowerCase()}</small>
    </span>
  );
}

/** Who is at which address: each peer where it is now, and where it was while this is shown. */
function useNames(): Map<string, string> {
  const known = useRef(new Map<string, string>());
  const peers = usePolled<{ name: string; address: string }[]>(() => get("peers"), NAMES_EVERY_MS);
  for (const { name, address } of peers.value ?? []) known.current.set(address, name);
  return known.current;
}

interface Detailed {
  picked: Message[];
  who: (remote: string) => string;
  only: (callId: string) => void;
  close: () => void;
}

function Detail({ picked, who, only, close }: Detailed) {
  const [first, second] = picked;
  if (!first) return null;
  return (
    <aside aria-label="Message">
      <div class="row">
        <h2>{second ? `Compared: ${first.what} and ${second.what}` : first.what}</h2>
        {second ? null : (
          <span class="faint">
            {first.direction === "received" ? "from" : "to"} {who(first.remote)} {first.remote}
          </span>
        )}
        <button type="button" onClick={() => only((second ?? first).callId)}>
          Only this Call-ID
        </button>
        <button type="button" onClick={() => only((second ?? first).remote)}>
          Only this peer
        </button>
        <button type="button" class="quiet" onClick={close}>
          Close
        </button>
      </div>
      {second ? (
        <pre tabIndex={0} aria-label="Both messages; - is in the first only, + in the second only">
          {compared(first.text, second.text).map(({ line, side }, index) => (
            <span key={index} class={side}>{`${side === "both" ? " " : side === "left" ? "-" : "+"} ${line}\n`}</span>
          ))}
        </pre>
      ) : (
        <pre tabIndex={0}>{first.text}</pre>
      )}
    </aside>
  );
}
