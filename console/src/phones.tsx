export function Phones(_: Record<string, unknown>) { return <p/>; }
