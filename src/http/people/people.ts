import { z } from 'zod';
import { loginSchema, personNameSchema } from '../../people/names.ts';
import {
  addPerson as add,
  changeRole,
  listPeople as readPeople,
  removePerson as remove,
} from '../../people/people.ts';
import { actorOf, principalOf } from '../actor.ts';
import { endpoint } from '../endpoint.ts';
import { pageOf } from '../paging.ts';
import { personJson, presentPerson, roleSchema } from './people-json.ts';

export const listPeople = endpoint({
  id: 'listPeople',
  method: 'get',
  path: '/api/people',
  summary: 'Everybody who may sign in, by name, on one page',
  access: 'admin',
  answers: { 200: { description: 'All of them', schema: pageOf(personJson) } },
  handle: async ({ response, deps: { database } }) => {
    response.json({ items: (await readPeople(database)).map(presentPerson), nextCursor: null });
  },
});

const newPerson = z
  .strictObject(
    { name: personNameSchema, role: roleSchema, login: loginSchema.optional() },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .meta({ id: 'NewPerson' });

export const addPerson = endpoint({
  id: 'addPerson',
  method: 'post',
  path: '/api/people',
  summary: 'Add somebody',
  access: 'admin',
  body: newPerson,
  answers: {
    201: { description: 'They are added', schema: personJson },
    409: { description: 'The name or the login is taken' },
  },
  handle: async ({ body, request, response, deps: { database } }) => {
    const actor = actorOf(request, response);
    const row = await database.transaction().execute((trx) => add(trx, { ...body, actor }));
    response.status(201).json(presentPerson(row));
  },
});

const params = z.object({ name: personNameSchema });

export const changePerson = endpoint({
  id: 'changePerson',
  method: 'patch',
  path: '/api/people/{name}',
  summary: 'Change what somebody may do, at once',
  access: 'admin',
  params,
  body: z.strictObject({ role: roleSchema }).meta({ id: 'PersonChange' }),
  answers: {
    200: { description: 'As they are now', schema: personJson },
    409: { description: 'It is the sender, or the OpenID provider says the role' },
  },
  handle: async ({ params: { name }, body: { role }, request, response, deps: { database } }) => {
    const change = { name, role, actor: actorOf(request, response), actorId: principalOf(response).personId };
    const row = await database.transaction().execute((trx) => changeRole(trx, change));
    response.json(presentPerson(row));
  },
});

export const removePerson = endpoint({
  id: 'removePerson',
  method: 'delete',
  path: '/api/people/{name}',
  summary: 'Remove somebody; their tokens and sessions are refused at once',
  access: 'admin',
  params,
  answers: {
    200: { description: 'As they were', schema: personJson },
    409: { description: 'It is the sender' },
  },
  handle: async ({ params: { name }, request, response, deps: { database } }) => {
    const change = { name, actor: actorOf(request, response), actorId: principalOf(response).personId };
    const row = await database.transaction().execute((trx) => remove(trx, change));
    response.json(presentPerson(row));
  },
});
