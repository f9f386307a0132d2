/**
 * Prints `N passed, N failed` from the JSON report of the tests, and what was skipped before it. A file that could not be
 * loaded counts as one failure, and so does a test command that left no report. Plain JavaScript: it runs on any Node.
 */
import * as Fs from "node:fs"

const file = process.argv[2]
if (!Fs.existsSync(file)) {
  console.log("The test command ended without a report.")
  console.log("0 passed, 1 failed")
  process.exit(1)
}

const report = JSON.parse(Fs.readFileSync(file, "utf8"))
const unloaded = report.testResults.filter((item) =>
  item.status === "failed" && !item.assertionResults.some((test) => test.status === "failed")
)
for (const item of unloaded) console.log(`could not be run: ${item.name}`)
const skipped = report.numPendingTests + (report.numTodoTests ?? 0)
if (skipped > 0) console.log(`${skipped} skipped`)
const failed = report.numFailedTests + unloaded.length
console.log(`${report.numPassedTests} passed, ${failed} failed`)
process.exit(report.success && failed === 0 ? 0 : 1)
