// Asking the HTTP API (docs/api.md): the token, requests, and streams of server-sent events.

/** A lamp: an extension or a person. */
export interface Presentity {
  resource: string;
  name: string;
  group: string;
  display: string;
  state: string;
  since_s: number;
  presence: string;
  note: string;
  devices: string[];
  peers: string[];
  watchers: number;
  publications: number;
}

export interface Subscription {
  peer: string;
  watcher: string;
  call_id: string;
  resource: string;
  package: string;
  format: string;
  last_state: string | null;
  granted_s: number;
  expires_s: number;
  profile: string;
  user_agent: string;
  notifies: number;
  last_answer: number | null;
  transport: string;
}

export interface Call {
  id: string;
  caller: string;
  callee: string;
  asked: string;
  state: string;
  hold: string;
  since_s: number;
}

/** One thing that says something about somebody, and for how long. */
export interface Source {
  kind?: string;
  name: string;
  state: string;
  because: string;
  won: boolean;
  since_s: number;
  expires_s: number | null;
}

/** Watchers of whom the rules say the same. */
export interface WatcherClass {
  package: string;
  watchers: string[];
  handling: string;
  sees: string;
  because: string;
}

/** A watcher that nobody has decided upon. */
export interface Waiting {
  user: string;
  watcher: string;
  package: string;
  since_s: number;
}

export interface Why {
  resource: string;
  state: string;
  since_s: number;
  sources: Source[];
  presence: { person: string; policy: string; sources: Source[] } | null;
  classes: WatcherClass[];
  watchers: {
    watcher: string;
    address: string;
    package: string;
    told: string | null;
    answer: number | null;
    answered_s: number | null;
    expires_s: number;
  }[];
}

/** What a request was refused with, in the server's words (RFC 9457). */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const KEY = "lampyris-token";
let token = localStorage.getItem(KEY) ?? "";

export const hasToken = (): boolean => token !== "";

/** Keeps the token in this browser; an empty one forgets it. */
export function setToken(value: string): void {
  token = value;
  if (value === "") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, value);
}

async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token !== "") headers.set("authorization", `Bearer ${token}`);
  const answer = await fetch(path, { ...init, headers });
  if (answer.ok) return answer;
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
  throw new Refused(answer.status, problem.detail ?? `the server answered ${answer.status}`);
}

/** A view. */
export async function get<T>(path: string): Promise<T> {
  return (await (await request(`/api/v1/${path}`)).json()) as T;
}

/** The text of the metrics. */
export async function metrics(): Promise<string> {
  return (await request("/metrics")).text();
}

/** A change. */
export async function send<T>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "content-type": "application/json" };
  }
  return (await (await request(`/api/v1/${path}`, init)).json()) as T;
}

/** Exchanges the code of a one-time link for a token. */
export async function redeem(code: string): Promise<void> {
  setToken("");
  setToken((await send<{ token: string }>("POST", "link", { code })).token);
}

export interface Occurrence {
  name: string;
  id: string;
  data: string;
}

/** Reads one stream until it ends or `signal` ends it. */
export async function listen(
  path: string,
  lastId: string,
  signal: AbortSignal,
  take: (event: Occurrence) => void,
  opened: () => void = () => {},
): Promise<void> {
  const headers: Record<string, string> = lastId === "" ? {} : { "last-event-id": lastId };
  const answer = await request(`/api/v1/${path}`, { headers, signal });
  if (!answer.body) return;
  opened();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  // A block ends with an empty line; a long one (the snapshot) comes in many pieces, which are joined once.
  let pieces: string[] = [];
  let tail = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    if (!(tail + value).includes("\n\n")) {
      pieces.push(value);
      tail = value.slice(-1);
      continue;
    }
    const text = pieces.join("") + value;
    let from = 0;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n", from)) {
      const event = parse(text.slice(from, end));
      from = end + 2;
      if (event) take(event);
    }
    const rest = text.slice(from);
    pieces = [rest];
    tail = rest.slice(-1);
  }
}

function parse(block: string): Occurrence | null {
  const event: Occurrence = { name: "message", id: "", data: "" };
  for (const line of block.split("\n")) {
    if (line.startsWith("data: ")) event.data = line.slice(6);
    else if (line.startsWith("event: ")) event.name = line.slice(7);
    else if (line.startsWith("id: ")) event.id = line.slice(4);
  }
  return event.data === "" && event.id === "" ? null : event;
}
