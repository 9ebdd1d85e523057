/** Summary of a series of measurements. */
export interface Summary {
  count: number;
  median: number;
  min: number;
  max: number;
}

/** @throws RangeError for an empty series. */
export function summarize(values: readonly number[]): Summary {
  return {
    count: values.length,
    median: quantile(values, 0.5),
    min: quantile(values, 0),
    max: quantile(values, 1),
  };
}

/** Formats as text: median (min-max). */
export function spread({ median, min, max }: Summary, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}-${max.toFixed(digits)})`;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * Returns the value below which the given share (0 to 1) of the values lies, interpolated between its two
 * neighbours.
 * @throws RangeError for an empty series, or a share outside 0 to 1.
 */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('A quantile needs at least one value');
  if (!(share >= 0 && share <= 1)) throw new RangeError(`A quantile's share is from 0 to 1, not ${share}`);
  const sorted = values.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)]!;
  const above = sorted[Math.ceil(position)]!;
  return below + (above - below) * (position - Math.floor(position));
}
