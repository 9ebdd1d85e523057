import { expect, test } from 'vitest';
import { completeInputs, parseRecordedInputs } from '../../src/agents/inputs.ts';
import { agentInputs } from '../support/inputs.ts';

test('a row without inputs has none', () => {
  expect(parseRecordedInputs(null)).toBeNull();
});

test('recorded inputs are read back unchanged', () => {
  const inputs = agentInputs('a1');
  expect(parseRecordedInputs({ ...inputs })).toEqual(inputs);
  expect(completeInputs('a1', inputs)).toEqual(inputs);
});

test('an invalid field counts as absent and leaves the others alone', () => {
  const { firewallId: _, ...rest } = agentInputs('a1');
  const odd = { ...rest, firewallId: 'seven', keyGeneration: 2, someday: true };
  expect(parseRecordedInputs(odd)).toEqual({ ...rest, keyGeneration: 2 });
});

test.each([[[]], ['x'], [5], [true]])('inputs that are %j count as empty', (inputs) => {
  expect(parseRecordedInputs(inputs)).toEqual({});
});

test('missing inputs are named', () => {
  const { image: _, ...rest } = agentInputs('a1');
  expect(() => completeInputs('a1', rest)).toThrow('The recorded inputs of agent a1 lack image');
  expect(() => completeInputs('a1', null)).toThrow('firewallId');
});
