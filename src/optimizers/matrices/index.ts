/** What is trained by a program whose variable is a matrix: closed forms of deep networks, generators, polynomial units, weights of -1 and 1. */

export {
  type ClosedFormCertificate,
  type ClosedFormOptions,
  type ClosedFormResult,
  trainClosedForm,
} from "./closedForm.js";
export {
  type GeneratorCertificate,
  type GeneratorOptions,
  type GeneratorResult,
  type GeneratorStage,
  type SecondStep,
  trainGenerator,
} from "./generator.js";
export { type PolynomialOptions, type PolynomialResult, trainPolynomial } from "./polynomial.js";
export {
  type QuantizedCertificate,
  type QuantizedOptions,
  type QuantizedResult,
  trainQuantized,
} from "./quantized.js";
