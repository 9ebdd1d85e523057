import { z } from 'zod';

// Everything in a form is text; these read what the text stands for.

export const integer = z
  .string()
  .regex(/^-?\d{1,12}$/, 'must be an integer')
  .transform(Number);

export const boolean = z
  .enum(['true', 'false'], 'must be true or false')
  .transform((text) => text === 'true');

const metadataPairs = z
  .record(z.string().max(40), z.string().max(500))
  .refine((pairs) => Object.keys(pairs).length <= 50, 'can have at most 50 keys');

export const metadata = metadataPairs.default({});

/** Metadata in an update: pairs to set, those with an empty value to unset; an empty text clears all of it. */
export const metadataChange = z.union([z.literal(''), metadataPairs]).optional();

export function changeMetadata(
  before: Record<string, string>,
  change: z.infer<typeof metadataChange>,
): Record<string, string> {
  if (change === undefined) return before;
  if (change === '') return {};
  return Object.fromEntries(Object.entries({ ...before, ...change }).filter(([, value]) => value !== ''));
}

export const pageParameters = z.object({
  limit: integer.pipe(z.number().min(1).max(100)).default(10),
  starting_after: z.string().optional(),
  ending_before: z.string().optional(),
});

export type Page = z.output<typeof pageParameters>;

/** `created=…` or `created[gte]=…`: a range of Unix seconds, both ends included. */
export const createdRange = z
  .union([
    integer.transform((at) => ({ from: at, to: at })),
    z
      .object({ gt: integer, gte: integer, lt: integer, lte: integer })
      .partial()
      .transform(({ gt, gte, lt, lte }) => ({
        from: Math.max(gte ?? 0, gt === undefined ? 0 : gt + 1),
        to: Math.min(lte ?? Number.MAX_SAFE_INTEGER, lt === undefined ? Number.MAX_SAFE_INTEGER : lt - 1),
      })),
  ])
  .optional()
  .transform((range) => range ?? { from: 0, to: Number.MAX_SAFE_INTEGER });

export type CreatedRange = z.output<typeof createdRange>;
