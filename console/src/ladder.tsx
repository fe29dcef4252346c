export function Ladder(_: Record<string, unknown>) { return <p/>; }
