import { norm } from "../linear/vectors.js";
import type { Neuron } from "../network.js";
import { blockOutputs, columnsOf } from "../operators/blocks.js";
import { penalties } from "../penalties/index.js";
import type { Formulation } from "./formulation.js";

/**
 * Two-layer ReLU networks (Pilanci and Ergen 2020, theorem 1): blocks v_i, w_i in the cones (2 D_i - I) X v >= 0.
 *
 * In its cone D_i X v = (X v)_+, so a block is the neuron (v / |v|, +-|v|) and the network's objective is at most the
 * program's. With several outputs every neuron feeds one of them; the coupling by norms over outputs is NP-hard with cones.
 * Over patches that are summed the same holds for filters (Ergen and Pilanci 2021, theorem 1); where each patch has a read-out of
 * its own, that is one output more a patch.
 */
export const relu: Formulation = {
  name: "relu",
  penaltiesFor: () => ["perOutput"],
  build: (parts, penalty) => ({ ...parts, penalty: penalties[penalty], cones: true }),
  recover(program, blocks) {
    const { output, sign } = columnsOf(program, blocks.index);
    const d = program.X.cols;
    const neurons: Neuron[] = [];
    for (let k = 0; k < blocks.index.length; k++) {
      const vector = blocks.vectors.slice(k * d, (k + 1) * d);
      const size = norm(vector);
      if (size === 0) continue;
      const out = new Float64Array(blockOutputs(program));
      out[output[k]] = sign[k] * size;
      neurons.push({ direction: vector.map((value) => value / size), output: out, gate: null });
    }
    return { gated: false, neurons, bias: blocks.bias.slice(), pooling: program.pooling ?? null };
  },
};
