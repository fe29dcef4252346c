// How a state looks: colour, shape and word, so that none of them has to be told apart by colour alone.

export interface Look {
  /** The class that colours it. */
  tone: "idle" | "use" | "busy" | "ring" | "hold" | "off" | "odd";
  word: string;
  /** A shape on 16 by 16, filled even-odd. */
  shape: string;
}

const disc = "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z";
const bars = "M5 4.5h2v7H5zM9 4.5h2v7H9z";

const LOOKS: Record<string, Look> = {
  Idle: { tone: "idle", word: "idle", shape: `${disc}M8 3.6a4.4 4.4 0 1 1 0 8.8 4.4 4.4 0 0 1 0-8.8Z` },
  InUse: { tone: "use", word: "in use", shape: disc },
  Busy: { tone: "busy", word: "busy", shape: "M2.5 1.5h11v13h-11zM4.5 7h7v2h-7z" },
  Ringing: { tone: "ring", word: "ringing", shape: "M8 .5 15.5 14.5H.5Z" },
  "InUse&Ringing": { tone: "ring", word: "in use, ringing", shape: `${disc}M8 3.5 12 11H4Z` },
  Hold: { tone: "hold", word: "on hold", shape: "M3 1.5h4v13H3zM9 1.5h4v13H9z" },
  "InUse&Hold": { tone: "hold", word: "in use, hold", shape: disc + bars },
  Unavailable: {
    tone: "off",
    word: "unavailable",
    shape: "M3.4 2 8 6.6 12.6 2 14 3.4 9.4 8l4.6 4.6-1.4 1.4L8 9.4 3.4 14 2 12.6 6.6 8 2 3.4Z",
  },
};

const ODD: Look = { tone: "odd", word: "unknown", shape: "M8 .5 15.5 8 8 15.5.5 8ZM8 3.6 3.6 8 8 12.4 12.4 8Z" };

/** In the order in which a board offers them. */
export const STATES = Object.keys(LOOKS);

/** Device states are written as `RINGINUSE`, states of lamps as `InUse&Ringing`, those of calls as `early`. */
const DEVICE: Record<string, string> = {
  NOT_INUSE: "Idle",
  INUSE: "InUse",
  BUSY: "Busy",
  RINGING: "Ringing",
  RINGINUSE: "InUse&Ringing",
  ONHOLD: "Hold",
  UNAVAILABLE: "Unavailable",
  // What a call says of itself.
  trying: "Ringing",
  early: "Ringing",
  confirmed: "InUse",
};

export function look(state: string): Look {
  return LOOKS[state] ?? LOOKS[DEVICE[state] ?? ""] ?? { ...ODD, word: state === "" ? "unknown" : state.toLowerCase() };
}
