import { expect, test } from 'vitest';
import { OPERATION_KINDS, REQUESTABLE_KINDS } from '../../src/cli/operation-kinds.ts';
import { listOperationKinds } from '../../tools/operation-kinds.ts';

test('the commands know the kinds that are defined: node tools/generate-client.ts', () => {
  expect({ OPERATION_KINDS, REQUESTABLE_KINDS }).toEqual(listOperationKinds());
});
