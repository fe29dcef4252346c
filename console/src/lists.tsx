// What one subscription watches: lists, and whole domains, each with the lamps in it.

import { useMemo } from "preact/hooks";
import { get } from "./api";
import { DESK, Grid } from "./grid";
import { lamps } from "./lamps";
import { STATES, look } from "./states";
import { Copy, Glyph, Page, State, bare, span, useLamps, usePolled, useTick } from "./ui";

interface List {
  name: string;
  uri: string;
  display: string;
  source: string;
  packages: string[];
  members: number;
  watchers: number;
}

interface Member {
  uri: string;
  name: string;
  resource: string | null;
  is_elsewhere: boolean;
  state: string | null;
}

interface Watcher {
  watcher: string;
  address: string;
  package: string;
  told: number;
  pending: number;
  refused: number;
  notifies: number;
  answer: number | null;
  expires_s: number;
}

interface Detail {
  list: List;
  is_cut: boolean;
  members: Member[];
  watchers: Watcher[];
}

interface Domain {
  name: string;
  aliases: string[];
  everybody: string | null;
  people: number;
}

const EVERY_MS = 5000;

/** `#/lists`, `#/lists/list/NAME`, `#/lists/domain/NAME`. */
export function Lists({ kind, name, isAdmin }: { kind: string; name: string; isAdmin: boolean }) {
  if (kind === "domain") return <WholeDomain name={name} />;
  if (kind === "list") return <OneList name={name} />;
  return <Overview isAdmin={isAdmin} />;
}

const link = (kind: string, name: string): string => `#/lists/${kind}/${encodeURIComponent(name)}`;

