// A phone on a UDP socket: sends requests, answers NOTIFYs 200, and notes when each came.
import dgram from "node:dgram";
import { randomBytes } from "node:crypto";

const word = () => randomBytes(6).toString("hex");

export class Phone {
  constructor(name, port) {
    Object.assign(this, { name, port, notifies: [], waiting: [], answers: new Map(), cseq: 0 });
  }

  async open() {
    this.socket = dgram.createSocket("udp4");
    this.socket.on("message", (data) => this.take(data.toString()));
    await new Promise((done) => this.socket.bind(0, "127.0.0.1", done));
    this.own = `127.0.0.1:${this.socket.address().port}`;
    return this;
  }

  close() {
    this.socket.close();
  }

  send(text) {
    this.socket.send(text, this.port, "127.0.0.1");
  }

  take(text) {
    if (text.startsWith("SIP/2.0 ")) {
      this.answers.get(/^Call-ID: *(\S+)/im.exec(text)?.[1])?.(text);
      return;
    }
    const copied = text.split("\r\n").filter((line) => /^(Via|From|To|Call-ID|CSeq):/i.test(line));
    this.send(`SIP/2.0 200 OK\r\n${copied.join("\r\n")}\r\nContent-Length: 0\r\n\r\n`);
    this.notifies.push({ text, at: Date.now() });
    this.waiting.forEach((look) => look());
  }

  /** Sends a request of its own dialog; gives the answer's status. */
  async request(method, to, lines, body = "", extra = "") {
    this.cseq += 1;
    const callId = word();
    const text =
      `${method} sip:${to}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP ${this.own};branch=z9hG4bK${word()};rport\r\n` +
      `Max-Forwards: 70\r\nFrom: <sip:${this.name}@example.com>;tag=${word()}\r\nTo: <sip:${to}@example.com>\r\n` +
      `Call-ID: ${callId}\r\nCSeq: ${this.cseq} ${method}\r\nContact: <sip:${this.name}@${this.own}>\r\n` +
      `User-Agent: a test's phone\r\n${extra}${lines.map((line) => `${line}\r\n`).join("")}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
    const answer = await new Promise((done, failed) => {
      const timer = setTimeout(() => failed(new Error(`${method} ${to}: no answer`)), 8000);
      this.answers.set(callId, (found) => (clearTimeout(timer), done(found)));
      this.send(text);
    });
    this.answers.delete(callId);
    return { status: Number(answer.slice(8, 11)), callId, text: answer };
  }

  /** The first NOTIFY from number `from` on that fits, and when it came. */
  notify(fits, from = 0, within = 8000) {
    return new Promise((done, failed) => {
      const timer = setTimeout(() => failed(new Error(`no such NOTIFY: ${fits}`)), within);
      const look = () => {
        const found = this.notifies.slice(from).find(({ text }) => fits(text));
        if (!found) return;
        clearTimeout(timer);
        this.waiting = this.waiting.filter((other) => other !== look);
        done(found);
      };
      this.waiting.push(look);
      look();
    });
  }

  /** Publishes a dialog in this state (RFC 4235), or none. */
  publishDialog(state, etag) {
    const dialog = state ? `<dialog id="1"><state>${state}</state></dialog>` : "";
    const body = `<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:${this.name}@example.com">${dialog}</dialog-info>`;
    const lines = ["Event: dialog", "Expires: 600", "Content-Type: application/dialog-info+xml"];
    return this.request("PUBLISH", this.name, etag ? [...lines, `SIP-If-Match: ${etag}`] : lines, body);
  }
}
