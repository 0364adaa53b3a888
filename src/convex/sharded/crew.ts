/** The shards as the driver has them: it asks all of them, and says to one that was started again where the others are. */

import { concatenated } from "../linear/vectors.js";
import type { Cluster, ShardCall, ShardFacts, ShardMessage } from "./cluster.js";

/** What crossed the wire. */
export interface Traffic {
  readonly calls: number; // to all shards
  readonly bytesOut: number; // to each shard
  readonly bytesBack: number; // from each shard
}

/** Two iterates in a row and the pull of the momentum: all that the rows' side of the state is made of. */
export interface Place {
  readonly version: number;
  readonly pull: number;
  readonly before: Float64Array; // [P x C x d]
  readonly blocks: Float64Array; // [P x C x d]
  readonly biasBefore: Float64Array; // [C]
  readonly bias: Float64Array; // [C]
}

/** What an anchor is made of, beside those before it. */
export interface Anchor {
  readonly tau: number;
  readonly point: Float64Array; // [P x C x d + C]
}

/** Who answers for all rows: the shards, or sums that they added up before. */
export interface RowSums {
  readonly rows: number; // n
  readonly facts: readonly ShardFacts[];
  ask(call: ShardCall, payload: Float64Array): Promise<Float64Array>;
  /** Goes there; answers with the sums of the columns of the gradient at the extrapolated point [C], and A' of it. */
  resume(place: Place): Promise<Float64Array>;
  /** The place that the next call goes on from. */
  moved(place: Place): void;
  /**
   * From now on the loss of rows with kinks is that of `anchoredLoss`, of the next anchor: the gradient at these blocks [P x C x d] and bias [C],
   * which was the loss of the anchor before; the first one is zero.
   */
  anchor(tau: number, blocks: Float64Array, bias: Float64Array): Promise<void>;
  /** All anchors since the shards were bound. */
  readonly anchors: readonly Anchor[];
  /** Looks at another point, beside the state: blocks [P x C x d] and bias [C]. */
  lookAside(blocks: Float64Array, bias: Float64Array): Promise<void>;
}

export class Crew implements RowSums {
  private calls = 0;
  private bytesOut = 0;
  private bytesBack = 0;
  /** Bindings and anchors, as far as the shards' loss rests on them. */
  private history: ShardMessage[] = [];
  private place: Place | null = null;
  private aside: ShardMessage | null = null;
  private readonly checksums: readonly number[];
  readonly rows: number; // n

  constructor(
    private readonly cluster: Pick<Cluster, "sum">,
    readonly facts: readonly ShardFacts[],
  ) {
    this.rows = facts.reduce((sum, { rows }) => sum + rows, 0);
    this.checksums = facts.map(({ checksum }) => checksum);
  }

  get traffic(): Traffic {
    const { calls, bytesOut, bytesBack } = this;
    return { calls, bytesOut, bytesBack };
  }

  /** The largest Euclidean norm of a row. */
  get longest(): number {
    return this.facts.reduce((most, { longest }) => Math.max(most, longest), 0);
  }

  async ask(call: ShardCall, payload: Float64Array): Promise<Float64Array> {
    const answer = await this.cluster.sum({ call, payload }, () => this.wayBack());
    this.calls += 1;
    this.bytesOut += payload.byteLength;
    this.bytesBack += answer.byteLength;
    return answer;
  }

  /** Has every shard cut its rows by the gates of these generators [P x d]; anchors go, unless they are to stay. */
  async bind(generators: Float64Array, biasColumn: number, anchored = false): Promise<void> {
    const { rows: total, checksums } = this;
    this.place = null;
    this.aside = null;
    if (!anchored) this.history = [];
    const binding = { op: "bind", biasColumn, total, checksums, anchors: this.anchors.length } as const;
    this.history.push({ call: binding, payload: generators });
    await this.ask(binding, generators);
  }

  async anchor(tau: number, blocks: Float64Array, bias: Float64Array): Promise<void> {
    const call = { op: "anchor", index: this.anchors.length, tau } as const;
    const payload = concatenated(blocks, bias);
    this.place = null;
    this.history.push({ call, payload });
    await this.ask(call, payload);
  }

  get anchors(): readonly Anchor[] {
    return this.history.flatMap(({ call, payload }) =>
      call.op === "anchor" ? [{ tau: call.tau, point: payload }] : [],
    );
  }

  /** Brings every shard there; answers with the sums of the columns of the gradient at the extrapolated point [C], and A' of it. */
  async resume(place: Place): Promise<Float64Array> {
    this.place = place;
    const { call, payload } = resumption(place);
    return this.ask(call, payload);
  }

  /** Where the shards are from now on, without a call of its own: the next one tells them. */
  moved(place: Place): void {
    this.place = place;
  }

  async lookAside(blocks: Float64Array, bias: Float64Array): Promise<void> {
    this.aside = { call: { op: "aside" }, payload: concatenated(blocks, bias) };
    await this.ask(this.aside.call, this.aside.payload);
  }

  /** The number of each shard's first row among all. */
  offsets(): number[] {
    return offsetsOf(this.facts);
  }

  private wayBack(): ShardMessage[] {
    const { history, place, aside } = this;
    return [...history, place === null ? null : resumption(place), aside].filter((message) => message !== null);
  }
}

/** The number of each shard's first row among all. */
export function offsetsOf(facts: readonly ShardFacts[]): number[] {
  let before = 0;
  return facts.map(({ rows }) => {
    before += rows;
    return before - rows;
  });
}

function resumption({ version, pull, before, blocks, biasBefore, bias }: Place): ShardMessage {
  return { call: { op: "resume", version, pull }, payload: concatenated(before, blocks, biasBefore, bias) };
}
