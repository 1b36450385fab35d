'use strict';

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

module.exports = { parse };
