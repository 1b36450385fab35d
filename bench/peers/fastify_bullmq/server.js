// The Fastify + BullMQ peer: parse, add a delayed job whose id is the message's (BullMQ adds an id only once), then
// acknowledge. No worker runs, as no window closes on the other servers either.
//   REDIS_SOCKET=<path> PORT=<port> node server.js
'use strict';

const fastify = require('fastify')({ logger: false });
const { Queue } = require('bullmq');
const Redis = require('ioredis');
const { parse } = require('./parse');

const WINDOW_MS = 3_600_000;
const connection = new (Redis.default ?? Redis)({ path: process.env.REDIS_SOCKET, maxRetriesPerRequest: null });
const queue = new Queue('webhooks', {
  connection,
  defaultJobOptions: { delay: WINDOW_MS, removeOnComplete: true },
});

fastify.get('/health/ready', async () => ({ status: 'ready' }));

fastify.post('/webhook/:instance', async (request, reply) => {
  const { instance } = request.params;
  let message;
  try {
    message = parse(instance, request.body);
  } catch {
    return reply.code(400).send({ status: 'unreadable' });
  }
  if (message === null) return { status: 'ignored' };
  await queue.add('message', message, { jobId: `${instance}-${message.id}` });
  return { status: 'accepted' };
});

queue.waitUntilReady().then(() => fastify.listen({ host: '127.0.0.1', port: Number(process.env.PORT) }));
