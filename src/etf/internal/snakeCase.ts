/**
 * Names as Erlang programmers write atoms.
 *
 * @since 0.1.0
 */

/** `AddOne` as `add_one`, `HTTPError` as `http_error`; what is no letter or digit stays. */
export const snakeCase = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1_$2")
    .toLowerCase()
