/** What is made, or null where there is none, or no memory for it. */
export function whereRoom<T>(make: () => T | undefined): T | null {
  try {
    return make() ?? null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
