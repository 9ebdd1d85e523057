import type { ApiClient } from '../../client/client.ts';
import type { Candidates } from './arguments.ts';
import { answer } from './terminal.ts';

/** A shell waits for these at every Tab. */
const PATIENCE_MS = 3_000;
const MOST = 200;

/** Completes ids from the running service. Silent where none answers: a shell has no place for errors. */
export function createCandidates(api: ApiClient): Candidates {
  const signal = () => AbortSignal.timeout(PATIENCE_MS);
  return {
    agents: (prefix) =>
      answer(api.GET('/api/agents', { params: { query: { limit: MOST } }, signal: signal() })).then(
        ({ items }) =>
          items
            .filter(({ agentId }) => agentId.startsWith(prefix))
            .map(({ agentId, status }) => ({ id: agentId, words: status })),
        () => [],
      ),
    // Operations are listed by agent alone; there is no list of them all to choose from.
    operations: async () => [],
  };
}
