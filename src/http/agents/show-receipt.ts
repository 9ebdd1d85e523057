import { z } from 'zod';
import { findReceipt } from '../../agents/receipts.ts';
import { getAgent } from '../../agents/store.ts';
import { findReceiptLink } from '../../audit/listing.ts';
import { NotFoundError } from '../../errors.ts';
import { endpoint } from '../endpoint.ts';
import { agentParams } from './agent-json.ts';

export const receiptJson = z
  .object({
    receiptId: z.string(),
    agentId: z.string(),
    kind: z.string().meta({ description: 'The operation: `destroy` or `hibernate`' }),
    body: z
      .record(z.string(), z.unknown())
      .meta({ description: 'Who the agent was, what was removed, when each cloud said that it is gone' }),
    hash: z.string().meta({ description: 'SHA-256 of the body, as in the audit log' }),
    issuedAt: z.iso.datetime(),
    chain: z
      .object({ auditId: z.int(), position: z.int(), hash: z.string() })
      .nullable()
      .meta({ description: 'The link of the audit chain that holds it; null until it is sealed' }),
  })
  .meta({ id: 'Receipt' });

export const showReceipt = endpoint({
  method: 'get',
  path: '/api/agents/{agentId}/receipt',
  summary: 'The receipt of an agent’s deletion',
  access: 'operator',
  params: agentParams,
  answers: { 200: { description: 'The newest receipt', schema: receiptJson } },
  handle: async ({ params, response, deps: { database } }) => {
    const { agentId } = params;
    await getAgent(database, agentId);
    const receipt = await findReceipt(database, agentId);
    if (receipt === undefined)
      throw new NotFoundError(`Agent ${agentId} has no receipt: nothing was deleted`);
    const { receiptId, kind, body, hash, createdAt } = receipt;
    const chain = await findReceiptLink(database, agentId, receiptId);
    response.json({ receiptId, agentId, kind, body, hash, issuedAt: createdAt.toISOString(), chain });
  },
});
