/**
 * A plugin of TypeDoc: groups the reference by what a reader wants to do, and leaves the page's title to TypeDoc.
 * A name that is not listed is with the layers where it is defined among them, else advanced.
 */

import { Comment, CommentTag, Converter, ReflectionKind } from "typedoc";

const NAMES = {
  Train: `ConvexReLUTrainer TrainerOptions FitArgs FitDatasetArgs TrainArgs FitResult FitSummary TrainedResult TrainedSummary Stage Callbacks Arrangements Pricing
    WorkerTrainer serveTrainer WorkerPort CrossValidation CrossValidationArgs ShardedArgs ShardedResult PathArgs PathGrid PathPoint PathResult
    ConvexError ErrorCode Status Regularization Objective StartingPoint LossName`,
  Inspect: `certify CertifyOptions ModelCertificate Certificate AllGatesBound PerOutputBound Evidence Gap Certified
    describeNetwork ModelDescription NetworkDescription NeuronDescription PiecewiseLinear Segment Kink
    lossSurface LossSurface LossSurfaceOptions show Visualizer`,
};
const categories = new Map(
  Object.entries(NAMES).flatMap(([category, names]) => names.split(/\s+/).map((name) => [name, category])),
);

export function load(app) {
  app.converter.on(
    Converter.EVENT_RESOLVE_BEGIN,
    ({ project }) => {
      const found = new Set();
      const modules = project.getReflectionsByKind(ReflectionKind.Module); // one, beside the pages of docs/
      for (const module of modules) module.name = "All names";
      for (const child of modules.flatMap(({ children = [] }) => children)) {
        found.add(child.name);
        // What has signatures keeps its comment there, and its category, too.
        for (const { comment } of [child, ...(child.signatures ?? [])]) comment?.removeTags("@category");
        child.comment ??= new Comment();
        child.comment.blockTags.push(new CommentTag("@category", [{ kind: "text", text: categoryOf(child) }]));
      }
      const gone = [...categories.keys()].filter((name) => !found.has(name));
      if (gone.length > 0)
        app.logger.error(`scripts/reference.mjs lists ${gone.join(", ")}, which src/index.ts does not export`);
    },
    1000, // before TypeDoc's own plugin for categories
  );
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    const [first] = project.readme ?? [];
    if (first?.kind === "text") first.text = first.text.replace(/^# .*\n+/, "");
  });
}

function categoryOf({ name, sources }) {
  const inLayers = sources?.some(({ fullFileName }) => fullFileName.includes("/src/layers/"));
  return categories.get(name) ?? (inLayers ? "Layers" : "Advanced");
}
