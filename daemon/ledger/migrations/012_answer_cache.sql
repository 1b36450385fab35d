-- The response cache. actors/response_cache.py defines `scope`, and which answers may be cached.

CREATE TABLE IF NOT EXISTS majlis_answer_cache (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance      text NOT NULL,
    scope         text NOT NULL,
    question_hash text NOT NULL,
    question      text NOT NULL,
    numbers       text NOT NULL,
    answer        jsonb NOT NULL,
    model         text NOT NULL DEFAULT '',
    hits          bigint NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    last_hit_at   timestamptz,
    UNIQUE (instance, scope, question_hash)
);
CREATE INDEX IF NOT EXISTS majlis_answer_cache_age_idx ON majlis_answer_cache (instance, created_at, id);
CREATE INDEX IF NOT EXISTS majlis_answer_cache_expiry_idx ON majlis_answer_cache (expires_at);

SELECT majlis_enable_vectors();

-- Part of T2. An answer of the responder is cached, and the oldest entry beyond the limit is dropped. An answer from the
-- cache counts as a hit of its entry. Waits for no lock but that of the entry itself.
CREATE OR REPLACE FUNCTION majlis_cache_store(p_instance text, p_cache jsonb, p_answer jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_entry bigint;
BEGIN
    IF p_answer ->> 'provider' = 'cache' THEN
        UPDATE majlis_answer_cache SET hits = hits + 1, last_hit_at = now()
        WHERE id = (p_cache ->> 'hit')::bigint AND instance = p_instance;
        RETURN;
    END IF;
    INSERT INTO majlis_answer_cache AS c (instance, scope, question_hash, question, numbers, answer, expires_at)
    VALUES (p_instance, p_cache ->> 'scope', p_cache ->> 'question_hash', p_cache ->> 'question',
            p_cache ->> 'numbers',
            jsonb_build_object('text', p_answer -> 'text', 'model', p_answer -> 'model',
                               'confidence', p_answer -> 'confidence'),
            now() + make_interval(secs => (p_cache ->> 'keep_seconds')::double precision))
    ON CONFLICT (instance, scope, question_hash) DO UPDATE
    SET answer = excluded.answer, created_at = now(), expires_at = excluded.expires_at
    RETURNING id INTO v_entry;
    IF p_cache ->> 'model' <> '' AND majlis_has_vectors() THEN
        UPDATE majlis_answer_cache c SET embedding = e.embedding, model = e.model
        FROM majlis_embeddings e
        WHERE c.id = v_entry AND e.model = p_cache ->> 'model' AND e.text_hash = p_cache ->> 'text_hash';
    END IF;
    DELETE FROM majlis_answer_cache WHERE id IN (
        SELECT id FROM majlis_answer_cache WHERE id IN (
            SELECT id FROM majlis_answer_cache WHERE instance = p_instance AND id <> v_entry
            ORDER BY created_at DESC, id DESC OFFSET (p_cache ->> 'max_entries')::integer - 1)
        FOR UPDATE SKIP LOCKED);
END $$;

-- The cached answers to a question, `answers`, the best first: the one to the same words, else up to five to similar
-- questions with the same numbers. None for a conversation with a history, because its answers depend on it (`p_history`:
-- whether the responder gets the history).
-- `wants_vector`: the question's vector is needed to find similar ones, and is not cached.
CREATE OR REPLACE FUNCTION majlis_cache_find(
    p_turn bigint, p_history boolean, p_instance text, p_scope text, p_question_hash text, p_numbers text,
    p_exact_seconds double precision, p_similar_seconds double precision, p_similarity double precision,
    p_model text, p_text_hash text, p_embedding text, p_vector_seconds double precision)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_found jsonb;
    v_embedding text;
    v_wants boolean := false;
BEGIN
    IF p_history AND EXISTS (SELECT FROM majlis_history(p_turn, 1, 1)) THEN
        RETURN jsonb_build_object('wants_vector', false, 'answers', '[]'::jsonb);
    END IF;
    SELECT jsonb_build_array(jsonb_build_object('entry', id, 'question', question, 'answer', answer)) INTO v_found
    FROM majlis_answer_cache
    WHERE instance = p_instance AND scope = p_scope AND question_hash = p_question_hash
      AND created_at > now() - make_interval(secs => p_exact_seconds);
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
                WHERE c.instance = p_instance AND c.scope = p_scope AND c.numbers = p_numbers AND c.model = p_model
                  AND c.created_at > now() - make_interval(secs => p_similar_seconds)
            ), best AS (
                SELECT * FROM alike WHERE similarity >= p_similarity ORDER BY similarity DESC, id DESC LIMIT 5
            )
            SELECT jsonb_agg(jsonb_build_object('entry', id, 'question', question, 'answer', answer)
                             ORDER BY similarity DESC, id DESC)
            INTO v_found FROM best;
        END IF;
    END IF;
    RETURN jsonb_build_object('answers', coalesce(v_found, '[]'), 'wants_vector', v_wants);
END $$;
