import { findReceipt } from '../../agents/receipts.ts';
import { getAgent } from '../../agents/store.ts';
import { findReceiptLink } from '../../audit/listing.ts';
import { NotFoundError } from '../../errors.ts';
import { endpoint } from '../endpoint.ts';
import { agentParams } from './agent-json.ts';
import { receiptJson } from './receipt-json.ts';

export const showReceipt = endpoint({
  id: 'showReceipt',
  method: 'get',
  path: '/api/agents/{agentId}/receipt',
  summary: 'The receipt of an agent’s deletion',
  access: 'viewer',
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
