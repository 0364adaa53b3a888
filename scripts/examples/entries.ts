/** The examples in the order of docs/examples.md, each with its words and where its picture comes from. */

/** A program that a person runs; it ends with a line "What it showed: ...". */
export interface Program {
  readonly name: string; // of its picture, docs/images/examples/NAME.svg
  readonly title: string;
  readonly about: string; // a paragraph
  readonly source: string;
  readonly command: string;
  readonly plot: string; // what the program writes, without .svg
}

/** A chapter of the gallery, pictured as it looks in a browser. */
export interface Chapter {
  readonly name: string; // docs/images/examples/gallery-NAME.jpg, and the id of its section
  readonly title: string;
  readonly about: string;
  readonly source: string;
}

export interface Group {
  readonly title: string;
  readonly programs: readonly Program[];
}

export const groups: readonly Group[] = [
  {
    title: "In place of model.fit",
    programs: [
      {
        name: "mnist",
        title: "Handwritten digits",
        about:
          "The main job: 2,000 digits, ten classes, a gated network. The convex fit runs first, then SGD and Adam get its time on the " +
          "same model, gates and objective. The model is saved and loaded again in a fresh process.",
        source: "examples/mnist/main.ts",
        command: "npm run demo",
        plot: "examples/mnist/out/convergence",
      },
      {
        name: "migration",
        title: "Three changed lines",
        about:
          "Two scripts that classify irises, one by `model.fit` and one by the trainer: the example prints the lines in which they " +
          "differ, runs both, and sets their reports side by side.",
        source: "examples/migration/main.ts",
        command: "npm run demo:migration",
        plot: "examples/migration/out/migration",
      },
      {
        name: "tabular",
        title: "A table, in three ways",
        about:
          "`fit` on a model that is there, `train` without one, and the gated network, on a made table of 30 measurements in the manner " +
          "of the Wisconsin breast cancer data.",
        source: "examples/tabular/main.ts",
        command: "npm run demo:tabular",
        plot: "examples/tabular/out/tabular",
      },
      {
        name: "transfer",
        title: "A new head on a frozen network",
        about:
          "After the official example of TensorFlow.js: a small convolutional network learns the digits 0 to 4 by `model.fit` and is " +
          "frozen; a head on it learns 5 to 9 from a few pictures of each, convexly and by Adam for as long. A fit has 30 seconds, which the largest may use up: its bound is then far off.",
        source: "examples/transfer/main.ts",
        command: "npm run demo:transfer",
        plot: "examples/transfer/out/transfer",
      },
      {
        name: "path",
        title: "Which beta?",
        about:
          "The whole regularization path of a network on Fisher's irises, each point with its bound, and the beta that cross-validation " +
          "chooses on it.",
        source: "examples/path/main.ts",
        command: "npm run demo:path",
        plot: "examples/path/out/cross-validation",
      },
    ],
  },
  {
    title: "Images and signals",
    programs: [
      {
        name: "mnist-conv",
        title: "Digits by a convolution",
        about:
          "Ten classes, a gated convolution whose filters are read out at four places, against SGD and Adam with tuned rates and five " +
          "times the time on the same gates.",
        source: "examples/mnist/conv.ts",
        command: "npm run demo:mnist-conv",
        plot: "examples/mnist/out/conv",
      },
      {
        name: "cifar",
        title: "Photographs by a convolution",
        about:
          "Airplanes and automobiles of CIFAR-10, `gatedConv2D` and an average over the image, against SGD and Adam from several starts. " +
          "`--fetch` gets the images, `--digits` takes two digits instead.",
        source: "examples/cifar/main.ts",
        command: "npx tsx examples/cifar/main.ts --fetch",
        plot: "examples/cifar/out/convergence",
      },
      {
        name: "cifar-pca",
        title: "Photographs on principal components",
        about:
          "The same two classes on 100 principal components, by a ReLU network whose gates are searched for; and what the trainer says of " +
          "a model that is wide enough, or is not.",
        source: "examples/cifar/pca.ts",
        command: "npm run demo:cifar-pca -- --fetch",
        plot: "examples/cifar/out/pca",
      },
      {
        name: "cifar-batches",
        title: "Ten classes by parts of the rows",
        about:
          'Ten classes of CIFAR-10 behind 32 gates: the trainer with `solver: "stochastic"`, which proves its gap, and `proximalAdam` inside an ' +
          "ordinary `model.fit` on the same program, for the same time. Here 1,000 images as means of 8 x 8 pixels, seconds of processors; " +
          "`--full` is 50,000 with all their pixels.",
        source: "examples/cifar/batches.ts",
        command: "npm run demo:cifar-batches -- --fetch --processor",
        plot: "examples/cifar/out/batches",
      },
      {
        name: "ecg",
        title: "A heartbeat, one sample ahead",
        about:
          "The next sample of an electrocardiogram from the 15 before it, and a look into the network: which neurons move the prediction, " +
          "and on what they look. A file of your own can be given.",
        source: "examples/ecg/main.ts",
        command: "npx tsx examples/ecg/main.ts",
        plot: "examples/ecg/out/ecg",
      },
      {
        name: "ecg-conv",
        title: "A heartbeat by a convolution",
        about:
          "The same signal by a `conv1d` network with searched gates, against Adam and SGD with tuned rates on as many filters.",
        source: "examples/ecg/conv.ts",
        command: "npx tsx examples/ecg/conv.ts",
        plot: "examples/ecg/out/conv",
      },
      {
        name: "dynamics",
        title: "How a helicopter moves",
        about:
          "Windows of controls and of what sensors see, 56 numbers, to six accelerations, on 1,620 samples of simulated flights: 498 gated units on " +
          "top of the linear rule, against SGD and Adam on the same units, and whole flights foretold from the controls alone.",
        source: "examples/dynamics/main.ts",
        command: "npm run demo:dynamics",
        plot: "examples/dynamics/out/dynamics",
      },
    ],
  },
  {
    title: "What the theory says, seen",
    programs: [
      {
        name: "strong-duality",
        title: "Wider networks, the same optimum",
        about:
          "All gates of five and of ten rows: the optimum of the convex program is that of networks of any width. SGD on networks of " +
          "growing width comes down to it.",
        source: "examples/strong-duality/main.ts",
        command: "npx tsx examples/strong-duality/main.ts",
        plot: "examples/strong-duality/out/strong-duality",
      },
      {
        name: "parallel",
        title: "Three layers, few branches and many",
        about:
          "Five rows and parallel three-layer networks, three hidden neurons a branch: the optimum over all double arrangements, and SGD on " +
          "the same objective with 2, 5 and 15 branches from five starts each.",
        source: "examples/parallel/main.ts",
        command: "npm run demo:parallel",
        plot: "examples/parallel/out/branches",
      },
      {
        name: "parallel-images",
        title: "Three layers on photographs and clothes",
        about:
          "CIFAR-10 and Fashion-MNIST, 40 branches of 100 hidden neurons: the convex program behind drawn gates, and SGD and Adam with the " +
          "same charge, on ReLU branches and behind the same gates, for the same seconds. Here 500 images of two classes, means of 4 x 4 " +
          "pixels, seconds of processors; `--full` is the whole comparison.",
        source: "examples/parallel/images.ts",
        command: "npm run demo:parallel-images -- --fetch --processor",
        plot: "examples/parallel/out/cifar-objective",
      },
      {
        name: "branches",
        title: "One branch and twenty",
        about:
          "Networks that are a mean of branches: `branchGap` on digits and photographs, and the loss around trained networks of 1, 2, 5 and 20 " +
          "branches that share their units, one hidden layer above and three below, as a published figure draws it. The gap is what the theorem " +
          "is about; how a random plane looks is not.",
        source: "examples/branches/main.ts",
        command: "npm run demo:branches -- --fetch",
        plot: "examples/branches/out/branches",
      },
      {
        name: "tangent-kernel",
        title: "Wide networks and their kernel",
        about:
          "Twenty irises: the tangent kernel's least eigenvalue, the errors that it predicts of gradient descent, and real runs of 500 and of " +
          "20,000 neurons beside the bound of the theorem.",
        source: "examples/tangent-kernel/main.ts",
        command: "npx tsx examples/tangent-kernel/main.ts --wide",
        plot: "examples/tangent-kernel/out/tangent-kernel",
      },
      {
        name: "relaxation",
        title: "A gradient where all neurons are off",
        about:
          "Three neurons made the targets. Plain gradient descent leaves rows on which all neurons are off where they are; that of a relaxation " +
          "pulls there: twenty starts of each, on fewer rows than columns and on more.",
        source: "examples/relaxation/main.ts",
        command: "npx tsx examples/relaxation/main.ts",
        plot: "examples/relaxation/out/relaxation",
      },
      {
        name: "convex-layer",
        title: "A layer that learns constraints",
        about:
          "Solutions of quadratic programs are seen, their constraints are not: `convexLayer` begins at twelve random inequalities and is " +
          "trained by `model.fit` until its programs have the same solutions.",
        source: "examples/convex-layer/main.ts",
        command: "npx tsx examples/convex-layer/main.ts",
        plot: "examples/convex-layer/out/convex-layer",
      },
      {
        name: "convex-classifier",
        title: "A program inside a classifier",
        about: "Fisher's irises by dense - convexLayer - dense, beside the same network with ReLU in its place.",
        source: "examples/convex-layer/classifier.ts",
        command: "npx tsx examples/convex-layer/classifier.ts",
        plot: "examples/convex-layer/out/classifier",
      },
      {
        name: "gradient-explosion",
        title: "One learning rate, many widths",
        about:
          "Gradient descent with one rate diverges from more and more starts as networks become wider. The convex program of the same " +
          "objective has neither rate nor start.",
        source: "examples/gradient-explosion/main.ts",
        command: "npx tsx examples/gradient-explosion/main.ts",
        plot: "examples/gradient-explosion/out/explosion",
      },
      {
        name: "implicit-bias",
        title: "Where descent without decay goes",
        about:
          "Separable data, logistic loss, no weight decay: descent goes on forever, and its direction comes to the network of largest " +
          "margin, which a convex program gives.",
        source: "examples/implicit-bias/main.ts",
        command: "npx tsx examples/implicit-bias/main.ts",
        plot: "examples/implicit-bias/out/implicit-bias",
      },
    ],
  },
  {
    title: "Other units and other ways",
    programs: [
      {
        name: "frank-wolfe",
        title: "Networks grown neuron by neuron",
        about:
          "Bengio et al. (2006) on the double moon, d'Aspremont and Pilanci (2020) on planted networks, against SGD and Adam on the same " +
          "objectives.",
        source: "examples/frank-wolfe/main.ts",
        command: "npm run demo:frank-wolfe",
        plot: "examples/frank-wolfe/out/planted-n20-d25",
      },
      {
        name: "polynomial",
        title: "Polynomial units, and weights of one bit",
        about:
          "Programs whose variable is a matrix: units a t² + b t + c on a planted network, and networks whose weights are -1 and 1, against " +
          "straight-through descent.",
        source: "examples/polynomial/main.ts",
        command: "npm run demo:polynomial",
        plot: "examples/polynomial/out/planted",
      },
      {
        name: "quadratic-conv",
        title: "Quadratic convolutions, proven over all filters",
        about:
          "Two classes of images by filters whose outputs go through a polynomial of degree two and are averaged: the optimum over filters " +
          "of any number, against SGD and Adam with as many and with four times as many.",
        source: "examples/polynomial/conv.ts",
        command: "npm run demo:quadratic-conv -- --fetch",
        plot: "examples/polynomial/out/quadratic-conv",
      },
      {
        name: "generator",
        title: "Digits from noise, in closed form",
        about:
          "Generators of a Wasserstein GAN against a quadratic discriminator: a linear layer for each of four resolutions, and a ReLU " +
          "generator in two convex steps. The rows show images of MNIST and what the same latents become. Descent-ascent runs on the same game.",
        source: "examples/generator/main.ts",
        command: "npm run demo:generator",
        plot: "examples/generator/out/generator",
      },
      {
        name: "deep-linear",
        title: "Deep networks in closed form",
        about:
          "Linear networks of 3, 4 and 5 layers on two classes of MNIST and of CIFAR-10, and ReLU networks on whitened digits, every layer decayed: their optimum " +
          "by a formula, and SGD from random starts that comes down to it.",
        source: "examples/deep-linear/main.ts",
        command: "npm run demo:deep-linear -- --fetch",
        plot: "examples/deep-linear/out/deep-linear",
      },
    ],
  },
];

export const chapters: readonly Chapter[] = [
  {
    name: "compare",
    title: "One network, trained in two ways",
    about:
      "Moons, spirals, digits, clicks or a CSV file of your own; the convex fit and `model.fit` side by side, with both decision " +
      "surfaces, neurons, and how far above the bound each is over time.",
    source: "examples/gallery/main.ts",
  },
  {
    name: "around",
    title: "Around the optimum",
    about:
      "The objective of the convex solution along two random directions. In the middle is the solution, and no way leads down.",
    source: "examples/gallery/contourPlot.ts",
  },
  {
    name: "symbols",
    title: "Teach it your own symbols",
    about:
      "Symbols that you draw, five times each: a frozen convolutional network looks at them, and the head on it is trained in the page.",
    source: "examples/gallery/symbols/symbols.ts",
  },
  {
    name: "take",
    title: "Take it with you",
    about:
      "The trained model as files for TensorFlow.js, the code that trains it, the data, the plots, or a model kept in the browser.",
    source: "examples/gallery/handout.ts",
  },
];

export const programs: readonly Program[] = groups.flatMap((group) => group.programs);
