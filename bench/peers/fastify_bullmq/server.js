// The Fastify + BullMQ peer: parse, add a delayed job whose id is the message's (BullMQ adds an id only once), then
// acknowledge. No worker runs, as no window closes on the other servers either.
//   REDIS_SOCKET=<path> PORT=<port> node server.js
'use strict';

const fastify = require('fastify')({ logger: false });
const { Queue } = require('bullmq');
const Redis = require('ioredis');

const WINDOW_MS = 3_600_000;
const connection = new (Redis.default ?? Redis)({ path: process.env.REDIS_SOCKET, maxRetriesPerRequest: null });
const queue = new Queue('webhooks', {
  connection,
  defaultJobOptions: { delay: WINDOW_MS, removeOnComplete: true },
});

// The message to keep, or null for what is no message of a contact.
function parse(instance, event) {
  if (event.event !== 'messages.upsert') return null;
  const { key, message, messageTimestamp, pushName } = event.data;
  let jid = key.remoteJid;
  if (jid.endsWith('@lid')) jid = key.remoteJidAlt || key.senderPn || jid;
  const [user, server] = jid.split('@');
  const text = message.conversation;
  if (key.fromMe || !['s.whatsapp.net', 'lid'].includes(server) || !text) return null;
  return { instance, contact: user.split(':')[0], id: key.id, text, sent_at: messageTimestamp, push_name: pushName || '' };
}

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
