export function Health(_: Record<string, unknown>) { return <p/>; }
