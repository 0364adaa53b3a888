/** Ends a test run with one plain line, how many tests passed and how many failed; names what was skipped above it. */
export default class SummaryReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const inState = (state) => tests.filter((test) => test.result().state === state);
    const outside = unhandledErrors.length + modules.reduce((count, module) => count + module.errors().length, 0);
    const skipped = inState("skipped");
    if (skipped.length > 0) console.log(`${skipped.length} skipped:\n${skipped.map(nameOf).join("\n")}`);
    const closing = `${inState("passed").length} passed, ${inState("failed").length + outside} failed`;
    console.log(skipped.length === 0 ? closing : `${closing}, ${skipped.length} skipped`);
  }
}

function nameOf(test) {
  return `  ${test.project.name}: ${test.fullName}`;
}
