-- The response cache: questions that are alike must have the same features, a later question may be answered after the same
-- history, and every question is counted by what became of it.

-- What another wording must have as well (actors/distinctions.py); NULL, of a daemon of the previous version: never found by
-- meaning.
ALTER TABLE majlis_answer_cache ADD COLUMN IF NOT EXISTS features text;

-- By the hour: how questions were answered from the cache, or why not (actors/response_cache.py), and what that saved.
-- `not kept: …`: why a responder's answer was not kept.
CREATE TABLE IF NOT EXISTS majlis_cache_hours (
    instance      text NOT NULL,
    hour          timestamptz NOT NULL,
    outcome       text NOT NULL,
    questions     bigint NOT NULL DEFAULT 0,
    input_tokens  bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cost_micros   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (instance, hour, outcome)
);
CREATE INDEX IF NOT EXISTS majlis_cache_hours_hour_idx ON majlis_cache_hours (hour);

-- Part of T2, after the row of `majlis_usage`, which holds back other answers of the instance until this one is stored: so
-- the rows counted here are always taken in the same order. In one statement they are taken by name.
CREATE OR REPLACE FUNCTION majlis_cache_count(p_instance text, p_cache jsonb, p_saved jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO majlis_cache_hours AS c (instance, hour, outcome, questions, input_tokens, output_tokens, cost_micros)
    SELECT p_instance, date_trunc('hour', now(), 'UTC'), o.outcome, 1, coalesce((s.saved ->> 'input_tokens')::bigint, 0),
           coalesce((s.saved ->> 'output_tokens')::bigint, 0), coalesce((s.saved ->> 'cost_micros')::bigint, 0)
    FROM (VALUES (p_cache ->> 'looked', p_saved), ('not kept: ' || nullif(p_cache ->> 'not_kept', ''), NULL))
         AS o (outcome, saved) CROSS JOIN LATERAL (SELECT o.saved) s
    WHERE o.outcome IS NOT NULL
    ORDER BY o.outcome
    ON CONFLICT (instance, hour, outcome) DO UPDATE
    SET questions = c.questions + 1, input_tokens = c.input_tokens + excluded.input_tokens,
        output_tokens = c.output_tokens + excluded.output_tokens, cost_micros = c.cost_micros + excluded.cost_micros
$$;

-- Part of T2. An answer of the responder is kept, and the oldest entry beyond the limit is dropped. An answer from the cache
-- counts as a hit of its entry. `p_cache` is the record of `actors/ports.py`; of a daemon of the previous version, the entry.
CREATE OR REPLACE FUNCTION majlis_cache_store(p_instance text, p_cache jsonb, p_answer jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_key jsonb := CASE WHEN p_cache ? 'scope' THEN p_cache ELSE p_cache -> 'entry' END;
    v_entry bigint;
    v_kept jsonb;
BEGIN
    IF p_answer ->> 'provider' = 'cache' THEN
        UPDATE majlis_answer_cache SET hits = hits + 1, last_hit_at = now()
        WHERE id = (p_cache ->> 'hit')::bigint AND instance = p_instance
        RETURNING answer INTO v_kept;
    ELSIF jsonb_typeof(v_key) = 'object' THEN
        INSERT INTO majlis_answer_cache AS c (
            instance, scope, question_hash, question, numbers, features, answer, expires_at)
        VALUES (p_instance, v_key ->> 'scope', v_key ->> 'question_hash', v_key ->> 'question', v_key ->> 'numbers',
                nullif(v_key ->> 'features', ''),
                jsonb_build_object('text', p_answer -> 'text', 'model', p_answer -> 'model',
                                   'confidence', p_answer -> 'confidence', 'input_tokens', p_answer -> 'input_tokens',
                                   'output_tokens', p_answer -> 'output_tokens', 'cost_micros', p_answer -> 'cost_micros'),
                now() + make_interval(secs => (v_key ->> 'keep_seconds')::double precision))
        ON CONFLICT (instance, scope, question_hash) DO UPDATE
        SET answer = excluded.answer, features = excluded.features, created_at = now(), expires_at = excluded.expires_at
        RETURNING id INTO v_entry;
        IF v_key ->> 'model' <> '' AND majlis_has_vectors() THEN
            UPDATE majlis_answer_cache c SET embedding = e.embedding, model = e.model
            FROM majlis_embeddings e
            WHERE c.id = v_entry AND e.model = v_key ->> 'model' AND e.text_hash = v_key ->> 'text_hash';
        END IF;
        DELETE FROM majlis_answer_cache WHERE id IN (
            SELECT id FROM majlis_answer_cache WHERE id IN (
                SELECT id FROM majlis_answer_cache WHERE instance = p_instance AND id <> v_entry
                ORDER BY created_at DESC, id DESC OFFSET (v_key ->> 'max_entries')::integer - 1)
            FOR UPDATE SKIP LOCKED);
    END IF;
    IF p_cache ? 'looked' THEN
        PERFORM majlis_cache_count(p_instance, p_cache, v_kept);
    END IF;
END $$;

-- Whether anybody but the customer and Majlis wrote one of the newest messages that `majlis_told_history` gives: a person of
-- the business, other software. What Majlis wrote is what its outbox says has left.
CREATE OR REPLACE FUNCTION majlis_others_spoke(p_turn bigint, p_max_messages integer) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE;
    v_own text[];
BEGIN
    SELECT t.conversation_id, ARRAY(
        SELECT majlis_original_id(m.value ->> 'id') FROM jsonb_array_elements(t.messages) AS m (value)
        WHERE NOT majlis_history_only(m.value)) INTO v_conversation, v_own
    FROM majlis_turns t WHERE t.id = p_turn;
    RETURN EXISTS (
        SELECT FROM (
            SELECT m.sender_type::text AS sender, m.message_id::text AS id FROM whatsapp_messages m
            WHERE m.conversation_id = v_conversation AND m.content <> ''
              AND (m.message_id IS NULL OR m.message_id::text <> ALL (v_own))
            ORDER BY m.created_at DESC, m.id DESC LIMIT p_max_messages) said
        WHERE lower(btrim(coalesce(said.sender, ''))) NOT IN ('user', 'customer', 'contact')
          -- A limit, so that each is looked up by the index, and the outbox is not read whole.
          AND (SELECT true FROM majlis_outbox o WHERE o.gateway_message_id = said.id LIMIT 1) IS NULL);
END $$;

-- The cached answers to a question, `answers`, the best first: the one to the same words, else up to five to questions that
-- are alike and have the same features. `p_history`: whether there must be no history (`first`), it is part of the scope
-- already and nobody but the customer and Majlis may have spoken in it (`ours`), or the responder gets none (`none`).
-- `why`: why there is none. `wants_vector`: the question's vector is needed to find similar ones, and is not cached.
CREATE OR REPLACE FUNCTION majlis_cache_look(
    p_turn bigint, p_history text, p_told integer, p_instance text, p_scope text, p_question_hash text, p_features text,
    p_exact_seconds double precision, p_similar_seconds double precision, p_similarity double precision, p_near double precision,
    p_model text, p_text_hash text, p_embedding text, p_vector_seconds double precision)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_found jsonb;
    v_created timestamptz;
    v_why text := 'not_seen';
    v_embedding text;
    v_wants boolean := false;
    v_best double precision;
BEGIN
    IF p_history = 'first' AND EXISTS (SELECT FROM majlis_history(p_turn, 1, 1)) THEN
        RETURN jsonb_build_object('wants_vector', false, 'answers', '[]'::jsonb, 'why', 'has_history');
    ELSIF p_history = 'ours' AND majlis_others_spoke(p_turn, p_told) THEN
        RETURN jsonb_build_object('wants_vector', false, 'answers', '[]'::jsonb, 'why', 'other_history');
    END IF;
    SELECT jsonb_build_array(jsonb_build_object('entry', id, 'question', question, 'answer', answer, 'how', 'hit_exact')),
           created_at INTO v_found, v_created
    FROM majlis_answer_cache
    WHERE instance = p_instance AND scope = p_scope AND question_hash = p_question_hash;
    IF v_created <= now() - make_interval(secs => p_exact_seconds) THEN
        v_found := NULL;
        v_why := 'expired';
    END IF;
    IF v_found IS NULL AND p_model <> '' AND p_similar_seconds > 0 AND majlis_has_vectors() THEN
        IF p_embedding IS NULL THEN
            v_embedding := majlis_kept_embedding(p_model, p_text_hash, p_vector_seconds);
            v_wants := v_embedding IS NULL;
        ELSE
            PERFORM majlis_keep_embedding(p_model, p_text_hash, p_embedding);
            v_embedding := p_embedding;
        END IF;
        IF v_embedding IS NOT NULL THEN
            WITH asked AS MATERIALIZED (  -- read once, not once for each entry
                SELECT v_embedding::vector AS embedding
            ), alike AS (
                SELECT c.id, c.question, c.answer, majlis_similarity(
                           CASE WHEN vector_dims(c.embedding) = vector_dims(a.embedding)
                                THEN c.embedding <=> a.embedding END) AS similarity
                FROM majlis_answer_cache c CROSS JOIN asked a
                WHERE c.instance = p_instance AND c.scope = p_scope AND c.features = p_features AND c.model = p_model
                  AND c.created_at > now() - make_interval(secs => p_similar_seconds)
            ), best AS (
                SELECT * FROM alike WHERE similarity >= p_similarity ORDER BY similarity DESC, id DESC LIMIT 5
            )
            SELECT jsonb_agg(jsonb_build_object('entry', id, 'question', question, 'answer', answer, 'how', 'hit_similar')
                             ORDER BY similarity DESC, id DESC)
            INTO v_found FROM best;
            IF v_found IS NULL THEN  -- only to say why, so that the newest will do
                WITH asked AS MATERIALIZED (
                    SELECT v_embedding::vector AS embedding
                ), newest AS (
                    SELECT scope, model, embedding FROM majlis_answer_cache
                    WHERE instance = p_instance AND created_at > now() - make_interval(secs => p_similar_seconds)
                    ORDER BY created_at DESC, id DESC LIMIT 100
                )
                SELECT max(majlis_similarity(CASE WHEN vector_dims(n.embedding) = vector_dims(a.embedding)
                                                  THEN n.embedding <=> a.embedding END))
                INTO v_best FROM newest n CROSS JOIN asked a WHERE n.scope = p_scope AND n.model = p_model;
                v_why := CASE WHEN v_why = 'expired' OR v_best IS NULL THEN v_why
                              WHEN v_best >= p_similarity THEN 'differs'
                              WHEN v_best >= p_near THEN 'near_miss'
                              ELSE 'not_similar' END;
            END IF;
        END IF;
    END IF;
    RETURN jsonb_build_object('answers', coalesce(v_found, '[]'), 'wants_vector', v_wants, 'why', v_why);
END $$;