function Overview({ isAdmin }: { isAdmin: boolean }) {
  const domains = usePolled<Domain[]>(() => get("domains"), EVERY_MS);
  const lists = usePolled<List[]>(() => (isAdmin ? get("lists") : Promise.resolve([])), EVERY_MS);
  return (
    <Page title="Lists" error={domains.error || lists.error} tools={<span class="faint">many lamps in one subscription</span>}>
      <h2>Whole domains</h2>
      <table>
        <thead>
          <tr>
            <th>Domain</th>
            <th>Also</th>
            <th>People</th>
            <th>A phone subscribes to</th>
          </tr>
        </thead>
        <tbody>
          {(domains.value ?? []).map((row) => (
            <tr key={row.name}>
              <td>
                <a href={link("domain", row.name)}>{row.name}</a>
              </td>
              <td>{row.aliases.join(", ") || <span class="faint">–</span>}</td>
              <td>{row.people}</td>
              <td>{row.everybody === null ? <span class="faint">too many for one subscription</span> : <code>{row.everybody}</code>}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {isAdmin ? (
        <>
          <h2>Lists</h2>
          {lists.value?.length === 0 ? (
            <p class="faint">
              None. <code>[lists.NAME]</code> in the configuration makes one: a phone's keys, or somebody's contacts.
            </p>
          ) : (
            <table>
              <thead>
                <tr>
                  <th>List</th>
                  <th>From</th>
                  <th>For</th>
                  <th>Members</th>
                  <th>Watchers</th>
                  <th>A phone subscribes to</th>
                </tr>
              </thead>
              <tbody>
                {(lists.value ?? []).map((row) => (
                  <tr key={row.name}>
                    <td>
                      <a href={link("list", row.name)}>{row.display || bare(row.uri)}</a>
                    </td>
                    <td>{row.source}</td>
                    <td>{row.packages.join(", ") || "everything"}</td>
                    <td>{row.members}</td>
                    <td>{row.watchers}</td>
                    <td>
                      <code>{row.uri}</code>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </>
      ) : null}
    </Page>
  );
}

/** How many of these are in which state, in words and shapes. */
function Sums({ of }: { of: { state: string }[] }) {
  const counts = new Map<string, number>();
  for (const { state } of of) counts.set(state, (counts.get(state) ?? 0) + 1);
  return (
    <ul class="sums" aria-label="How many are">
      {STATES.filter((name) => counts.has(name)).map((name) => (
        <li key={name}>
          <Glyph state={name} /> {look(name).word} <b>{counts.get(name)}</b>
        </li>
      ))}
    </ul>
  );
}

function Head({ title, uri, of, error }: { title: string; uri: string; of: { state: string }[]; error: string }) {
  return (
    <>
      <header class="head">
        <h1 tabIndex={-1}>{title}</h1>
        <Sums of={of} />
        {uri ? (
          <span class="uri">
            <code>{uri}</code> <Copy text={uri} what="address" />
          </span>
        ) : null}
        <a class="button" href="#/lists">
          All lists
        </a>
      </header>
      {error ? (
        <p class="problem" role="alert">
          {error}
        </p>
      ) : null}
    </>
  );
}

function WholeDomain({ name }: { name: string }) {
  useLamps();
  const now = useTick(1000);
  const domains = usePolled<Domain[]>(() => get("domains"), EVERY_MS);
  const shown = useMemo(() => lamps.order.filter((lamp) => lamp.isPerson && lamp.group === name), [name, lamps.generation]);
  const domain = domains.value?.find((row) => row.name === name);
  return (
    <section class="board named">
      <Head title={`Everybody at ${name}`} uri={domain?.everybody ?? ""} of={shown} error={domains.error} />
      {shown.length === 0 ? <p class="empty">Nobody yet.</p> : <Grid shown={shown} now={now} sizes={DESK} />}
    </section>
  );
}

function OneList({ name }: { name: string }) {
  useLamps();
  const now = useTick(1000);
  const found = usePolled<Detail>(() => get(`lists/${encodeURIComponent(name)}`), EVERY_MS, name);
  const members = found.value?.members ?? [];
  const shown = useMemo(() => {
    const resources = new Set(members.map((member) => member.resource));
    return lamps.order.filter((lamp) => resources.has(lamp.resource));
  }, [found.value, lamps.generation]);
  const others = members.filter((member) => member.resource === null || !lamps.all.has(member.resource));
  const list = found.value?.list;
  const watchers = found.value?.watchers ?? [];
  return (
    <section class="board named">
      <Head title={list?.display || bare(list?.uri ?? name)} uri={list?.uri ?? ""} of={shown} error={found.error} />
      {shown.length > 0 ? <Grid shown={shown} now={now} sizes={DESK} /> : null}
      {found.value ? (
        <div class="under">
          {found.value.is_cut ? <p class="faint">It has more members than are taken.</p> : null}
          {others.length > 0 ? (
            <table tabIndex={0}>
              <thead>
                <tr>
                  <th>Other members</th>
                  <th>Shows</th>
                </tr>
              </thead>
              <tbody>
                {others.map((row) => (
                  <tr key={row.uri}>
                    <td>
                      {row.name} <code>{row.uri}</code>
                    </td>
                    <td>{row.state ? <State state={row.state} /> : row.is_elsewhere ? "on another server" : "nothing is called that here"}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          ) : null}
          {watchers.length === 0 ? (
            <p class="faint">Nobody subscribes to it now.</p>
          ) : (
            <table tabIndex={0}>
              <thead>
                <tr>
                  <th>Watcher</th>
                  <th>Package</th>
                  <th>Members told, waiting, refused</th>
                  <th>NOTIFYs</th>
                  <th>Answered</th>
                  <th>Ends in</th>
                </tr>
              </thead>
              <tbody>
                {watchers.map((row, index) => (
                  <tr key={index}>
                    <td>
                      {row.watcher} <small class="faint">{row.address}</small>
                    </td>
                    <td>{row.package}</td>
                    <td>
                      {row.told}, {row.pending}, {row.refused}
                    </td>
                    <td>{row.notifies}</td>
                    <td>{row.answer ?? "not yet"}</td>
                    <td>{span(row.expires_s)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </div>
      ) : null}
    </section>
  );
}
