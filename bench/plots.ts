export async function plotFit(..._: unknown[]): Promise<void> {}
