import { z } from 'zod';

const LABEL_SEGMENT = /^[a-z0-9A-Z]([a-z0-9A-Z._-]{0,61}[a-z0-9A-Z])?$/;
const DNS_PART = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

export type Labels = Record<string, string>;

/**
 * Labels under Hetzner's rules: `[prefix/]name`, name and value up to 63 characters; `hetzner.cloud/` is
 * reserved.
 */
export const labelsInput = z.record(
  z.string().refine(isLabelKey, 'is not a valid label key'),
  z.string().refine(isLabelValue, 'is not a valid label value'),
);

export function isLabelKey(key: string): boolean {
  const parts = key.split('/');
  const name = parts.pop()!;
  if (!LABEL_SEGMENT.test(name) || parts.length > 1) return false;
  const prefix = parts[0];
  if (prefix === undefined) return true;
  return (
    prefix !== 'hetzner.cloud' && prefix.length <= 253 && prefix.split('.').every((p) => DNS_PART.test(p))
  );
}

export function isLabelValue(value: string): boolean {
  return value === '' || LABEL_SEGMENT.test(value);
}
