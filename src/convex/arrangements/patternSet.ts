/**
 * A set of patterns that knows which it has seen, in two flat arrays.
 *
 * One array an object costs a hundred bytes a pattern and a Map holds 2^24 entries at most; a set of a million gates would
 * need ten times the memory that its masks take. Patterns are found by a hash and compared word by word.
 */

const START_PATTERNS = 16;

export class PatternSet {
  count = 0;
  private words = 0; // of each pattern, told by the first
  private patterns = new Uint32Array(0); // [capacity x words]
  private slots = new Int32Array(2 * START_PATTERNS).fill(-1); // open addressing; a power of two, at most half full

  /** With room for `expected` patterns from the start: large ones need not be copied while the set grows. */
  constructor(private readonly expected = START_PATTERNS) {}

  /** Adds a copy of the pattern; false when it is there already. All patterns are as long as the first. */
  add(pattern: Uint32Array): boolean {
    if (this.count === 0) this.words = pattern.length;
    const slot = this.slotOf(pattern, 0);
    if (this.slots[slot] >= 0) return false;
    const end = (this.count + 1) * this.words;
    if (end > this.patterns.length) {
      const larger = new Uint32Array(Math.max(2 * this.patterns.length, this.expected * this.words));
      larger.set(this.patterns);
      this.patterns = larger;
    }
    this.patterns.set(pattern, this.count * this.words);
    this.slots[slot] = this.count;
    this.count += 1;
    if (2 * this.count > this.slots.length) this.enlarge();
    return true;
  }

  /** The place of a pattern in the order of adding, or -1. */
  find(pattern: Uint32Array): number {
    return this.count === 0 ? -1 : this.slots[this.slotOf(pattern, 0)];
  }

  /** All patterns in the order of adding, [count x words]: a copy, unless they fill the room exactly. */
  packed(): Uint32Array {
    const length = this.count * this.words;
    return this.patterns.length === length ? this.patterns : this.patterns.slice(0, length);
  }

  /** The slot that holds the pattern at `source[start...]`, or the free one where it belongs. */
  private slotOf(source: Uint32Array, start: number): number {
    const mask = this.slots.length - 1;
    let slot = hash(source, start, this.words) & mask;
    while (this.slots[slot] >= 0 && !this.equals(this.slots[slot], source, start)) slot = (slot + 1) & mask;
    return slot;
  }

  private equals(place: number, source: Uint32Array, start: number): boolean {
    for (let k = 0; k < this.words; k++) {
      if (this.patterns[place * this.words + k] !== source[start + k]) return false;
    }
    return true;
  }

  private enlarge(): void {
    this.slots = new Int32Array(2 * this.slots.length).fill(-1);
    for (let place = 0; place < this.count; place++) {
      this.slots[this.slotOf(this.patterns, place * this.words)] = place;
    }
  }
}

/** FNV-1a over words, its high bits folded into the low ones that choose the slot. */
function hash(source: Uint32Array, start: number, words: number): number {
  let value = 0x811c9dc5;
  for (let k = start; k < start + words; k++) {
    value = Math.imul(value ^ source[k], 0x01000193);
    value ^= value >>> 15;
  }
  value = Math.imul(value, 0x85ebca6b);
  return value ^ (value >>> 13);
}
