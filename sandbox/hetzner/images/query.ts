import { z } from 'zod';
import type { Image } from '../catalogue/images.ts';
import { invalidField } from '../errors.ts';
import { listParameter } from '../input.ts';
import { matchesSelector, parseLabelSelector } from '../label-selector.ts';
import { listQuery } from '../listing.ts';

export const imageQuery = listQuery.extend({
  type: listParameter,
  status: listParameter,
  bound_to: listParameter,
  architecture: listParameter,
  include_deprecated: z.stringbool().default(false),
});

/** Returns the images that match a query. */
export function filterImages(images: readonly Image[], query: z.infer<typeof imageQuery>): Image[] {
  const selector = parseLabelSelector(query.label_selector ?? '');
  const among = (wanted: string[], value: string) => wanted.length === 0 || wanted.includes(value);
  return images.filter(
    (image) =>
      (query.name === undefined || image.name === query.name) &&
      (query.include_deprecated || image.deprecated === null) &&
      among(query.bound_to, String(image.bound_to)) &&
      among(query.type, image.type) &&
      among(query.status, image.status) &&
      among(query.architecture, image.architecture) &&
      matchesSelector(selector, image.labels),
  );
}

const SORT_KEYS = ['id', 'name', 'created'] as const;

/** Sorts by Hetzner's sort terms, such as `name:desc`, then by id. */
export function sortImages(images: Image[], sort: readonly string[]): Image[] {
  const terms = sort.map((term) => {
    const [name, direction = 'asc'] = term.split(':');
    const key = SORT_KEYS.find((candidate) => candidate === name);
    if (key === undefined || (direction !== 'asc' && direction !== 'desc'))
      throw invalidField('sort', `cannot sort by '${term}'`);
    return { key, sign: direction === 'desc' ? -1 : 1 };
  });
  return images.sort((a, b) => {
    for (const { key, sign } of [...terms, { key: 'id' as const, sign: 1 }]) {
      const [left, right] = [a[key] ?? '', b[key] ?? ''];
      if (left !== right) return (left < right ? -1 : 1) * sign;
    }
    return 0;
  });
}
