/** An engine whose blocks live on a device, in float32, and whose dense algebra is another's, in float64 on the host. */

import type { GateSet, Matrix } from "../../types.js";
import { engineLike } from "../engineLike.js";
import type { ConeSystem, DeviceNeurons, EngineName, Kernels } from "../types.js";
import { type ConeSizes, coneSizes, type DeviceCones, deviceCones } from "./cones.js";
import { type BlockSizes, blockSizes, type DeviceBlocks, deviceIterate } from "./iterate.js";

/** Of one product of neurons: the host takes some 10 ms for this and the one back, several times what it takes to wait for a GPU twice. */
const NEURONS_WORK = 5e7;

/** Copies X [n x d] and the gates to the device and makes room for the blocks. */
export type MakeBlocks = (X: Matrix, gates: GateSet, sizes: BlockSizes) => Promise<DeviceBlocks>;

/** The same for blocks with cones. */
export type MakeCones = (X: Matrix, gates: GateSet, sizes: ConeSizes, system: ConeSystem) => Promise<DeviceCones>;

/** The same for neurons (`Kernels.neuronsThere`). */
export type MakeNeurons = (X: Matrix, outputs: number, most: number) => Promise<DeviceNeurons>;

/** An engine on a device that answered. */
export interface OpenedDevice {
  readonly kernels: Kernels;
  readonly device: string; // what the work runs on, for people
  readonly emulated: boolean; // true when the CPU pretends to be a GPU
}

/** Finds the device and makes the engine; rejects with an Error that says in a clause why it can't run. */
export type OpenDevice = (host: Kernels) => Promise<OpenedDevice>;

export function deviceKernels(
  name: EngineName,
  host: Kernels,
  make: MakeBlocks,
  makeCones?: MakeCones,
  neuronsThere?: MakeNeurons,
): Kernels {
  return engineLike(host, {
    name,
    dtype: "float32",
    neuronsThere,
    neuronsFrom: NEURONS_WORK,
    async iterate(X, gates, outputs, penalty, pooling = null) {
      const sizes = blockSizes(X, gates, outputs, pooling);
      return deviceIterate(await make(X, gates, sizes), sizes, penalty);
    },
    ...(makeCones === undefined
      ? {}
      : {
          async iterateCones(X, gates, outputs, system) {
            const sizes = coneSizes(X, gates, outputs, system.sides);
            return deviceCones(await makeCones(X, gates, sizes, system), sizes, system);
          },
        }),
  });
}
