// The console's frame: who gets in, where one is, and the way from page to page.

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { get, hasToken, redeem, setToken } from "./api";
import { Board } from "./board";
import { Graph } from "./graph";
import { Health } from "./health";
import { Ladder } from "./ladder";
import { lamps } from "./lamps";
import { Lists } from "./lists";
import { Person } from "./person";
import { Phones } from "./phones";
import { Subscriptions } from "./subscriptions";
import { said, useLink } from "./ui";
import "./style.css";

const PAGES: [string, string, boolean][] = [
  ["board", "Board", false],
  ["lists", "Lists", false],
  ["watchers", "Who watches", true],
  ["ladder", "SIP ladder", true],
  ["subscriptions", "Subscriptions", true],
  ["phones", "Phones", true],
  ["health", "Health", true],
];

const where = (): string[] => location.hash.replace(/^#\/?/, "").split("?")[0]?.split("/") ?? [];

/** Lets the code of a one-time link in, once, and takes it out of the address. */
async function enter(): Promise<void> {
  const code = /^#link=([\w-]+)/.exec(location.hash)?.[1];
  if (code === undefined) return;
  history.replaceState(null, "", "#/board");
  await redeem(code);
}

function App({ refused }: { refused: string }) {
  const [hash, setHash] = useState(location.hash);
  const [scopes, setScopes] = useState<string[] | null>(null);
  const [problem, setProblem] = useState(refused);
  const [inside, setInside] = useState(hasToken() && refused === "");
  const main = useRef<HTMLElement>(null);
  const link = useLink();

  useEffect(() => {
    const move = () => {
      setHash(location.hash);
      // Why: a reader of screens is told where it is now.
      requestAnimationFrame(() => main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true }));
    };
    addEventListener("hashchange", move);
    return () => removeEventListener("hashchange", move);
  }, []);

  useEffect(() => {
    if (!inside) return;
    const stop = new AbortController();
    get<{ scopes: string[] }>("token").then(
      ({ scopes }) => {
        setScopes(scopes);
        lamps.isAdmin = scopes.includes("admin");
        void lamps.follow(stop.signal);
      },
      (error: Error) => {
        setProblem(said(error));
        setInside(false);
      },
    );
    return () => stop.abort();
  }, [inside]);

  if (!inside || link === "refused") {
    const begin = (token: string) => {
      setToken(token);
      setProblem("");
      lamps.link = "connecting";
      setInside(false);
      setTimeout(() => setInside(true));
    };
    return <Door problem={problem || (link === "refused" ? "The token is no longer good." : "")} begin={begin} />;
  }
  const [page = "", detail = "", more = ""] = where();
  const isAdmin = scopes?.includes("admin") ?? false;
  const kiosk = page === "wall";
  const leave = () => {
    location.hash = "#/board";
  };
  return (
    <div class={kiosk ? "frame kiosk" : "frame"} data-hash={hash}>
      {kiosk ? null : (
        <nav aria-label="Pages">
          <a class="brand" href="#/board">
            lampyris
          </a>
          {PAGES.filter(([, , admin]) => isAdmin || !admin).map(([name, title]) => (
            <a key={name} href={`#/${name}`} aria-current={name === page || (page === "" && name === "board") ? "page" : undefined}>
              {title}
            </a>
          ))}
          <a href="/docs" target="_blank" rel="noreferrer">
            Help
          </a>
          <span class={`link ${link}`} role="status">
            {link === "live" ? "live" : link === "lost" ? "no connection" : "connecting"}
          </span>
          <button type="button" class="quiet" onClick={() => (setToken(""), location.reload())}>
            Sign out
          </button>
        </nav>
      )}
      <main ref={main}>
        {/* Why not before: what a page asks depends on what may be asked. */}
        {scopes === null ? null : page === "person" ? (
          <Person key={detail} resource={decodeURIComponent(detail)} isAdmin={isAdmin} />
        ) : page === "lists" ? (
          <Lists key={`${detail}/${more}`} kind={detail} name={decodeURIComponent(more)} isAdmin={isAdmin} />
        ) : page === "watchers" ? (
          <Graph />
        ) : page === "ladder" ? (
          <Ladder key={hash} />
        ) : page === "subscriptions" ? (
          <Subscriptions />
        ) : page === "health" ? (
          <Health />
        ) : page === "phones" ? (
          <Phones />
        ) : (
          <Board kiosk={kiosk} leave={leave} />
        )}
      </main>
    </div>
  );
}

/** Where there is no token yet. */
function Door({ problem, begin }: { problem: string; begin: (token: string) => void }) {
  const field = useRef<HTMLInputElement>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const token = field.current?.value.trim() ?? "";
    if (token !== "") begin(token);
  };
  return (
    <main class="door">
      <h1>lampyris</h1>
      {problem ? (
        <p class="problem" role="alert">
          {problem}
        </p>
      ) : null}
      <form onSubmit={submit}>
        <label>
          Token
          <input ref={field} type="password" autocomplete="current-password" autofocus />
        </label>
        <button type="submit" class="main">
          Enter
        </button>
      </form>
      <p>
        On the server, <code>lampyris token link</code> prints a link that lets you in, and{" "}
        <code>lampyris token create wall --scope board:read</code> a token for a wall screen.
      </p>
    </main>
  );
}

const root = document.getElementById("console");
enter()
  .then(
    () => "",
    (error: Error) => error.message,
  )
  .then((refused) => root && render(<App refused={refused} />, root));
