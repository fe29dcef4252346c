// Health: how many NOTIFYs, how fast, what was refused, the store; drawn from /metrics, which is what Prometheus reads too.

import { useRef } from "preact/hooks";
import { get, metrics } from "./api";
import { Page, span, usePolled } from "./ui";

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

interface Server {
  version: string;
  listeners: string[];
  durability: string;
}

const EVERY_MS = 2000;
/** Points of the small curves: four minutes. */
const POINTS = 120;

function parse(text: string): Sample[] {
  const out: Sample[] = [];
  for (const line of text.split("\n")) {
    const found = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!found || line.startsWith("#")) continue;
    const labels: Record<string, string> = {};
    for (const pair of (found[2] ?? "").matchAll(/(\w+)="([^"]*)"/g)) labels[pair[1] ?? ""] = pair[2] ?? "";
    out.push({ name: found[1] ?? "", labels, value: Number(found[3]) });
  }
  return out;
}

/** The value below which `part` of a histogram's observations lie, in ms. */
function quantile(samples: Sample[], name: string, part: number): string {
  const buckets = samples.filter((sample) => sample.name === `lampyris_${name}_bucket`);
  const all = buckets.at(-1)?.value ?? 0;
  if (all === 0) return "–";
  const found = buckets.find((bucket) => bucket.value >= all * part);
  const limit = Number(found?.labels.le);
  return Number.isFinite(limit) ? `≤ ${+(limit * 1000).toPrecision(3)} ms` : "over 32 s";
}

