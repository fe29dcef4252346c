// What a person says of themselves: set with a note and a time, for all of their names at once, and taken back.

import { useState } from "preact/hooks";
import { get, send } from "./api";
import { Choice, type Choices, LENGTHS, said, span, usePolled } from "./ui";

interface Known {
  person: string;
  presence: string;
  status: string | null;
  note: string | null;
  left_s: number | null;
  names: string[];
  mailboxes: string[];
}

/** The common ones; the server takes every activity of RFC 4480. */
const SAYABLE: Choices = [
  ["available", "available"],
  ["away", "away"],
  ["busy", "busy"],
  ["meeting", "in a meeting"],
  ["meal", "at a meal"],
  ["vacation", "on vacation"],
  ["dnd", "do not disturb"],
  ["offline", "offline"],
];

export function Status({ name, changed }: { name: string; changed: () => void }) {
  const path = `people/${encodeURIComponent(name)}`;
  const known = usePolled<Known>(() => get(path), 5000, name);
  const [status, setStatus] = useState("away");
  const [note, setNote] = useState("");
  const [length, setLength] = useState("3600");
  const [answer, setAnswer] = useState("");
  const act = (work: Promise<unknown>, done: string) =>
    void work.then(
      () => (setAnswer(done), known.again(), changed()),
      (error: Error) => setAnswer(said(error)),
    );
  const submit = (event: Event) => {
    event.preventDefault();
    const body = { status, note, ...(length === "" ? {} : { for_s: Number(length) }) };
    act(send("PUT", `${path}/status`, body), "Set.");
  };
  const person = known.value;
  if (!person) return null;
  return (
    <>
      <h2>Says of themselves</h2>
      <p class="says">
        {person.person.split("@")[0]}:{" "}
        {person.status === null ? (
          <span class="faint">says nothing</span>
        ) : (
          <>
            <strong>{SAYABLE.find(([value]) => value === person.status)?.[1] ?? person.status}</strong> {person.note ? `“${person.note}”` : ""}{" "}
            <span class="faint">{person.left_s === null ? "until removed" : `for ${span(person.left_s)}`}</span>
          </>
        )}{" "}
        <span class="faint">known as {[...person.names, ...person.mailboxes].join(", ")}</span>
      </p>
      <form class="row" onSubmit={submit}>
        <Choice label="Status" name="said" value={status} of={SAYABLE} chosen={setStatus} />
        <label>
          Note
          <input name="note" value={note} maxLength={200} onInput={(event) => setNote(event.currentTarget.value)} />
        </label>
        <Choice label="For" value={length} of={LENGTHS} chosen={setLength} />
        <button type="submit" class="main">
          Set status
        </button>
        {person.status === null ? null : (
          <button type="button" onClick={() => act(send("DELETE", `${path}/status`), "Removed.")}>
            Remove status
          </button>
        )}
        <span role="status">{answer}</span>
      </form>
    </>
  );
}
