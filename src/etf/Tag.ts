/**
 * The tags of the External Term Format, by the names of its documentation.
 *
 * @since 0.1.0
 */

/**
 * The byte in front of every stand-alone term.
 *
 * @category constants
 * @since 0.1.0
 */
export const version = 131

/**
 * Tag bytes. The atom cache reference (82) is legal only behind a distribution header, 80 only right behind the version
 * byte.
 *
 * @category constants
 * @since 0.1.0
 */
export const Tag = {
  newFloat: 70,
  bitBinary: 77,
  compressed: 80,
  atomCacheRef: 82,
  newPid: 88,
  newPort: 89,
  newerReference: 90,
  smallInteger: 97,
  integer: 98,
  float: 99,
  atom: 100,
  reference: 101,
  port: 102,
  pid: 103,
  smallTuple: 104,
  largeTuple: 105,
  nil: 106,
  string: 107,
  list: 108,
  binary: 109,
  smallBig: 110,
  largeBig: 111,
  newFun: 112,
  export: 113,
  newReference: 114,
  smallAtom: 115,
  map: 116,
  fun: 117,
  atomUtf8: 118,
  smallAtomUtf8: 119,
  v4Port: 120,
  local: 121
} as const
