export const internalNames: readonly string[];
export function privateNames(): string[];
