/**
 * In which order answers are given: the same in every store.
 */

interface OfVehicle {
  readonly vehicle: string
}

/** By the name of the vehicle, code unit by code unit. */
export const byVehicle = (a: OfVehicle, b: OfVehicle): number =>
  a.vehicle < b.vehicle ? -1 : a.vehicle > b.vehicle ? 1 : 0

interface Distant extends OfVehicle {
  readonly metres: number
}

/** Nearest first; what is equally far away by its name. */
export const byDistance = (a: Distant, b: Distant): number => a.metres - b.metres || byVehicle(a, b)
