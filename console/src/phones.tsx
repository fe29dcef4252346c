// Phones: what is registered or watches, by user agent and profile, and the lines that make another one watch.

import { useState } from "preact/hooks";
import { type Subscription, get } from "./api";
import { lamps } from "./lamps";
import { Choice, Copy, Page, bare, usePolled } from "./ui";

interface Registration {
  aor: string;
  bindings: { source: string; user_agent: string; expires_s: number }[];
}

interface Profile {
  name: string;
  user_agents: string[];
  reason: string;
}

interface Maker {
  vendor: string;
  title: string;
  profile: string;
}

interface Provisioning extends Maker {
  notes: string[];
  auto_answer: string[];
  pickup: string | null;
  parts: { where: string; text: string }[];
}

export function Phones() {
  const { value, error } = usePolled(async () => {
    const [registrations, subscriptions, profiles] = await Promise.all([
      get<Registration[]>("registrations"),
      get<Subscription[]>("subscriptions"),
      get<Profile[]>("profiles"),
    ]);
    return { registrations, subscriptions, profiles };
  }, 10_000);
  const agents = new Map<string, { profile: string; phones: Set<string>; subscriptions: number }>();
  const entry = (agent: string) => {
    const known = agents.get(agent);
    if (known) return known;
    const made = { profile: "", phones: new Set<string>(), subscriptions: 0 };
    agents.set(agent, made);
    return made;
  };
  for (const row of value?.registrations ?? []) for (const binding of row.bindings) entry(binding.user_agent).phones.add(bare(row.aor));
  for (const row of value?.subscriptions ?? []) {
    const found = entry(row.user_agent);
    found.profile = row.profile;
    found.subscriptions += 1;
    found.phones.add(bare(row.watcher).includes("@") ? bare(row.watcher) : row.watcher);
  }
  // One that does not watch has no profile yet; its user agent says which it will get.
  const profileOf = (agent: string) =>
    value?.profiles.find((profile) => profile.user_agents.some((part) => agent.toLowerCase().includes(part.toLowerCase())))?.name ?? "default";
  return (
    <Page title="Phones" error={error}>
      <h2>Here now</h2>
      <table>
        <thead>
          <tr>
            <th>User agent</th>
            <th>Profile</th>
            <th>Phones</th>
            <th>Subscriptions</th>
            <th>Why it is treated so</th>
          </tr>
        </thead>
        <tbody>
          {[...agents.entries()].map(([agent, row]) => {
            const profile = row.profile || profileOf(agent);
            const names = new Set([...row.phones].map((name) => name.split("@")[0] ?? name));
            return (
              <tr key={agent}>
                <td>{agent || "does not say"}</td>
                <td>{profile}</td>
                <td title={[...names].join(", ")}>{names.size}</td>
                <td>{row.subscriptions}</td>
                <td class="faint">{value?.profiles.find((known) => known.name === profile)?.reason}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {value && agents.size === 0 ? <p class="empty">No phone has registered or watches yet.</p> : null}
      <Snippet />
    </Page>
  );
}

/** The lines for one more phone. */
function Snippet() {
  const makers = usePolled<Maker[]>(() => get("phones"), 3_600_000);
  const first = lamps.order.filter((lamp) => !lamp.isPerson).slice(0, 2);
  const [maker, setMaker] = useState("");
  const [extensions, setExtensions] = useState(first.map((lamp) => lamp.name).join(", ") || "6001");
  const [user, setUser] = useState("");
  const [server, setServer] = useState(location.hostname.replace(/^\[.*\]$/, "") || "example.com");
  const chosen = maker || makers.value?.[0]?.vendor || "";
  const query = new URLSearchParams({ extensions, server, user }).toString();
  const lines = usePolled<Provisioning | null>(
    () => (chosen === "" ? Promise.resolve(null) : get(`phones/${encodeURIComponent(chosen)}?${query}`)),
    3_600_000,
    chosen + query,
  );
  const field = (label: string, value: string, set: (value: string) => void) => (
    <label>
      {label}
      <input value={value} onInput={(event) => set(event.currentTarget.value)} />
    </label>
  );
  return (
    <>
      <h2>Make a phone watch</h2>
      <form class="row" onSubmit={(event) => event.preventDefault()}>
        <Choice label="Maker" value={chosen} of={(makers.value ?? []).map((row) => [row.vendor, row.title])} chosen={setMaker} />
        {field("Extensions", extensions, setExtensions)}
        {field("Its user", user, setUser)}
        {field("Server", server, setServer)}
      </form>
      {lines.error || makers.error ? (
        <p class="problem" role="alert">
          {lines.error || makers.error}
        </p>
      ) : null}
      {lines.value?.parts.map((part) => (
        <figure key={part.where} class="snippet">
          <figcaption>
            <span>{part.where}</span> <Copy text={part.text} what="these lines" />
          </figcaption>
          <pre tabIndex={0} aria-label={part.where}>
            {part.text}
          </pre>
        </figure>
      ))}
      {lines.value && lines.value.notes.length > 0 ? (
        <ul class="faint">
          {lines.value.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      ) : null}
    </>
  );
}
