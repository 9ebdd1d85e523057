import { type Command, defineCommand } from '../command.ts';

/** `mcp`: the server for programs that use tools. */
export const mcp: Command = defineCommand({
  name: 'mcp',
  brief: 'serve the Model Context Protocol on standard input and output',
  detail:
    'Its tools list, search and read. With a token that may act, tools that lose nothing act, and those that do are proposed: a person approves or rejects them under Attention.',
  examples: ['mcp'],
  fields: {},
  run: async (_values, terminal) => {
    const { serveMcp } = await import('../mcp/serve.ts');
    await serveMcp(terminal);
    return true;
  },
});
