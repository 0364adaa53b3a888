/** tfjs-convex: convex training of two-layer ReLU networks for TensorFlow.js, with a proof of optimality. */

export {
  type Arrangements,
  arrangementBound,
  enumerateGates,
  gateSetBytes,
  gatesFrom,
  sampleGates,
} from "./convex/arrangements/index.js";
export type { NetworkDescription, NeuronDescription } from "./convex/description/index.js";
export type { Kink, PiecewiseLinear, Segment } from "./convex/description/piecewise.js";
export type { Pricing } from "./convex/pricing/index.js";
export type {
  Checkpoint,
  Cluster,
  ShardCall,
  ShardFacts,
  ShardMessage,
  ShardSpec,
} from "./convex/sharded/index.js";
export type { TangentActivation } from "./convex/tangent/index.js";
export type {
  AllGatesBound,
  Certificate,
  Evidence,
  Gap,
  GateSet,
  LossName,
  Matrix,
  Penalty,
  PerOutputBound,
  SparseBlocks,
  Status,
} from "./convex/types.js";
export { ConvexError, type ErrorCode } from "./errors.js";
export {
  BranchPower,
  type BranchPowerArgs,
  branchPower,
  ConvexLayer,
  type ConvexLayerArgs,
  convexLayer,
  GatedBranches,
  type GatedBranchesArgs,
  GatedConv2D,
  type GatedConv2DArgs,
  GatedDense,
  type GatedDenseArgs,
  gatedBranches,
  gatedConv2D,
  gatedDense,
  OnesColumn,
  type OnesColumnArgs,
  onesColumn,
  PairProducts,
  type PairProductsArgs,
  Patches,
  type PatchesArgs,
  PolynomialActivation,
  type PolynomialArgs,
  ProximalAdam,
  type ProximalAdamArgs,
  pairProducts,
  patches,
  polynomial,
  proximalAdam,
  type QuadraticTerms,
  quadraticProgram,
  registerLayers,
  Sign,
  type SignArgs,
  signLayer,
} from "./layers/index.js";
export {
  type BranchFunction,
  type BranchGap,
  type BranchGapOptions,
  type BranchPoint,
  branchGap,
} from "./optimizers/branches/index.js";
export { type CertifyOptions, certify, type ModelCertificate } from "./optimizers/certify.js";
export {
  type ConvexNNOptions,
  type ConvexNNResult,
  trainConvexNN,
  type UnitCertificate,
} from "./optimizers/convexNN.js";
export {
  ConvexReLUTrainer,
  type FitArgs,
  type FitDatasetArgs,
  type ModelTensors,
  type TrainArgs,
} from "./optimizers/convexReLUTrainer.js";
export type { CrossValidation, CrossValidationArgs } from "./optimizers/crossValidate.js";
export { describeNetwork, type ModelDescription } from "./optimizers/describeNetwork.js";
export { type JoinedNetworks, type JoinOptions, joinNetworks } from "./optimizers/joinNetworks.js";
export { type LossSurface, type LossSurfaceOptions, lossSurface } from "./optimizers/lossSurface.js";
export {
  type ClosedFormCertificate,
  type ClosedFormOptions,
  type ClosedFormResult,
  type GeneratorCertificate,
  type GeneratorOptions,
  type GeneratorResult,
  type GeneratorStage,
  type PolynomialOptions,
  type PolynomialResult,
  type QuantizedCertificate,
  type QuantizedOptions,
  type QuantizedResult,
  type SecondStep,
  trainClosedForm,
  trainGenerator,
  trainPolynomial,
  trainQuantized,
} from "./optimizers/matrices/index.js";
export { neuralTangentKernel, TangentKernel, type TangentOptions } from "./optimizers/neuralTangentKernel.js";
export type {
  ShardedCrossValidation,
  ShardedCrossValidationArgs,
  ShardedPathArgs,
  ShardedPathPoint,
  ShardedPathResult,
} from "./optimizers/onePass/index.js";
export {
  OptimalSet,
  type OptimalSetOptions,
  type Optimum,
  optimalSet,
  type Waypoint,
} from "./optimizers/optimalSet.js";
export type { TrainerOptions } from "./optimizers/options.js";
export {
  type FitParallelOptions,
  fitParallel,
  type ParallelOptions,
  ParallelResult,
  type ParallelSummary,
  trainParallel,
} from "./optimizers/parallel/index.js";
export type { ParallelCharge } from "./optimizers/parallel/wish.js";
export type { ParallelCertificate } from "./optimizers/parallel/written.js";
export type { PathArgs, PathPoint, PathResult } from "./optimizers/path.js";
export type { PathGrid } from "./optimizers/pose/betas.js";
export type { Objective, Regularization, StartingPoint } from "./optimizers/records.js";
export { type RelaxedOptions, type RelaxedReLU, relaxedReLU } from "./optimizers/relaxedReLU.js";
export type { Callbacks } from "./optimizers/report/progress.js";
export {
  FitResult,
  type FitSummary,
  type Stage,
  type TrainedResult,
  type TrainedSummary,
} from "./optimizers/report/result.js";
export { type Certified, show, type Visualizer } from "./optimizers/report/show.js";
export {
  type Change,
  type HeldOutGradient,
  type LayerWeights,
  type LeaveOneOut,
  type Margins,
  type Movement,
  Sensitivity,
  type SensitivityOptions,
  sensitivity,
} from "./optimizers/sensitivity/index.js";
export type { ShardedArgs, ShardedRows } from "./optimizers/sharded/arguments.js";
export type { ShardedResult, ShardedSummary, ShardsReport } from "./optimizers/sharded/result.js";
export { serveTrainer, type WorkerPort, WorkerTrainer } from "./worker/index.js";