export function Health() {
  const history = useRef<{ at: number; notifies: number; requests: number }[]>([]);
  const { value, error } = usePolled(async () => {
    const [text, server, devices, gateways, statuses] = await Promise.all([
      metrics(),
      get<Server>("server"),
      get<{ source: string }[]>("devices"),
      get<{ state: string }[]>("gateways"),
      get<{ status: string | null }[]>("statuses"),
    ]);
    const samples = parse(text);
    const total = (name: string) => samples.filter((sample) => sample.name === `lampyris_${name}`).reduce((sum, sample) => sum + sample.value, 0);
    history.current.push({ at: Date.now(), notifies: total("notifies_sent_total"), requests: total("requests_received_total") });
    history.current = history.current.slice(-POINTS - 1);
    const sources = new Map<string, number>();
    const count = (name: string) => sources.set(name, (sources.get(name) ?? 0) + 1);
    for (const { source } of devices) count(`devices by ${source}`);
    for (const { state } of gateways) count(`gateways ${state}`);
    for (const { status } of statuses) if (status !== null) count("people by command");
    return { samples, server, sources: [...sources].sort(([a], [b]) => a.localeCompare(b)) };
  }, EVERY_MS);
  const samples = value?.samples ?? [];
  const of = (name: string) => samples.filter((sample) => sample.name === `lampyris_${name}`);
  const total = (name: string) => of(name).reduce((sum, sample) => sum + sample.value, 0);
  const rates = (pick: "notifies" | "requests") =>
    history.current.slice(1).map((point, index) => {
      const before = history.current[index] ?? point;
      return Math.max(0, ((point[pick] - before[pick]) * 1000) / Math.max(1, point.at - before.at));
    });
  const stale = total("lamps_stale");
  const bugs = total("bugs_total");
  const failed = total("records_failed_total");
  const must = (n: number) => (n === 0 ? "good" : "bad");
  return (
    <Page title="Health" error={error} tools={<span class="faint">{value ? `lampyris ${value.server.version}, up ${span(total("uptime_seconds"))}` : ""}</span>}>
      <div class="tiles">
        <Tile title="Stale lamps" value={stale} tone={must(stale)} note="must be 0" />
        <Tile title="Own bugs" value={bugs} tone={must(bugs)} note="must be 0" />
        <Tile title="Records not stored" value={failed} tone={must(failed)} note="must be 0" />
        <Curve title="NOTIFY per second" rates={rates("notifies")} />
        <Curve title="Requests per second" rates={rates("requests")} />
        <Tile title="Change to NOTIFY" value={quantile(samples, "notify_change_to_sent_seconds", 0.5)} note={`99 %: ${quantile(samples, "notify_change_to_sent_seconds", 0.99)}`} />
        <Tile title="NOTIFY to answer" value={quantile(samples, "notify_sent_to_answered_seconds", 0.5)} note={`99 %: ${quantile(samples, "notify_sent_to_answered_seconds", 0.99)}`} />
        <Tile title="Store" value={quantile(samples, "store_commit_seconds", 0.5)} note={`99 %: ${quantile(samples, "store_commit_seconds", 0.99)}`} />
        <Tile title="NOTIFYs answered" value={total("notifies_answered_total")} note={`of ${total("notifies_sent_total")} sent`} />
      </div>
      <div class="columns">
        <Bars title="Subscriptions" rows={of("subscriptions").map(({ labels, value }) => [`${labels.package} · ${labels.transport}${labels.state === "active" ? "" : ` · ${labels.state}`}`, value])} />
        <Bars title="Requests refused" rows={of("requests_refused_total").map(({ labels, value }) => [labels.code ?? "", value])} />
        <Bars title="NOTIFYs refused" rows={of("notifies_failed_total").map(({ labels, value }) => [labels.code ?? "", value])} />
        <Bars
          title="Requests received"
          rows={[...of("requests_received_total").reduce((sums, { labels, value }) => sums.set(labels.method ?? "", (sums.get(labels.method ?? "") ?? 0) + value), new Map<string, number>())]}
        />
        <Bars
          title={`Store (${value?.server.durability ?? "…"})`}
          rows={[
            ["records stored", total("records_stored_total")],
            ["commits", total("store_commits_total")],
          ]}
        />
        <Bars title="Limits hit" rows={of("limits_hit_total").filter(({ value }) => value > 0).map(({ labels, value }) => [(labels.limit ?? "").replaceAll("_", " "), value])} />
        <Bars
          title="Waiting"
          rows={[
            ["records for the store", total("records_waiting")],
            ["messages for the store", total("messages_held")],
            ["datagrams", total("datagrams_waiting")],
            ["for the node", total("inbox_waiting")],
          ]}
        />
        <Bars
          title="Sources"
          rows={[...(value?.sources ?? []), ["publications", total("publications")], ["bindings", total("bindings")], ["calls", total("calls")]]}
        />
        <Bars
          title="Holds"
          rows={[
            ["subscriptions", total("subscriptions")],
            ["publications", total("publications")],
            ["bindings", total("bindings")],
            ["calls", total("calls")],
            ["transactions", total("transactions")],
          ]}
        />
      </div>
      <p class="faint mono">{value?.server.listeners.join("  ")}</p>
    </Page>
  );
}

function Tile({ title, value, note, tone = "" }: { title: string; value: number | string; note: string; tone?: string }) {
  return (
    <div class={`tile ${tone}`}>
      <h2>{title}</h2>
      <b>{typeof value === "number" ? value.toLocaleString() : value}</b>
      <small>{tone === "bad" ? `${note}: look at the log` : note}</small>
    </div>
  );
}

function Curve({ title, rates }: { title: string; rates: number[] }) {
  const most = Math.max(1, ...rates);
  const points = rates.map((rate, index) => `${index + POINTS - rates.length},${30 - (rate / most) * 28}`).join(" ");
  return (
    <div class="tile">
      <h2>{title}</h2>
      <b>{(rates.at(-1) ?? 0).toFixed(1)}</b>
      <svg viewBox={`0 0 ${POINTS} 30`} preserveAspectRatio="none" aria-hidden="true">
        <polyline points={points} vector-effect="non-scaling-stroke" />
      </svg>
      <small>most {most.toFixed(1)} in 4 minutes</small>
    </div>
  );
}

function Bars({ title, rows }: { title: string; rows: [string, number][] }) {
  const most = Math.max(1, ...rows.map(([, value]) => value));
  return (
    <div class="bars">
      <h2>{title}</h2>
      {rows.length === 0 ? <p class="faint">None.</p> : null}
      <dl>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <i style={{ width: `${(value / most) * 100}%` }} />
              <span>{value.toLocaleString()}</span>
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
