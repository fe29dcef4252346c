// What a ladder shows of a SIP message: its first line, its dialog, its CSeq; and what two of them differ in.

export interface Message {
  /** Counts up, in this browser. */
  key: number;
  direction: "received" | "sent";
  transport: string;
  remote: string;
  at_ms: number;
  text: string;
  /** As in `NOTIFY` or `200 OK`. */
  what: string;
  callId: string;
  cseq: string;
  /** As in `dialog; active`. */
  about: string;
}

const SHORT: Record<string, string> = { "call-id": "i", event: "o", "content-type": "c" };

export function header(text: string, name: string): string {
  const end = text.indexOf("\r\n\r\n");
  const head = end < 0 ? text : text.slice(0, end);
  const short = SHORT[name.toLowerCase()];
  const found = new RegExp(`^(?:${name}${short ? `|${short}` : ""})[ \\t]*:[ \\t]*(.*)$`, "im").exec(head);
  return found?.[1]?.trim() ?? "";
}

/** Redacts what the server did not: anything of an Authorization that a password could be guessed from. */
export function redacted(text: string): string {
  return text.replace(/^((?:Proxy-)?Authorization[ \t]*:[ \t]*)(.*)$/gim, (_, name: string, value: string) =>
    /^digest/i.test(value) ? name + value.replace(/\b(response|cnonce|nonce)="[^"]*"/gi, '$1="***"') : `${name}***`,
  );
}

export function read(raw: Omit<Message, "key" | "what" | "callId" | "cseq" | "about">, key: number): Message {
  const text = redacted(raw.text);
  const first = text.slice(0, Math.max(0, text.indexOf("\r\n"))) || text;
  const what = first.startsWith("SIP/2.0 ") ? first.slice(8) : (first.split(" ")[0] ?? "");
  const event = header(text, "Event").split(";")[0] ?? "";
  const state = header(text, "Subscription-State").split(";")[0] ?? "";
  const target = first.startsWith("SIP/2.0 ") ? "" : (/^\S+ <?sips?:([^@;>\s]+)/.exec(first)?.[1] ?? "");
  const about = [target, event, state].filter(Boolean).join(" · ");
  return { ...raw, text, key, what, callId: header(text, "Call-ID"), cseq: header(text, "CSeq"), about };
}

/** The lines of both, each with where it stands: in both, or in one only (longest common subsequence). */
export function compared(left: string, right: string): { line: string; side: "both" | "left" | "right" }[] {
  const a = left.split(/\r?\n/).slice(0, 400);
  const b = right.split(/\r?\n/).slice(0, 400);
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  const at = (i: number, j: number) => table[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const row = table[i];
      if (row) row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  const out: { line: string; side: "both" | "left" | "right" }[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push({ line: a[i] ?? "", side: "both" });
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) out.push({ line: a[i++] ?? "", side: "left" });
    else out.push({ line: b[j++] ?? "", side: "right" });
  }
  return out;
}
