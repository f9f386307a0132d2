/**
 * What is said to somebody whose command was not understood: what was wrong, how the command is used, where help is. All of
 * it on standard error, since it is not what was asked for.
 *
 * @since 0.1.0
 */
import * as CliOutput from "effect/cli/CliOutput"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

/** How help, versions and wrong commands are shown. */
export const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag !== "InvalidInvocation") return CliOutput.defaultPresenter.present(event)
    const { commandPath, errors, helpDoc } = event
    return Effect.flatMap(TerminalCapabilities.TerminalCapabilities, ({ canColor }) =>
      Console.error(
        [
          CliOutput.defaultFormatter({ colors: canColor }).formatErrors(errors).trimEnd(),
          "",
          `Usage: ${helpDoc.usage}`,
          `Help:  ${commandPath.join(" ")} --help`
        ].join("\n")
      ))
  }
}
