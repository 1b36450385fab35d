// The Fastify + BullMQ peer of `make bench-turns`: the whole job in one process, from the webhook to the reply.
//
// Written as a team that knows its libraries would write it: a window is a delayed BullMQ job, its messages a list in Redis;
// the worker runs in the same process, pg with named statements, undici with kept connections to the model and fresh ones to
// the gateway. What it lacks beside Majlis stands in bench/README.md.
//
//   REDIS_SOCKET=<path> POSTGRES_HOST=<folder> WORLD=<address of model and gateway> WINDOW_SECONDS=1 AT_ONCE=50 PORT=<port> node turns.js
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const fastify = require('fastify')({ logger: false });
const { Queue, Worker } = require('bullmq');
const Redis = require('ioredis');
const { Pool } = require('pg');
const { Agent, request } = require('undici');
const { parse } = require('./parse');

const { REDIS_SOCKET, POSTGRES_HOST, WORLD, PORT } = process.env;
const WINDOW_MS = Number(process.env.WINDOW_SECONDS) * 1000;
const AT_ONCE = Number(process.env.AT_ONCE);
const MAX_MESSAGES = 5;
const SETTINGS_MS = 30_000;
const HISTORY_LETTERS = 2400;

// Store the message once by its id; the first of a window gives the window its number.
const APPEND = `
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', 172800) then return {0, 0} end
local size = redis.call('RPUSH', KEYS[2], ARGV[1])
if size > 1 then return {size, tonumber(redis.call('GET', KEYS[3]) or '0')} end
return {size, redis.call('INCR', KEYS[3])}`;
// Take the window's messages out of the queue, once: a second call returns the same.
const FREEZE = `
if redis.call('EXISTS', KEYS[2]) == 0 and redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[2]) end
return redis.call('LRANGE', KEYS[2], 0, -1)`;

const connect = () => new (Redis.default ?? Redis)({ path: REDIS_SOCKET, maxRetriesPerRequest: null });
const redis = connect();
redis.defineCommand('append', { numberOfKeys: 3, lua: APPEND });
redis.defineCommand('freeze', { numberOfKeys: 2, lua: FREEZE });
const queue = new Queue('windows', {
  connection: redis,
  defaultJobOptions: {
    delay: WINDOW_MS,
    removeOnComplete: true,
    removeOnFail: 1000,
    attempts: 3,
    backoff: { type: 'exponential', delay: 1000 },
  },
});

const database = new Pool({ host: POSTGRES_HOST, user: 'majlis', database: 'majlis', max: 20 });
database.on('error', (error) => console.error('a connection of the pool ended:', error.message));
const sql = Object.fromEntries(
  Array.from(
    fs.readFileSync(path.join(__dirname, '..', 'turns_statements.sql'), 'utf8').matchAll(/-- name: (\w+)\n(.*?);/gs),
    ([, name, text]) => [name, text],
  ),
);
const query = async (name, ...values) => (await database.query({ name, text: sql[name], values })).rows;

const model = new Agent({ connections: null, pipelining: 1 });
const gateway = new Agent({ connections: 100, pipelining: 0 }); // a kept connection may be gone when a reply leaves

fastify.get('/health/ready', async () => ({ status: 'ready' }));

fastify.post('/webhook/:instance', async (incoming, reply) => {
  const { instance } = incoming.params;
  let message;
  try {
    message = parse(instance, incoming.body);
  } catch {
    return reply.code(400).send({ status: 'unreadable' });
  }
  if (message === null) return { status: 'ignored' };
  const conversation = `${instance}/${message.contact}`;
  const [size, number] = await redis.append(
    `seen:${instance}:${message.id}`, `queue:${conversation}`, `number:${conversation}`, JSON.stringify(message));
  if (size === 0) return { status: 'duplicate' };
  const jobId = `${conversation}#${number}`;
  if (size === 1) {
    await queue.add('window', { conversation, number }, { jobId });
  } else if (size === MAX_MESSAGES) {
    const job = await queue.getJob(jobId);
    if (job) await job.promote().catch(() => {}); // it runs already
  }
  return { status: 'accepted' };
});

