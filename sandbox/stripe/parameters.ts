import { z } from 'zod';

// All form values are text; these schemas parse it.

export const integer = z
  .string()
  .regex(/^-?\d{1,12}$/, 'integer')
  .transform(Number);

export const boolean = z.enum(['true', 'false'], 'boolean').transform((text) => text === 'true');

/** A currency's code, such as `eur`. */
export const currency = z.string().length(3).toLowerCase();

export const url = z.string().regex(/^https?:\/\//, 'must be a URL with http or https');

/** Non-empty text. Empty text means unset, which most parameters refuse. */
export const text = z.string().min(1).max(5000);

/** Returns the schema of a parameter that empty text unsets. */
export function unsettable<T extends z.ZodType>(value: T) {
  return z.union([z.literal('').transform(() => null), value]);
}

/** Returns the schema of nested parameters. An undeclared one gets Stripe's own error. */
export function fields<S extends z.ZodRawShape>(shape: S) {
  return z.strictObject(shape);
}

/** Returns the parameters that were given. */
export function definedOnly<T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as never;
}

const metadataPairs = z
  .record(z.string().max(40), z.string().max(500))
  .refine((pairs) => Object.keys(pairs).length <= 50, 'can have at most 50 keys');

export const metadata = metadataPairs.default({});

/** Metadata in an update: sets pairs, unsets those with an empty value. Empty text clears all of it. */
export const metadataChange = z.union([z.literal(''), metadataPairs]).optional();

/** Applies a metadata update. */
export function changeMetadata(
  before: Record<string, string>,
  change: z.infer<typeof metadataChange>,
): Record<string, string> {
  if (change === undefined) return before;
  if (change === '') return {};
  return Object.fromEntries(Object.entries({ ...before, ...change }).filter(([, value]) => value !== ''));
}

export const limit = integer.pipe(z.number().min(1).max(100)).default(10);

/** Parameters of every list. */
export const pageParameters = {
  limit,
  starting_after: text.optional(),
  ending_before: text.optional(),
};

export interface Page {
  limit: number;
  starting_after?: string | undefined;
  ending_before?: string | undefined;
}

/** `created=…` or `created[gte]=…`: a range of Unix seconds, both ends included. */
export const createdRange = z
  .union([
    integer.transform((at) => ({ from: at, to: at })),
    fields({ gt: integer, gte: integer, lt: integer, lte: integer })
      .partial()
      .transform(({ gt, gte, lt, lte }) => ({
        from: Math.max(gte ?? 0, gt === undefined ? 0 : gt + 1),
        to: Math.min(lte ?? Number.MAX_SAFE_INTEGER, lt === undefined ? Number.MAX_SAFE_INTEGER : lt - 1),
      })),
  ])
  .optional()
  .transform((range) => range ?? { from: 0, to: Number.MAX_SAFE_INTEGER });

export type CreatedRange = z.output<typeof createdRange>;
