import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { z } from 'zod';
import { errorMessage } from '../../errors.ts';
import { CommandError } from '../connection.ts';

interface Tool<Shape extends z.ZodRawShape> {
  name: string;
  description: string;
  input: Shape;
  /** Whether it only reads. */
  reads: boolean;
  run(input: z.output<z.ZodObject<Shape>>): Promise<unknown>;
}

/** Adds a tool that answers with JSON. What the service refuses is the tool's error, for the model. */
export function addTool<Shape extends z.ZodRawShape>(
  server: McpServer,
  { name, description, input, reads, run }: Tool<Shape>,
): void {
  const options = {
    description,
    inputSchema: input as z.ZodRawShape,
    // Nothing that a tool does by itself destroys anything: that is only proposed.
    annotations: { readOnlyHint: reads, destructiveHint: false },
  };
  server.registerTool(name, options, async (values: unknown) => {
    try {
      return toResult(await run(values as z.output<z.ZodObject<Shape>>));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return { ...toResult({ error: errorMessage(error) }), isError: true };
    }
  });
}

const toResult = (value: unknown) => ({
  content: [{ type: 'text' as const, text: JSON.stringify(value, null, 2) }],
});
