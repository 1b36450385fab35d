-- Indexes on the shared tables, which may be big and in use: built concurrently, one statement at a time, without a
-- transaction. An index left invalid by an interrupted run is dropped and rebuilt.

CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_instances_name_idx
    ON whatsapp_instances (instance_name);
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_conversations_contact_idx
    ON whatsapp_conversations (instance_id, user_phone, status);
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_messages_history_idx
    ON whatsapp_messages (conversation_id, created_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_messages_id_idx
    ON whatsapp_messages (conversation_id, message_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_webhook_config_instance_idx
    ON whatsapp_webhook_config (whatsapp_instance_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_ai_config_active_idx
    ON whatsapp_ai_config (whatsapp_instance_id, is_active);
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_ai_interactions_contact_idx
    ON whatsapp_ai_interactions (whatsapp_instance_id, user_phone, created_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_escalated_contact_idx
    ON whatsapp_escalated_conversations (whatsapp_instance_id, user_phone);
