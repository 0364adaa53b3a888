export async function plotFit(..._: unknown[]): Promise<void> {}
export async function plotScnn(..._: unknown[]): Promise<void> {}
export async function plotLimit(..._: unknown[]): Promise<void> {}
export async function plotMemory(..._: unknown[]): Promise<void> {}
