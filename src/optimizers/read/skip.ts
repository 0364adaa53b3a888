/** A linear layer beside the hidden one: what it is charged, and how its bias and that of the read-out share what both add. */

/** What the program needs to know of it; its kernel is [inputs x C], as wide as the read-out's outputs. */
export interface Skip {
  readonly l2: number; // of the kernel; 0: free
  /** Of the bias c that both layers add up to: the read-out's part; 1 where the linear layer has none. */
  readonly readOutShare: number;
  /** The factors of both biases' squares together: a bias of the read-out that is off its part by e costs this times e^2 more. */
  readonly biasL2: number;
  readonly biases: { readonly readOut: boolean; readonly skip: boolean };
}

/** A layer's bias, and the factor of its square. */
interface Bias {
  readonly useBias: boolean;
  readonly biasL2: number;
}

/**
 * Two biases a + b = c charged r |a|^2 + s |b|^2 cost least at a = c s / (r + s): r s / (r + s) |c|^2, nothing where one of them is free.
 */
export function sharedBias(readOut: Bias, skip: Bias): { readonly l2: number; readonly readOutShare: number } {
  if (!skip.useBias) return { l2: readOut.biasL2, readOutShare: 1 };
  if (!readOut.useBias) return { l2: skip.biasL2, readOutShare: 0 };
  const sum = readOut.biasL2 + skip.biasL2;
  if (sum === 0) return { l2: 0, readOutShare: 1 };
  return { l2: (readOut.biasL2 * skip.biasL2) / sum, readOutShare: skip.biasL2 / sum };
}
