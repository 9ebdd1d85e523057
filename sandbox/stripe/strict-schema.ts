import { z } from 'zod';

/**
 * Throws unless a schema rejects undeclared parameters at every depth: one that drops them would make the
 * sandbox accept unsupported parameters. Free names, as in metadata, are records.
 */
export function requireStrict(schema: z.core.$ZodType, where: string): void {
  if (schema instanceof z.ZodObject) {
    const { shape, catchall } = schema.def;
    if (!(catchall instanceof z.ZodNever)) throw new Error(`${where} accepts undeclared parameters`);
    for (const [name, inner] of Object.entries(shape)) requireStrict(inner, `${where}[${name}]`);
  } else if (schema instanceof z.ZodUnion) {
    for (const option of schema.options) requireStrict(option, where);
  } else if (schema instanceof z.ZodArray) {
    requireStrict(schema.element, `${where}[]`);
  } else if (schema instanceof z.ZodPipe) {
    requireStrict(schema.in, where);
  } else if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault
  ) {
    requireStrict(schema.unwrap(), where);
  }
}
