export function Graph(_: Record<string, unknown>) { return <p/>; }
