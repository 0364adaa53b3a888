/** The running means that an optimizer keeps of each weight, and how those of a saved one find the weights of a loaded model. */

import * as tf from "@tensorflow/tfjs";

/** Of gradients, shaped as the weight ("m"), and of their squares ("v"). */
type Kind = "m" | "v";
type Means = { [kind in Kind]?: tf.Variable };
type Saved = { name: string; tensor: tf.Tensor };

const KINDS: readonly Kind[] = ["m", "v"];
/** tfjs appends such to a variable whose name is taken, as where a model is loaded beside the one that was saved. */
const MADE_UNIQUE = /(_\d+)+$/;

export class Moments {
  private readonly kept = new Map<string, Means>(); // by the variable's name
  private loaded: { readonly base: string; readonly name: string; readonly means: Means }[] = []; // in the order of saving

  /** The running mean of a weight, moved on by a value. */
  move(kind: Kind, name: string, value: tf.Tensor, share: number): tf.Tensor {
    const means = this.kept.get(name) ?? {};
    this.kept.set(name, means);
    means[kind] ??= tf.variable(tf.zerosLike(value), false);
    const variable = means[kind];
    variable.assign(tf.add(tf.mul(variable, share), tf.mul(value, 1 - share)));
    return variable;
  }

  /** Hands what was loaded to the weights that are trained: by name, but for what makes it unique, and among equal names by order. */
  adopt(names: readonly string[]): void {
    for (const name of this.loaded.length > 0 ? names : []) {
      if (this.kept.has(name)) continue;
      const at = this.loaded.findIndex(({ base, means }) => base === baseOf(name) && fits(means, name));
      if (at < 0) continue;
      this.kept.set(name, this.loaded[at].means);
      this.loaded.splice(at, 1);
    }
  }

  save(): Saved[] {
    const all = [...this.kept, ...this.loaded.map(({ name, means }) => [name, means] as const)];
    return KINDS.flatMap((kind) =>
      all.flatMap(([name, { [kind]: tensor }]) => (tensor === undefined ? [] : [{ name: `${name}/${kind}`, tensor }])),
    );
  }

  load(weights: readonly Saved[]): void {
    this.dispose();
    const found = new Map<string, Means>();
    for (const { name, tensor } of weights) {
      const weight = name.slice(0, -2);
      const means = found.get(weight) ?? {};
      means[name.endsWith("/m") ? "m" : "v"] = tf.variable(tensor, false);
      found.set(weight, means);
    }
    this.loaded = Array.from(found, ([name, means]) => ({ base: baseOf(name), name, means }));
  }

  dispose(): void {
    for (const means of [...this.kept.values(), ...this.loaded.map((one) => one.means)]) {
      for (const kind of KINDS) means[kind]?.dispose();
    }
    this.kept.clear();
    this.loaded = [];
  }
}

function baseOf(name: string): string {
  return name.replace(MADE_UNIQUE, "");
}

function fits({ m }: Means, name: string): boolean {
  const weight = tf.engine().registeredVariables[name];
  return m === undefined || tf.util.arraysEqual(m.shape, weight.shape);
}
