/** What the form asks for. */

export type DataName = "moons" | "spirals" | "circles" | "xor" | "clicks" | "digits35" | "digits" | "csv";
export type GalleryLoss =
  | "squaredHinge"
  | "hinge"
  | "binaryCrossentropy"
  | "meanSquaredError"
  | "huberLoss"
  | "categoricalCrossentropy";

export interface Settings {
  readonly data: DataName;
  readonly points: number;
  readonly noise: number;
  readonly formulation: "relu" | "gated";
  readonly units: number;
  readonly loss: GalleryLoss;
  readonly beta: number;
  readonly arrangements: "sample" | "grow" | "enumerate";
  readonly gates: number;
  readonly tolerance: number;
  readonly optimizer: "sgd" | "adam";
  readonly rate: number;
  readonly epochs: number;
  readonly starts: number;
}

/** Reads the form; the browser has checked the ranges. */
export function readSettings(form: HTMLFormElement): Settings {
  const values = new FormData(form);
  const text = (name: string) => String(values.get(name) ?? "");
  const number = (name: string) => Number(text(name));
  return {
    data: text("data") as DataName,
    points: number("points"),
    noise: number("noise"),
    formulation: text("formulation") as Settings["formulation"],
    units: number("units"),
    loss: text("loss") as GalleryLoss,
    beta: number("beta"),
    arrangements: text("arrangements") as Settings["arrangements"],
    gates: number("gates"),
    tolerance: number("tolerance"),
    optimizer: text("optimizer") as Settings["optimizer"],
    rate: number("rate"),
    epochs: number("epochs"),
    starts: number("starts"),
  };
}
