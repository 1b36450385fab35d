-- Thresholds that were measured for a model that makes vectors (daemon/knowledge/calibration.py), and a search that knows
-- of them.

CREATE TABLE IF NOT EXISTS majlis_calibrations (
    model       text NOT NULL,
    texts       text NOT NULL,
    begun_at    timestamptz NOT NULL DEFAULT now(),
    measured_at timestamptz,
    measured    jsonb,
    PRIMARY KEY (model, texts)
);

-- What was measured; or `measure` for one daemon, and `busy` for others meanwhile, for ten minutes.
CREATE OR REPLACE FUNCTION majlis_calibration_begin(p_model text, p_texts text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_row majlis_calibrations;
BEGIN
    INSERT INTO majlis_calibrations AS c (model, texts) VALUES (p_model, p_texts)
    ON CONFLICT (model, texts) DO UPDATE SET begun_at = now()
    WHERE c.measured_at IS NULL AND c.begun_at < now() - interval '10 minutes';
    IF FOUND THEN
        RETURN jsonb_build_object('state', 'measure');
    END IF;
    SELECT * INTO v_row FROM majlis_calibrations WHERE model = p_model AND texts = p_texts;
    IF v_row.measured_at IS NULL THEN
        RETURN jsonb_build_object('state', 'busy');
    END IF;
    RETURN jsonb_build_object('state', 'measured', 'measured', v_row.measured);
END $$;

CREATE OR REPLACE FUNCTION majlis_calibration_keep(p_model text, p_texts text, p_measured jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO majlis_calibrations (model, texts, measured_at, measured) VALUES (p_model, p_texts, now(), p_measured)
    ON CONFLICT (model, texts) DO UPDATE SET measured_at = now(), measured = excluded.measured
$$;

-- As in 011, with similarities above `p_floor` stretched to the whole range: a model may find nothing less alike than 0.7.
CREATE OR REPLACE FUNCTION majlis_knowledge_search(
    p_instance text, p_words text[], p_threshold double precision, p_max_passages integer,
    p_model text, p_text_hash text, p_embedding text, p_vector_seconds double precision, p_floor double precision)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_embedding text;
    v_wants boolean := false;
    v_passages jsonb;
BEGIN
    IF p_model <> '' AND majlis_has_vectors() AND EXISTS (
        SELECT FROM majlis_knowledge_files WHERE instance = p_instance AND state = 'ready' AND model = p_model
    ) THEN
        IF p_embedding IS NULL THEN
            v_embedding := majlis_kept_embedding(p_model, p_text_hash, p_vector_seconds);
            v_wants := v_embedding IS NULL;
        ELSE
            PERFORM majlis_keep_embedding(p_model, p_text_hash, p_embedding);
            v_embedding := p_embedding;
        END IF;
    END IF;
    IF v_embedding IS NULL THEN
        WITH best AS (
            SELECT chunk_id AS id, share AS relevance FROM majlis_knowledge_words(p_instance, p_words)
            WHERE share >= p_threshold ORDER BY share DESC, chunk_id LIMIT p_max_passages
        )
        SELECT jsonb_agg(jsonb_build_object('source', f.name, 'heading', c.heading, 'text', c.text,
                                            'relevance', b.relevance) ORDER BY b.relevance DESC, b.id)
        INTO v_passages
        FROM best b
        JOIN majlis_knowledge_chunks c ON c.id = b.id
        JOIN majlis_knowledge_files f ON f.id = c.file_id;
    ELSE
        WITH asked AS MATERIALIZED (  -- read once, not once for each chunk
            SELECT v_embedding::vector AS embedding
        ), shares AS MATERIALIZED (
            SELECT chunk_id, share FROM majlis_knowledge_words(p_instance, p_words)
        ), likenesses AS MATERIALIZED (
            SELECT c.id, greatest(0.0, (majlis_similarity(
                             CASE WHEN vector_dims(c.embedding) = vector_dims(a.embedding)
                                  THEN c.embedding <=> a.embedding END) - p_floor) / (1 - p_floor)) AS similarity
            FROM majlis_knowledge_chunks c
            JOIN majlis_knowledge_files f ON f.id = c.file_id AND f.state = 'ready'
            CROSS JOIN asked a
            WHERE c.instance = p_instance AND c.model = p_model
        ), best AS (
            SELECT coalesce(l.id, w.chunk_id) AS id,
                   1 - (1 - coalesce(w.share, 0)) * (1 - coalesce(l.similarity, 0)) AS relevance
            FROM likenesses l FULL JOIN shares w ON w.chunk_id = l.id
            ORDER BY relevance DESC, id LIMIT p_max_passages
        )
        SELECT jsonb_agg(jsonb_build_object('source', f.name, 'heading', c.heading, 'text', c.text,
                                            'relevance', b.relevance) ORDER BY b.relevance DESC, b.id)
        INTO v_passages
        FROM best b
        JOIN majlis_knowledge_chunks c ON c.id = b.id
        JOIN majlis_knowledge_files f ON f.id = c.file_id
        WHERE b.relevance >= p_threshold;
    END IF;
    RETURN jsonb_build_object('wants_vector', v_wants, 'passages', coalesce(v_passages, '[]'));
END $$;

-- What daemons of earlier versions call.
CREATE OR REPLACE FUNCTION majlis_knowledge_search(
    p_instance text, p_words text[], p_threshold double precision, p_max_passages integer,
    p_model text, p_text_hash text, p_embedding text, p_vector_seconds double precision)
RETURNS jsonb LANGUAGE sql AS $$
    SELECT majlis_knowledge_search(p_instance, p_words, p_threshold, p_max_passages, p_model, p_text_hash, p_embedding,
                                   p_vector_seconds, 0.0::double precision)
$$;
