// Messages as a capture file (libpcap, link type RAW). Streams are written as datagrams too: what was said is the same, and
// no handshake has to be invented.

import type { Message } from "./sip";

const LINKTYPE_RAW = 101;
const UDP = 17;
const SNAP_BYTES = 262_144;
/** What fits a datagram beside its headers. */
const PAYLOAD_MAX = 65_400;

function address(text: string): { bytes: Uint8Array; port: number } {
  const six = /^\[(.+)\]:(\d+)$/.exec(text);
  if (six) {
    const [head = "", tail] = (six[1] ?? "").split("%")[0]?.split("::") ?? [];
    const words = (part: string) => part.split(":").filter(Boolean).map((word) => Number.parseInt(word, 16) || 0);
    const [front, back] = [words(head), words(tail ?? "")];
    const all = [...front, ...Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0), ...back].slice(0, 8);
    return { bytes: Uint8Array.from(all.flatMap((word) => [word >> 8, word & 255])), port: Number(six[2]) };
  }
  const [host = "", port = "5060"] = text.split(":");
  const parts = host.split(".").map((part) => Number(part) & 255);
  return { bytes: Uint8Array.from(parts.length === 4 ? parts : [0, 0, 0, 0]), port: Number(port) };
}

function sum(...parts: Uint8Array[]): number {
  let total = 0;
  for (const part of parts)
    for (let at = 0; at < part.length; at += 2) total += ((part[at] ?? 0) << 8) + (part[at + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

function datagram(message: Message, own: string): Uint8Array {
  const payload = new TextEncoder().encode(message.text).slice(0, PAYLOAD_MAX);
  const far = address(message.remote);
  const near = address(own);
  // Where the families differ our own address is not known; the unspecified one stands for it.
  if (near.bytes.length !== far.bytes.length) near.bytes = new Uint8Array(far.bytes.length);
  const [from, to] = message.direction === "received" ? [far, near] : [near, far];
  const udp = new Uint8Array(8 + payload.length);
  const fields = new DataView(udp.buffer);
  fields.setUint16(0, from.port);
  fields.setUint16(2, to.port);
  fields.setUint16(4, udp.length);
  udp.set(payload, 8);
  const pseudo = Uint8Array.from([...from.bytes, ...to.bytes, 0, UDP, udp.length >> 8, udp.length & 255]);
  fields.setUint16(6, sum(pseudo, udp) || 0xffff);
  const isSix = far.bytes.length === 16;
  const ip = new Uint8Array(isSix ? 40 : 20);
  const head = new DataView(ip.buffer);
  if (isSix) {
    head.setUint32(0, 0x60000000);
    head.setUint16(4, udp.length);
    ip.set([UDP, 64], 6);
    ip.set(from.bytes, 8);
    ip.set(to.bytes, 24);
  } else {
    head.setUint16(0, 0x4500);
    head.setUint16(2, 20 + udp.length);
    ip.set([64, UDP], 8);
    ip.set(from.bytes, 12);
    ip.set(to.bytes, 16);
    head.setUint16(10, sum(ip));
  }
  const out = new Uint8Array(ip.length + udp.length);
  out.set(ip);
  out.set(udp, ip.length);
  return out;
}

export function pcap(messages: Message[], own: string): Blob {
  const file = new DataView(new ArrayBuffer(24));
  file.setUint32(0, 0xa1b2c3d4);
  file.setUint16(4, 2);
  file.setUint16(6, 4);
  file.setUint32(16, SNAP_BYTES);
  file.setUint32(20, LINKTYPE_RAW);
  const parts: BlobPart[] = [file.buffer];
  for (const message of messages) {
    const packet = datagram(message, own);
    const record = new DataView(new ArrayBuffer(16));
    record.setUint32(0, Math.floor(message.at_ms / 1000));
    record.setUint32(4, (message.at_ms % 1000) * 1000);
    record.setUint32(8, packet.length);
    record.setUint32(12, packet.length);
    parts.push(record.buffer, packet as BlobPart);
  }
  return new Blob(parts, { type: "application/vnd.tcpdump.pcap" });
}
