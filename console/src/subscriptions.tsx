export function Subscriptions(_: Record<string, unknown>) { return <p/>; }
