import { z } from 'zod';

const segment = /^[a-z0-9A-Z]([a-z0-9A-Z._-]{0,61}[a-z0-9A-Z])?$/;
const dnsPart = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

export type Labels = Record<string, string>;

/** Labels by Hetzner's rules: `[prefix/]name`, at most 63 characters in name and value, `hetzner.cloud/` reserved. */
export const labelsInput = z.record(
  z.string().refine(isLabelKey, 'is not a valid label key'),
  z.string().refine(isLabelValue, 'is not a valid label value'),
);

export function isLabelKey(key: string): boolean {
  const parts = key.split('/');
  const name = parts.pop()!;
  if (!segment.test(name) || parts.length > 1) return false;
  const prefix = parts[0];
  if (prefix === undefined) return true;
  return (
    prefix !== 'hetzner.cloud' && prefix.length <= 253 && prefix.split('.').every((p) => dnsPart.test(p))
  );
}

export function isLabelValue(value: string): boolean {
  return value === '' || segment.test(value);
}