// Freeze the batch, store it, ask the model, store the answer, send it, store that it was sent.
async function turn(job) {
  const { conversation, number } = job.data;
  const pending = `pending:${conversation}#${number}`;
  const batch = await redis.freeze(`queue:${conversation}`, pending);
  if (batch.length === 0) return;
  const messages = batch.map((one) => JSON.parse(one)).sort((a, b) => a.sent_at - b.sent_at);
  const [name, phone] = conversation.split('/');
  const ids = messages.map((message) => message.id);
  const texts = messages.map((message) => message.text);
  const question = texts.join('\n');
  const hash = crypto.createHash('sha256').update(question).digest('hex');
  const [instance, [opened]] = await Promise.all([
    instanceOf(name),
    query('open_turn', name, phone, texts, ids, `${conversation}#${number}`, hash),
  ]);
  const conversationId = opened.conversation_id;
  let reply = opened.answer;
  if (opened.state === 'started') {
    const [[answered], history, , [escalated]] = await Promise.all([
      query('was_answered', conversationId, hash, opened.id),
      query('history', conversationId, ids),
      query('webhook', instance.id),
      query('escalation', conversationId),
      query('usage', instance.id),
      query('kept_answer', instance.id, hash),
    ]);
    if (answered.found || escalated) return void (await redis.del(pending));
    const found = await ask(instance.system_prompt, history, question);
    reply = found.text;
    await query('store_answer', opened.id, reply, found.tokensIn, found.tokensOut, instance.id, found.tokensIn + found.tokensOut);
  }
  if (opened.state !== 'done') {
    const gatewayId = await send(name, phone, reply);
    await query('end_turn', opened.id, gatewayId, conversationId, reply, instance.id, phone, question, { turn: opened.id });
  }
  await redis.del(pending);
}

// The instance's row, remembered for a while.
const instances = new Map();
async function instanceOf(name) {
  const known = instances.get(name);
  if (known && known.until > Date.now()) return known.row;
  const [row] = await query('instance', name);
  instances.set(name, { row, until: Date.now() + SETTINGS_MS });
  return row;
}

async function ask(prompt, history, question) {
  const earlier = [];
  let left = HISTORY_LETTERS;
  for (const { sender, content } of history) { // newest first
    if (left <= 0) break;
    earlier.push({ role: sender, content: content.slice(0, left) });
    left -= content.length;
  }
  const found = await post(model, `${WORLD}/v1/chat/completions`, { authorization: 'Bearer key' }, {
    model: 'test',
    max_tokens: 1024,
    messages: [
      { role: 'system', content: prompt || 'You help customers on WhatsApp.' },
      ...earlier.reverse(),
      { role: 'user', content: question },
    ],
  });
  const { prompt_tokens: tokensIn, completion_tokens: tokensOut } = found.usage;
  return { text: found.choices[0].message.content, tokensIn, tokensOut };
}

// Send the reply; returns the gateway's id of it.
async function send(instance, phone, text) {
  const found = await post(
    gateway, `${WORLD}/message/sendText/${instance}`, { apikey: 'key' }, { number: phone, text, linkPreview: false });
  return found.key.id;
}

async function post(dispatcher, url, headers, document) {
  const response = await request(url, {
    method: 'POST',
    dispatcher,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(document),
    headersTimeout: 30_000,
  });
  if (response.statusCode >= 300) {
    await response.body.dump();
    throw new Error(`${url} answered ${response.statusCode}`);
  }
  return response.body.json();
}

const worker = new Worker('windows', turn, { connection: connect(), concurrency: AT_ONCE });
worker.on('failed', (job, error) => console.error('failed', job?.id, error));
queue.waitUntilReady().then(() => fastify.listen({ host: '127.0.0.1', port: Number(PORT) }));
